    ;; Copies standard input to standard output, in the way that its argument says: 0 reads and waits, 1 polls before it reads what is
    ;; there, 2 splices.
    (func $run (result i32)
      (local $input i32) (local $output i32) (local $ready i32) (local $way i32)
      (local.set $way (call $argument))
      (local.set $input (call $get-stdin))
      (local.set $output (call $get-stdout))
      (local.set $ready (call $subscribe-input (local.get $input)))
      (loop $next
        (block $copied
          (if (i32.eq (local.get $way) (i32.const 2))
            (then
              (call $blocking-splice (local.get $output) (local.get $input) (i64.const 1000) (i32.const 0x100))
              (br_if $copied (i32.eqz (i32.load8_u (i32.const 0x100))))
              ;; At the end it has to be `closed`.
              (return (i32.ne (i32.load8_u (i32.const 0x108)) (i32.const 1)))))
          (if (local.get $way)
            (then
              (call $block (local.get $ready))
              (call $read (local.get $input) (i64.const 1000) (i32.const 0x100)))
            (else (call $blocking-read (local.get $input) (i64.const 1000) (i32.const 0x100))))
          (if (i32.load8_u (i32.const 0x100))
            (then
              (call $drop-pollable (local.get $ready))
              (call $drop-input (local.get $input))
              (call $drop-output (local.get $output))
              (return (i32.ne (i32.load8_u (i32.const 0x104)) (i32.const 1)))))
          (call $print (i32.load (i32.const 0x104)) (i32.load (i32.const 0x108))))
        (br $next))
      (unreachable))
