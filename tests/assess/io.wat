;; wasi:io. Lists of pollables, permits, lengths that no memory has, and handles that are used wrongly.

    (func (export "poll-one") (result i32)
      (i32.store (i32.const 1024) (call $subscribe-duration (i64.const 0)))
      (call $poll (i32.const 1024) (i32.const 1) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $number (i64.load32_u (i32.load (i32.const 256))))
      (call $done))

    (func (export "poll-empty") (result i32)
      (call $poll (i32.const 1024) (i32.const 0) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    ;; The same pollable twice: how many are ready?
    (func (export "poll-twice") (result i32) (local $pollable i32)
      (local.set $pollable (call $subscribe-duration (i64.const 0)))
      (i32.store (i32.const 1024) (local.get $pollable))
      (i32.store (i32.const 1028) (local.get $pollable))
      (call $poll (i32.const 1024) (i32.const 2) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    ;; One pollable, a million times in a list.
    (func (export "poll-million") (result i32) (local $pollable i32) (local $at i32)
      (local.set $pollable (call $subscribe-duration (i64.const 0)))
      (drop (memory.grow (i32.const 80)))
      (global.set $next (i32.const 0x500000))
      (local.set $at (i32.const 0x20000))
      (loop $fill
        (i32.store (local.get $at) (local.get $pollable))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $fill (i32.lt_u (local.get $at) (i32.const 0x3f0900))))
      (call $poll (i32.const 0x20000) (i32.const 1000000) (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    ;; A million handles of each kind. What is printed is how many there were, in powers of ten.
    (func (export "pollables") (result i32) (local $count i32)
      (loop $next
        (drop (call $subscribe-duration (i64.const 1000000000)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000))))
      (call $done))

    (func (export "pollables-dropped") (result i32) (local $count i32)
      (loop $next
        (call $drop-pollable (call $subscribe-duration (i64.const 1000000000)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000))))
      (call $done))

    (func (export "stream-pollables") (result i32) (local $count i32) (local $stream i32)
      (local.set $stream (call $get-stderr))
      (loop $next
        (drop (call $subscribe-out (local.get $stream)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000))))
      (call $done))

    (func (export "streams") (result i32) (local $count i32)
      (loop $next
        (drop (call $get-stderr))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000))))
      (call $done))

    ;; Standard input never ends here. How many bytes come of one call?
    (func (export "read-most") (result i32)
      (call $blocking-read (call $get-stdin) (i64.const -1) (i32.const 256))
      (if (call $stream-result (i32.const 260)) (then (call $number (i64.load32_u (i32.const 264)))))
      (call $done))

    (func (export "read-some") (result i32)
      (call $blocking-read (call $get-stdin) (i64.const 100) (i32.const 256))
      (if (call $stream-result (i32.const 260)) (then (call $number (i64.load32_u (i32.const 264)))))
      (call $done))

    (func (export "skip-most") (result i32)
      (local $stdin i32)
      (local.set $stdin (call $get-stdin))
      (call $block (call $subscribe-in (local.get $stdin)))
      (call $skip (local.get $stdin) (i64.const -1) (i32.const 256))
      (if (call $stream-result (i32.const 264)) (then (call $number (i64.load (i32.const 264)))))
      (call $done))

    ;; From standard input to standard error, which goes nowhere.
    (func (export "splice-most") (result i32)
      (local $stdin i32)
      (local.set $stdin (call $get-stdin))
      (call $block (call $subscribe-in (local.get $stdin)))
      (call $splice (call $get-stderr) (local.get $stdin) (i64.const -1) (i32.const 256))
      (if (call $stream-result (i32.const 264)) (then (call $number (i64.load (i32.const 264)))))
      (call $done))

    ;; Writes exactly what is permitted. The permit is printed.
    (func (export "write-permitted") (result i32) (local $stream i32) (local $permit i64)
      (local.set $stream (call $get-stderr))
      (call $check-write (local.get $stream) (i32.const 256))
      (local.set $permit (i64.load (i32.const 264)))
      (drop (memory.grow (i32.const 64)))
      (call $write (local.get $stream) (i32.const 0x20000) (i32.wrap_i64 (local.get $permit)) (i32.const 256))
      (if (call $stream-result (i32.const 260)) (then (call $number (local.get $permit))))
      (call $done))

    ;; One byte more.
    (func (export "write-over") (result i32) (local $stream i32) (local $permit i64)
      (local.set $stream (call $get-stderr))
      (call $check-write (local.get $stream) (i32.const 256))
      (local.set $permit (i64.load (i32.const 264)))
      (drop (memory.grow (i32.const 64)))
      (call $write (local.get $stream) (i32.const 0x20000) (i32.wrap_i64 (i64.add (local.get $permit) (i64.const 1))) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    ;; Without a permit.
    (func (export "write-unasked") (result i32)
      (call $write (call $get-stderr) (i32.const 0x8000) (i32.const 1) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    ;; The same permit twice.
    (func (export "write-twice") (result i32) (local $stream i32) (local $permit i64)
      (local.set $stream (call $get-stderr))
      (call $check-write (local.get $stream) (i32.const 256))
      (local.set $permit (i64.load (i32.const 264)))
      (drop (memory.grow (i32.const 64)))
      (call $write (local.get $stream) (i32.const 0x20000) (i32.wrap_i64 (local.get $permit)) (i32.const 256))
      (call $write (local.get $stream) (i32.const 0x20000) (i32.wrap_i64 (local.get $permit)) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    (func (export "zeroes-most") (result i32) (local $stream i32)
      (local.set $stream (call $get-stderr))
      (call $check-write (local.get $stream) (i32.const 256))
      (call $write-zeroes (local.get $stream) (i64.const -1) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    ;; The text says "up to 4096 bytes" of the blocking functions.
    (func (export "flush-4096") (result i32)
      (call $write-and-flush (call $get-stderr) (i32.const 0x10000) (i32.const 4096) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    (func (export "flush-4097") (result i32)
      (call $write-and-flush (call $get-stderr) (i32.const 0x10000) (i32.const 4097) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    (func (export "zeroes-flush-most") (result i32)
      (call $zeroes-and-flush (call $get-stderr) (i64.const -1) (i32.const 256))
      (drop (call $stream-result (i32.const 260)))
      (call $done))

    ;; A stream is dropped while a pollable of it lives, which is used then.
    (func (export "drop-parent") (result i32) (local $stream i32) (local $pollable i32)
      (local.set $stream (call $get-stderr))
      (local.set $pollable (call $subscribe-out (local.get $stream)))
      (call $drop-output (local.get $stream))
      (call $number (i64.extend_i32_u (call $ready (local.get $pollable))))
      (call $done))

    (func (export "drop-child-first") (result i32) (local $stream i32) (local $pollable i32)
      (local.set $stream (call $get-stderr))
      (local.set $pollable (call $subscribe-out (local.get $stream)))
      (call $drop-pollable (local.get $pollable))
      (call $drop-output (local.get $stream))
      (call $done))

    (func (export "drop-twice") (result i32) (local $pollable i32)
      (local.set $pollable (call $subscribe-duration (i64.const 0)))
      (call $drop-pollable (local.get $pollable))
      (call $drop-pollable (local.get $pollable))
      (call $done))

    (func (export "use-dropped") (result i32) (local $pollable i32)
      (local.set $pollable (call $subscribe-duration (i64.const 0)))
      (call $drop-pollable (local.get $pollable))
      (call $number (i64.extend_i32_u (call $ready (local.get $pollable))))
      (call $done))

    ;; A handle that nobody gave out, one of another kind, and 0.
    (func (export "forged") (result i32)
      (call $number (i64.extend_i32_u (call $ready (i32.const 12345))))
      (call $done))

    (func (export "other-kind") (result i32)
      (call $number (i64.extend_i32_u (call $ready (call $get-stderr))))
      (call $done))

    (func (export "zero") (result i32)
      (call $number (i64.extend_i32_u (call $ready (i32.const 0))))
      (call $done))

    ;; Standard output has been closed by its reader. What is to be known of the error goes to standard error.
    (func (export "debug") (result i32) (local $stdout i32) (local $left i32)
      (local.set $stdout (call $get-stdout))
      (local.set $left (i32.const 20))
      (block $failed
        (loop $next
          (call $write-and-flush (local.get $stdout) (i32.const 1024) (i32.const 1) (i32.const 256))
          (br_if $failed (i32.load8_u (i32.const 256)))
          (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $write-and-flush (call $get-stderr) (i32.const 1024) (i32.const 8) (i32.const 256))
        (return (i32.const 0)))
      (if (i32.load8_u (i32.const 260))
        (then (call $write-and-flush (call $get-stderr) (i32.const 1032) (i32.const 6) (i32.const 256)))
        (else
          (call $debug-string (i32.load (i32.const 264)) (i32.const 272))
          (call $write-and-flush (call $get-stderr) (i32.load (i32.const 272)) (i32.load (i32.const 276)) (i32.const 256))))
      (i32.const 0))

    (data (i32.const 1024) "no errorclosed")
