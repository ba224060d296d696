;; Handles and open files: entries of 32 bytes in own memory, from 0x21000 on. Entry 0 is never used; 8,191 follow.
;;
;; | offset | of a handle | of an open file |
;; |---|---|---|
;; | +0 | kind: 1 descriptor, 2 input-stream, 3 output-stream, 4 pollable, 5 error, 6 directory-entry-stream, 7 terminal-input, | 32 |
;; |    | 8 terminal-output, 9 tcp-socket, 10 udp-socket, 11 network, 12 resolve-address-stream, 13 incoming-datagram-stream, | |
;; |    | 14 outgoing-datagram-stream; 0 = free | |
;; | +4 | how many handles are its children | references |
;; | +8 | its parent, 0 = none. If free: the next free entry | |
;; | +12 | the entry of its open file, 0 = none | descriptor of preview 1 |
;; | +16 | u64: position of a stream, deadline of a pollable, cookie of a directory | +16 descriptor-flags, +20 file type |
;; | +24 | mode | 1 if the descriptor is in append mode |
;; | +28 | output-stream: permit of check-write | 1 if the descriptor stays open for who comes next |
;;
;; State:
;;
;; | at | what |
;; |---|---|
;; | 0x40 | the first free entry, 0 = none |
;; | 0x44 | the highest entry that was ever used |
;; | 0x48, 0x4c, 0x50 | open files of the standard streams, 0 = not used yet |
;; | 0x54 | 1 if there is a key for metadata-hash |
;; | 0x58, 0x60 | the key |
;; | 0x68 | 1 if there is an insecure-seed |
;; | 0x70, 0x78 | the seed |

(func $trap:a_handle_that_is_not_open unreachable)
(func $trap:a_handle_of_another_type unreachable)
(func $trap:a_handle_that_is_dropped_before_its_children unreachable)
(func $trap:more_than_8191_handles unreachable)

;; The address of an entry.
(func $entry (param $number i32) (result i32)
  (i32.add (i32.const 0x21000) (i32.shl (local.get $number) (i32.const 5))))

;; A new entry, all zero but the kind. Traps if all are used.
(func $handle_new (param $kind i32) (result i32)
  (local $number i32) (local $entry i32)
  (local.set $number (i32.load $own (i32.const 0x40)))
  (if (local.get $number)
    (then
      (local.set $entry (call $entry (local.get $number)))
      (i32.store $own (i32.const 0x40) (i32.load $own offset=8 (local.get $entry)))
      (i32.store $own offset=8 (local.get $entry) (i32.const 0)))
    (else
      (local.set $number (i32.add (i32.load $own (i32.const 0x44)) (i32.const 1)))
      (if (i32.gt_u (local.get $number) (i32.const 8191)) (then (call $trap:more_than_8191_handles)))
      (i32.store $own (i32.const 0x44) (local.get $number))
      (local.set $entry (call $entry (local.get $number)))))
  (i32.store $own (local.get $entry) (local.get $kind))
  (local.get $number))

;; Frees an entry, which is then all zero but the link to the next.
(func $handle_free (param $number i32)
  (local $entry i32)
  (local.set $entry (call $entry (local.get $number)))
  (memory.fill $own (local.get $entry) (i32.const 0) (i32.const 32))
  (i32.store $own offset=8 (local.get $entry) (i32.load $own (i32.const 0x40)))
  (i32.store $own (i32.const 0x40) (local.get $number)))

;; The address of the entry of a handle. Traps unless it is open and of this kind.
(func $handle_get (param $handle i32) (param $kind i32) (result i32)
  (local $entry i32) (local $found i32)
  (if (i32.gt_u (local.get $handle) (i32.const 8191)) (then (call $trap:a_handle_that_is_not_open)))
  (local.set $entry (call $entry (local.get $handle)))
  (local.set $found (i32.load $own (local.get $entry)))
  (if (i32.ne (local.get $found) (local.get $kind))
    (then
      ;; A guest has no handle of an open file, nor of an address (33).
      (if (i32.and (i32.ne (local.get $found) (i32.const 0)) (i32.lt_u (local.get $found) (i32.const 32)))
        (then (call $trap:a_handle_of_another_type)))
      (call $trap:a_handle_that_is_not_open)))
  (local.get $entry))

;; Makes $child a child of $parent.
(func $handle_adopt (param $parent i32) (param $child i32)
  (local $entry i32)
  (local.set $entry (call $entry (local.get $parent)))
  (i32.store $own offset=4 (local.get $entry) (i32.add (i32.load $own offset=4 (local.get $entry)) (i32.const 1)))
  (i32.store $own offset=8 (call $entry (local.get $child)) (local.get $parent)))

;; Drops a handle that has no open file. Traps if it has children, and takes it off its parent.
(func $handle_drop (param $handle i32) (param $kind i32)
  (local $entry i32) (local $parent i32)
  (local.set $entry (call $handle_get (local.get $handle) (local.get $kind)))
  (if (i32.load $own offset=4 (local.get $entry)) (then (call $trap:a_handle_that_is_dropped_before_its_children)))
  (local.set $parent (i32.load $own offset=8 (local.get $entry)))
  (if (local.get $parent)
    (then
      (local.set $entry (call $entry (local.get $parent)))
      (i32.store $own offset=4 (local.get $entry) (i32.sub (i32.load $own offset=4 (local.get $entry)) (i32.const 1)))))
  (call $handle_free (local.get $handle)))

;; Drops a handle that has an open file. By itself, because of `fd_close`.
(func $handle_drop_file (param $handle i32) (param $kind i32)
  (local $file i32)
  (local.set $file (i32.load $own offset=12 (call $handle_get (local.get $handle) (local.get $kind))))
  (call $handle_drop (local.get $handle) (local.get $kind))
  (if (local.get $file) (then (call $file_unref (local.get $file)))))

;; A new handle that has a reference to an open file: a descriptor (mode and position 0), a stream, a directory-entry-stream.
(func $handle_of_file (param $kind i32) (param $file i32) (param $mode i32) (param $position i64) (result i32)
  (local $handle i32) (local $entry i32)
  (local.set $handle (call $handle_new (local.get $kind)))
  (local.set $entry (call $entry (local.get $handle)))
  (call $file_ref (local.get $file))
  (i32.store $own offset=12 (local.get $entry) (local.get $file))
  (i64.store $own offset=16 (local.get $entry) (local.get $position))
  (i32.store $own offset=24 (local.get $entry) (local.get $mode))
  (local.get $handle))

;; A new handle of a pollable. Mode 0 is always ready, 1 at the deadline (nanoseconds of the monotonic clock), 2 when its parent can be
;; read, 3 when its parent can be written. $parent 0 is none.
(func $pollable_new (param $parent i32) (param $mode i32) (param $deadline i64) (result i32)
  (local $handle i32) (local $entry i32)
  (local.set $handle (call $handle_new (i32.const 4)))
  (local.set $entry (call $entry (local.get $handle)))
  (i64.store $own offset=16 (local.get $entry) (local.get $deadline))
  (i32.store $own offset=24 (local.get $entry) (local.get $mode))
  (if (local.get $parent) (then (call $handle_adopt (local.get $parent) (local.get $handle))))
  (local.get $handle))

;; A new handle of a wasi:io/error: what a function of preview 1 answered.
(func $error_new (param $errno i32) (result i32)
  (local $handle i32)
  (local.set $handle (call $handle_new (i32.const 5)))
  (i32.store $own offset=24 (call $entry (local.get $handle)) (local.get $errno))
  (local.get $handle))

;; ---- open files ----

;; The entry of a new open file, without a reference.
(func $file_new (param $fd i32) (param $flags i32) (param $type i32) (result i32)
  (local $file i32) (local $entry i32)
  (local.set $file (call $handle_new (i32.const 32)))
  (local.set $entry (call $entry (local.get $file)))
  (i32.store $own offset=12 (local.get $entry) (local.get $fd))
  (i32.store $own offset=16 (local.get $entry) (local.get $flags))
  (i32.store $own offset=20 (local.get $entry) (local.get $type))
  (local.get $file))

(func $file_ref (param $file i32)
  (local $entry i32)
  (local.set $entry (call $entry (local.get $file)))
  (i32.store $own offset=4 (local.get $entry) (i32.add (i32.load $own offset=4 (local.get $entry)) (i32.const 1))))

;; Takes a reference away. The last one closes the descriptor, unless it stays open. That this fails is nothing that a guest could act on.
(func $file_unref (param $file i32)
  (local $entry i32) (local $references i32)
  (local.set $entry (call $entry (local.get $file)))
  (local.set $references (i32.sub (i32.load $own offset=4 (local.get $entry)) (i32.const 1)))
  (i32.store $own offset=4 (local.get $entry) (local.get $references))
  (if (i32.eqz (local.get $references))
    (then
      (if (i32.eqz (i32.load $own offset=28 (local.get $entry)))
        (then (drop (call $fd_close (call $file_fd (local.get $file))))))
      (call $handle_free (local.get $file)))))

(func $file_fd (param $file i32) (result i32)
  (i32.load $own offset=12 (call $entry (local.get $file))))
