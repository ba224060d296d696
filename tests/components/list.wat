    ;; Lists the first directory that is granted, in the order that it has: the number of the type, and the name.
    (func $run (result i32) (local $entries i32)
      (call $read-directory (call $directory) (i32.const 0x100))
      (if (i32.load8_u (i32.const 0x100)) (then (return (i32.const 1))))
      (local.set $entries (i32.load (i32.const 0x104)))
      (loop $next
        (call $read-directory-entry (local.get $entries) (i32.const 0x100))
        (if (i32.load8_u (i32.const 0x100)) (then (return (i32.const 1))))
        (if (i32.load8_u (i32.const 0x104))
          (then
            (call $print-character (i32.add (i32.load8_u (i32.const 0x108)) (i32.const 48)))
            (call $print-character (i32.const 32))
            (call $print (i32.load (i32.const 0x10c)) (i32.load (i32.const 0x110)))
            (call $print-character (i32.const 10))
            (br $next))))
      (call $drop-entries (local.get $entries))
      (i32.const 0))
