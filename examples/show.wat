;; Prints a file of its first directory. A call that fails is its exit code.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit"
    (func $proc_exit (param i32)))
  (memory (export "memory") 2 2)

  ;; 0: argc   4: size of all strings   8: iovec   16: bytes moved   20: the file
  ;; 32: argv   1024: the strings   65536: a piece of the file

  (func $_start (export "_start") (local $path i32)
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    ;; A list that does not fit is a trap, not a truncated answer.
    (if (i32.or
          (i32.ne (i32.load (i32.const 0)) (i32.const 2))
          (i32.gt_u (i32.load (i32.const 4)) (i32.const 60000)))
      (then (unreachable)))
    (call $check (call $args_get (i32.const 32) (i32.const 1024)))
    (local.set $path (i32.load (i32.const 36)))

    ;; Descriptor 3 is the first directory. Rights: fd_read.
    (call $check (call $path_open
      (i32.const 3) (i32.const 1)
      (local.get $path) (call $strlen (local.get $path))
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0)
      (i32.const 20)))

    (i32.store (i32.const 8) (i32.const 65536))
    (loop $next
      (i32.store (i32.const 12) (i32.const 65536))
      (call $check (call $fd_read
        (i32.load (i32.const 20)) (i32.const 8) (i32.const 1) (i32.const 16)))
      (if (i32.load (i32.const 16))
        (then
          (i32.store (i32.const 12) (i32.load (i32.const 16)))
          (call $check (call $fd_write
            (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))
          (br $next)))))

  ;; Ends with the errno as exit code if there is one.
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

  (func $strlen (param $text i32) (result i32) (local $end i32)
    (local.set $end (local.get $text))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $text))))
