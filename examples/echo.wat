;; A server: takes one connection after the other, waits for it with poll_oneoff, sends back what it receives, and ends
;; when somebody sends a line that begins with `q`. The socket is the one that `--tcplisten` or `--listenfd` gave it:
;;
;;   wave run --tcplisten 127.0.0.1:7777 examples/echo.wat
(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv" (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $sock_shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)

  ;; 0: iovec   16: count   20: flags   24: the connection   32: subscription   80: event   128: $fdstat   1024: data
  (func (export "_start") (local $listener i32)
    (local.set $listener (call $find_listener))
    (loop $next
      (call $wait (local.get $listener))
      (call $must (call $sock_accept (local.get $listener) (i32.const 4) (i32.const 24))) ;; does not wait itself
      (call $serve (i32.load (i32.const 24)))
      (br $next)))

  ;; The first descriptor from 3 on that is a stream socket: directories come before it.
  (func $find_listener (result i32) (local $fd i32)
    (local.set $fd (i32.const 3))
    (loop $next
      (call $must (call $fd_fdstat_get (local.get $fd) (i32.const 128)))
      (if (i32.eq (i32.load8_u (i32.const 128)) (i32.const 6)) (then (return (local.get $fd))))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $next))
    unreachable)

  (func $serve (param $fd i32)
    (loop $next
      (call $wait (local.get $fd))
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 4096))
      (call $must (call $sock_recv (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 20)))
      (if (i32.load (i32.const 16)) (then
        (i32.store (i32.const 4) (i32.load (i32.const 16)))
        (call $must (call $sock_send (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 16)))
        (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 113)) (then
          (call $must (call $sock_shutdown (local.get $fd) (i32.const 3)))
          (call $proc_exit (i32.const 0))))
        (br $next))))
    (call $must (call $fd_close (local.get $fd))))

  ;; Until the descriptor can be read.
  (func $wait (param $fd i32)
    (i32.store8 (i32.const 40) (i32.const 1))
    (i32.store (i32.const 48) (local.get $fd))
    (call $must (call $poll_oneoff (i32.const 32) (i32.const 80) (i32.const 1) (i32.const 16))))

  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
)
