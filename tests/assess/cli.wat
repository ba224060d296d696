;; wasi:cli. What a program learns of its surroundings, and how its end is reported.

    ;; How many variables there are.
    (func (export "environment") (result i32)
      (call $get-environment (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    ;; How many arguments there are, and how many bytes they have.
    (func (export "arguments") (result i32) (local $at i32) (local $left i32) (local $sum i64)
      (call $get-arguments (i32.const 256))
      (local.set $at (i32.load (i32.const 256)))
      (local.set $left (i32.load (i32.const 260)))
      (block $end (loop $next
        (br_if $end (i32.eqz (local.get $left)))
        (local.set $sum (i64.add (local.get $sum) (i64.load32_u offset=4 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
      (call $number (i64.load32_u (i32.const 260)))
      (call $number (local.get $sum))
      (call $done))

    ;; The directory to start in, if the host tells one.
    (func (export "cwd") (result i32)
      (call $initial-cwd (i32.const 256))
      (if (i32.load8_u (i32.const 256))
        (then (call $say (i32.load (i32.const 260)) (i32.load (i32.const 264))))
        (else (call $say (i32.const 1024) (i32.const 4))))
      (call $done))

    ;; Whether standard output is a terminal, which it is not.
    (func (export "terminal") (result i32)
      (call $terminal-stdout (i32.const 256))
      (call $number (i64.load8_u (i32.const 256)))
      (call $done))

    (func (export "run-ok") (result i32) (i32.const 0))

    (func (export "run-err") (result i32) (i32.const 1))

    (func (export "exit-ok") (result i32) (call $exit (i32.const 0)) (i32.const 1))

    (func (export "exit-err") (result i32) (call $exit (i32.const 1)) (i32.const 0))

    (func (export "code-0") (result i32) (call $exit-with-code (i32.const 0)) (i32.const 1))

    (func (export "code-7") (result i32) (call $exit-with-code (i32.const 7)) (i32.const 0))

    (func (export "code-134") (result i32) (call $exit-with-code (i32.const 134)) (i32.const 0))

    (func (export "code-255") (result i32) (call $exit-with-code (i32.const 255)) (i32.const 0))

    (func (export "trap") (result i32) (unreachable))

    ;; A discriminant that no result has.
    (func (export "exit-unknown") (result i32) (call $exit (i32.const 2)) (i32.const 0))

    (data (i32.const 1024) "none")
