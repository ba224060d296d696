    ;; Waits for standard input and, as many hundredths of a second as its argument says, for the clock. Prints which of them is ready:
    ;; 0 or 1, or both.
    (func $run (result i32) (local $at i32) (local $left i32)
      (i32.store (i32.const 0x200) (call $subscribe-input (call $get-stdin)))
      (i32.store (i32.const 0x204) (call $subscribe-duration
        (i64.mul (i64.extend_i32_u (call $argument)) (i64.const 10000000))))
      (call $poll (i32.const 0x200) (i32.const 2) (i32.const 0x100))
      (local.set $at (i32.load (i32.const 0x100)))
      (local.set $left (i32.load (i32.const 0x104)))
      (loop $next
        (call $print-number (i32.load (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0))
