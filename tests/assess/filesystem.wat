;; wasi:filesystem. The one directory that is granted has what the runner made: see `tree` there. Paths end with a byte of 0.

    (func $len (param $path i32) (result i32) (local $at i32)
      (local.set $at (local.get $path))
      (block $end (loop $next
        (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
      (i32.sub (local.get $at) (local.get $path)))

    (func $root (result i32)
      (call $directories (i32.const 256))
      (i32.load (i32.load (i32.const 256))))

    ;; Opens a path, following links, and prints what came of it. The handle, or 0.
    (func $open (param $directory i32) (param $path i32) (param $how i32) (param $flags i32) (result i32)
      (call $open-at (local.get $directory) (i32.const 1) (local.get $path) (call $len (local.get $path)) (local.get $how)
        (local.get $flags) (i32.const 256))
      (if (result i32) (call $result (i32.const 260)) (then (i32.load (i32.const 260))) (else (i32.const 0))))

    ;; What is inside may be opened: by name, by a path that stays inside, by a link that does.
    (func (export "file") (result i32) (drop (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 1))) (call $done))

    (func (export "dots-inside") (result i32)
      (drop (call $open (call $root) (i32.const 1088) (i32.const 0) (i32.const 1)))
      (call $done))

    (func (export "link-inside") (result i32)
      (drop (call $open (call $root) (i32.const 1248) (i32.const 0) (i32.const 1)))
      (call $done))

    ;; What is outside may not, whatever leads there.
    (func (export "dots") (result i32) (drop (call $open (call $root) (i32.const 1056) (i32.const 0) (i32.const 1))) (call $done))

    (func (export "absolute") (result i32) (drop (call $open (call $root) (i32.const 1120) (i32.const 0) (i32.const 1))) (call $done))

    (func (export "link-out") (result i32) (drop (call $open (call $root) (i32.const 1152) (i32.const 0) (i32.const 1))) (call $done))

    (func (export "link-absolute") (result i32)
      (drop (call $open (call $root) (i32.const 1184) (i32.const 0) (i32.const 1)))
      (call $done))

    (func (export "link-directory") (result i32)
      (drop (call $open (call $root) (i32.const 1216) (i32.const 0) (i32.const 1)))
      (call $done))

    ;; From a directory in the granted one, back to that.
    (func (export "child-dots") (result i32)
      (drop (call $open (call $open (call $root) (i32.const 1280) (i32.const 2) (i32.const 33)) (i32.const 1312) (i32.const 0) (i32.const 1)))
      (call $done))

    (func (export "create-inside") (result i32)
      (drop (call $open (call $root) (i32.const 1344) (i32.const 1) (i32.const 3)))
      (call $done))

    (func (export "create-outside") (result i32)
      (drop (call $open (call $root) (i32.const 1376) (i32.const 1) (i32.const 3)))
      (call $done))

    ;; By a link to what is not there yet.
    (func (export "create-by-link") (result i32)
      (drop (call $open (call $root) (i32.const 1600) (i32.const 1) (i32.const 3)))
      (call $done))

    (func (export "make-absolute-link") (result i32)
      (call $symlink-at (call $root) (i32.const 1120) (i32.const 11) (i32.const 1344) (i32.const 3) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    ;; The text allows the link; it may not be followed.
    (func (export "make-link-out") (result i32)
      (call $symlink-at (call $root) (i32.const 1056) (i32.const 17) (i32.const 1344) (i32.const 3) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (drop (call $open (call $root) (i32.const 1344) (i32.const 0) (i32.const 1)))
      (call $done))

    ;; Where a link leads to that is absolute: the text has the answer `not-permitted`.
    (func (export "read-absolute-link") (result i32)
      (call $readlink-at (call $root) (i32.const 1184) (i32.const 8) (i32.const 256))
      (drop (call $result (i32.const 260)))
      (call $done))

    (func (export "rename-out") (result i32)
      (call $rename-at (call $root) (i32.const 1024) (i32.const 4) (call $root) (i32.const 1376) (i32.const 14) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    (func (export "hard-link-out") (result i32)
      (call $link-at (call $root) (i32.const 0) (i32.const 1024) (i32.const 4) (call $root) (i32.const 1376) (i32.const 14) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    (func (export "hard-link-inside") (result i32)
      (call $link-at (call $root) (i32.const 0) (i32.const 1024) (i32.const 4) (call $root) (i32.const 1344) (i32.const 3) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    (func (export "empty-path") (result i32)
      (drop (call $open (call $root) (i32.const 1536) (i32.const 0) (i32.const 1)))
      (call $done))

    ;; "file", a byte of 0 and "x".
    (func (export "nul") (result i32)
      (call $stat-at (call $root) (i32.const 0) (i32.const 1472) (i32.const 6) (i32.const 256))
      (drop (call $result (i32.const 264)))
      (call $done))

    (func (export "not-utf8") (result i32)
      (call $stat-at (call $root) (i32.const 0) (i32.const 1504) (i32.const 2) (i32.const 256))
      (drop (call $result (i32.const 264)))
      (call $done))

    ;; A name of 100,000 bytes.
    (func (export "long-path") (result i32)
      (drop (memory.grow (i32.const 2)))
      (memory.fill (i32.const 0x18000) (i32.const 97) (i32.const 100000))
      (call $stat-at (call $root) (i32.const 0) (i32.const 0x18000) (i32.const 100000) (i32.const 256))
      (drop (call $result (i32.const 264)))
      (call $done))

    ;; While the runner exchanges a directory and a link to the one outside: how often what was opened was the one inside, and the one outside.
    (func (export "race") (result i32) (local $left i32) (local $root i32) (local $file i32) (local $in i64) (local $out i64)
      (local.set $root (call $root))
      (local.set $left (i32.const 100000))
      (loop $next
        (call $open-at (local.get $root) (i32.const 1) (i32.const 1408) (i32.const 11) (i32.const 0) (i32.const 1) (i32.const 256))
        (if (i32.eqz (i32.load8_u (i32.const 256)))
          (then
            (local.set $file (i32.load (i32.const 260)))
            (global.set $next (i32.const 0x10000))
            (call $read-file (local.get $file) (i64.const 1) (i64.const 0) (i32.const 256))
            (if (i32.eq (i32.load8_u (i32.load (i32.const 260))) (i32.const 83))
              (then (local.set $out (i64.add (local.get $out) (i64.const 1))))
              (else (local.set $in (i64.add (local.get $in) (i64.const 1)))))
            (call $drop-descriptor (local.get $file))))
        (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $number (i64.extend_i32_u (i64.gt_u (local.get $in) (i64.const 0))))
      (call $number (local.get $out))
      (call $done))

    ;; The runner compares these of two runs, and with the numbers of the device and of the file.
    (func (export "hash") (result i32) (local $file i32)
      (local.set $file (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 1)))
      (call $metadata-hash (local.get $file) (i32.const 256))
      (call $number (i64.load (i32.const 264)))
      (call $number (i64.load (i32.const 272)))
      (call $done))

    ;; Whether it is the same again, and after a byte has been appended.
    (func (export "hash-again") (result i32) (local $file i32)
      (local.set $file (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 3)))
      (call $metadata-hash (local.get $file) (i32.const 256))
      (call $metadata-hash (local.get $file) (i32.const 288))
      (call $number (i64.extend_i32_u (i64.eq (i64.load (i32.const 264)) (i64.load (i32.const 296)))))
      (call $write-file (local.get $file) (i32.const 1024) (i32.const 1) (i64.const 100) (i32.const 320))
      (call $metadata-hash (local.get $file) (i32.const 288))
      (call $number (i64.extend_i32_u (i64.eq (i64.load (i32.const 264)) (i64.load (i32.const 296)))))
      (call $done))

    ;; A directory with one name that is UTF-8 and one that is not: how many come before the end, and how it ends.
    (func (export "names") (result i32) (local $entries i32) (local $count i64)
      (call $read-directory (call $open (call $root) (i32.const 1440) (i32.const 2) (i32.const 1)) (i32.const 256))
      (local.set $entries (i32.load (i32.const 260)))
      (block $end (loop $next
        (call $read-entry (local.get $entries) (i32.const 256))
        (br_if $end (i32.load8_u (i32.const 256)))
        (br_if $end (i32.eqz (i32.load8_u (i32.const 260))))
        (local.set $count (i64.add (local.get $count) (i64.const 1)))
        (br_if $next (i64.lt_u (local.get $count) (i64.const 100)))))
      (drop (call $result (i32.const 260)))
      (call $number (local.get $count))
      (call $done))

    ;; A named pipe that nobody writes to.
    (func (export "fifo") (result i32) (drop (call $open (call $root) (i32.const 1568) (i32.const 0) (i32.const 1))) (call $done))

    ;; A file of 1 TiB, nearly all of it a hole: how many bytes come of one call.
    (func (export "read-most") (result i32)
      (call $read-file (call $open (call $root) (i32.const 1632) (i32.const 0) (i32.const 1)) (i64.const -1) (i64.const 0) (i32.const 256))
      (if (call $result (i32.const 260)) (then (call $number (i64.load32_u (i32.const 264)))))
      (call $done))

    (func (export "read-offset-most") (result i32)
      (call $read-file (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 1)) (i64.const 1) (i64.const -1) (i32.const 256))
      (if (call $result (i32.const 260)) (then (call $number (i64.load32_u (i32.const 264)))))
      (call $done))

    (func (export "write-offset-most") (result i32)
      (call $write-file (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 3)) (i32.const 1024) (i32.const 1) (i64.const -1)
        (i32.const 256))
      (drop (call $result (i32.const 264)))
      (call $done))

    (func (export "size-most") (result i32)
      (call $set-size (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 3)) (i64.const -1) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    ;; A directory without `mutate-directory`: all that changes something in it has the answer `read-only`. Made, opened to create, to truncate
    ;; and to write, linked by name and hard, its times set, renamed, removed.
    (func (export "directory-without-mutate") (result i32) (local $directory i32)
      (local.set $directory (call $open (call $root) (i32.const 1280) (i32.const 2) (i32.const 1)))
      (call $create-directory (local.get $directory) (i32.const 1696) (i32.const 4) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (drop (call $open (local.get $directory) (i32.const 1728) (i32.const 1) (i32.const 1)))
      (drop (call $open (local.get $directory) (i32.const 1664) (i32.const 8) (i32.const 1)))
      (drop (call $open (local.get $directory) (i32.const 1664) (i32.const 0) (i32.const 3)))
      (call $symlink-at (local.get $directory) (i32.const 1024) (i32.const 4) (i32.const 1760) (i32.const 4) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $link-at (local.get $directory) (i32.const 0) (i32.const 1664) (i32.const 5) (local.get $directory) (i32.const 1792) (i32.const 4)
        (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $set-times-at (local.get $directory) (i32.const 0) (i32.const 1664) (i32.const 5) (i32.const 1) (i64.const 0) (i32.const 0)
        (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $rename-at (local.get $directory) (i32.const 1664) (i32.const 5) (call $root) (i32.const 1344) (i32.const 3) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $unlink-file (local.get $directory) (i32.const 1824) (i32.const 6) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    ;; The same with a hard link from it into a directory that can be changed: the file is writable under its other name.
    (func (export "link-from-read-only") (result i32) (local $directory i32)
      (local.set $directory (call $open (call $root) (i32.const 1280) (i32.const 2) (i32.const 1)))
      (call $link-at (local.get $directory) (i32.const 0) (i32.const 1664) (i32.const 5) (call $root) (i32.const 1344) (i32.const 3)
        (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    ;; A file that is open for reading: written, given another size and other times, streams to write and to append.
    (func (export "file-without-write") (result i32) (local $file i32)
      (local.set $file (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 1)))
      (call $write-file (local.get $file) (i32.const 1024) (i32.const 1) (i64.const 0) (i32.const 256))
      (drop (call $result (i32.const 264)))
      (call $set-size (local.get $file) (i64.const 0) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $set-times (local.get $file) (i32.const 2) (i64.const 0) (i32.const 0) (i32.const 2) (i64.const 0) (i32.const 0) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $write-via-stream (local.get $file) (i64.const 0) (i32.const 256))
      (if (call $result (i32.const 260)) (then (call $write-to (i32.load (i32.const 260)))))
      (call $append-via-stream (local.get $file) (i32.const 256))
      (if (call $result (i32.const 260)) (then (call $write-to (i32.load (i32.const 260)))))
      (call $done))

    (func $write-to (param $stream i32)
      (call $write-and-flush (local.get $stream) (i32.const 1024) (i32.const 4) (i32.const 256))
      (drop (call $stream-result (i32.const 260))))

    ;; A million handles of each kind, or the error that ends it.
    (func (export "descriptors") (result i32) (local $count i32) (local $root i32)
      (local.set $root (call $root))
      (block $end (loop $next
        (call $open-at (local.get $root) (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 256))
        (br_if $end (i32.load8_u (i32.const 256)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000)))))
      (drop (call $result (i32.const 260)))
      (call $done))

    (func (export "file-streams") (result i32) (local $count i32) (local $file i32)
      (local.set $file (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 1)))
      (block $end (loop $next
        (call $read-via-stream (local.get $file) (i64.const 0) (i32.const 256))
        (br_if $end (i32.load8_u (i32.const 256)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000)))))
      (drop (call $result (i32.const 260)))
      (call $done))

    (func (export "directory-streams") (result i32) (local $count i32) (local $root i32)
      (local.set $root (call $root))
      (block $end (loop $next
        (call $read-directory (local.get $root) (i32.const 256))
        (br_if $end (i32.load8_u (i32.const 256)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000)))))
      (drop (call $result (i32.const 260)))
      (call $done))

    ;; A thousand streams of a directory with 2,000 names.
    (func (export "full-directory-streams") (result i32) (local $count i32) (local $directory i32)
      (local.set $directory (call $open (call $root) (i32.const 1856) (i32.const 2) (i32.const 1)))
      (block $end (loop $next
        (call $read-directory (local.get $directory) (i32.const 256))
        (br_if $end (i32.load8_u (i32.const 256)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000)))))
      (drop (call $result (i32.const 260)))
      (call $done))

    (func (export "preopens") (result i32) (local $count i32)
      (loop $next
        (global.set $next (i32.const 0x10000))
        (drop (call $root))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000))))
      (call $done))

    ;; How many directories there are.
    (func (export "granted") (result i32)
      (call $directories (i32.const 256))
      (call $number (i64.load32_u (i32.const 260)))
      (call $done))

    ;; An advice that there is not, a flag that there is not, and a time that there is not.
    (func (export "advice-unknown") (result i32)
      (call $advise (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 1)) (i64.const 0) (i64.const 0) (i32.const 9) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    (func (export "flag-unknown") (result i32)
      (drop (call $open (call $root) (i32.const 1024) (i32.const 0x40) (i32.const 1)))
      (call $done))

    (func (export "time-unknown") (result i32)
      (call $set-times (call $open (call $root) (i32.const 1024) (i32.const 0) (i32.const 3)) (i32.const 3) (i64.const 0) (i32.const 0) (i32.const 0)
        (i64.const 0) (i32.const 0) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $done))

    (data (i32.const 1024) "file")
    (data (i32.const 1056) "../outside/secret")
    (data (i32.const 1088) "dir/../file")
    (data (i32.const 1120) "/etc/passwd")
    (data (i32.const 1152) "out")
    (data (i32.const 1184) "absolute")
    (data (i32.const 1216) "outdir/secret")
    (data (i32.const 1248) "inside")
    (data (i32.const 1280) "dir")
    (data (i32.const 1312) "../file")
    (data (i32.const 1344) "new")
    (data (i32.const 1376) "../outside/new")
    (data (i32.const 1408) "swap/secret")
    (data (i32.const 1440) "names")
    (data (i32.const 1472) "file\00x")
    (data (i32.const 1504) "\ff\fe")
    (data (i32.const 1568) "fifo")
    (data (i32.const 1600) "dangling")
    (data (i32.const 1632) "big")
    (data (i32.const 1664) "inner")
    (data (i32.const 1696) "new1")
    (data (i32.const 1728) "new2")
    (data (i32.const 1760) "new3")
    (data (i32.const 1792) "new4")
    (data (i32.const 1824) "inner2")
    (data (i32.const 1856) "many")
