    ;; Calls functions of wasi:filesystem in a loop and prints the nanoseconds of one call: the shortest of 20 stretches. The argument is
    ;; the number of the row: 1 reads 4 KiB, 2 writes 4 KiB, 3 asks for the attributes, 4 opens and closes, 5 lists 100 files.
    ;; Its frame is tests/components/frame.wat.
    (data (i32.const 0x400) "filemany")

    (func $run (result i32)
      (local $row i32) (local $directory i32) (local $file i32) (local $many i32)
      (local $calls i32) (local $left i32) (local $stretches i32) (local $time i64) (local $best i64)
      (local.set $row (call $argument))
      (local.set $directory (call $directory))
      (local.set $file (call $open (local.get $directory) (i32.const 0x400) (i32.const 0) (i32.const 3)))
      (local.set $many (call $open (local.get $directory) (i32.const 0x404) (i32.const 2) (i32.const 1)))
      (local.set $calls (select (i32.const 30) (i32.const 1000) (i32.eq (local.get $row) (i32.const 5))))
      (local.set $best (i64.const -1))
      (local.set $stretches (i32.const 20))
      (loop $stretch
        (local.set $time (call $now))
        (local.set $left (local.get $calls))
        (loop $again
          (global.set $next (i32.const 0x10000))
          (call $once (local.get $row) (local.get $directory) (local.get $file) (local.get $many))
          (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (local.set $time (i64.sub (call $now) (local.get $time)))
        (if (i64.lt_u (local.get $time) (local.get $best)) (then (local.set $best (local.get $time))))
        (br_if $stretch (local.tee $stretches (i32.sub (local.get $stretches) (i32.const 1)))))
      (call $print-number (i32.wrap_i64 (i64.div_u (local.get $best) (i64.extend_i32_u (local.get $calls)))))
      (i32.const 0))

    ;; Opens a name of four letters.
    (func $open (param $directory i32) (param $name i32) (param $open-flags i32) (param $flags i32) (result i32)
      (call $open-at (local.get $directory) (i32.const 1) (local.get $name) (i32.const 4) (local.get $open-flags) (local.get $flags)
        (i32.const 0x200))
      (call $must)
      (i32.load (i32.const 0x204)))

    ;; A result at 0x200 is no error.
    (func $must (if (i32.load8_u (i32.const 0x200)) (then (unreachable))))

    (func $once (param $row i32) (param $directory i32) (param $file i32) (param $many i32) (local $entries i32)
      (if (i32.eq (local.get $row) (i32.const 1))
        (then
          (call $read-at (local.get $file) (i64.const 4096) (i64.const 0) (i32.const 0x200))
          (call $must)
          (return)))
      (if (i32.eq (local.get $row) (i32.const 2))
        (then
          (call $write-at (local.get $file) (i32.const 0x1000) (i32.const 4096) (i64.const 0) (i32.const 0x200))
          (call $must)
          (return)))
      (if (i32.eq (local.get $row) (i32.const 3))
        (then
          (call $stat (local.get $file) (i32.const 0x200))
          (call $must)
          (return)))
      (if (i32.eq (local.get $row) (i32.const 4))
        (then
          (call $drop-descriptor (call $open (local.get $directory) (i32.const 0x400) (i32.const 0) (i32.const 1)))
          (return)))
      (call $read-directory (local.get $many) (i32.const 0x200))
      (call $must)
      (local.set $entries (i32.load (i32.const 0x204)))
      (loop $next
        (call $read-directory-entry (local.get $entries) (i32.const 0x200))
        (call $must)
        (br_if $next (i32.load8_u (i32.const 0x204))))
      (call $drop-entries (local.get $entries)))
