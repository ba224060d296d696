;; wasi:clocks.

    ;; How often the clock goes backwards in a million readings, and the smallest step that it makes, in nanoseconds.
    (func (export "steps") (result i32) (local $last i64) (local $now i64) (local $least i64) (local $back i64) (local $left i32)
      (local.set $least (i64.const -1))
      (local.set $left (i32.const 1000000))
      (local.set $last (call $now))
      (loop $next
        (local.set $now (call $now))
        (if (i64.lt_u (local.get $now) (local.get $last)) (then (local.set $back (i64.add (local.get $back) (i64.const 1)))))
        (if (i64.gt_u (local.get $now) (local.get $last))
          (then (if (i64.lt_u (i64.sub (local.get $now) (local.get $last)) (local.get $least))
            (then (local.set $least (i64.sub (local.get $now) (local.get $last)))))))
        (local.set $last (local.get $now))
        (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $number (local.get $back))
      (call $number (local.get $least))
      (call $done))

    ;; The resolutions that the two clocks claim.
    (func (export "resolutions") (result i32)
      (call $number (call $resolution))
      (call $wall-resolution (i32.const 256))
      (call $number (i64.load (i32.const 256)))
      (call $number (i64.load32_u (i32.const 264)))
      (call $done))

    ;; The first reading: the age of the host, or of the program?
    (func (export "origin") (result i32) (call $number (call $now)) (call $done))

    (func (export "date") (result i32)
      (call $wall-now (i32.const 256))
      (call $number (i64.load (i32.const 256)))
      (call $number (i64.extend_i32_u (i32.lt_u (i32.load (i32.const 264)) (i32.const 1000000000))))
      (call $done))

    ;; Whether they are ready: an instant that has passed, none that ever comes, a duration of nothing and the longest.
    (func (export "deadlines") (result i32)
      (call $number (i64.extend_i32_u (call $ready (call $subscribe-instant (i64.const 0)))))
      (call $number (i64.extend_i32_u (call $ready (call $subscribe-instant (i64.const -1)))))
      (call $number (i64.extend_i32_u (call $ready (call $subscribe-duration (i64.const 0)))))
      (call $number (i64.extend_i32_u (call $ready (call $subscribe-duration (i64.const -1)))))
      (call $done))

    ;; An instant that has passed, asked 100 times: how often it is ready. Then it is waited for, and asked once more.
    (func (export "ready-again") (result i32) (local $pollable i32) (local $left i32) (local $count i64)
      (local.set $pollable (call $subscribe-instant (i64.const 0)))
      (local.set $left (i32.const 100))
      (loop $next
        (local.set $count (i64.add (local.get $count) (i64.extend_i32_u (call $ready (local.get $pollable)))))
        (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $number (local.get $count))
      (call $block (local.get $pollable))
      (call $number (i64.extend_i32_u (call $ready (local.get $pollable))))
      (call $done))

    ;; Waits for 20 ms. By how many ms the clock has advanced, at least.
    (func (export "sleep") (result i32) (local $start i64)
      (local.set $start (call $now))
      (call $block (call $subscribe-duration (i64.const 20000000)))
      (call $number (i64.extend_i32_u (i64.ge_u (i64.sub (call $now) (local.get $start)) (i64.const 20000000))))
      (call $done))
