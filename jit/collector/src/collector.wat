;; The garbage collector of `wave`: mark and sweep, objects never move.
;;
;; It is a WebAssembly module so that nobody has to trust it: its code is compiled and verified like the guest's, and its only memory is the
;; heap that it collects. All its state lies in the heap, because several instances, each with a copy of this code, share one heap.
;; `src/lib.rs` has the layout of the heap in full; this is what the code below uses of it.
;;
;;        64         the chain of immortal objects; a node: +0 the next node, +8 the object
;;        68         pages taken since the last collection
;;        72         pages in use after the last collection
;;        76         the page after the last one of ours
;;        80         free pages
;;        84         no page below this one is free
;;        88, 92     below the page in 88 is no run of as many free pages as 92 says
;;        96         the top of the mark stack
;;       100         1 if an object did not fit on the mark stack
;;       104         collections so far
;;       128 + 4*c   free list of class c, c < 28
;;   0x10000 + 4*p   page table: what page p is
;;   0x50000 + 4*c   free list of class c, 28 <= c < 44
;;   0x50100         buffer for 4032 roots
;;   0x54000         mark stack, up to 0x90000; an entry: +0 the object, +4 its window
;;
;; An entry of the page table has a kind in bits 2:0:
;;   0  foreign: not ours
;;   1  cells of one size; bits 15:8 have the class, bits 31:16 the bytes of a cell
;;   2  first page of a large object; bits 31:8 have its pages
;;   3  later page of a large object; bits 31:8 have the distance to the first one
;;   4  free
;; Bit 7 is set while a marked object of the page waits for room on the mark stack.
;;
;; An object begins with its header: the offset of its descriptor, with bit 0 as the mark. A free cell has the header 0, and +4 is the next
;; free cell. A descriptor: +0 kind (2 = array of references), +4 (array) log2 of the bytes of an element, +8 depth,
;; +12 words of the bitmap, +20 + 4*depth the bitmap.
;;
;; Nothing read from an object is believed. A reference counts only if the page table says that a cell begins there, and an object ends
;; where its cell does, whatever its length says. So a corrupt heap costs bounded time.
(module
  ;; Writes up to $words candidates for roots to $buffer and returns how many; 0 when there are no more. 1 as $restart begins again.
  (import "wave" "roots" (func $roots (param $restart i32) (param $buffer i32) (param $words i32) (result i32)))
  (memory (export "heap") 9 65536)

  ;; ---- sizes ----

  ;; The class for an object whose last byte is $last, at most 32767: multiples of 8 up to 32, then four classes for each power of two.
  (func $class (param $last i32) (result i32)
    (local $log i32)
    (if (i32.lt_u (local.get $last) (i32.const 32))
      (then (return (i32.shr_u (local.get $last) (i32.const 3)))))
    (local.set $log (i32.sub (i32.const 31) (i32.clz (local.get $last))))
    ;; The power of two gives 4 * (log - 4). The three highest bits are 4 to 7 and give the rest.
    (i32.add
      (i32.sub (i32.shl (local.get $log) (i32.const 2)) (i32.const 20))
      (i32.shr_u (local.get $last) (i32.sub (local.get $log) (i32.const 2)))))

  ;; The bytes of a cell of class $class.
  (func $cell_bytes (param $class i32) (result i32)
    (select
      (i32.shl (i32.add (local.get $class) (i32.const 1)) (i32.const 3))
      (i32.shl
        (i32.add (i32.and (local.get $class) (i32.const 3)) (i32.const 5))
        (i32.add (i32.shr_u (local.get $class) (i32.const 2)) (i32.const 2)))
      (i32.lt_u (local.get $class) (i32.const 4))))

  ;; Where the free list of class $class begins.
  (func $list (param $class i32) (result i32)
    (i32.add
      (i32.shl (local.get $class) (i32.const 2))
      (select (i32.const 128) (i32.const 0x50000) (i32.lt_u (local.get $class) (i32.const 28)))))

  ;; ---- pages ----

  ;; Finds a run of $pages free pages and returns its first, or 0.
  (func $reuse (param $pages i32) (result i32)
    (local $page i32) (local $top i32) (local $run i32)
    (if (i32.lt_u (i32.load (i32.const 80)) (local.get $pages))
      (then (return (i32.const 0))))
    ;; Between two collections no page becomes free. So what a search passed has no room for as many pages, or for more.
    (local.set $page
      (select (i32.load (i32.const 88)) (i32.load (i32.const 84)) (i32.ge_u (local.get $pages) (i32.load (i32.const 92)))))
    (local.set $top (i32.load (i32.const 76)))
    (block $found
      (loop $search
        (if (i32.lt_u (local.get $page) (local.get $top))
          (then
            (local.set $run
              (select
                (i32.add (local.get $run) (i32.const 1))
                (i32.const 0)
                (i32.eq (i32.load offset=0x10000 (i32.shl (local.get $page) (i32.const 2))) (i32.const 4))))
            (local.set $page (i32.add (local.get $page) (i32.const 1)))
            (br_if $found (i32.eq (local.get $run) (local.get $pages)))
            (br $search))))
      (local.set $run (i32.const 0)))
    (if (i32.eq (local.get $pages) (i32.const 1))
      (then (i32.store (i32.const 84) (local.get $page)))
      (else
        (i32.store (i32.const 88) (local.get $page))
        (i32.store (i32.const 92) (local.get $pages))))
    (if (i32.eqz (local.get $run))
      (then (return (i32.const 0))))
    (i32.store (i32.const 80) (i32.sub (i32.load (i32.const 80)) (local.get $pages)))
    (i32.sub (local.get $page) (local.get $pages)))

  ;; Grows the heap by $pages pages and returns the first, or 0. Pages of others may lie before them.
  (func $grow (param $pages i32) (result i32)
    (local $page i32) (local $end i32)
    (local.set $page (memory.grow (local.get $pages)))
    (if (i32.eq (local.get $page) (i32.const -1))
      (then (return (i32.const 0))))
    (local.set $end (i32.add (local.get $page) (local.get $pages)))
    ;; The last page of all is never used: the end of an object in it would be 2^32.
    (if (i32.gt_u (local.get $end) (i32.const 0xffff))
      (then (return (i32.const 0))))
    (i32.store (i32.const 76) (local.get $end))
    (local.get $page))

  ;; Takes $pages pages in a row and returns the first. 0 if there are none, or if it is time to collect: when as much was taken
  ;; as was in use after the last collection, and at least 64 pages.
  (func $take (param $pages i32) (result i32)
    (local $taken i32) (local $page i32)
    (local.set $taken (i32.load (i32.const 68)))
    (if (i32.and
          (i32.ge_u (local.get $taken) (i32.const 64))
          (i32.ge_u (local.get $taken) (i32.load (i32.const 72))))
      (then (return (i32.const 0))))
    (local.set $page (call $reuse (local.get $pages)))
    (if (i32.eqz (local.get $page))
      (then (local.set $page (call $grow (local.get $pages)))))
    (if (local.get $page)
      (then (i32.store (i32.const 68) (i32.add (local.get $taken) (local.get $pages)))))
    (local.get $page))

  ;; Puts the cells of a page that are free in front of their free list. A cell is in use if its header has $mark; the mark is cleared.
  ;; Returns how many are in use. If none is, and $mark is not 0, the list is as before: the page itself is free.
  (func $thread (param $page i32) (param $entry i32) (param $mark i32) (result i32)
    (local $bytes i32) (local $start i32) (local $cell i32) (local $head i32) (local $used i32) (local $header i32)
    (local.set $bytes (i32.shr_u (local.get $entry) (i32.const 16)))
    (local.set $start (i32.shl (local.get $page) (i32.const 16)))
    (local.set $cell
      (i32.sub (i32.add (local.get $start) (i32.const 0x10000)) (i32.rem_u (i32.const 0x10000) (local.get $bytes))))
    (local.set $entry (call $list (i32.and (i32.shr_u (local.get $entry) (i32.const 8)) (i32.const 0xff))))
    (local.set $head (i32.load (local.get $entry)))
    ;; From the last cell to the first, so that the list goes upwards.
    (loop $next
      (local.set $cell (i32.sub (local.get $cell) (local.get $bytes)))
      (local.set $header (i32.load (local.get $cell)))
      (if (i32.and (local.get $header) (local.get $mark))
        (then
          (i32.store (local.get $cell) (i32.xor (local.get $header) (i32.const 1)))
          (local.set $used (i32.add (local.get $used) (i32.const 1))))
        (else
          ;; Both words of a free cell: its header 0, and the next one.
          (i64.store (local.get $cell) (i64.shl (i64.extend_i32_u (local.get $head)) (i64.const 32)))
          (local.set $head (local.get $cell))))
      (br_if $next (i32.gt_u (local.get $cell) (local.get $start))))
    (if (i32.or (local.get $used) (i32.eqz (local.get $mark)))
      (then (i32.store (local.get $entry) (local.get $head))))
    (local.get $used))

  ;; ---- allocation ----

  ;; A free cell of class $class, or 0.
  (func $small (param $class i32) (result i32)
    (local $list i32) (local $cell i32) (local $page i32) (local $entry i32)
    (local.set $list (call $list (local.get $class)))
    (if (i32.eqz (i32.load (local.get $list)))
      (then
        (local.set $page (call $take (i32.const 1)))
        (if (i32.eqz (local.get $page))
          (then (return (i32.const 0))))
        (local.set $entry
          (i32.or
            (i32.or (i32.const 1) (i32.shl (local.get $class) (i32.const 8)))
            (i32.shl (call $cell_bytes (local.get $class)) (i32.const 16))))
        (i32.store offset=0x10000 (i32.shl (local.get $page) (i32.const 2)) (local.get $entry))
        (drop (call $thread (local.get $page) (local.get $entry) (i32.const 0)))))
    (local.set $cell (i32.load (local.get $list)))
    (i32.store (local.get $list) (i32.load offset=4 (local.get $cell)))
    (local.get $cell))

  ;; The start of $pages pages in a row, for one object, or 0.
  (func $large (param $pages i32) (result i32)
    (local $page i32) (local $place i32) (local $distance i32)
    (local.set $page (call $take (local.get $pages)))
    (if (i32.eqz (local.get $page))
      (then (return (i32.const 0))))
    (local.set $place (i32.shl (local.get $page) (i32.const 2)))
    (i32.store offset=0x10000 (local.get $place) (i32.or (i32.const 2) (i32.shl (local.get $pages) (i32.const 8))))
    (block $end
      (loop $later
        (local.set $distance (i32.add (local.get $distance) (i32.const 1)))
        (br_if $end (i32.ge_u (local.get $distance) (local.get $pages)))
        (local.set $place (i32.add (local.get $place) (i32.const 4)))
        (i32.store offset=0x10000 (local.get $place) (i32.or (i32.const 3) (i32.shl (local.get $distance) (i32.const 8))))
        (br $later)))
    (i32.shl (local.get $page) (i32.const 16)))

  ;; Room for an object whose last byte is $last, or 0.
  (func $room (param $last i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $last) (i32.const 32768))
      (then (call $small (call $class (local.get $last))))
      (else (call $large (i32.add (i32.shr_u (local.get $last) (i32.const 16)) (i32.const 1))))))

  ;; Allocates an object of $bytes bytes and writes its header. 0 if there is no memory, even after a collection.
  (func (export "allocate") (param $descriptor i32) (param $bytes i32) (result i32)
    (local $object i32)
    (local.set $bytes (i32.sub (local.get $bytes) (i32.const 1)))
    (local.set $object (call $room (local.get $bytes)))
    (if (i32.eqz (local.get $object))
      (then
        (call $collect)
        (local.set $object (call $room (local.get $bytes)))
        (if (i32.eqz (local.get $object))
          (then (return (i32.const 0))))))
    (i32.store (local.get $object) (local.get $descriptor))
    (local.get $object))

  ;; ---- marking ----

  ;; Puts a marked object on the mark stack, if it can have references. If there is no room, its page is remembered.
  (func $push (param $object i32)
    (local $descriptor i32) (local $stack i32) (local $place i32)
    (local.set $descriptor (i32.and (i32.load (local.get $object)) (i32.const -8)))
    (if (i32.ge_u (i32.shr_u (local.get $descriptor) (i32.const 16)) (memory.size))
      (then (return)))
    (if (i32.eqz (i32.load offset=12 (local.get $descriptor)))
      (then
        (if (i32.ne (i32.load (local.get $descriptor)) (i32.const 2))
          (then (return)))))
    (local.set $stack (i32.load (i32.const 96)))
    (if (i32.ge_u (local.get $stack) (i32.const 0x90000))
      (then
        (i32.store (i32.const 100) (i32.const 1))
        (local.set $place (i32.shl (i32.shr_u (local.get $object) (i32.const 16)) (i32.const 2)))
        (i32.store offset=0x10000 (local.get $place)
          (i32.or (i32.load offset=0x10000 (local.get $place)) (i32.const 0x80)))
        (return)))
    (i64.store (local.get $stack) (i64.extend_i32_u (local.get $object)))
    (i32.store (i32.const 96) (i32.add (local.get $stack) (i32.const 8))))

  ;; The 4-byte words between the start of an object and the end of its cell, its pages, or the heap if it is immortal.
  (func $words (param $object i32) (result i32)
    (local $entry i32) (local $kind i32)
    (local.set $entry (i32.load offset=0x10000 (i32.shl (i32.shr_u (local.get $object) (i32.const 16)) (i32.const 2))))
    (local.set $kind (i32.and (local.get $entry) (i32.const 7)))
    (if (i32.eq (local.get $kind) (i32.const 1))
      (then (return (i32.shr_u (local.get $entry) (i32.const 18)))))
    (if (i32.eq (local.get $kind) (i32.const 2))
      (then (return (i32.shl (i32.shr_u (local.get $entry) (i32.const 8)) (i32.const 14)))))
    (i32.sub (i32.shl (memory.size) (i32.const 14)) (i32.shr_u (local.get $object) (i32.const 2))))

  ;; Marks what the objects on the mark stack refer to, until it is empty. Takes a window of 32 words of an object at a time, and puts
  ;; the object back with the next window. So an array of a million references takes one entry.
  (func $drain
    (local $stack i32) (local $object i32) (local $window i32) (local $descriptor i32)
    (local $words i32) (local $bits i32) (local $limit i32) (local $word i32) (local $entry i32) (local $header i32)
    (loop $next
      (local.set $stack (i32.sub (i32.load (i32.const 96)) (i32.const 8)))
      (if (i32.lt_u (local.get $stack) (i32.const 0x54000))
        (then (return)))
      (i32.store (i32.const 96) (local.get $stack))
      (local.set $object (i32.load (local.get $stack)))
      (local.set $window (i32.load offset=4 (local.get $stack)))
      (local.set $descriptor (i32.and (i32.load (local.get $object)) (i32.const -8)))
      ;; $words: where the references end. $bits: which words of this window are references.
      (local.set $words (call $words (local.get $object)))
      (if (i32.eq (i32.load (local.get $descriptor)) (i32.const 2))
        (then
          (local.set $limit (i32.load offset=4 (local.get $object)))
          (if (i32.lt_u (local.get $limit) (local.get $words))
            (then
              (local.set $limit (i32.add (local.get $limit) (i32.const 2)))
              (local.set $words
                (select (local.get $limit) (local.get $words) (i32.lt_u (local.get $limit) (local.get $words))))))
          ;; The first two words are the header and the length.
          (local.set $bits (select (i32.const -1) (i32.const -4) (local.get $window))))
        (else
          (local.set $limit (i32.shl (i32.load offset=12 (local.get $descriptor)) (i32.const 5)))
          (local.set $words
            (select (local.get $limit) (local.get $words) (i32.lt_u (local.get $limit) (local.get $words))))
          (local.set $bits
            (i32.load offset=20
              (i32.add (local.get $descriptor)
                (i32.shl (i32.add (i32.load offset=8 (local.get $descriptor)) (local.get $window)) (i32.const 2)))))))
      (local.set $words (i32.sub (local.get $words) (i32.shl (local.get $window) (i32.const 5))))
      (if (i32.gt_s (local.get $words) (i32.const 32))
        (then
          ;; There is room: this entry was just taken.
          (i32.store offset=4 (local.get $stack) (i32.add (local.get $window) (i32.const 1)))
          (i32.store (i32.const 96) (i32.add (local.get $stack) (i32.const 8))))
        (else
          (br_if $next (i32.le_s (local.get $words) (i32.const 0)))
          (local.set $bits
            (i32.and (local.get $bits) (i32.shr_u (i32.const -1) (i32.sub (i32.const 32) (local.get $words)))))))
      (local.set $object (i32.add (local.get $object) (i32.shl (local.get $window) (i32.const 7))))
      (loop $reference
        (br_if $next (i32.eqz (local.get $bits)))
        (local.set $word (i32.load (i32.add (local.get $object) (i32.shl (i32.ctz (local.get $bits)) (i32.const 2)))))
        (local.set $bits (i32.and (local.get $bits) (i32.sub (local.get $bits) (i32.const 1))))
        ;; Small integers and handles of the host.
        (br_if $reference (i32.and (local.get $word) (i32.const 7)))
        (local.set $entry (i32.load offset=0x10000 (i32.shl (i32.shr_u (local.get $word) (i32.const 16)) (i32.const 2))))
        (if (i32.eq (i32.and (local.get $entry) (i32.const 7)) (i32.const 1))
          (then
            ;; A cell begins here, and ends inside of the page.
            (local.set $entry (i32.shr_u (local.get $entry) (i32.const 16)))
            (br_if $reference (i32.rem_u (i32.and (local.get $word) (i32.const 0xffff)) (local.get $entry)))
            (br_if $reference
              (i32.gt_u (i32.add (i32.and (local.get $word) (i32.const 0xffff)) (local.get $entry)) (i32.const 0x10000))))
          (else
            ;; Null and immortal objects end here.
            (br_if $reference (i32.ne (i32.and (local.get $entry) (i32.const 7)) (i32.const 2)))
            (br_if $reference (i32.and (local.get $word) (i32.const 0xffff)))))
        (local.set $header (i32.load (local.get $word)))
        ;; A free cell, or marked before.
        (br_if $reference (i32.or (i32.eqz (local.get $header)) (i32.and (local.get $header) (i32.const 7))))
        (i32.store (local.get $word) (i32.or (local.get $header) (i32.const 1)))
        (call $push (local.get $word))
        (br $reference))))

  ;; The start of the cell or the large object that contains the byte at $word, or 0.
  (func $start (param $word i32) (result i32)
    (local $entry i32) (local $kind i32) (local $page i32)
    (local.set $entry (i32.load offset=0x10000 (i32.shl (i32.shr_u (local.get $word) (i32.const 16)) (i32.const 2))))
    (local.set $kind (i32.and (local.get $entry) (i32.const 7)))
    (local.set $page (i32.and (local.get $word) (i32.const 0xffff0000)))
    (if (i32.eq (local.get $kind) (i32.const 1))
      (then
        (local.set $entry (i32.shr_u (local.get $entry) (i32.const 16)))
        (local.set $word (i32.and (local.get $word) (i32.const 0xffff)))
        (local.set $word (i32.sub (local.get $word) (i32.rem_u (local.get $word) (local.get $entry))))
        ;; What remains at the end of a page is no cell.
        (return
          (select
            (i32.add (local.get $page) (local.get $word))
            (i32.const 0)
            (i32.le_u (i32.add (local.get $word) (local.get $entry)) (i32.const 0x10000))))))
    (if (i32.eq (local.get $kind) (i32.const 2))
      (then (return (local.get $page))))
    (if (i32.eq (local.get $kind) (i32.const 3))
      (then (return (i32.sub (local.get $page) (i32.shl (i32.shr_u (local.get $entry) (i32.const 8)) (i32.const 16))))))
    (i32.const 0))

  ;; Marks the object that begins at $object, which is the start of a cell, or 0.
  (func $mark (param $object i32)
    (local $header i32)
    (local.set $header (i32.load (local.get $object)))
    (if (i32.or
          (i32.eqz (local.get $object))
          (i32.or (i32.eqz (local.get $header)) (i32.and (local.get $header) (i32.const 7))))
      (then (return)))
    (i32.store (local.get $object) (i32.or (local.get $header) (i32.const 1)))
    (call $push (local.get $object)))

  ;; Whether the object at $object is an array that ends at $end.
  (func $ends (param $object i32) (param $end i32) (result i32)
    (local $descriptor i32)
    (local.set $descriptor (i32.and (i32.load (local.get $object)) (i32.const -8)))
    (if (i32.or
          (i32.eqz (local.get $descriptor))
          (i32.ge_u (i32.shr_u (local.get $descriptor) (i32.const 16)) (memory.size)))
      (then (return (i32.const 0))))
    (i32.and
      (i32.ne (i32.load (local.get $descriptor)) (i32.const 0))
      (i32.eq
        (i32.add
          (i32.add (local.get $object) (i32.const 8))
          (i32.shl (i32.load offset=4 (local.get $object)) (i32.load offset=4 (local.get $descriptor))))
        (local.get $end))))

  ;; Marks what a word may refer to that can be anything: the object that it points into, and the array that it points to the end of.
  (func $root (param $word i32)
    (local $before i32)
    (call $mark (call $start (local.get $word)))
    (if (i32.and (local.get $word) (i32.const 7))
      (then (return)))
    (local.set $before (call $start (i32.sub (local.get $word) (i32.const 1))))
    (if (local.get $before)
      (then
        (if (call $ends (local.get $before) (local.get $word))
          (then (call $mark (local.get $before)))))))

  ;; Marks from the roots.
  (func $mark_roots
    (local $restart i32) (local $at i32) (local $end i32)
    (local.set $restart (i32.const 1))
    (loop $more
      (local.set $at (i32.const 0x50100))
      (local.set $end
        (i32.add (local.get $at)
          (i32.shl (call $roots (local.get $restart) (local.get $at) (i32.const 4032)) (i32.const 2))))
      (if (i32.eq (local.get $at) (local.get $end))
        (then (return)))
      (local.set $restart (i32.const 0))
      (loop $next
        (call $root (i32.load (local.get $at)))
        (call $drain)
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
      (br $more)))

  ;; Marks from the fields of immortal objects.
  (func $mark_immortal
    (local $node i32) (local $most i32)
    ;; So many nodes fit into the heap: a chain that is a circle ends, too.
    (local.set $most (i32.shl (memory.size) (i32.const 12)))
    (local.set $node (i32.load (i32.const 64)))
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $node)))
        (br_if $end (i32.eqz (local.get $most)))
        (call $push (i32.add (local.get $node) (i32.const 8)))
        (call $drain)
        (local.set $most (i32.sub (local.get $most) (i32.const 1)))
        (local.set $node (i32.load (local.get $node)))
        (br $next))))

  ;; Goes through the marked objects of a page again, because one of them did not fit on the mark stack.
  (func $mark_page (param $page i32) (param $entry i32)
    (local $cell i32) (local $bytes i32) (local $end i32)
    (local.set $cell (i32.shl (local.get $page) (i32.const 16)))
    (local.set $end (i32.add (local.get $cell) (i32.const 1)))
    (if (i32.eq (i32.and (local.get $entry) (i32.const 7)) (i32.const 1))
      (then
        (local.set $bytes (i32.shr_u (local.get $entry) (i32.const 16)))
        (local.set $end (i32.sub (i32.add (local.get $cell) (i32.const 0x10001)) (local.get $bytes)))))
    (loop $next
      (if (i32.and (i32.load (local.get $cell)) (i32.const 1))
        (then
          (call $push (local.get $cell))
          (call $drain)))
      (local.set $cell (i32.add (local.get $cell) (local.get $bytes)))
      (br_if $next (i32.and (i32.ne (local.get $bytes) (i32.const 0)) (i32.lt_u (local.get $cell) (local.get $end))))))

  ;; Goes through the pages with objects that did not fit on the mark stack, until there are none.
  (func $mark_again
    (local $page i32) (local $top i32) (local $place i32) (local $entry i32)
    (local.set $top (i32.load (i32.const 76)))
    (loop $again
      (if (i32.eqz (i32.load (i32.const 100)))
        (then (return)))
      (i32.store (i32.const 100) (i32.const 0))
      (local.set $page (i32.const 9))
      (loop $next
        (local.set $place (i32.shl (local.get $page) (i32.const 2)))
        (local.set $entry (i32.load offset=0x10000 (local.get $place)))
        (if (i32.and (local.get $entry) (i32.const 0x80))
          (then
            (i32.store offset=0x10000 (local.get $place) (i32.xor (local.get $entry) (i32.const 0x80)))
            (call $mark_page (local.get $page) (local.get $entry))))
        (local.set $page (i32.add (local.get $page) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $page) (local.get $top))))
      (br $again)))

  ;; ---- sweeping ----

  ;; Empties all free lists.
  (func $forget
    (local $class i32)
    (local.set $class (i32.const 44))
    (loop $next
      (local.set $class (i32.sub (local.get $class) (i32.const 1)))
      (i32.store (call $list (local.get $class)) (i32.const 0))
      (br_if $next (local.get $class))))

  ;; Says that $pages pages from $page on are free.
  (func $release (param $page i32) (param $pages i32)
    (loop $next
      (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
      (i32.store offset=0x10000 (i32.shl (i32.add (local.get $page) (local.get $pages)) (i32.const 2)) (i32.const 4))
      (br_if $next (local.get $pages))))

  ;; Frees what is not marked, clears the marks, and makes the free lists.
  (func $sweep
    (local $page i32) (local $entry i32) (local $kind i32) (local $pages i32)
    (local $free i32) (local $used i32) (local $lowest i32) (local $start i32)
    (local.set $page (i32.load (i32.const 76)))
    (local.set $lowest (local.get $page))
    (block $end
      ;; From the last page to the first: later pages of a large object come before its first page, and lists end in order.
      (loop $next
        (br_if $end (i32.le_u (local.get $page) (i32.const 9)))
        (local.set $page (i32.sub (local.get $page) (i32.const 1)))
        (local.set $entry (i32.load offset=0x10000 (i32.shl (local.get $page) (i32.const 2))))
        (local.set $kind (i32.and (local.get $entry) (i32.const 7)))
        (local.set $pages (i32.add (local.get $pages) (i32.const 1)))
        (br_if $next (i32.eq (local.get $kind) (i32.const 3)))
        (block $in_use
          (block $foreign
            (br_if $foreign (i32.eqz (local.get $kind)))
            (if (i32.eq (local.get $kind) (i32.const 1))
              (then (br_if $in_use (call $thread (local.get $page) (local.get $entry) (i32.const 1)))))
            (if (i32.eq (local.get $kind) (i32.const 2))
              (then
                (local.set $start (i32.shl (local.get $page) (i32.const 16)))
                (local.set $entry (i32.load (local.get $start)))
                (if (i32.and (local.get $entry) (i32.const 1))
                  (then
                    (i32.store (local.get $start) (i32.xor (local.get $entry) (i32.const 1)))
                    (br $in_use)))))
            (call $release (local.get $page) (local.get $pages))
            (local.set $free (i32.add (local.get $free) (local.get $pages)))
            (local.set $lowest (local.get $page)))
          (local.set $pages (i32.const 0))
          (br $next))
        (local.set $used (i32.add (local.get $used) (local.get $pages)))
        (local.set $pages (i32.const 0))
        (br $next)))
    (i32.store (i32.const 72) (local.get $used))
    (i32.store (i32.const 80) (local.get $free))
    (i32.store (i32.const 84) (local.get $lowest))
    (i32.store (i32.const 88) (local.get $lowest))
    (i32.store (i32.const 92) (i32.const 0)))

  ;; Frees every object that no root reaches.
  (func $collect (export "collect")
    (i32.store (i32.const 96) (i32.const 0x54000))
    (i32.store (i32.const 100) (i32.const 0))
    (call $mark_roots)
    (call $mark_immortal)
    (call $mark_again)
    (call $forget)
    (call $sweep)
    (i32.store (i32.const 68) (i32.const 0))
    (i32.store (i32.const 104) (i32.add (i32.load (i32.const 104)) (i32.const 1)))))
