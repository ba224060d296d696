    ;; Prints its arguments and then its environment, one line each.
    (func $run (result i32)
      (call $get-arguments (i32.const 0x100))
      (call $lines (i32.load (i32.const 0x100)) (i32.load (i32.const 0x104)) (i32.const 0))
      (call $get-environment (i32.const 0x100))
      (call $lines (i32.load (i32.const 0x100)) (i32.load (i32.const 0x104)) (i32.const 1))
      (i32.const 0))

    (func $lines (param $at i32) (param $count i32) (param $pairs i32)
      (block $end
        (loop $next
          (br_if $end (i32.eqz (local.get $count)))
          (call $print (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
          (if (local.get $pairs)
            (then
              (call $print-character (i32.const 61))
              (local.set $at (i32.add (local.get $at) (i32.const 8)))
              (call $print (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))))
          (call $print-character (i32.const 10))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $next))))
