;; The canonical ABI: memory of the guest, text, allocations, error codes.
;;
;; What the guest does wrong is a trap, in a function whose name says what it was.

(func $trap:a_pointer_that_is_not_aligned unreachable)
(func $trap:a_realloc_that_answers_what_is_not_aligned_or_not_in_memory unreachable)
(func $trap:a_list_or_string_that_is_not_in_memory unreachable)
(func $trap:a_string_that_is_not_utf_8 unreachable)
(func $trap:a_string_that_is_too_long unreachable)
(func $trap:an_enum_or_variant_without_such_a_case unreachable)
(func $trap:no_memory_for_what_the_host_has unreachable)
(func $trap:the_host_failed unreachable)
(func $trap:the_host_answered_what_it_cannot unreachable)

;; Traps unless $ptr is a multiple of $align, a power of two.
(func $aligned (param $ptr i32) (param $align i32)
  (if (i32.and (local.get $ptr) (i32.sub (local.get $align) (i32.const 1)))
    (then (call $trap:a_pointer_that_is_not_aligned))))

;; Traps unless $errno is 0. For functions that have no error to give.
(func $must (param $errno i32)
  (if (local.get $errno) (then (call $trap:the_host_failed))))

;; Traps unless a list or string of the guest lies in its memory.
(func $in_memory (param $ptr i32) (param $len i32)
  (if
    (i64.gt_u
      (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $len)))
      (i64.shl (i64.extend_i32_u (memory.size $guest)) (i64.const 16)))
    (then (call $trap:a_list_or_string_that_is_not_in_memory))))

(func $copy_in (param $to i32) (param $ptr i32) (param $len i32)
  (memory.copy $own $guest (local.get $to) (local.get $ptr) (local.get $len)))

(func $copy_out (param $ptr i32) (param $from i32) (param $len i32)
  (memory.copy $guest $own (local.get $ptr) (local.get $from) (local.get $len)))

;; Whether $len bytes of own memory at $ptr are UTF-8.
(func $utf8 (param $ptr i32) (param $len i32) (result i32)
  (local $end i32) (local $byte i32) (local $more i32) (local $low i32) (local $high i32)
  (local.set $end (i32.add (local.get $ptr) (local.get $len)))
  (loop $next
    ;; Eight bytes of ASCII at once.
    (if (i32.ge_u (i32.sub (local.get $end) (local.get $ptr)) (i32.const 8))
      (then
        (if (i64.eqz (i64.and (i64.load $own (local.get $ptr)) (i64.const 0x8080808080808080)))
          (then
            (local.set $ptr (i32.add (local.get $ptr) (i32.const 8)))
            (br $next)))))
    (if (i32.eq (local.get $ptr) (local.get $end)) (then (return (i32.const 1))))
    (local.set $byte (i32.load8_u $own (local.get $ptr)))
    (local.set $ptr (i32.add (local.get $ptr) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $byte) (i32.const 0x80)))
    ;; How many bytes follow, and between which the first of them is: no long forms, no surrogates, nothing beyond 0x10ffff.
    (if (i32.gt_u (i32.sub (local.get $byte) (i32.const 0xc2)) (i32.const 0x32)) (then (return (i32.const 0))))
    (local.set $more
      (i32.add (i32.const 1)
        (i32.add (i32.ge_u (local.get $byte) (i32.const 0xe0)) (i32.ge_u (local.get $byte) (i32.const 0xf0)))))
    (if (i32.lt_u (i32.sub (local.get $end) (local.get $ptr)) (local.get $more)) (then (return (i32.const 0))))
    (local.set $low
      (select (i32.const 0xa0)
        (select (i32.const 0x90) (i32.const 0x80) (i32.eq (local.get $byte) (i32.const 0xf0)))
        (i32.eq (local.get $byte) (i32.const 0xe0))))
    (local.set $high
      (select (i32.const 0x9f)
        (select (i32.const 0x8f) (i32.const 0xbf) (i32.eq (local.get $byte) (i32.const 0xf4)))
        (i32.eq (local.get $byte) (i32.const 0xed))))
    (loop $following
      (local.set $byte (i32.load8_u $own (local.get $ptr)))
      (local.set $ptr (i32.add (local.get $ptr) (i32.const 1)))
      (if (i32.gt_u (i32.sub (local.get $byte) (local.get $low)) (i32.sub (local.get $high) (local.get $low)))
        (then (return (i32.const 0))))
      (local.set $low (i32.const 0x80))
      (local.set $high (i32.const 0xbf))
      (br_if $following (local.tee $more (i32.sub (local.get $more) (i32.const 1)))))
    (br $next))
  unreachable)

;; Copies a string of the guest to own memory at $to, and returns its length, at most 32,752.
(func $string_in (param $ptr i32) (param $len i32) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $len) (i32.const 32752)) (then (call $trap:a_string_that_is_too_long)))
  (call $copy_in (local.get $to) (local.get $ptr) (local.get $len))
  (if (i32.eqz (call $utf8 (local.get $to) (local.get $len))) (then (call $trap:a_string_that_is_not_utf_8)))
  (local.get $len))

;; Memory of the guest for a list or string of a result.
(func $alloc (param $align i32) (param $bytes i32) (result i32)
  (local $ptr i32)
  (local.set $ptr (call $realloc (i32.const 0) (i32.const 0) (local.get $align) (local.get $bytes)))
  (if
    (i32.or
      (i32.ne (i32.and (local.get $ptr) (i32.sub (local.get $align) (i32.const 1))) (i32.const 0))
      (i64.gt_u
        (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $bytes)))
        (i64.shl (i64.extend_i32_u (memory.size $guest)) (i64.const 16))))
    (then (call $trap:a_realloc_that_answers_what_is_not_aligned_or_not_in_memory)))
  (local.get $ptr))

;; $bytes bytes of own memory, not zeroed, which stay until the next call of this function. There is one such place, aligned to 16.
(func $scratch (param $bytes i32) (result i32)
  (local $more i32)
  ;; No more than 4,096 pages in all.
  (if (i32.gt_u (local.get $bytes) (i32.const 0xff9f000)) (then (call $trap:no_memory_for_what_the_host_has)))
  (local.set $more
    (i32.sub
      (i32.shr_u (i32.add (local.get $bytes) (i32.const 0x70fff)) (i32.const 16))
      (memory.size $own)))
  (if (i32.gt_s (local.get $more) (i32.const 0))
    (then
      (if (i32.eq (memory.grow $own (local.get $more)) (i32.const -1)) (then (call $trap:no_memory_for_what_the_host_has)))))
  (i32.const 0x61000))

;; Writes pointer and length of a list or string to the guest at $out.
(func $write_list (param $out i32) (param $ptr i32) (param $len i32)
  (i32.store $guest (local.get $out) (local.get $ptr))
  (i32.store $guest offset=4 (local.get $out) (local.get $len)))

;; Gives the guest $len bytes of own memory as a list of bytes or as a string, whose pointer and length it writes at $out.
(func $result_list (param $out i32) (param $from i32) (param $len i32)
  (local $ptr i32)
  (local.set $ptr (call $alloc (i32.const 1) (local.get $len)))
  (call $copy_out (local.get $ptr) (local.get $from) (local.get $len))
  (call $write_list (local.get $out) (local.get $ptr) (local.get $len)))

;; The error-code of wasi:filesystem for an errno of preview 1. What has none is `io`.
(func $error_code (param $errno i32) (result i32)
  (if (i32.gt_u (local.get $errno) (i32.const 76)) (then (return (i32.const 13))))
  (i32.wrap_i64
    (i64.and
      (i64.shr_u
        (call $error_codes (i32.shr_u (local.get $errno) (i32.const 3)))
        (i64.extend_i32_u (i32.shl (i32.and (local.get $errno) (i32.const 7)) (i32.const 3))))
      (i64.const 0xff))))

;; A byte for each of eight numbers of errors.
(func $error_codes (param $eighth i32) (result i64)
  (block $9
  (block $8
  (block $7
  (block $6
  (block $5
  (block $4
  (block $3
  (block $2
  (block $1
  (block $0
    (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $9 (local.get $eighth)))
  ;; success, 2big, acces, addrinuse, addrnotavail, afnosupport, again, already
    (return (i64.const 0x02010d0d0d000c0d)))
  ;; badf, badmsg, busy, canceled, child, connaborted, connrefused, connreset
    (return (i64.const 0x0d0d0d0d0d040d03)))
  ;; deadlk, destaddrreq, dom, dquot, exist, fault, fbig, hostunreach
    (return (i64.const 0x0d080d07060d0d05)))
  ;; idrm, ilseq, inprogress, intr, inval, io, isconn, isdir
    (return (i64.const 0x0e0d0d0c0b0a090d)))
  ;; loop, mfile, mlink, msgsize, multihop, nametoolong, netdown, netreset
    (return (i64.const 0x0d0d120d11100d0f)))
  ;; netunreach, nfile, nobufs, nodev, noent, noexec, nolck, nolink
    (return (i64.const 0x0d150d14130d0d0d)))
  ;; nomem, nomsg, noprotoopt, nospc, nosys, notconn, notdir, notempty
    (return (i64.const 0x19180d1b170d0d16)))
  ;; notrecoverable, notsock, notsup, notty, nxio, overflow, ownerdead, perm
    (return (i64.const 0x1f0d1e1d1c1b0d1a)))
  ;; pipe, proto, protonosupport, prototype, range, rofs, spipe, srch
    (return (i64.const 0x0d22210d0d0d0d20)))
  ;; stale, timedout, txtbsy, xdev, notcapable
  (i64.const 0x0d0d0d1f24230d0d))
