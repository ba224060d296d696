;; Fetches arguments and environment, and writes for each: errno of the sizes, count, bytes, errno of the strings, as two
;; bytes each; then all the strings, each with its zero byte.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get"
    (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)

  ;; 0: count   4: bytes   8: iovec   16: bytes written   1024: pointers   2048: the answers, then the strings
  (func $_start (export "_start")
    (i32.store16 offset=2048 (i32.const 0) (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (i32.store16 offset=2050 (i32.const 0) (i32.load (i32.const 0)))
    (i32.store16 offset=2052 (i32.const 0) (i32.load (i32.const 4)))
    (i32.store16 offset=2054 (i32.const 0) (call $args_get (i32.const 1024) (i32.const 2064)))
    (i32.store (i32.const 12) (i32.add (i32.load (i32.const 4)) (i32.const 16)))
    (i32.store16 offset=2056 (i32.const 0) (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (i32.store16 offset=2058 (i32.const 0) (i32.load (i32.const 0)))
    (i32.store16 offset=2060 (i32.const 0) (i32.load (i32.const 4)))
    (i32.store16 offset=2062 (i32.const 0)
      (call $environ_get (i32.const 1024) (i32.add (i32.const 2048) (i32.load (i32.const 12)))))
    (i32.store (i32.const 8) (i32.const 2048))
    (i32.store (i32.const 12) (i32.add (i32.load (i32.const 12)) (i32.load (i32.const 4))))
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))
