;; The smallest program with an effect: one line on standard output.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)

  (data (i32.const 0) "\10\00\00\00\1f\00\00\00") ;; iovec: 31 bytes at 16
  (data (i32.const 16) "Hello from inside the sandbox!\n")

  (func $_start (export "_start")
    (drop (call $fd_write
      (i32.const 1)     ;; standard output
      (i32.const 0)     ;; the iovec
      (i32.const 1)     ;; one of them
      (i32.const 8))))) ;; where the number of written bytes goes
