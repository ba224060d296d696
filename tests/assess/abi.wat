;; The canonical ABI: pointers, texts, cases and a `realloc` that do not keep its rules. Each text says what the rule is.

    ;; The area of results is aligned, and lies in memory.
    (func (export "result-unaligned") (result i32)
      (call $check-write (call $get-stderr) (i32.const 257))
      (call $say (i32.const 517) (i32.const 2))
      (call $done))

    (func (export "result-outside") (result i32)
      (call $check-write (call $get-stderr) (i32.const 0xfffffff0))
      (call $say (i32.const 517) (i32.const 2))
      (call $done))

    ;; So is a list that is passed. Its end may be that of memory.
    (func (export "list-at-end") (result i32)
      (call $write-and-flush (call $get-stderr) (i32.const 0x1ffff) (i32.const 1) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    (func (export "list-past-end") (result i32)
      (call $write-and-flush (call $get-stderr) (i32.const 0x1ffff) (i32.const 2) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    (func (export "list-wraps") (result i32)
      (call $write-and-flush (call $get-stderr) (i32.const 0xffffff00) (i32.const 0x200) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    (func (export "list-unaligned") (result i32)
      (i32.store (i32.const 1025) (call $subscribe-duration (i64.const 0)))
      (call $poll (i32.const 1025) (i32.const 1) (i32.const 256))
      (call $say (i32.const 517) (i32.const 2))
      (call $done))

    ;; A list whose bytes are more than 32 bits can count.
    (func (export "list-overflows") (result i32)
      (call $poll (i32.const 1024) (i32.const 0x40000001) (i32.const 256))
      (call $say (i32.const 517) (i32.const 2))
      (call $done))

    ;; What `realloc` returns is aligned, and lies in memory.
    (func (export "realloc-unaligned") (result i32)
      (global.set $mode (i32.const 1))
      (call $get-arguments (i32.const 256))
      (call $say (i32.const 517) (i32.const 2))
      (call $done))

    (func (export "realloc-outside") (result i32)
      (global.set $mode (i32.const 2))
      (call $random-bytes (i64.const 64) (i32.const 256))
      (call $say (i32.const 517) (i32.const 2))
      (call $done))

    ;; `realloc` may not call out of the component.
    (func (export "realloc-calls-out") (result i32)
      (table.set (i32.const 0) (ref.func $out))
      (global.set $mode (i32.const 3))
      (call $random-bytes (i64.const 64) (i32.const 256))
      (call $say (i32.const 517) (i32.const 2))
      (call $done))

    (func $out (drop (call $now)))
    (elem declare func $out)

    ;; A case that an enumeration does not have. (What `result` has is asked in cli.wat.)
    (func (export "family-unknown") (result i32)
      (call $create-tcp (i32.const 2) (i32.const 256))
      (drop (call $result (i32.const 260)))
      (call $done))

    ;; A u8 of more than 8 bits: what is above them counts for nothing.
    (func (export "u8-wide") (result i32) (call $exit-with-code (i32.const 0x107)) (i32.const 0))
