;; wasi:filesystem.
;;
;; A descriptor is a handle with a reference to an open file, and so is a stream of it: what a stream reads or writes stays open when the
;; descriptor is dropped. A preopen keeps one reference for itself, because each call of get-directories gives out descriptors of it.
;;
;; Whether something is allowed, preview 1 decides. The rights that are asked for follow from the descriptor-flags, and a directory gets
;; what the one that it is opened through has: programs open directories for reading and then change what is in them. So get-flags says
;; `mutate-directory` wherever that is possible.
;;
;; Descriptor-flags of an open file, at +16 of its entry:
;;
;; | bit | |
;; |---|---|
;; | 0 to 5 | read, write, file-integrity-sync, data-integrity-sync, requested-write-sync, mutate-directory |
;; | 8 | not a directory, and opened through one with mutate-directory: `write` could have been asked for |
;; | 9 | a directory whose files can be written at their end alone |
;; | 10 | a directory that lists granted files: each has an access of its own |
;;
;; A preopen also has at +8 the next preopen, and at +28 the bytes of its name.
;;
;; State:
;;
;; | at | what |
;; |---|---|
;; | 0xe0 | the first preopen; 0 = not looked for yet, -1 = there is none |
;; | 0xe4 | the directory-entry-stream whose entries are in the buffer, 0 = none |
;; | 0xe8, 0xec | the next entry in the buffer, and the end of them |
;; | 0x400 to 0x1000 | the buffer, filled by fd_readdir |
;;
;; Errors are numbers of preview 1 until they are written: 8 badf, 25 ilseq, 31 isdir, 37 nametoolong, 54 notdir, 61 overflow, 63 perm,
;; 69 rofs, 76 notcapable.

(func $trap:a_preopen_whose_name_is_not_utf_8_or_too_long unreachable)

;; ---- results ----

;; Writes an error whose code lies $offset bytes after the result.
(func $write_error (param $out i32) (param $offset i32) (param $errno i32)
  (i32.store8 $guest (local.get $out) (i32.const 1))
  (i32.store8 $guest (i32.add (local.get $out) (local.get $offset)) (call $error_code (local.get $errno))))

;; result<_, error-code>. $errno 0 is no error.
(func $write_done (param $out i32) (param $errno i32)
  (if (local.get $errno)
    (then (call $write_error (local.get $out) (i32.const 1) (local.get $errno)))
    (else (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; result<T, error-code> for a flag or enum.
(func $write_byte (param $out i32) (param $byte i32)
  (i32.store16 $guest (local.get $out) (i32.shl (local.get $byte) (i32.const 8))))

;; result<HANDLE, error-code>. $errno 0 is no error.
(func $write_handle (param $out i32) (param $errno i32) (param $handle i32)
  (if (local.get $errno)
    (then (call $write_error (local.get $out) (i32.const 4) (local.get $errno)))
    (else
      (i32.store8 $guest (local.get $out) (i32.const 0))
      (i32.store $guest offset=4 (local.get $out) (local.get $handle)))))

;; ---- parameters ----

;; Copies a path to own memory. Returns 0, or the errno for a path that is longer than any host takes.
(func $path_in (param $ptr i32) (param $len i32) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $len) (i32.const 32752))
    (then
      (call $in_memory (local.get $ptr) (local.get $len))
      (return (i32.const 37))))
  (drop (call $string_in (local.get $ptr) (local.get $len) (local.get $to)))
  (i32.const 0))

;; The entry of the open file behind a descriptor.
(func $descriptor (param $handle i32) (result i32)
  (call $entry (i32.load $own offset=12 (call $handle_get (local.get $handle) (i32.const 1)))))

;; What preview 1 calls the descriptor.
(func $descriptor_fd (param $handle i32) (result i32)
  (i32.load $own offset=12 (call $descriptor (local.get $handle))))

;; The flags of preview 1 (fstflags) for a new-timestamp. $value is the flag for a value; the next one is for the current time.
(func $time_flags (param $case i32) (param $value i32) (result i32)
  (if (i32.gt_u (local.get $case) (i32.const 2)) (then (call $trap:an_enum_or_variant_without_such_a_case)))
  (i32.mul
    (local.get $value)
    (select (i32.const 1) (i32.shl (local.get $case) (i32.const 1)) (i32.eq (local.get $case) (i32.const 2)))))

;; The errno for a new-timestamp, if 64 bits are too few for its nanoseconds, otherwise 0; then its nanoseconds.
(func $time (param $case i32) (param $seconds i64) (param $nanoseconds i32) (result i32 i64)
  (local $nanos i64)
  (if (i32.ne (local.get $case) (i32.const 2)) (then (return (i32.const 0) (i64.const 0))))
  (local.set $nanos (i64.extend_i32_u (local.get $nanoseconds)))
  (if
    (i64.gt_u
      (local.get $seconds)
      (i64.div_u (i64.sub (i64.const -1) (local.get $nanos)) (i64.const 1_000_000_000)))
    (then (return (i32.const 61) (i64.const 0))))
  (i32.const 0)
  (i64.add (i64.mul (local.get $seconds) (i64.const 1_000_000_000)) (local.get $nanos)))

;; An errno for two new-timestamps, then their nanoseconds and fstflags.
(func $times
  (param $access i32) (param $access_seconds i64) (param $access_nanoseconds i32)
  (param $change i32) (param $change_seconds i64) (param $change_nanoseconds i32)
  (result i32 i64 i64 i32)
  (local $flags i32) (local $access_time i64) (local $change_time i64)
  (local.set $flags
    (i32.or (call $time_flags (local.get $access) (i32.const 1)) (call $time_flags (local.get $change) (i32.const 4))))
  (call $time (local.get $access) (local.get $access_seconds) (local.get $access_nanoseconds))
  (local.set $access_time)
  (call $time (local.get $change) (local.get $change_seconds) (local.get $change_nanoseconds))
  (local.set $change_time)
  (i32.or)
  (local.get $access_time)
  (local.get $change_time)
  (local.get $flags))

;; ---- open files ----

;; The errno if something was refused that needs $flag, `read` (1) or `write` (2), of an open file: a bad descriptor if it could have been
;; opened with that flag and was not.
(func $refused (param $file i32) (param $flag i32) (result i32)
  (local $flags i32)
  (local.set $flags (i32.load $own offset=16 (local.get $file)))
  (select
    (i32.const 8)
    (i32.const 76)
    (i32.and
      (i32.eqz (i32.and (local.get $flags) (local.get $flag)))
      ;; Bit 8 for `write`. To read is possible wherever something can be opened.
      (i32.or (i32.eq (local.get $flag) (i32.const 1)) (i32.shr_u (local.get $flags) (i32.const 8))))))

;; $errno, more exactly if it is a refusal.
(func $refine (param $file i32) (param $flag i32) (param $errno i32) (result i32)
  (if (i32.eq (local.get $errno) (i32.const 76)) (then (return (call $refused (local.get $file) (local.get $flag)))))
  (local.get $errno))

;; The flags of preview 1 (fdflags) for the three descriptor-flags about synchronization.
(func $fdflags (param $flags i32) (result i32)
  (i32.or
    (i32.shl (i32.and (local.get $flags) (i32.const 4)) (i32.const 2))
    (i32.or
      (i32.shr_u (i32.and (local.get $flags) (i32.const 8)) (i32.const 2))
      (i32.shr_u (i32.and (local.get $flags) (i32.const 16)) (i32.const 1)))))

;; Sets or clears append mode. Returns an errno.
(func $set_append (param $file i32) (param $on i32) (result i32)
  (local $errno i32)
  (if (i32.eq (i32.load $own offset=24 (local.get $file)) (local.get $on)) (then (return (i32.const 0))))
  (local.set $errno
    (call $fd_fdstat_set_flags
      (i32.load $own offset=12 (local.get $file))
      (i32.or (call $fdflags (i32.load $own offset=16 (local.get $file))) (local.get $on))))
  (if (i32.eqz (local.get $errno)) (then (i32.store $own offset=24 (local.get $file) (local.get $on))))
  (local.get $errno))

;; The flags of an open file, from what fd_fdstat_get has written at 0x100. $through has the flags of what it was opened through.
(func $flags_found (param $through i32) (result i32)
  (local $fdflags i32) (local $base i32) (local $inheriting i32) (local $changes i32)
  (local.set $fdflags (i32.load16_u $own (i32.const 0x102)))
  (local.set $base (i32.load $own (i32.const 0x108)))
  (local.set $inheriting (i32.load $own (i32.const 0x110)))
  (if (i32.eq (i32.load8_u $own (i32.const 0x100)) (i32.const 3))
    (then
      (local.set $changes (i32.and (i32.shr_u (local.get $inheriting) (i32.const 6)) (i32.const 1)))
      (return
        (i32.or
          ;; fd_readdir; fd_write of what is in it
          (i32.or
            (i32.and (i32.shr_u (local.get $base) (i32.const 14)) (i32.const 1))
            (i32.shl (local.get $changes) (i32.const 5)))
          (i32.mul
            (local.get $changes)
            (i32.or
              ;; without fd_filestat_set_size, but writable: at the end alone
              (i32.and (i32.shr_u (i32.xor (local.get $inheriting) (i32.const -1)) (i32.const 13)) (i32.const 0x200))
              ;; without path_create_directory
              (i32.and (i32.shl (i32.xor (local.get $base) (i32.const -1)) (i32.const 1)) (i32.const 0x400))))))))
  (i32.or
    (i32.or
      ;; fd_read, fd_write
      (i32.and (i32.shr_u (local.get $base) (i32.const 1)) (i32.const 1))
      (i32.and (i32.shr_u (local.get $base) (i32.const 5)) (i32.const 2)))
    (i32.or
      (i32.or
        (i32.and (i32.shr_u (local.get $fdflags) (i32.const 2)) (i32.const 4))
        (i32.or
          (i32.and (i32.shl (local.get $fdflags) (i32.const 2)) (i32.const 8))
          (i32.and (i32.shl (local.get $fdflags) (i32.const 1)) (i32.const 16))))
      (i32.shl (i32.and (local.get $through) (i32.const 0x20)) (i32.const 3)))))

;; The entry number of a new open file for a descriptor of preview 1. Returns an errno, and the number.
(func $file_found (param $fd i32) (param $through i32) (result i32 i32)
  (local $errno i32) (local $file i32)
  (local.set $errno (call $fd_fdstat_get (local.get $fd) (i32.const 0x100)))
  (if (local.get $errno) (then (return (local.get $errno) (i32.const 0))))
  (local.set $file
    (call $file_new (local.get $fd) (call $flags_found (local.get $through)) (i32.load8_u $own (i32.const 0x100))))
  (i32.store $own offset=24
    (call $entry (local.get $file))
    (i32.and (i32.load16_u $own (i32.const 0x102)) (i32.const 1)))
  (i32.const 0)
  (local.get $file))

;; The descriptor-type for a type of preview 1, which has no FIFO.
(func $descriptor_type (param $type i32) (result i32)
  (if (i32.gt_u (local.get $type) (i32.const 7)) (then (return (i32.const 0))))
  ;; Four bits for each: unknown, block-device, character-device, directory, regular-file, socket, socket, symbolic-link.
  (i32.and (i32.shr_u (i32.const 0x57763210) (i32.shl (local.get $type) (i32.const 2))) (i32.const 15)))

;; ---- preopens ----

;; Finds the preopens: the descriptors from 3 on, up to the first that is none.
(func $find_preopens
  (local $fd i32) (local $errno i32) (local $bytes i32) (local $file i32) (local $place i32)
  (local.set $fd (i32.const 3))
  (local.set $place (i32.const 0xe0))
  (i32.store $own (i32.const 0xe0) (i32.const -1))
  (loop $next
    (local.set $errno (call $fd_prestat_get (local.get $fd) (i32.const 0x100)))
    (if (i32.eq (local.get $errno) (i32.const 8)) (then (return)))
    (call $must (local.get $errno))
    (if (i32.eqz (i32.load8_u $own (i32.const 0x100)))
      (then
        (local.set $bytes (i32.load $own (i32.const 0x104)))
        (call $file_found (local.get $fd) (i32.const 0))
        (local.set $file)
        (call $must)
        (call $file_ref (local.get $file))
        (i32.store $own (local.get $place) (local.get $file))
        (local.set $place (i32.add (call $entry (local.get $file)) (i32.const 8)))
        (i32.store $own (local.get $place) (i32.const -1))
        (i32.store $own offset=20 (local.get $place) (local.get $bytes))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br $next)))

;; Writes the name of a preopen at 0x11000, and returns its length.
(func $preopen_name (param $file i32) (result i32)
  (local $bytes i32)
  (local.set $bytes (i32.load $own offset=28 (local.get $file)))
  (if (i32.gt_u (local.get $bytes) (i32.const 0x10000)) (then (call $trap:a_preopen_whose_name_is_not_utf_8_or_too_long)))
  (call $must
    (call $fd_prestat_dir_name (i32.load $own offset=12 (local.get $file)) (i32.const 0x11000) (local.get $bytes)))
  (if (i32.eqz (call $utf8 (i32.const 0x11000) (local.get $bytes)))
    (then (call $trap:a_preopen_whose_name_is_not_utf_8_or_too_long)))
  (local.get $bytes))

(func $preopens.get-directories (export "wasi:filesystem/preopens@0.2#get-directories") (param $out i32)
  (local $number i32) (local $count i32) (local $at i32) (local $list i32)
  (call $aligned (local.get $out) (i32.const 4))
  (if (i32.eqz (i32.load $own (i32.const 0xe0))) (then (call $find_preopens)))
  (local.set $number (i32.load $own (i32.const 0xe0)))
  (loop $next
    (if (i32.ne (local.get $number) (i32.const -1))
      (then
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (local.set $number (i32.load $own offset=8 (call $entry (local.get $number))))
        (br $next))))
  (local.set $list (call $alloc (i32.const 4) (i32.mul (local.get $count) (i32.const 12))))
  (local.set $at (local.get $list))
  (local.set $number (i32.load $own (i32.const 0xe0)))
  (loop $next
    (if (i32.ne (local.get $number) (i32.const -1))
      (then
        (call $result_list
          (i32.add (local.get $at) (i32.const 4))
          (i32.const 0x11000)
          (call $preopen_name (call $entry (local.get $number))))
        (i32.store $guest (local.get $at)
          (call $handle_of_file (i32.const 1) (local.get $number) (i32.const 0) (i64.const 0)))
        (local.set $at (i32.add (local.get $at) (i32.const 12)))
        (local.set $number (i32.load $own offset=8 (call $entry (local.get $number))))
        (br $next))))
  (call $write_list (local.get $out) (local.get $list) (local.get $count)))

;; ---- bytes of files ----

;; A stream of a file that is not a directory. Where there is no position, it is a stream like the standard ones.
(func $stream_of (param $handle i32) (param $file i32) (param $kind i32) (param $mode i32) (param $offset i64) (result i32)
  (call $handle_of_file
    (local.get $kind)
    (i32.load $own offset=12 (call $entry (local.get $handle)))
    (select (local.get $mode) (i32.const 0) (i32.eq (i32.load $own offset=20 (local.get $file)) (i32.const 4)))
    (local.get $offset)))

;; Returns an errno, and the handle of an output-stream in mode $mode.
(func $output_of (param $self i32) (param $mode i32) (param $offset i64) (result i32 i32)
  (local $file i32)
  (local.set $file (call $descriptor (local.get $self)))
  (if (i32.eq (i32.load $own offset=20 (local.get $file)) (i32.const 3)) (then (return (i32.const 8) (i32.const 0))))
  (if (i32.eqz (i32.and (i32.load $own offset=16 (local.get $file)) (i32.const 2)))
    (then (return (call $refused (local.get $file) (i32.const 2)) (i32.const 0))))
  (i32.const 0)
  (call $stream_of (local.get $self) (local.get $file) (i32.const 3) (local.get $mode) (local.get $offset)))

;; Returns an errno, and the handle of an input-stream.
(func $input_of (param $self i32) (param $offset i64) (result i32 i32)
  (local $file i32)
  (local.set $file (call $descriptor (local.get $self)))
  (if (i32.eq (i32.load $own offset=20 (local.get $file)) (i32.const 3)) (then (return (i32.const 31) (i32.const 0))))
  (if (i32.eqz (i32.and (i32.load $own offset=16 (local.get $file)) (i32.const 1)))
    (then (return (call $refused (local.get $file) (i32.const 1)) (i32.const 0))))
  (i32.const 0)
  (call $stream_of (local.get $self) (local.get $file) (i32.const 2) (i32.const 1) (local.get $offset)))

(func $descriptor.read-via-stream (export "wasi:filesystem/types@0.2#[method]descriptor.read-via-stream")
  (param $self i32) (param $offset i64) (param $out i32)
  (local $errno i32) (local $handle i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $input_of (local.get $self) (local.get $offset))
  (local.set $handle)
  (local.set $errno)
  (call $write_handle (local.get $out) (local.get $errno) (local.get $handle)))

(func $descriptor.write-via-stream (export "wasi:filesystem/types@0.2#[method]descriptor.write-via-stream")
  (param $self i32) (param $offset i64) (param $out i32)
  (local $errno i32) (local $handle i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $output_of (local.get $self) (i32.const 1) (local.get $offset))
  (local.set $handle)
  (local.set $errno)
  (call $write_handle (local.get $out) (local.get $errno) (local.get $handle)))

(func $descriptor.append-via-stream (export "wasi:filesystem/types@0.2#[method]descriptor.append-via-stream")
  (param $self i32) (param $out i32)
  (local $errno i32) (local $handle i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $output_of (local.get $self) (i32.const 2) (i64.const 0))
  (local.set $handle)
  (local.set $errno)
  (call $write_handle (local.get $out) (local.get $errno) (local.get $handle)))

;; Reads up to 64 KiB of a file at 0x1000. Returns an errno, and how many bytes.
(func $read_at (param $file i32) (param $len i64) (param $offset i64) (result i32 i32)
  (local $errno i32) (local $count i32)
  (if (i32.eq (i32.load $own offset=20 (local.get $file)) (i32.const 3)) (then (return (i32.const 31) (i32.const 0))))
  (local.set $count (i32.wrap_i64 (select (local.get $len) (i64.const 0x10000) (i64.lt_u (local.get $len) (i64.const 0x10000)))))
  (i32.store $own (i32.const 0x100) (i32.const 0x1000))
  (i32.store $own (i32.const 0x104) (local.get $count))
  (local.set $errno
    (call $fd_pread
      (i32.load $own offset=12 (local.get $file)) (i32.const 0x100) (i32.const 1) (local.get $offset) (i32.const 0x108)))
  (if (local.get $errno)
    (then (return (call $refine (local.get $file) (i32.const 1) (local.get $errno)) (i32.const 0))))
  (if (i32.gt_u (i32.load $own (i32.const 0x108)) (local.get $count)) (then (call $trap:the_host_answered_what_it_cannot)))
  (i32.const 0)
  (i32.load $own (i32.const 0x108)))

(func $descriptor.read (export "wasi:filesystem/types@0.2#[method]descriptor.read")
  (param $self i32) (param $len i64) (param $offset i64) (param $out i32)
  (local $errno i32) (local $count i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $read_at (call $descriptor (local.get $self)) (local.get $len) (local.get $offset))
  (local.set $count)
  (local.set $errno)
  (if (local.get $errno)
    (then (call $write_error (local.get $out) (i32.const 4) (local.get $errno)))
    (else
      (call $result_list (i32.add (local.get $out) (i32.const 4)) (i32.const 0x1000) (local.get $count))
      ;; A read of nothing has not come to the end.
      (i32.store8 $guest offset=12 (local.get $out)
        (i32.and (i32.eqz (local.get $count)) (i64.ne (local.get $len) (i64.const 0))))
      (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; Writes $len bytes, at most 64 KiB, from 0x1000 to a file. Returns an errno, and how many bytes.
(func $write_at (param $file i32) (param $len i32) (param $offset i64) (result i32 i32)
  (local $errno i32)
  (if (i32.eq (i32.load $own offset=20 (local.get $file)) (i32.const 3)) (then (return (i32.const 8) (i32.const 0))))
  (if (i32.load $own offset=24 (local.get $file))
    (then (local.set $errno (call $set_append (local.get $file) (i32.const 0)))))
  (if (i32.eqz (local.get $errno))
    (then
      (i32.store $own (i32.const 0x100) (i32.const 0x1000))
      (i32.store $own (i32.const 0x104) (local.get $len))
      (local.set $errno
        (call $fd_pwrite
          (i32.load $own offset=12 (local.get $file)) (i32.const 0x100) (i32.const 1) (local.get $offset) (i32.const 0x108)))))
  (if (local.get $errno)
    (then (return (call $refine (local.get $file) (i32.const 2) (local.get $errno)) (i32.const 0))))
  (if (i32.gt_u (i32.load $own (i32.const 0x108)) (local.get $len)) (then (call $trap:the_host_answered_what_it_cannot)))
  (i32.const 0)
  (i32.load $own (i32.const 0x108)))

;; In parts of 64 KiB, until all is written or preview 1 writes less than it is given. An error counts if nothing was written before it.
(func $descriptor.write (export "wasi:filesystem/types@0.2#[method]descriptor.write")
  (param $self i32) (param $ptr i32) (param $len i32) (param $offset i64) (param $out i32)
  (local $file i32) (local $errno i32) (local $part i32) (local $count i32) (local $done i32)
  (local.set $file (call $descriptor (local.get $self)))
  (call $aligned (local.get $out) (i32.const 8))
  (call $in_memory (local.get $ptr) (local.get $len))
  (loop $next
    (local.set $part (i32.sub (local.get $len) (local.get $done)))
    (if (i32.gt_u (local.get $part) (i32.const 0x10000)) (then (local.set $part (i32.const 0x10000))))
    (call $copy_in (i32.const 0x1000) (i32.add (local.get $ptr) (local.get $done)) (local.get $part))
    (call $write_at
      (local.get $file)
      (local.get $part)
      (i64.add (local.get $offset) (i64.extend_i32_u (local.get $done))))
    (local.set $count)
    (local.set $errno)
    (local.set $done (i32.add (local.get $done) (local.get $count)))
    (br_if $next
      (i32.and
        (i32.and (i32.eqz (local.get $errno)) (i32.eq (local.get $count) (local.get $part)))
        (i32.ne (local.get $done) (local.get $len)))))
  (if (i32.and (i32.ne (local.get $errno) (i32.const 0)) (i32.eqz (local.get $done)))
    (then (call $write_error (local.get $out) (i32.const 8) (local.get $errno)))
    (else
      (i32.store8 $guest (local.get $out) (i32.const 0))
      (i64.store $guest offset=8 (local.get $out) (i64.extend_i32_u (local.get $done))))))

(func $descriptor.advise (export "wasi:filesystem/types@0.2#[method]descriptor.advise")
  (param $self i32) (param $offset i64) (param $len i64) (param $advice i32) (param $out i32)
  (call $write_done (local.get $out)
    (call $advise (call $descriptor (local.get $self)) (local.get $offset) (local.get $len) (local.get $advice))))

(func $advise (param $file i32) (param $offset i64) (param $len i64) (param $advice i32) (result i32)
  (if (i32.gt_u (local.get $advice) (i32.const 5)) (then (call $trap:an_enum_or_variant_without_such_a_case)))
  (if (i32.eq (i32.load $own offset=20 (local.get $file)) (i32.const 3)) (then (return (i32.const 8))))
  (call $fd_advise (i32.load $own offset=12 (local.get $file)) (local.get $offset) (local.get $len) (local.get $advice)))

(func $descriptor.sync-data (export "wasi:filesystem/types@0.2#[method]descriptor.sync-data") (param $self i32) (param $out i32)
  (call $write_done (local.get $out) (call $fd_datasync (call $descriptor_fd (local.get $self)))))

(func $descriptor.sync (export "wasi:filesystem/types@0.2#[method]descriptor.sync") (param $self i32) (param $out i32)
  (call $write_done (local.get $out) (call $fd_sync (call $descriptor_fd (local.get $self)))))

(func $descriptor.set-size (export "wasi:filesystem/types@0.2#[method]descriptor.set-size")
  (param $self i32) (param $size i64) (param $out i32)
  (call $write_done (local.get $out) (call $set_size (call $descriptor (local.get $self)) (local.get $size))))

;; What is not open for writing is `invalid` here, as ftruncate has it.
(func $set_size (param $file i32) (param $size i64) (result i32) (local $errno i32)
  (if (i32.eq (i32.load $own offset=20 (local.get $file)) (i32.const 3)) (then (return (i32.const 28))))
  (local.set $errno (call $refine (local.get $file) (i32.const 2)
    (call $fd_filestat_set_size (i32.load $own offset=12 (local.get $file)) (local.get $size))))
  (select (i32.const 28) (local.get $errno) (i32.eq (local.get $errno) (i32.const 8))))

;; ---- attributes ----

(func $descriptor.get-flags (export "wasi:filesystem/types@0.2#[method]descriptor.get-flags") (param $self i32) (param $out i32)
  (call $write_byte (local.get $out)
    (i32.and (i32.load $own offset=16 (call $descriptor (local.get $self))) (i32.const 0x3f))))

(func $descriptor.get-type (export "wasi:filesystem/types@0.2#[method]descriptor.get-type") (param $self i32) (param $out i32)
  (call $write_byte (local.get $out)
    (call $descriptor_type (i32.load $own offset=20 (call $descriptor (local.get $self))))))

;; option<datetime>. 0 is none: preview 1 has no other word for a time that is not known.
(func $write_time (param $out i32) (param $nanoseconds i64)
  (i32.store8 $guest (local.get $out) (i64.ne (local.get $nanoseconds) (i64.const 0)))
  (i64.store $guest offset=8 (local.get $out) (i64.div_u (local.get $nanoseconds) (i64.const 1_000_000_000)))
  (i32.store $guest offset=16 (local.get $out)
    (i32.wrap_i64 (i64.rem_u (local.get $nanoseconds) (i64.const 1_000_000_000)))))

;; result<descriptor-stat, error-code>, from the filestat at 0x100.
(func $write_stat (param $out i32) (param $errno i32)
  (if (local.get $errno)
    (then
      (call $write_error (local.get $out) (i32.const 8) (local.get $errno))
      (return)))
  (i32.store8 $guest (local.get $out) (i32.const 0))
  (i32.store8 $guest offset=8 (local.get $out) (call $descriptor_type (i32.load8_u $own (i32.const 0x110))))
  (i64.store $guest offset=16 (local.get $out) (i64.load $own (i32.const 0x118)))
  (i64.store $guest offset=24 (local.get $out) (i64.load $own (i32.const 0x120)))
  (call $write_time (i32.add (local.get $out) (i32.const 32)) (i64.load $own (i32.const 0x128)))
  (call $write_time (i32.add (local.get $out) (i32.const 56)) (i64.load $own (i32.const 0x130)))
  (call $write_time (i32.add (local.get $out) (i32.const 80)) (i64.load $own (i32.const 0x138))))

(func $descriptor.stat (export "wasi:filesystem/types@0.2#[method]descriptor.stat") (param $self i32) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_stat (local.get $out) (call $fd_filestat_get (call $descriptor_fd (local.get $self)) (i32.const 0x100))))

;; path_filestat_get to 0x100.
(func $stat_at (param $self i32) (param $path_flags i32) (param $ptr i32) (param $len i32) (result i32)
  (local $fd i32) (local $errno i32)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (if (local.get $errno) (then (return (local.get $errno))))
  (call $path_filestat_get
    (local.get $fd) (i32.and (local.get $path_flags) (i32.const 1)) (i32.const 0x11000) (local.get $len) (i32.const 0x100)))

(func $descriptor.stat-at (export "wasi:filesystem/types@0.2#[method]descriptor.stat-at")
  (param $self i32) (param $path_flags i32) (param $ptr i32) (param $len i32) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_stat (local.get $out) (call $stat_at (local.get $self) (local.get $path_flags) (local.get $ptr) (local.get $len))))

(func $descriptor.set-times (export "wasi:filesystem/types@0.2#[method]descriptor.set-times")
  (param $self i32)
  (param $access i32) (param $access_seconds i64) (param $access_nanoseconds i32)
  (param $change i32) (param $change_seconds i64) (param $change_nanoseconds i32)
  (param $out i32)
  (local $fd i32) (local $errno i32) (local $flags i32) (local $access_time i64) (local $change_time i64)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (call $times
    (local.get $access) (local.get $access_seconds) (local.get $access_nanoseconds)
    (local.get $change) (local.get $change_seconds) (local.get $change_nanoseconds))
  (local.set $flags)
  (local.set $change_time)
  (local.set $access_time)
  (local.set $errno)
  (if (i32.eqz (local.get $errno))
    (then
      (local.set $errno
        (call $fd_filestat_set_times (local.get $fd) (local.get $access_time) (local.get $change_time) (local.get $flags)))))
  (call $write_done (local.get $out) (local.get $errno)))

(func $descriptor.set-times-at (export "wasi:filesystem/types@0.2#[method]descriptor.set-times-at")
  (param $self i32) (param $path_flags i32) (param $ptr i32) (param $len i32)
  (param $access i32) (param $access_seconds i64) (param $access_nanoseconds i32)
  (param $change i32) (param $change_seconds i64) (param $change_nanoseconds i32)
  (param $out i32)
  (local $fd i32) (local $errno i32) (local $flags i32) (local $access_time i64) (local $change_time i64)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (call $times
    (local.get $access) (local.get $access_seconds) (local.get $access_nanoseconds)
    (local.get $change) (local.get $change_seconds) (local.get $change_nanoseconds))
  (local.set $flags)
  (local.set $change_time)
  (local.set $access_time)
  (local.set $errno)
  (if (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)) (then (local.set $errno (i32.const 37))))
  (if (i32.eqz (local.get $errno))
    (then
      (local.set $errno
        (call $path_filestat_set_times
          (local.get $fd) (i32.and (local.get $path_flags) (i32.const 1)) (i32.const 0x11000) (local.get $len)
          (local.get $access_time) (local.get $change_time) (local.get $flags)))))
  (call $write_done (local.get $out) (local.get $errno)))

(func $descriptor.is-same-object (export "wasi:filesystem/types@0.2#[method]descriptor.is-same-object")
  (param $self i32) (param $other i32) (result i32)
  (local $one i32) (local $two i32) (local $device i64) (local $inode i64)
  (local.set $one (call $descriptor_fd (local.get $self)))
  (local.set $two (call $descriptor_fd (local.get $other)))
  (if (i32.eq (local.get $one) (local.get $two)) (then (return (i32.const 1))))
  (call $must (call $fd_filestat_get (local.get $one) (i32.const 0x100)))
  (local.set $device (i64.load $own (i32.const 0x100)))
  (local.set $inode (i64.load $own (i32.const 0x108)))
  (call $must (call $fd_filestat_get (local.get $two) (i32.const 0x100)))
  (i32.and
    (i64.eq (local.get $device) (i64.load $own (i32.const 0x100)))
    (i64.eq (local.get $inode) (i64.load $own (i32.const 0x108)))))

;; ---- metadata-hash ----
;;
;; SipHash-2-4 with 128 bits of result, of the device and inode numbers. Its key is random, so the numbers cannot be found by trying.

;; $count rounds.
(func $sip_rounds (param $count i32) (param $v0 i64) (param $v1 i64) (param $v2 i64) (param $v3 i64) (result i64 i64 i64 i64)
  (loop $next
    (local.set $v0 (i64.add (local.get $v0) (local.get $v1)))
    (local.set $v2 (i64.add (local.get $v2) (local.get $v3)))
    (local.set $v1 (i64.xor (i64.rotl (local.get $v1) (i64.const 13)) (local.get $v0)))
    (local.set $v3 (i64.xor (i64.rotl (local.get $v3) (i64.const 16)) (local.get $v2)))
    (local.set $v0 (i64.rotl (local.get $v0) (i64.const 32)))
    (local.set $v2 (i64.add (local.get $v2) (local.get $v1)))
    (local.set $v0 (i64.add (local.get $v0) (local.get $v3)))
    (local.set $v1 (i64.xor (i64.rotl (local.get $v1) (i64.const 17)) (local.get $v2)))
    (local.set $v3 (i64.xor (i64.rotl (local.get $v3) (i64.const 21)) (local.get $v0)))
    (local.set $v2 (i64.rotl (local.get $v2) (i64.const 32)))
    (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
  (local.get $v0)
  (local.get $v1)
  (local.get $v2)
  (local.get $v3))

;; Takes in eight bytes.
(func $sip_word (param $v0 i64) (param $v1 i64) (param $v2 i64) (param $v3 i64) (param $word i64) (result i64 i64 i64 i64)
  (call $sip_rounds
    (i32.const 2) (local.get $v0) (local.get $v1) (local.get $v2) (i64.xor (local.get $v3) (local.get $word)))
  (local.set $v3)
  (local.set $v2)
  (local.set $v1)
  (i64.xor (local.get $word))
  (local.get $v1)
  (local.get $v2)
  (local.get $v3))

;; The two halves of the result.
(func $sip_hash (param $device i64) (param $inode i64) (result i64 i64)
  (local $v0 i64) (local $v1 i64) (local $v2 i64) (local $v3 i64) (local $lower i64)
  (if (i32.eqz (i32.load $own (i32.const 0x54)))
    (then
      (call $must (call $random_get (i32.const 0x58) (i32.const 16)))
      (i32.store $own (i32.const 0x54) (i32.const 1))))
  (i64.xor (i64.load $own (i32.const 0x58)) (i64.const 0x736f6d6570736575))
  ;; 0xee: for 128 bits of result.
  (i64.xor (i64.load $own (i32.const 0x60)) (i64.const 0x646f72616e646f83))
  (i64.xor (i64.load $own (i32.const 0x58)) (i64.const 0x6c7967656e657261))
  (i64.xor (i64.load $own (i32.const 0x60)) (i64.const 0x7465646279746573))
  (call $sip_word (local.get $device))
  (call $sip_word (local.get $inode))
  ;; The last word has the length in its last byte.
  (call $sip_word (i64.const 0x1000000000000000))
  (local.set $v3)
  (local.set $v2)
  (local.set $v1)
  (local.set $v0)
  (call $sip_rounds
    (i32.const 4) (local.get $v0) (local.get $v1) (i64.xor (local.get $v2) (i64.const 0xee)) (local.get $v3))
  (local.set $v3)
  (local.set $v2)
  (local.set $v1)
  (local.set $v0)
  (local.set $lower
    (i64.xor (i64.xor (local.get $v0) (local.get $v1)) (i64.xor (local.get $v2) (local.get $v3))))
  (call $sip_rounds
    (i32.const 4) (local.get $v0) (i64.xor (local.get $v1) (i64.const 0xdd)) (local.get $v2) (local.get $v3))
  (i64.xor)
  (i64.xor)
  (i64.xor)
  (local.set $v0)
  (local.get $lower)
  (local.get $v0))

;; result<metadata-hash-value, error-code>, from the filestat at 0x100.
(func $write_hash (param $out i32) (param $errno i32)
  (local $upper i64) (local $lower i64)
  (if (local.get $errno)
    (then
      (call $write_error (local.get $out) (i32.const 8) (local.get $errno))
      (return)))
  (call $sip_hash (i64.load $own (i32.const 0x100)) (i64.load $own (i32.const 0x108)))
  (local.set $upper)
  (local.set $lower)
  (i32.store8 $guest (local.get $out) (i32.const 0))
  (i64.store $guest offset=8 (local.get $out) (local.get $lower))
  (i64.store $guest offset=16 (local.get $out) (local.get $upper)))

(func $descriptor.metadata-hash (export "wasi:filesystem/types@0.2#[method]descriptor.metadata-hash") (param $self i32) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_hash (local.get $out) (call $fd_filestat_get (call $descriptor_fd (local.get $self)) (i32.const 0x100))))

(func $descriptor.metadata-hash-at (export "wasi:filesystem/types@0.2#[method]descriptor.metadata-hash-at")
  (param $self i32) (param $path_flags i32) (param $ptr i32) (param $len i32) (param $out i32)
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_hash (local.get $out) (call $stat_at (local.get $self) (local.get $path_flags) (local.get $ptr) (local.get $len))))

;; ---- names ----

(func $descriptor.create-directory-at (export "wasi:filesystem/types@0.2#[method]descriptor.create-directory-at")
  (param $self i32) (param $ptr i32) (param $len i32) (param $out i32)
  (local $fd i32) (local $errno i32)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (if (i32.eqz (local.get $errno))
    (then (local.set $errno (call $path_create_directory (local.get $fd) (i32.const 0x11000) (local.get $len)))))
  (call $write_done (local.get $out) (local.get $errno)))

(func $descriptor.remove-directory-at (export "wasi:filesystem/types@0.2#[method]descriptor.remove-directory-at")
  (param $self i32) (param $ptr i32) (param $len i32) (param $out i32)
  (local $fd i32) (local $errno i32)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (if (i32.eqz (local.get $errno))
    (then (local.set $errno (call $path_remove_directory (local.get $fd) (i32.const 0x11000) (local.get $len)))))
  (call $write_done (local.get $out) (local.get $errno)))

(func $descriptor.unlink-file-at (export "wasi:filesystem/types@0.2#[method]descriptor.unlink-file-at")
  (param $self i32) (param $ptr i32) (param $len i32) (param $out i32)
  (local $fd i32) (local $errno i32)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (if (i32.eqz (local.get $errno))
    (then (local.set $errno (call $path_unlink_file (local.get $fd) (i32.const 0x11000) (local.get $len)))))
  (call $write_done (local.get $out) (local.get $errno)))

;; Copies two paths to 0x11000 and 0x19000.
(func $paths_in (param $ptr i32) (param $len i32) (param $ptr2 i32) (param $len2 i32) (result i32)
  (local $errno i32)
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (i32.or (local.get $errno) (call $path_in (local.get $ptr2) (local.get $len2) (i32.const 0x19000))))

(func $descriptor.link-at (export "wasi:filesystem/types@0.2#[method]descriptor.link-at")
  (param $self i32) (param $path_flags i32) (param $ptr i32) (param $len i32)
  (param $to i32) (param $to_ptr i32) (param $to_len i32) (param $out i32)
  (local $fd i32) (local $to_fd i32) (local $errno i32)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $to_fd (call $descriptor_fd (local.get $to)))
  (local.set $errno (call $paths_in (local.get $ptr) (local.get $len) (local.get $to_ptr) (local.get $to_len)))
  (if (i32.eqz (local.get $errno))
    (then
      (local.set $errno
        (call $path_link
          (local.get $fd) (i32.and (local.get $path_flags) (i32.const 1)) (i32.const 0x11000) (local.get $len)
          (local.get $to_fd) (i32.const 0x19000) (local.get $to_len)))))
  (call $write_done (local.get $out) (local.get $errno)))

(func $descriptor.rename-at (export "wasi:filesystem/types@0.2#[method]descriptor.rename-at")
  (param $self i32) (param $ptr i32) (param $len i32) (param $to i32) (param $to_ptr i32) (param $to_len i32) (param $out i32)
  (local $fd i32) (local $to_fd i32) (local $errno i32)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $to_fd (call $descriptor_fd (local.get $to)))
  (local.set $errno (call $paths_in (local.get $ptr) (local.get $len) (local.get $to_ptr) (local.get $to_len)))
  (if (i32.eqz (local.get $errno))
    (then
      (local.set $errno
        (call $path_rename
          (local.get $fd) (i32.const 0x11000) (local.get $len) (local.get $to_fd) (i32.const 0x19000) (local.get $to_len)))))
  (call $write_done (local.get $out) (local.get $errno)))

(func $descriptor.symlink-at (export "wasi:filesystem/types@0.2#[method]descriptor.symlink-at")
  (param $self i32) (param $ptr i32) (param $len i32) (param $to_ptr i32) (param $to_len i32) (param $out i32)
  (local $fd i32) (local $errno i32)
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $errno (call $paths_in (local.get $ptr) (local.get $len) (local.get $to_ptr) (local.get $to_len)))
  (if (i32.eqz (local.get $errno))
    (then
      (local.set $errno
        (call $path_symlink
          (i32.const 0x11000) (local.get $len) (local.get $fd) (i32.const 0x19000) (local.get $to_len)))))
  (call $write_done (local.get $out) (local.get $errno)))

;; Reads the target of a link at 0x1000. Returns an errno, and its length.
(func $link_target (param $fd i32) (param $len i32) (result i32 i32)
  (local $errno i32) (local $bytes i32)
  (local.set $errno
    (call $path_readlink
      (local.get $fd) (i32.const 0x11000) (local.get $len) (i32.const 0x1000) (i32.const 0x10000) (i32.const 0x100)))
  (if (local.get $errno) (then (return (local.get $errno) (i32.const 0))))
  (local.set $bytes (i32.load $own (i32.const 0x100)))
  ;; Not less than the buffer: there may be more of it.
  (if (i32.ge_u (local.get $bytes) (i32.const 0x10000)) (then (return (i32.const 37) (i32.const 0))))
  ;; A target that begins with a slash.
  (if (i32.and (i32.ne (local.get $bytes) (i32.const 0)) (i32.eq (i32.load8_u $own (i32.const 0x1000)) (i32.const 0x2f)))
    (then (return (i32.const 63) (i32.const 0))))
  (if (i32.eqz (call $utf8 (i32.const 0x1000) (local.get $bytes))) (then (return (i32.const 25) (i32.const 0))))
  (i32.const 0)
  (local.get $bytes))

(func $descriptor.readlink-at (export "wasi:filesystem/types@0.2#[method]descriptor.readlink-at")
  (param $self i32) (param $ptr i32) (param $len i32) (param $out i32)
  (local $fd i32) (local $errno i32) (local $bytes i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $fd (call $descriptor_fd (local.get $self)))
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (if (i32.eqz (local.get $errno))
    (then
      (call $link_target (local.get $fd) (local.get $len))
      (local.set $bytes)
      (local.set $errno)))
  (if (local.get $errno)
    (then (call $write_error (local.get $out) (i32.const 4) (local.get $errno)))
    (else
      (call $result_list (i32.add (local.get $out) (i32.const 4)) (i32.const 0x1000) (local.get $bytes))
      (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; ---- open-at ----

;; Opens the path at 0x11000 under a directory. Returns an errno, and the handle of a descriptor.
(func $open_at (param $dir i32) (param $path_flags i32) (param $len i32) (param $open_flags i32) (param $flags i32) (result i32 i32)
  (local $through i32) (local $base i64) (local $fdflags i32) (local $errno i32) (local $fd i32) (local $file i32)
  (local.set $through (i32.load $own offset=16 (local.get $dir)))
  ;; Only what this asks for needs a decision here: preview 1 drops such rights, and decides on reading, writing, creating and truncating.
  (if
    (i32.and
      (i32.eq (i32.and (local.get $flags) (i32.const 0x22)) (i32.const 0x20))
      (i32.and
        (i32.eq (i32.load $own offset=20 (local.get $dir)) (i32.const 3))
        (i32.eqz (i32.and (local.get $through) (i32.const 0x20)))))
    (then (return (i32.const 69) (i32.const 0))))
  ;; All rights but those of sockets, fd_read, fd_write, fd_allocate and fd_filestat_set_size.
  (local.set $base (i64.const 0x0fbffebd))
  (if (i32.and (local.get $flags) (i32.const 2))
    (then
      (local.set $base (i64.or (local.get $base) (i64.const 0x00400140)))
      ;; fd_write alone, without append mode, is refused where files can be written at their end alone.
      (local.set $fdflags (i32.and (i32.shr_u (local.get $through) (i32.const 9)) (i32.const 1)))))
  ;; What is opened for nothing is opened for reading, as elsewhere.
  (if (i32.ne (i32.and (local.get $flags) (i32.const 3)) (i32.const 2))
    (then (local.set $base (i64.or (local.get $base) (i64.const 2)))))
  (local.set $fdflags (i32.or (local.get $fdflags) (call $fdflags (local.get $flags))))
  (loop $again
    (local.set $errno
      (call $path_open
        (i32.load $own offset=12 (local.get $dir)) (i32.and (local.get $path_flags) (i32.const 1))
        (i32.const 0x11000) (local.get $len) (i32.and (local.get $open_flags) (i32.const 15))
        (local.get $base) (i64.const 0x0fffffff) (local.get $fdflags) (i32.const 0x100)))
    ;; In a list of granted files, this one may be such that it can be written at its end alone.
    (if
      (i32.and
        (i32.eq (local.get $errno) (i32.const 76))
        (i32.and
          (i32.shr_u (local.get $through) (i32.const 10))
          (i32.and
            (i32.ne (i32.and (local.get $flags) (i32.const 2)) (i32.const 0))
            (i32.eqz (i32.and (local.get $fdflags) (i32.const 1))))))
      (then
        (local.set $fdflags (i32.or (local.get $fdflags) (i32.const 1)))
        (br $again))))
  (if (local.get $errno) (then (return (local.get $errno) (i32.const 0))))
  (local.set $fd (i32.load $own (i32.const 0x100)))
  (call $file_found (local.get $fd) (local.get $through))
  (local.set $file)
  (local.set $errno)
  (if (local.get $errno)
    (then
      (drop (call $fd_close (local.get $fd)))
      (return (local.get $errno) (i32.const 0))))
  (i32.const 0)
  (call $handle_of_file (i32.const 1) (local.get $file) (i32.const 0) (i64.const 0)))

(func $descriptor.open-at (export "wasi:filesystem/types@0.2#[method]descriptor.open-at")
  (param $self i32) (param $path_flags i32) (param $ptr i32) (param $len i32) (param $open_flags i32) (param $flags i32) (param $out i32)
  (local $dir i32) (local $errno i32) (local $handle i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $dir (call $descriptor (local.get $self)))
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (if (i32.eqz (local.get $errno))
    (then
      (call $open_at (local.get $dir) (local.get $path_flags) (local.get $len) (local.get $open_flags) (local.get $flags))
      (local.set $handle)
      (local.set $errno)))
  (call $write_handle (local.get $out) (local.get $errno) (local.get $handle)))

(func $descriptor.drop (export "wasi:filesystem/types@0.2#[resource-drop]descriptor") (param $handle i32)
  (call $handle_drop_file (local.get $handle) (i32.const 1)))

;; ---- directories ----

;; Returns an errno, and the handle of a directory-entry-stream.
(func $entries_of (param $self i32) (result i32 i32)
  (local $file i32)
  (local.set $file (call $descriptor (local.get $self)))
  (if (i32.ne (i32.load $own offset=20 (local.get $file)) (i32.const 3)) (then (return (i32.const 54) (i32.const 0))))
  (i32.const 0)
  (call $handle_of_file
    (i32.const 6) (i32.load $own offset=12 (call $entry (local.get $self))) (i32.const 0) (i64.const 0)))

(func $descriptor.read-directory (export "wasi:filesystem/types@0.2#[method]descriptor.read-directory") (param $self i32) (param $out i32)
  (local $errno i32) (local $handle i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $entries_of (local.get $self))
  (local.set $handle)
  (local.set $errno)
  (call $write_handle (local.get $out) (local.get $errno) (local.get $handle)))

;; Fills the buffer with entries from the cookie of a stream on. Returns an errno.
(func $fill (param $stream i32) (param $entry i32) (result i32)
  (local $errno i32)
  (i32.store $own (i32.const 0xe4) (i32.const 0))
  (local.set $errno
    (call $fd_readdir
      (call $file_fd (i32.load $own offset=12 (local.get $entry)))
      (i32.const 0x400) (i32.const 0xc00) (i64.load $own offset=16 (local.get $entry)) (i32.const 0x100)))
  (if (local.get $errno) (then (return (local.get $errno))))
  (if (i32.gt_u (i32.load $own (i32.const 0x100)) (i32.const 0xc00)) (then (call $trap:the_host_answered_what_it_cannot)))
  (i32.store $own (i32.const 0xe4) (local.get $stream))
  (i32.store $own (i32.const 0xe8) (i32.const 0x400))
  (i32.store $own (i32.const 0xec) (i32.add (i32.const 0x400) (i32.load $own (i32.const 0x100))))
  (i32.const 0))

;; The next entry of a stream. Returns an errno, and where its dirent is, followed by its name; 0 at the end.
(func $next_entry (param $stream i32) (result i32 i32)
  (local $entry i32) (local $errno i32) (local $at i32) (local $left i32) (local $fresh i32) (local $name i32) (local $bytes i32)
  (local.set $entry (call $handle_get (local.get $stream) (i32.const 6)))
  (loop $next
    (if (i32.ne (i32.load $own (i32.const 0xe4)) (local.get $stream))
      (then
        (local.set $errno (call $fill (local.get $stream) (local.get $entry)))
        (if (local.get $errno) (then (return (local.get $errno) (i32.const 0))))
        (local.set $fresh (i32.const 1))))
    (local.set $at (i32.load $own (i32.const 0xe8)))
    (local.set $left (i32.sub (i32.load $own (i32.const 0xec)) (local.get $at)))
    (if (i32.eqz (local.get $left))
      (then
        ;; A buffer that was not filled has the last entry.
        (if (i32.or (local.get $fresh) (i32.lt_u (local.get $at) (i32.const 0x1000))) (then (return (i32.const 0) (i32.const 0))))
        (i32.store $own (i32.const 0xe4) (i32.const 0))
        (br $next)))
    (local.set $bytes (i32.load $own offset=16 (local.get $at)))
    (if
      (i32.or
        (i32.lt_u (local.get $left) (i32.const 24))
        (i32.gt_u (local.get $bytes) (i32.sub (local.get $left) (i32.const 24))))
      (then
        ;; It did not fit. The next buffer begins with it.
        (i32.store $own (i32.const 0xe4) (i32.const 0))
        (br_if $next (i32.eqz (local.get $fresh)))
        ;; This one began with it. Only a name can be that long.
        (if (i32.lt_u (local.get $left) (i32.const 24)) (then (call $trap:the_host_answered_what_it_cannot)))
        (i64.store $own offset=16 (local.get $entry) (i64.load $own (local.get $at)))
        (return (i32.const 37) (i32.const 0))))
    (local.set $fresh (i32.const 0))
    (i64.store $own offset=16 (local.get $entry) (i64.load $own (local.get $at)))
    (local.set $name (i32.add (local.get $at) (i32.const 24)))
    (i32.store $own (i32.const 0xe8) (i32.add (local.get $name) (local.get $bytes)))
    ;; `.` and `..`
    (br_if $next
      (i32.and (i32.eq (local.get $bytes) (i32.const 1)) (i32.eq (i32.load8_u $own (local.get $name)) (i32.const 0x2e))))
    (br_if $next
      (i32.and (i32.eq (local.get $bytes) (i32.const 2)) (i32.eq (i32.load16_u $own (local.get $name)) (i32.const 0x2e2e))))
    (if (i32.eqz (call $utf8 (local.get $name) (local.get $bytes))) (then (return (i32.const 25) (i32.const 0)))))
  (i32.const 0)
  (local.get $at))

(func $directory-entry-stream.read-directory-entry (export "wasi:filesystem/types@0.2#[method]directory-entry-stream.read-directory-entry")
  (param $self i32) (param $out i32)
  (local $errno i32) (local $at i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $next_entry (local.get $self))
  (local.set $at)
  (local.set $errno)
  (if (local.get $errno)
    (then
      (call $write_error (local.get $out) (i32.const 4) (local.get $errno))
      (return)))
  (if (local.get $at)
    (then
      (call $result_list
        (i32.add (local.get $out) (i32.const 12))
        (i32.add (local.get $at) (i32.const 24))
        (i32.load $own offset=16 (local.get $at)))
      (i32.store8 $guest offset=8 (local.get $out) (call $descriptor_type (i32.load8_u $own offset=20 (local.get $at))))))
  (i32.store8 $guest offset=4 (local.get $out) (i32.ne (local.get $at) (i32.const 0)))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

(func $directory-entry-stream.drop (export "wasi:filesystem/types@0.2#[resource-drop]directory-entry-stream") (param $handle i32)
  (call $handle_drop_file (local.get $handle) (i32.const 6))
  (if (i32.eq (i32.load $own (i32.const 0xe4)) (local.get $handle))
    (then (i32.store $own (i32.const 0xe4) (i32.const 0)))))

;; ---- errors ----

(func $filesystem-error-code (export "wasi:filesystem/types@0.2#filesystem-error-code") (param $error i32) (param $out i32)
  (i32.store16 $guest (local.get $out)
    (i32.or
      (i32.const 1)
      (i32.shl
        (call $error_code (i32.load $own offset=24 (call $handle_get (local.get $error) (i32.const 5))))
        (i32.const 8)))))
