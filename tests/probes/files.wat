;; Asks for files through each of the descriptors 3 to 16, and writes what it was answered: 12 errnos a descriptor, each as
;; two bytes, in the order of the calls in $probe.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file"
    (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get"
    (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get"
    (func $fd_filestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir"
    (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close"
    (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)

  (data (i32.const 0) "/etc/passwd") ;; relative from its second byte on
  (data (i32.const 16) "..")         ;; the first byte alone: the directory itself
  (data (i32.const 32) "made")
  ;; 64: opened descriptor   128: answers that do not matter   1024: iovec   2048: the errnos
  (global $end (mut i32) (i32.const 2048))

  (func $_start (export "_start") (local $fd i32)
    (local.set $fd (i32.const 3))
    (loop $next
      (call $probe (local.get $fd))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $fd) (i32.const 16))))
    (i32.store (i32.const 1024) (i32.const 2048))
    (i32.store (i32.const 1028) (i32.sub (global.get $end) (i32.const 2048)))
    (drop (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 128))))

  (func $probe (param $fd i32)
    (call $note (call $open (local.get $fd) (i32.const 0) (i32.const 11)))
    (call $note (call $open (local.get $fd) (i32.const 1) (i32.const 10)))
    (call $note (call $open (local.get $fd) (i32.const 16) (i32.const 1)))
    (call $note (call $open (local.get $fd) (i32.const 16) (i32.const 2)))
    (call $note (call $path_filestat_get (local.get $fd) (i32.const 1) (i32.const 1) (i32.const 10) (i32.const 128)))
    (call $note (call $path_create_directory (local.get $fd) (i32.const 32) (i32.const 4)))
    (call $note (call $path_unlink_file (local.get $fd) (i32.const 1) (i32.const 10)))
    (call $note (call $fd_prestat_get (local.get $fd) (i32.const 128)))
    (call $note (call $fd_prestat_dir_name (local.get $fd) (i32.const 128) (i32.const 1)))
    (call $note (call $fd_fdstat_get (local.get $fd) (i32.const 128)))
    (call $note (call $fd_filestat_get (local.get $fd) (i32.const 128)))
    (call $note (call $fd_readdir (local.get $fd) (i32.const 128) (i32.const 512) (i64.const 0) (i32.const 64))))

  ;; Opens for reading, links followed; closes at once.
  (func $open (param $fd i32) (param $path i32) (param $len i32) (result i32) (local $errno i32)
    (local.set $errno
      (call $path_open (local.get $fd) (i32.const 1) (local.get $path) (local.get $len)
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64)))
    (if (i32.eqz (local.get $errno))
      (then (drop (call $fd_close (i32.load (i32.const 64))))))
    (local.get $errno))

  (func $note (param $errno i32)
    (i32.store16 (global.get $end) (local.get $errno))
    (global.set $end (i32.add (global.get $end) (i32.const 2)))))
