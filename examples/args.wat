;; Prints its arguments, one a line.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)

  ;; 0: argc   4: size of all strings   8: iovec   16: bytes written
  ;; 24: newline   32: argv   65536: the strings
  (data (i32.const 24) "\n")

  (func $_start (export "_start") (local $i i32)
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    ;; A list that does not fit is a trap, not a truncated answer.
    (if (i32.or
          (i32.gt_u (i32.load (i32.const 0)) (i32.const 16000))
          (i32.gt_u (i32.load (i32.const 4)) (i32.const 65536)))
      (then (unreachable)))
    (drop (call $args_get (i32.const 32) (i32.const 65536)))

    (local.set $i (i32.const 1)) ;; 0 is the program's name
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (i32.load (i32.const 0))))
        (call $print
          (i32.load offset=32 (i32.mul (local.get $i) (i32.const 4))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))

  ;; Writes a string that ends with a zero byte, then a newline.
  (func $print (param $text i32)
    (call $write (local.get $text) (call $strlen (local.get $text)))
    (call $write (i32.const 24) (i32.const 1)))

  (func $write (param $data i32) (param $len i32)
    (i32.store (i32.const 8) (local.get $data))
    (i32.store (i32.const 12) (local.get $len))
    (drop (call $fd_write
      (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))

  (func $strlen (param $text i32) (result i32) (local $end i32)
    (local.set $end (local.get $text))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $text))))
