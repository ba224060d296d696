;; Uses each of the descriptors 0 to 16 as a socket, and writes what it was answered: 4 errnos a descriptor, each as two
;; bytes: accept, receive, send, shut down.
(module
  (import "wasi_snapshot_preview1" "sock_accept"
    (func $sock_accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv"
    (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send"
    (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown"
    (func $sock_shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)

  (data (i32.const 0) "\40\00\00\00\05\00\00\00") ;; iovec: 5 bytes at 64
  (data (i32.const 64) "LEAK!")
  ;; 128: answers that do not matter   1024: iovec   2048: the errnos
  (global $end (mut i32) (i32.const 2048))

  (func $_start (export "_start") (local $fd i32)
    (loop $next
      (call $note (call $sock_accept (local.get $fd) (i32.const 0) (i32.const 128)))
      (call $note (call $sock_recv (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 128) (i32.const 132)))
      (call $note (call $sock_send (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 128)))
      (call $note (call $sock_shutdown (local.get $fd) (i32.const 3)))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $fd) (i32.const 16))))
    (i32.store (i32.const 1024) (i32.const 2048))
    (i32.store (i32.const 1028) (i32.sub (global.get $end) (i32.const 2048)))
    (drop (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 128))))

  (func $note (param $errno i32)
    (i32.store16 (global.get $end) (local.get $errno))
    (global.set $end (i32.add (global.get $end) (i32.const 2)))))
