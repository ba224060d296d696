;; wasi:random. The runner starts each twice and compares.

    (func (export "secure") (result i32)
      (call $random-bytes (i64.const 16) (i32.const 256))
      (call $number (i64.load (i32.load (i32.const 256))))
      (call $number (i64.load offset=8 (i32.load (i32.const 256))))
      (call $number (call $random-u64))
      (call $done))

    (func (export "insecure") (result i32)
      (call $insecure-bytes (i64.const 16) (i32.const 256))
      (call $number (i64.load (i32.load (i32.const 256))))
      (call $number (i64.load offset=8 (i32.load (i32.const 256))))
      (call $number (call $insecure-u64))
      (call $done))

    (func (export "seed") (result i32)
      (call $insecure-seed (i32.const 256))
      (call $number (i64.load (i32.const 256)))
      (call $number (i64.load (i32.const 264)))
      (call $done))

    ;; Whether a second call gives the same seed.
    (func (export "seed-again") (result i32)
      (call $insecure-seed (i32.const 256))
      (call $insecure-seed (i32.const 288))
      (call $number (i64.extend_i32_u (i64.eq (i64.load (i32.const 256)) (i64.load (i32.const 288)))))
      (call $done))

    ;; How many bytes come, if 1 MiB is asked for.
    (func (export "million") (result i32)
      (call $random-bytes (i64.const 0x100000) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    ;; More than a memory of 32 bits can have, and the most that it can.
    (func (export "most") (result i32)
      (call $random-bytes (i64.const -1) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    (func (export "gigabytes") (result i32)
      (call $random-bytes (i64.const 0xffffffff) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    (func (export "insecure-gigabytes") (result i32)
      (call $insecure-bytes (i64.const 0xffffffff) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))
