;; Prints `here`, then all that it reads, until there is no more.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\05\00\00\00")
  (data (i32.const 16) "\80\00\00\00\80\00\00\00")
  (data (i32.const 64) "here\0a")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (loop $again
      (if (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 32)) (then unreachable))
      (if (i32.eqz (i32.load (i32.const 32))) (then (return)))
      (i32.store (i32.const 0) (i32.const 128))
      (i32.store (i32.const 4) (i32.load (i32.const 32)))
      (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 36)) (then unreachable))
      (br $again))))
