;; Reads the clocks 0 to 4: realtime, monotonic, CPU time of the process, CPU time of the thread, and one that does not
;; exist. Writes two errnos a clock, each as two bytes: resolution, time.
(module
  (import "wasi_snapshot_preview1" "clock_res_get"
    (func $clock_res_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)

  ;; 0: iovec   64: answers   2048: the errnos
  (global $end (mut i32) (i32.const 2048))

  (func $_start (export "_start") (local $clock i32)
    (loop $next
      (call $note (call $clock_res_get (local.get $clock) (i32.const 64)))
      (call $note (call $clock_time_get (local.get $clock) (i64.const 1) (i32.const 64)))
      (local.set $clock (i32.add (local.get $clock) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $clock) (i32.const 4))))
    (i32.store (i32.const 0) (i32.const 2048))
    (i32.store (i32.const 4) (i32.sub (global.get $end) (i32.const 2048)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))))

  (func $note (param $errno i32)
    (i32.store16 (global.get $end) (local.get $errno))
    (global.set $end (i32.add (global.get $end) (i32.const 2)))))
