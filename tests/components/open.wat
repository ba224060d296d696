    ;; Opens each of its arguments beneath the first directory that is granted, and prints the contents, or the number of the error.
    (data (i32.const 0x400) "unreadable\n")

    (func $run (result i32) (local $at i32) (local $left i32) (local $directory i32)
      (local.set $directory (call $directory))
      (call $get-arguments (i32.const 0x100))
      (local.set $at (i32.load (i32.const 0x100)))
      (local.set $left (i32.load (i32.const 0x104)))
      (block $end
        (loop $next
          (br_if $end (i32.eqz (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (call $open-at (local.get $directory) (i32.const 1) (i32.load (local.get $at)) (i32.load offset=4 (local.get $at))
            (i32.const 0) (i32.const 1) (i32.const 0x100))
          (if (i32.load8_u (i32.const 0x100))
            (then (call $print-number (i32.load8_u (i32.const 0x104))))
            (else (call $show (i32.load (i32.const 0x104)))))
          (br $next)))
      (i32.const 0))

    ;; Prints what a file begins with.
    (func $show (param $file i32) (local $input i32)
      (call $read-via-stream (local.get $file) (i64.const 0) (i32.const 0x100))
      (if (i32.load8_u (i32.const 0x100))
        (then (call $print (i32.const 0x400) (i32.const 11)))
        (else
          (local.set $input (i32.load (i32.const 0x104)))
          (call $blocking-read (local.get $input) (i64.const 1000) (i32.const 0x100))
          (if (i32.load8_u (i32.const 0x100))
            (then (call $print (i32.const 0x400) (i32.const 11)))
            (else (call $print (i32.load (i32.const 0x104)) (i32.load (i32.const 0x108)))))
          (call $drop-input (local.get $input))))
      (call $drop-descriptor (local.get $file)))
