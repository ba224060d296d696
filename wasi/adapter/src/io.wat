;; wasi:io.
;;
;; Modes of streams, at +24 of their entries:
;;
;; | mode | | reads and writes with | ready |
;; |---|---|---|---|
;; | 0 | a stream that may have to wait | fd_read, fd_write | poll_oneoff says |
;; | 1 | a file, at the position in +16 | fd_pread, fd_pwrite | always |
;; | 2 | a file, at its end | fd_write, in append mode | always |
;; | 3 | closed | | always |
;; | 4 | a file, at the position of its descriptor | fd_read, fd_write | always |
;;
;; What an operation on a stream comes to is one number: a count from 0 on, -1 if the stream is closed, or -1 - errno.
;;
;; | at | what |
;; |---|---|
;; | 0x100 | an iovec; 0x108: how many bytes were read or written |
;; | 0x200 | two subscriptions; 0x260: two events; 0x2a0: how many |
;; | 0x1000 | the bytes |
;;
;; poll has its subscriptions at 0x1000, its events at 0x11000 and the list of handles at 0x1a000. An entry of the list that is ready
;; becomes -1.

(func $trap:a_write_beyond_the_permit_of_check_write unreachable)
(func $trap:a_blocking_write_of_more_than_4096_bytes unreachable)
(func $trap:a_poll_of_nothing unreachable)
(func $trap:a_poll_of_more_than_1024_pollables unreachable)

;; ---- error ----

(func $error.to-debug-string (export "wasi:io/error@0.2#[method]error.to-debug-string") (param $self i32) (param $out i32)
  (local $len i32) (local $name i64) (local $rest i64)
  (call $aligned (local.get $out) (i32.const 4))
  (call $errno_name (i32.load $own offset=24 (call $handle_get (local.get $self) (i32.const 5))))
  (local.set $rest)
  (local.set $name)
  ;; "errno "; up to 16 bytes of the name follow, then zeros.
  (i64.store $own (i32.const 0x100) (i64.const 0x206f6e727265))
  (i64.store $own (i32.const 0x106) (local.get $name))
  (i64.store $own (i32.const 0x10e) (local.get $rest))
  (local.set $len
    (i32.sub
      (i32.const 22)
      (i32.wrap_i64
        (i64.shr_u
          (if (result i64) (i64.eqz (local.get $rest))
            (then (i64.add (i64.const 64) (i64.clz (local.get $name))))
            (else (i64.clz (local.get $rest))))
          (i64.const 3)))))
  (call $result_list (local.get $out) (i32.const 0x100) (local.get $len)))

(func $error.drop (export "wasi:io/error@0.2#[resource-drop]error") (param $handle i32)
  (call $handle_drop (local.get $handle) (i32.const 5)))

;; ---- waiting for one descriptor ----

;; Writes a subscription for a descriptor at $at. $type 1 is to read, 2 to write.
(func $subscribe (param $at i32) (param $userdata i32) (param $type i32) (param $fd i32)
  (i64.store $own (local.get $at) (i64.extend_i32_u (local.get $userdata)))
  (i64.store $own offset=8 (local.get $at) (i64.extend_i32_u (local.get $type)))
  (i64.store $own offset=16 (local.get $at) (i64.extend_i32_u (local.get $fd))))

;; Writes a subscription for the monotonic clock at $at. $flags 1 is for an instant, 0 for a duration.
(func $subscribe_clock (param $at i32) (param $userdata i32) (param $time i64) (param $flags i64)
  (i64.store $own (local.get $at) (i64.extend_i32_u (local.get $userdata)))
  (i64.store $own offset=8 (local.get $at) (i64.const 0))
  (i64.store $own offset=16 (local.get $at) (i64.const 1))
  (i64.store $own offset=24 (local.get $at) (local.get $time))
  (i64.store $own offset=32 (local.get $at) (i64.const 0))
  (i64.store $own offset=40 (local.get $at) (local.get $flags)))

;; Whether a descriptor is ready now. One that fails is: the operation on it says how.
(func $fd_ready (param $fd i32) (param $type i32) (result i32)
  (local $count i32)
  (call $subscribe (i32.const 0x200) (i32.const 1) (local.get $type) (local.get $fd))
  (call $subscribe_clock (i32.const 0x230) (i32.const 0) (i64.const 0) (i64.const 0))
  (call $must (call $poll_oneoff (i32.const 0x200) (i32.const 0x260) (i32.const 2) (i32.const 0x2a0)))
  (local.set $count (i32.load $own (i32.const 0x2a0)))
  (if (i32.gt_u (local.get $count) (i32.const 2)) (then (call $trap:the_host_answered_what_it_cannot)))
  (i32.or
    (i32.and (i32.ge_u (local.get $count) (i32.const 1)) (i64.eq (i64.load $own (i32.const 0x260)) (i64.const 1)))
    (i32.and (i32.eq (local.get $count) (i32.const 2)) (i64.eq (i64.load $own (i32.const 0x280)) (i64.const 1)))))

;; Waits for what the subscription at 0x200 says.
(func $wait
  (call $must (call $poll_oneoff (i32.const 0x200) (i32.const 0x260) (i32.const 1) (i32.const 0x2a0)))
  (if (i32.ne (i32.load $own (i32.const 0x2a0)) (i32.const 1)) (then (call $trap:the_host_answered_what_it_cannot))))

(func $fd_wait (param $fd i32) (param $type i32)
  (call $subscribe (i32.const 0x200) (i32.const 0) (local.get $type) (local.get $fd))
  (call $wait))

;; ---- streams ----

;; The entry of the open file of a stream.
(func $stream_file (param $stream i32) (result i32)
  (call $entry (i32.load $own offset=12 (local.get $stream))))

(func $stream_fd (param $stream i32) (result i32)
  (i32.load $own offset=12 (call $stream_file (local.get $stream))))

;; Whether a stream is ready to be read (1) or written (2) now.
(func $stream_ready (param $stream i32) (param $type i32) (result i32)
  (if (i32.load $own offset=24 (local.get $stream)) (then (return (i32.const 1))))
  (call $fd_ready (call $stream_fd (local.get $stream)) (local.get $type)))

;; Waits until it is.
(func $stream_wait (param $stream i32) (param $type i32)
  (if (i32.eqz (i32.load $own offset=24 (local.get $stream)))
    (then (call $fd_wait (call $stream_fd (local.get $stream)) (local.get $type)))))

;; Closes a stream, of which nothing more comes.
(func $close (param $stream i32) (result i32)
  (i32.store $own offset=24 (local.get $stream) (i32.const 3))
  (i32.store $own offset=28 (local.get $stream) (i32.const 0))
  (i32.const -1))

;; Closes a stream because of an errno. A pipe that nobody reads (64) is closed, and no error.
(func $failed (param $stream i32) (param $errno i32) (result i32)
  (if (i32.gt_u (local.get $errno) (i32.const 76)) (then (call $trap:the_host_answered_what_it_cannot)))
  (call $close (local.get $stream))
  (select (i32.const 0) (local.get $errno) (i32.eq (local.get $errno) (i32.const 64)))
  i32.sub)

;; Writes a stream-error to the guest at $out.
(func $write_stream_error (param $out i32) (param $result i32)
  (if (i32.eq (local.get $result) (i32.const -1))
    (then (i32.store8 $guest (local.get $out) (i32.const 1)))
    (else
      (i32.store $guest offset=4 (local.get $out)
        (call $error_new (i32.sub (i32.const -1) (local.get $result))))
      (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; result<_, stream-error>
(func $write_unit (param $out i32) (param $result i32)
  (if (i32.lt_s (local.get $result) (i32.const 0))
    (then
      (call $write_stream_error (i32.add (local.get $out) (i32.const 4)) (local.get $result))
      (i32.store8 $guest (local.get $out) (i32.const 1)))
    (else (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; result<u64, stream-error>
(func $write_count (param $out i32) (param $result i32)
  (if (i32.lt_s (local.get $result) (i32.const 0))
    (then
      (call $write_stream_error (i32.add (local.get $out) (i32.const 8)) (local.get $result))
      (i32.store8 $guest (local.get $out) (i32.const 1)))
    (else
      (i64.store $guest offset=8 (local.get $out) (i64.extend_i32_u (local.get $result)))
      (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; ---- input ----

(func $input (param $handle i32) (result i32)
  (call $handle_get (local.get $handle) (i32.const 2)))

;; A read or write with the iovec at 0x100, which waits if the descriptor has nothing.
(func $read_once (param $stream i32) (result i32)
  (if (result i32) (i32.eq (i32.load $own offset=24 (local.get $stream)) (i32.const 1))
    (then
      (call $fd_pread (call $stream_fd (local.get $stream)) (i32.const 0x100) (i32.const 1)
        (i64.load $own offset=16 (local.get $stream)) (i32.const 0x108)))
    (else
      (call $fd_read (call $stream_fd (local.get $stream)) (i32.const 0x100) (i32.const 1) (i32.const 0x108)))))

;; Reads up to $len bytes to 0x1000. 64 KiB are the most. If the stream is not ready, it waits only if $block is 1.
(func $read (param $stream i32) (param $len i64) (param $block i32) (result i32)
  (local $most i32) (local $errno i32) (local $count i32) (local $tries i32)
  (if (i32.eq (i32.load $own offset=24 (local.get $stream)) (i32.const 3)) (then (return (i32.const -1))))
  (if (i64.eqz (local.get $len))
    (then
      (if (local.get $block) (then (call $stream_wait (local.get $stream) (i32.const 1))))
      (return (i32.const 0))))
  (if (i32.eqz (local.get $block))
    (then
      (if (i32.eqz (call $stream_ready (local.get $stream) (i32.const 1))) (then (return (i32.const 0))))))
  (local.set $most
    (i32.wrap_i64 (select (local.get $len) (i64.const 0x10000) (i64.lt_u (local.get $len) (i64.const 0x10000)))))
  (i32.store $own (i32.const 0x100) (i32.const 0x1000))
  (i32.store $own (i32.const 0x104) (local.get $most))
  (loop $again
    (local.set $errno (call $read_once (local.get $stream)))
    (if (local.get $errno)
      (then
        ;; again (6): somebody else was faster.
        (if (i32.eq (local.get $errno) (i32.const 6))
          (then
            (if (i32.eqz (local.get $block)) (then (return (i32.const 0))))
            (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
            (if (i32.le_u (local.get $tries) (i32.const 100))
              (then
                (call $stream_wait (local.get $stream) (i32.const 1))
                (br $again)))))
        (return (call $failed (local.get $stream) (local.get $errno))))))
  (local.set $count (i32.load $own (i32.const 0x108)))
  (if (i32.gt_u (local.get $count) (local.get $most)) (then (call $trap:the_host_answered_what_it_cannot)))
  (if (i32.eqz (local.get $count)) (then (return (call $close (local.get $stream)))))
  (if (i32.eq (i32.load $own offset=24 (local.get $stream)) (i32.const 1))
    (then
      (i64.store $own offset=16 (local.get $stream)
        (i64.add (i64.load $own offset=16 (local.get $stream)) (i64.extend_i32_u (local.get $count))))))
  (local.get $count))

;; result<list<u8>, stream-error>
(func $read_list (param $self i32) (param $len i64) (param $out i32) (param $block i32)
  (local $result i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $result (call $read (call $input (local.get $self)) (local.get $len) (local.get $block)))
  (if (i32.lt_s (local.get $result) (i32.const 0))
    (then (call $write_unit (local.get $out) (local.get $result)))
    (else
      (call $result_list (i32.add (local.get $out) (i32.const 4)) (i32.const 0x1000) (local.get $result))
      (i32.store8 $guest (local.get $out) (i32.const 0)))))

(func $input-stream.read (export "wasi:io/streams@0.2#[method]input-stream.read") (param $self i32) (param $len i64) (param $out i32)
  (call $read_list (local.get $self) (local.get $len) (local.get $out) (i32.const 0)))

(func $input-stream.blocking-read (export "wasi:io/streams@0.2#[method]input-stream.blocking-read")
  (param $self i32) (param $len i64) (param $out i32)
  (call $read_list (local.get $self) (local.get $len) (local.get $out) (i32.const 1)))

(func $input-stream.skip (export "wasi:io/streams@0.2#[method]input-stream.skip") (param $self i32) (param $len i64) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_count (local.get $out) (call $read (call $input (local.get $self)) (local.get $len) (i32.const 0))))

(func $input-stream.blocking-skip (export "wasi:io/streams@0.2#[method]input-stream.blocking-skip")
  (param $self i32) (param $len i64) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_count (local.get $out) (call $read (call $input (local.get $self)) (local.get $len) (i32.const 1))))

(func $input-stream.subscribe (export "wasi:io/streams@0.2#[method]input-stream.subscribe") (param $self i32) (result i32)
  (drop (call $input (local.get $self)))
  (call $pollable_new (local.get $self) (i32.const 2) (i64.const 0)))

(func $input-stream.drop (export "wasi:io/streams@0.2#[resource-drop]input-stream") (param $handle i32)
  (call $handle_drop_file (local.get $handle) (i32.const 2)))

;; ---- output ----

(func $output (param $handle i32) (result i32)
  (call $handle_get (local.get $handle) (i32.const 3)))

;; The permit: 64 KiB for a file; what a pipe takes at once (PIPE_BUF) if it is ready, otherwise 0.
(func $check_write (param $stream i32) (result i32)
  (local $permit i32)
  (if (i32.eq (i32.load $own offset=24 (local.get $stream)) (i32.const 3)) (then (return (i32.const -1))))
  (local.set $permit
    (if (result i32) (i32.load $own offset=24 (local.get $stream))
      (then (i32.const 0x10000))
      (else (i32.shl (call $stream_ready (local.get $stream) (i32.const 2)) (i32.const 12)))))
  (i32.store $own offset=28 (local.get $stream) (local.get $permit))
  (local.get $permit))

;; Takes $len bytes from the permit. Traps if it is less.
(func $permitted (param $stream i32) (param $len i64)
  (local $permit i64)
  (local.set $permit (i64.load32_u $own offset=28 (local.get $stream)))
  (if (i64.gt_u (local.get $len) (local.get $permit)) (then (call $trap:a_write_beyond_the_permit_of_check_write)))
  (i64.store32 $own offset=28 (local.get $stream) (i64.sub (local.get $permit) (local.get $len))))

;; Traps unless a stream is closed or $len bytes may be written to it. Returns whether it is open.
(func $open_and_permitted (param $stream i32) (param $len i64) (result i32)
  (if (i32.eq (i32.load $own offset=24 (local.get $stream)) (i32.const 3)) (then (return (i32.const 0))))
  (call $permitted (local.get $stream) (local.get $len))
  (i32.const 1))

;; Writes with the iovec at 0x100 and returns an errno.
(func $write_once (param $stream i32) (result i32)
  (local $mode i32)
  (local.set $mode (i32.load $own offset=24 (local.get $stream)))
  (if (i32.and (i32.ge_u (local.get $mode) (i32.const 1)) (i32.le_u (local.get $mode) (i32.const 2)))
    (then (return (call $write_file_once (local.get $stream) (i32.sub (local.get $mode) (i32.const 1))))))
  (call $fd_write (call $stream_fd (local.get $stream)) (i32.const 0x100) (i32.const 1) (i32.const 0x108)))

;; The same for a file, at its end if $append is 1. On Linux fd_pwrite writes at the end in append mode, too.
(func $write_file_once (param $stream i32) (param $append i32) (result i32)
  (local $file i32) (local $errno i32)
  (local.set $file (call $stream_file (local.get $stream)))
  (local.set $errno (call $set_append (local.get $file) (local.get $append)))
  (if (local.get $errno) (then (return (local.get $errno))))
  (if (local.get $append)
    (then (return (call $fd_write (call $stream_fd (local.get $stream)) (i32.const 0x100) (i32.const 1) (i32.const 0x108)))))
  (local.set $errno
    (call $fd_pwrite (call $stream_fd (local.get $stream)) (i32.const 0x100) (i32.const 1)
      (i64.load $own offset=16 (local.get $stream)) (i32.const 0x108)))
  (if (i32.eqz (local.get $errno))
    (then
      (i64.store $own offset=16 (local.get $stream)
        (i64.add (i64.load $own offset=16 (local.get $stream)) (i64.load32_u $own (i32.const 0x108))))))
  (local.get $errno))

;; Writes all of the $len bytes at 0x1000, waiting if need be. Returns 0 or what went wrong.
(func $write (param $stream i32) (param $len i32) (result i32)
  (local $from i32) (local $errno i32) (local $count i32) (local $tries i32)
  (if (i32.eq (i32.load $own offset=24 (local.get $stream)) (i32.const 3)) (then (return (i32.const -1))))
  (local.set $from (i32.const 0x1000))
  (loop $next
    (if (i32.eqz (local.get $len)) (then (return (i32.const 0))))
    (i32.store $own (i32.const 0x100) (local.get $from))
    (i32.store $own (i32.const 0x104) (local.get $len))
    (local.set $errno (call $write_once (local.get $stream)))
    (if (i32.eqz (local.get $errno))
      (then
        (local.set $count (i32.load $own (i32.const 0x108)))
        (if (i32.gt_u (local.get $count) (local.get $len)) (then (call $trap:the_host_answered_what_it_cannot)))
        (local.set $from (i32.add (local.get $from) (local.get $count)))
        (local.set $len (i32.sub (local.get $len) (local.get $count)))
        (if (local.get $count)
          (then
            (local.set $tries (i32.const 0))
            (br $next)))
        ;; Nothing could be written, as with `again` (6).
        (local.set $errno (i32.const 6))))
    (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
    (if (i32.and (i32.eq (local.get $errno) (i32.const 6)) (i32.le_u (local.get $tries) (i32.const 100)))
      (then
        (call $stream_wait (local.get $stream) (i32.const 2))
        (br $next))))
  (call $failed (local.get $stream) (local.get $errno)))

(func $output-stream.check-write (export "wasi:io/streams@0.2#[method]output-stream.check-write") (param $self i32) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_count (local.get $out) (call $check_write (call $output (local.get $self)))))

(func $output-stream.write (export "wasi:io/streams@0.2#[method]output-stream.write")
  (param $self i32) (param $ptr i32) (param $len i32) (param $out i32)
  (local $stream i32) (local $result i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $stream (call $output (local.get $self)))
  (local.set $result (i32.const -1))
  (call $in_memory (local.get $ptr) (local.get $len))
  (if (call $open_and_permitted (local.get $stream) (i64.extend_i32_u (local.get $len)))
    (then
      (call $copy_in (i32.const 0x1000) (local.get $ptr) (local.get $len))
      (local.set $result (call $write (local.get $stream) (local.get $len)))))
  (call $write_unit (local.get $out) (local.get $result)))

(func $output-stream.write-zeroes (export "wasi:io/streams@0.2#[method]output-stream.write-zeroes")
  (param $self i32) (param $len i64) (param $out i32)
  (local $stream i32) (local $result i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $stream (call $output (local.get $self)))
  (local.set $result (i32.const -1))
  (if (call $open_and_permitted (local.get $stream) (local.get $len))
    (then
      (memory.fill $own (i32.const 0x1000) (i32.const 0) (i32.wrap_i64 (local.get $len)))
      (local.set $result (call $write (local.get $stream) (i32.wrap_i64 (local.get $len))))))
  (call $write_unit (local.get $out) (local.get $result)))

(func $output-stream.blocking-write-and-flush (export "wasi:io/streams@0.2#[method]output-stream.blocking-write-and-flush")
  (param $self i32) (param $ptr i32) (param $len i32) (param $out i32)
  (local $stream i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $stream (call $output (local.get $self)))
  (if (i32.gt_u (local.get $len) (i32.const 4096)) (then (call $trap:a_blocking_write_of_more_than_4096_bytes)))
  (call $copy_in (i32.const 0x1000) (local.get $ptr) (local.get $len))
  (i32.store $own offset=28 (local.get $stream) (i32.const 0))
  (call $write_unit (local.get $out) (call $write (local.get $stream) (local.get $len))))

(func $output-stream.blocking-write-zeroes-and-flush (export "wasi:io/streams@0.2#[method]output-stream.blocking-write-zeroes-and-flush")
  (param $self i32) (param $len i64) (param $out i32)
  (local $stream i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $stream (call $output (local.get $self)))
  (if (i64.gt_u (local.get $len) (i64.const 4096)) (then (call $trap:a_blocking_write_of_more_than_4096_bytes)))
  (memory.fill $own (i32.const 0x1000) (i32.const 0) (i32.wrap_i64 (local.get $len)))
  (i32.store $own offset=28 (local.get $stream) (i32.const 0))
  (call $write_unit (local.get $out) (call $write (local.get $stream) (i32.wrap_i64 (local.get $len)))))

;; Nothing is buffered, so nothing is flushed. What can be written next, check-write says.
(func $flush (param $self i32) (param $out i32) (param $block i32)
  (local $stream i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $stream (call $output (local.get $self)))
  (i32.store $own offset=28 (local.get $stream) (i32.const 0))
  (if (local.get $block) (then (call $stream_wait (local.get $stream) (i32.const 2))))
  (call $write_unit (local.get $out)
    (i32.sub (i32.const 0) (i32.eq (i32.load $own offset=24 (local.get $stream)) (i32.const 3)))))

(func $output-stream.flush (export "wasi:io/streams@0.2#[method]output-stream.flush") (param $self i32) (param $out i32)
  (call $flush (local.get $self) (local.get $out) (i32.const 0)))

(func $output-stream.blocking-flush (export "wasi:io/streams@0.2#[method]output-stream.blocking-flush") (param $self i32) (param $out i32)
  (call $flush (local.get $self) (local.get $out) (i32.const 1)))

(func $output-stream.subscribe (export "wasi:io/streams@0.2#[method]output-stream.subscribe") (param $self i32) (result i32)
  (drop (call $output (local.get $self)))
  (call $pollable_new (local.get $self) (i32.const 3) (i64.const 0)))

(func $output-stream.drop (export "wasi:io/streams@0.2#[resource-drop]output-stream") (param $handle i32)
  (call $handle_drop_file (local.get $handle) (i32.const 3)))

;; check-write, read of what is permitted, write.
(func $splice (param $output i32) (param $input i32) (param $len i64) (result i32)
  (local $permit i32) (local $count i32) (local $result i32)
  (local.set $permit (call $check_write (local.get $output)))
  (if (i32.le_s (local.get $permit) (i32.const 0)) (then (return (local.get $permit))))
  (local.set $count
    (call $read (local.get $input)
      (select (local.get $len) (i64.extend_i32_u (local.get $permit)) (i64.lt_u (local.get $len) (i64.extend_i32_u (local.get $permit))))
      (i32.const 0)))
  (if (i32.le_s (local.get $count) (i32.const 0)) (then (return (local.get $count))))
  (call $permitted (local.get $output) (i64.extend_i32_u (local.get $count)))
  (local.set $result (call $write (local.get $output) (local.get $count)))
  (select (local.get $result) (local.get $count) (i32.lt_s (local.get $result) (i32.const 0))))

(func $output-stream.splice (export "wasi:io/streams@0.2#[method]output-stream.splice")
  (param $self i32) (param $source i32) (param $len i64) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_count (local.get $out)
    (call $splice (call $output (local.get $self)) (call $input (local.get $source)) (local.get $len))))

(func $output-stream.blocking-splice (export "wasi:io/streams@0.2#[method]output-stream.blocking-splice")
  (param $self i32) (param $source i32) (param $len i64) (param $out i32)
  (local $output i32) (local $input i32)
  (call $aligned (local.get $out) (i32.const 8))
  (local.set $output (call $output (local.get $self)))
  (local.set $input (call $input (local.get $source)))
  (call $stream_wait (local.get $output) (i32.const 2))
  ;; What is not going to be written need not come.
  (if (i32.ne (i32.load $own offset=24 (local.get $output)) (i32.const 3))
    (then (call $stream_wait (local.get $input) (i32.const 1))))
  (call $write_count (local.get $out) (call $splice (local.get $output) (local.get $input) (local.get $len))))

;; ---- poll ----

(func $pollable (param $handle i32) (result i32)
  (call $handle_get (local.get $handle) (i32.const 4)))

;; The stream of a pollable of mode 2 or 3 if it may have to wait, otherwise 0.
(func $pollable_stream (param $pollable i32) (result i32)
  (local $stream i32)
  (if (i32.lt_u (i32.load $own offset=24 (local.get $pollable)) (i32.const 2)) (then (return (i32.const 0))))
  (local.set $stream (call $entry (i32.load $own offset=8 (local.get $pollable))))
  (select (i32.const 0) (local.get $stream) (i32.load $own offset=24 (local.get $stream))))

;; What a pollable of mode 2 or 3 waits for: to be read (1) or written (2). A listening tcp-socket can be read once there is a connection.
(func $pollable_type (param $pollable i32) (param $stream i32) (result i32)
  (select
    (i32.const 1)
    (i32.sub (i32.load $own offset=24 (local.get $pollable)) (i32.const 1))
    (i32.and
      (i32.eq (i32.load $own (local.get $stream)) (i32.const 9))
      (i32.eq (i32.load $own offset=28 (local.get $stream)) (i32.const 7)))))

(func $pollable.ready (export "wasi:io/poll@0.2#[method]pollable.ready") (param $self i32) (result i32)
  (local $pollable i32) (local $stream i32)
  (local.set $pollable (call $pollable (local.get $self)))
  (if (i32.eq (i32.load $own offset=24 (local.get $pollable)) (i32.const 1))
    (then (return (i64.ge_u (call $clock (i32.const 1)) (i64.load $own offset=16 (local.get $pollable))))))
  (local.set $stream (call $pollable_stream (local.get $pollable)))
  (if (i32.eqz (local.get $stream)) (then (return (i32.const 1))))
  (call $fd_ready (call $stream_fd (local.get $stream)) (call $pollable_type (local.get $pollable) (local.get $stream))))

(func $pollable.block (export "wasi:io/poll@0.2#[method]pollable.block") (param $self i32)
  (local $pollable i32) (local $stream i32)
  (local.set $pollable (call $pollable (local.get $self)))
  (if (i32.eq (i32.load $own offset=24 (local.get $pollable)) (i32.const 1))
    (then
      (call $subscribe_clock (i32.const 0x200) (i32.const 0) (i64.load $own offset=16 (local.get $pollable)) (i64.const 1))
      (call $wait)
      return))
  (local.set $stream (call $pollable_stream (local.get $pollable)))
  (if (local.get $stream)
    (then
      (call $fd_wait (call $stream_fd (local.get $stream)) (call $pollable_type (local.get $pollable) (local.get $stream))))))

(func $pollable.drop (export "wasi:io/poll@0.2#[resource-drop]pollable") (param $handle i32)
  (call $handle_drop (local.get $handle) (i32.const 4)))

;; Looks at the $count handles at 0x1a000. Writes the subscriptions of those that may have to wait, with their index. Returns how many
;; these are; whether something is ready already; and the first deadline, or -1, and whether there is one.
(func $poll_subscribe (param $count i32) (result i32 i32 i64 i32)
  (local $index i32) (local $at i32) (local $pollable i32) (local $mode i32) (local $stream i32)
  (local $subscriptions i32) (local $ready i32) (local $first i64) (local $clocks i32)
  (local.set $first (i64.const -1))
  (loop $next
    (local.set $at (i32.add (i32.const 0x1a000) (i32.shl (local.get $index) (i32.const 2))))
    (local.set $pollable (call $pollable (i32.load $own (local.get $at))))
    (local.set $mode (i32.load $own offset=24 (local.get $pollable)))
    (if (i32.eq (local.get $mode) (i32.const 1))
      (then
        (local.set $clocks (i32.const 1))
        (if (i64.lt_u (i64.load $own offset=16 (local.get $pollable)) (local.get $first))
          (then (local.set $first (i64.load $own offset=16 (local.get $pollable))))))
      (else
        (local.set $stream (call $pollable_stream (local.get $pollable)))
        (if (local.get $stream)
          (then
            (call $subscribe
              (i32.add (i32.const 0x1000) (i32.mul (local.get $subscriptions) (i32.const 48)))
              (local.get $index) (call $pollable_type (local.get $pollable) (local.get $stream)) (call $stream_fd (local.get $stream)))
            (local.set $subscriptions (i32.add (local.get $subscriptions) (i32.const 1))))
          (else
            (local.set $ready (i32.const 1))
            (i32.store $own (local.get $at) (i32.const -1))))))
    (local.set $index (i32.add (local.get $index) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $index) (local.get $count))))
  (local.get $subscriptions)
  (local.get $ready)
  (local.get $first)
  (local.get $clocks))

;; Marks those of the $count handles at 0x1a000 that are ready at the instant $now of the monotonic clock.
(func $poll_mark_clocks (param $count i32) (param $now i64)
  (local $at i32) (local $end i32) (local $pollable i32)
  (local.set $at (i32.const 0x1a000))
  (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
  (loop $next
    (if (i32.ne (i32.load $own (local.get $at)) (i32.const -1))
      (then
        (local.set $pollable (call $entry (i32.load $own (local.get $at))))
        (if
          (i32.and
            (i32.eq (i32.load $own offset=24 (local.get $pollable)) (i32.const 1))
            (i64.le_u (i64.load $own offset=16 (local.get $pollable)) (local.get $now)))
          (then (i32.store $own (local.get $at) (i32.const -1))))))
    (local.set $at (i32.add (local.get $at) (i32.const 4)))
    (br_if $next (i32.lt_u (local.get $at) (local.get $end)))))

;; Waits for one of the $count handles at 0x1a000, and marks those that are ready.
(func $poll_wait (param $count i32)
  (local $subscriptions i32) (local $ready i32) (local $first i64) (local $clocks i32) (local $events i32) (local $event i32)
  (local $index i64)
  (call $poll_subscribe (local.get $count))
  (local.set $clocks)
  (local.set $first)
  (local.set $ready)
  (local.set $subscriptions)
  ;; If something is ready, no wait: but what else is ready by now counts, too.
  (if (local.get $ready)
    (then
      (if (local.get $clocks) (then (call $poll_mark_clocks (local.get $count) (call $clock (i32.const 1)))))
      (if (i32.eqz (local.get $subscriptions)) (then return))
      (local.set $first (i64.const 0))
      (local.set $clocks (i32.const 1))))
  (if (local.get $clocks)
    (then
      (call $subscribe_clock
        (i32.add (i32.const 0x1000) (i32.mul (local.get $subscriptions) (i32.const 48)))
        (i32.const -1) (local.get $first) (i64.const 1))
      (local.set $subscriptions (i32.add (local.get $subscriptions) (i32.const 1)))))
  (call $must
    (call $poll_oneoff (i32.const 0x1000) (i32.const 0x11000) (local.get $subscriptions) (i32.const 0x2a0)))
  (local.set $events (i32.load $own (i32.const 0x2a0)))
  (if (i32.gt_u (i32.sub (local.get $events) (i32.const 1)) (i32.sub (local.get $subscriptions) (i32.const 1)))
    (then (call $trap:the_host_answered_what_it_cannot)))
  (local.set $event (i32.const 0x11000))
  (loop $next
    (local.set $index (i64.load $own (local.get $event)))
    (if (i64.lt_u (local.get $index) (i64.extend_i32_u (local.get $count)))
      (then
        (i32.store $own offset=0x1a000 (i32.shl (i32.wrap_i64 (local.get $index)) (i32.const 2)) (i32.const -1)))
      (else
        (if (i64.ne (local.get $index) (i64.const 0xffffffff)) (then (call $trap:the_host_answered_what_it_cannot)))
        (call $poll_mark_clocks (local.get $count) (local.get $first))))
    (local.set $event (i32.add (local.get $event) (i32.const 32)))
    (br_if $next (local.tee $events (i32.sub (local.get $events) (i32.const 1))))))

(func $poll.poll (export "wasi:io/poll@0.2#poll") (param $ptr i32) (param $count i32) (param $out i32)
  (local $index i32) (local $ready i32)
  (call $aligned (local.get $ptr) (i32.const 4))
  (call $aligned (local.get $out) (i32.const 4))
  (if (i32.eqz (local.get $count)) (then (call $trap:a_poll_of_nothing)))
  (if (i32.gt_u (local.get $count) (i32.const 1024)) (then (call $trap:a_poll_of_more_than_1024_pollables)))
  (call $copy_in (i32.const 0x1a000) (local.get $ptr) (i32.shl (local.get $count) (i32.const 2)))
  (call $poll_wait (local.get $count))
  ;; The indexes of what is ready come where the list was: there are no more of them than were looked at.
  (loop $next
    (if (i32.eq (i32.load $own offset=0x1a000 (i32.shl (local.get $index) (i32.const 2))) (i32.const -1))
      (then
        (i32.store $own offset=0x1a000 (i32.shl (local.get $ready) (i32.const 2)) (local.get $index))
        (local.set $ready (i32.add (local.get $ready) (i32.const 1)))))
    (local.set $index (i32.add (local.get $index) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $index) (local.get $count))))
  (local.set $index (call $alloc (i32.const 4) (i32.shl (local.get $ready) (i32.const 2))))
  (call $copy_out (local.get $index) (i32.const 0x1a000) (i32.shl (local.get $ready) (i32.const 2)))
  (call $write_list (local.get $out) (local.get $index) (local.get $ready)))

;; The name that preview 1 gives to an errno: 16 bytes, of which the last are zero.
(func $errno_name (param $errno i32) (result i64 i64)
  (block $77 (block $76 (block $75 (block $74 (block $73 (block $72 (block $71 (block $70 (block $69 (block $68 (block $67 (block $66
  (block $65 (block $64 (block $63 (block $62 (block $61 (block $60 (block $59 (block $58 (block $57 (block $56 (block $55 (block $54
  (block $53 (block $52 (block $51 (block $50 (block $49 (block $48 (block $47 (block $46 (block $45 (block $44 (block $43 (block $42
  (block $41 (block $40 (block $39 (block $38 (block $37 (block $36 (block $35 (block $34 (block $33 (block $32 (block $31 (block $30
  (block $29 (block $28 (block $27 (block $26 (block $25 (block $24 (block $23 (block $22 (block $21 (block $20 (block $19 (block $18
  (block $17 (block $16 (block $15 (block $14 (block $13 (block $12 (block $11 (block $10 (block $9 (block $8 (block $7 (block $6
  (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
    (br_table
      $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12 $13 $14 $15
      $16 $17 $18 $19 $20 $21 $22 $23 $24 $25 $26 $27 $28 $29 $30 $31
      $32 $33 $34 $35 $36 $37 $38 $39 $40 $41 $42 $43 $44 $45 $46 $47
      $48 $49 $50 $51 $52 $53 $54 $55 $56 $57 $58 $59 $60 $61 $62 $63
      $64 $65 $66 $67 $68 $69 $70 $71 $72 $73 $74 $75 $76
      $77 (local.get $errno)))
    (return (i64.const 0x73736563637573) (i64.const 0x0))) ;; success
    (return (i64.const 0x67696232) (i64.const 0x0))) ;; 2big
    (return (i64.const 0x7365636361) (i64.const 0x0))) ;; acces
    (return (i64.const 0x73756e6972646461) (i64.const 0x65))) ;; addrinuse
    (return (i64.const 0x61746f6e72646461) (i64.const 0x6c696176))) ;; addrnotavail
    (return (i64.const 0x707075736f6e6661) (i64.const 0x74726f))) ;; afnosupport
    (return (i64.const 0x6e69616761) (i64.const 0x0))) ;; again
    (return (i64.const 0x79646165726c61) (i64.const 0x0))) ;; already
    (return (i64.const 0x66646162) (i64.const 0x0))) ;; badf
    (return (i64.const 0x67736d646162) (i64.const 0x0))) ;; badmsg
    (return (i64.const 0x79737562) (i64.const 0x0))) ;; busy
    (return (i64.const 0x64656c65636e6163) (i64.const 0x0))) ;; canceled
    (return (i64.const 0x646c696863) (i64.const 0x0))) ;; child
    (return (i64.const 0x726f62616e6e6f63) (i64.const 0x646574))) ;; connaborted
    (return (i64.const 0x756665726e6e6f63) (i64.const 0x646573))) ;; connrefused
    (return (i64.const 0x657365726e6e6f63) (i64.const 0x74))) ;; connreset
    (return (i64.const 0x6b6c64616564) (i64.const 0x0))) ;; deadlk
    (return (i64.const 0x7264646174736564) (i64.const 0x716572))) ;; destaddrreq
    (return (i64.const 0x6d6f64) (i64.const 0x0))) ;; dom
    (return (i64.const 0x746f757164) (i64.const 0x0))) ;; dquot
    (return (i64.const 0x7473697865) (i64.const 0x0))) ;; exist
    (return (i64.const 0x746c756166) (i64.const 0x0))) ;; fault
    (return (i64.const 0x67696266) (i64.const 0x0))) ;; fbig
    (return (i64.const 0x65726e7574736f68) (i64.const 0x686361))) ;; hostunreach
    (return (i64.const 0x6d726469) (i64.const 0x0))) ;; idrm
    (return (i64.const 0x7165736c69) (i64.const 0x0))) ;; ilseq
    (return (i64.const 0x6572676f72706e69) (i64.const 0x7373))) ;; inprogress
    (return (i64.const 0x72746e69) (i64.const 0x0))) ;; intr
    (return (i64.const 0x6c61766e69) (i64.const 0x0))) ;; inval
    (return (i64.const 0x6f69) (i64.const 0x0))) ;; io
    (return (i64.const 0x6e6e6f637369) (i64.const 0x0))) ;; isconn
    (return (i64.const 0x7269647369) (i64.const 0x0))) ;; isdir
    (return (i64.const 0x706f6f6c) (i64.const 0x0))) ;; loop
    (return (i64.const 0x656c69666d) (i64.const 0x0))) ;; mfile
    (return (i64.const 0x6b6e696c6d) (i64.const 0x0))) ;; mlink
    (return (i64.const 0x657a697367736d) (i64.const 0x0))) ;; msgsize
    (return (i64.const 0x706f6869746c756d) (i64.const 0x0))) ;; multihop
    (return (i64.const 0x6c6f6f74656d616e) (i64.const 0x676e6f))) ;; nametoolong
    (return (i64.const 0x6e776f6474656e) (i64.const 0x0))) ;; netdown
    (return (i64.const 0x746573657274656e) (i64.const 0x0))) ;; netreset
    (return (i64.const 0x6165726e7574656e) (i64.const 0x6863))) ;; netunreach
    (return (i64.const 0x656c69666e) (i64.const 0x0))) ;; nfile
    (return (i64.const 0x736675626f6e) (i64.const 0x0))) ;; nobufs
    (return (i64.const 0x7665646f6e) (i64.const 0x0))) ;; nodev
    (return (i64.const 0x746e656f6e) (i64.const 0x0))) ;; noent
    (return (i64.const 0x636578656f6e) (i64.const 0x0))) ;; noexec
    (return (i64.const 0x6b636c6f6e) (i64.const 0x0))) ;; nolck
    (return (i64.const 0x6b6e696c6f6e) (i64.const 0x0))) ;; nolink
    (return (i64.const 0x6d656d6f6e) (i64.const 0x0))) ;; nomem
    (return (i64.const 0x67736d6f6e) (i64.const 0x0))) ;; nomsg
    (return (i64.const 0x6f6f746f72706f6e) (i64.const 0x7470))) ;; noprotoopt
    (return (i64.const 0x6370736f6e) (i64.const 0x0))) ;; nospc
    (return (i64.const 0x7379736f6e) (i64.const 0x0))) ;; nosys
    (return (i64.const 0x6e6e6f63746f6e) (i64.const 0x0))) ;; notconn
    (return (i64.const 0x726964746f6e) (i64.const 0x0))) ;; notdir
    (return (i64.const 0x7974706d65746f6e) (i64.const 0x0))) ;; notempty
    (return (i64.const 0x766f636572746f6e) (i64.const 0x656c62617265))) ;; notrecoverable
    (return (i64.const 0x6b636f73746f6e) (i64.const 0x0))) ;; notsock
    (return (i64.const 0x707573746f6e) (i64.const 0x0))) ;; notsup
    (return (i64.const 0x7974746f6e) (i64.const 0x0))) ;; notty
    (return (i64.const 0x6f69786e) (i64.const 0x0))) ;; nxio
    (return (i64.const 0x776f6c667265766f) (i64.const 0x0))) ;; overflow
    (return (i64.const 0x61656472656e776f) (i64.const 0x64))) ;; ownerdead
    (return (i64.const 0x6d726570) (i64.const 0x0))) ;; perm
    (return (i64.const 0x65706970) (i64.const 0x0))) ;; pipe
    (return (i64.const 0x6f746f7270) (i64.const 0x0))) ;; proto
    (return (i64.const 0x736f6e6f746f7270) (i64.const 0x74726f707075))) ;; protonosupport
    (return (i64.const 0x7079746f746f7270) (i64.const 0x65))) ;; prototype
    (return (i64.const 0x65676e6172) (i64.const 0x0))) ;; range
    (return (i64.const 0x73666f72) (i64.const 0x0))) ;; rofs
    (return (i64.const 0x6570697073) (i64.const 0x0))) ;; spipe
    (return (i64.const 0x68637273) (i64.const 0x0))) ;; srch
    (return (i64.const 0x656c617473) (i64.const 0x0))) ;; stale
    (return (i64.const 0x74756f64656d6974) (i64.const 0x0))) ;; timedout
    (return (i64.const 0x797362747874) (i64.const 0x0))) ;; txtbsy
    (return (i64.const 0x76656478) (i64.const 0x0))) ;; xdev
    (return (i64.const 0x6261706163746f6e) (i64.const 0x656c))) ;; notcapable
  ;; No other errno gets here: `$failed` and whoever makes an error look at it.
  unreachable)
