;; wasi:clocks. Clock 0 of preview 1 is that of the wall, clock 1 the monotonic one.

(func $clock (param $clock i32) (result i64)
  (call $must (call $clock_time_get (local.get $clock) (i64.const 1) (i32.const 0x100)))
  (i64.load $own (i32.const 0x100)))

(func $clock_resolution (param $clock i32) (result i64)
  (call $must (call $clock_res_get (local.get $clock) (i32.const 0x100)))
  (i64.load $own (i32.const 0x100)))

;; Writes a datetime to the guest at $out.
(func $write_datetime (param $out i32) (param $nanoseconds i64)
  (i64.store $guest (local.get $out) (i64.div_u (local.get $nanoseconds) (i64.const 1000000000)))
  (i64.store32 $guest offset=8 (local.get $out) (i64.rem_u (local.get $nanoseconds) (i64.const 1000000000))))

(func $monotonic-clock.now (export "wasi:clocks/monotonic-clock@0.2#now") (result i64)
  (call $clock (i32.const 1)))

(func $monotonic-clock.resolution (export "wasi:clocks/monotonic-clock@0.2#resolution") (result i64)
  (call $clock_resolution (i32.const 1)))

(func $monotonic-clock.subscribe-instant (export "wasi:clocks/monotonic-clock@0.2#subscribe-instant") (param $when i64) (result i32)
  (call $pollable_new (i32.const 0) (i32.const 1) (local.get $when)))

;; A deadline that is not representable is the last instant there is.
(func $monotonic-clock.subscribe-duration (export "wasi:clocks/monotonic-clock@0.2#subscribe-duration") (param $when i64) (result i32)
  (local $now i64) (local $deadline i64)
  (local.set $now (call $clock (i32.const 1)))
  (local.set $deadline (i64.add (local.get $now) (local.get $when)))
  (call $pollable_new (i32.const 0) (i32.const 1)
    (select (i64.const -1) (local.get $deadline) (i64.lt_u (local.get $deadline) (local.get $now)))))

(func $wall-clock.now (export "wasi:clocks/wall-clock@0.2#now") (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_datetime (local.get $out) (call $clock (i32.const 0))))

(func $wall-clock.resolution (export "wasi:clocks/wall-clock@0.2#resolution") (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_datetime (local.get $out) (call $clock_resolution (i32.const 0))))
