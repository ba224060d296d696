;; Ends with the exit code given as first argument, or 3 without one.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit"
    (func $proc_exit (param i32)))
  (memory (export "memory") 2)

  ;; 0: argc   4: size of all strings   16: argv   65536: the strings
  (func $_start (export "_start")
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 2))
      (then (call $proc_exit (i32.const 3))))
    (drop (call $args_get (i32.const 16) (i32.const 65536)))
    (call $proc_exit (call $decimal (i32.load (i32.const 20)))))

  ;; The value of the digits at $text, up to the first byte that is none.
  (func $decimal (param $text i32) (result i32)
    (local $value i32) (local $digit i32)
    (block $done
      (loop $next
        (local.set $digit
          (i32.sub (i32.load8_u (local.get $text)) (i32.const 48)))
        (br_if $done (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $value
          (i32.add
            (i32.mul (local.get $value) (i32.const 10))
            (local.get $digit)))
        (local.set $text (i32.add (local.get $text) (i32.const 1)))
        (br $next)))
    (local.get $value)))
