;; The frame around each kernel, which takes the place of the line KERNEL. Runs it ten times and prints the shortest
;; time in nanoseconds and, so that no work can be left out, the kernel's result.
(module
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 80) ;; the first page is the harness's, the others are the kernel's

  ;; KERNEL

  (func $_start (export "_start")
    (local $runs i32) (local $start i64) (local $time i64) (local $best i64) (local $result i64)
    (local.set $best (i64.const 0x7fffffffffffffff))
    (local.set $runs (i32.const 10))
    (loop $again
      (local.set $start (call $now))
      (local.set $result (call $kernel))
      (local.set $time (i64.sub (call $now) (local.get $start)))
      (if (i64.lt_u (local.get $time) (local.get $best))
        (then (local.set $best (local.get $time))))
      (br_if $again (local.tee $runs (i32.sub (local.get $runs) (i32.const 1)))))
    (call $print (local.get $best))
    (call $print (local.get $result)))

  (func $now (result i64)
    (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 0)))
    (i64.load (i32.const 0)))

  ;; Prints a number and a newline; the digits end at 64.
  (func $print (param $number i64) (local $at i32)
    (local.set $at (i32.const 64))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i64.store8 (local.get $at) (i64.add (i64.rem_u (local.get $number) (i64.const 10)) (i64.const 48)))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $number) (i64.const 0))))
    (i32.store (i32.const 8) (local.get $at))
    (i32.store (i32.const 12) (i32.sub (i32.const 65) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))
