;; wasi:random. All of it is the secure source: an insecure one would be no faster, and can be mistaken for it.

(func $trap:a_list_that_is_too_long unreachable)

;; The lists are made in parts of 64 KiB. $len bytes, of which the canonical ABI allows 2^28 - 1.
(func $random_list (param $len i64) (param $out i32)
  (local $ptr i32) (local $left i32) (local $at i32) (local $part i32)
  (call $aligned (local.get $out) (i32.const 4))
  (if (i64.gt_u (local.get $len) (i64.const 0xfffffff)) (then (call $trap:a_list_that_is_too_long)))
  (local.set $left (i32.wrap_i64 (local.get $len)))
  (local.set $at (local.tee $ptr (call $alloc (i32.const 1) (local.get $left))))
  (call $write_list (local.get $out) (local.get $ptr) (local.get $left))
  (loop $next
    (if (local.get $left)
      (then
        (local.set $part
          (select (local.get $left) (i32.const 0x10000) (i32.lt_u (local.get $left) (i32.const 0x10000))))
        (call $must (call $random_get (i32.const 0x1000) (local.get $part)))
        (call $copy_out (local.get $at) (i32.const 0x1000) (local.get $part))
        (local.set $at (i32.add (local.get $at) (local.get $part)))
        (local.set $left (i32.sub (local.get $left) (local.get $part)))
        (br $next)))))

(func $random_u64 (result i64)
  (call $must (call $random_get (i32.const 0x100) (i32.const 8)))
  (i64.load $own (i32.const 0x100)))

(func $random.get-random-bytes (export "wasi:random/random@0.2#get-random-bytes") (param $len i64) (param $out i32)
  (call $random_list (local.get $len) (local.get $out)))
(func $random.get-random-u64 (export "wasi:random/random@0.2#get-random-u64") (result i64)
  (call $random_u64))
(func $insecure.get-insecure-random-bytes (export "wasi:random/insecure@0.2#get-insecure-random-bytes") (param $len i64) (param $out i32)
  (call $random_list (local.get $len) (local.get $out)))
(func $insecure.get-insecure-random-u64 (export "wasi:random/insecure@0.2#get-insecure-random-u64") (result i64)
  (call $random_u64))

;; Drawn once: it is meant to become a value.
(func $insecure-seed.insecure-seed (export "wasi:random/insecure-seed@0.2#insecure-seed") (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (if (i32.eqz (i32.load $own (i32.const 0x68)))
    (then
      (call $must (call $random_get (i32.const 0x70) (i32.const 16)))
      (i32.store $own (i32.const 0x68) (i32.const 1))))
  (call $copy_out (local.get $out) (i32.const 0x70) (i32.const 16)))
