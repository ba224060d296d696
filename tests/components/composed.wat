;; Three components in one: a printer, which is there twice, and a program that gives text to the one and what it got back to the other.
;; Each has a memory of its own, and both printers use WASI.
(component
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-type (type $error'))
    (export "error" (type $error (eq $error')))
    (export "output-stream" (type $output (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-type))
  (alias export $streams "stream-error" (type $stream-error))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-type (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stdout" (func (result (own $output))))))

  (component $printer
    (import "error" (type $error (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (import "stream-error" (type $stream-error (eq $failure)))
    (import "output" (type $output (sub resource)))
    (import "get-stdout" (func $get-stdout (result (own $output))))
    (import "write" (func $write
      (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))

    (core module $memory
      (memory (export "memory") 1)
      (global $next (mut i32) (i32.const 0x1000))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (if (i32.gt_u (global.get $next) (i32.const 0x10000)) (then (unreachable)))
        (local.get $at)))
    (core instance $m (instantiate $memory))
    (alias core export $m "memory" (core memory $memory))
    (alias core export $m "realloc" (core func $realloc))
    (core func $get-stdout' (canon lower (func $get-stdout)))
    (core func $write' (canon lower (func $write) (memory $memory)))
    (core func $drop (canon resource.drop $output))
    (core module $main
      (import "m" "memory" (memory 0))
      (import "w" "get-stdout" (func $get-stdout (result i32)))
      (import "w" "write" (func $write (param i32 i32 i32 i32)))
      (import "w" "drop" (func $drop (param i32)))
      (data (i32.const 0x100) "said ")
      ;; Prints a text and a newline. Returns `said ` and the text.
      (func (export "say") (param $at i32) (param $length i32) (result i32) (local $stdout i32)
        (memory.copy (i32.const 0x105) (local.get $at) (local.get $length))
        (i32.store8 offset=0x105 (local.get $length) (i32.const 10))
        (local.set $stdout (call $get-stdout))
        (call $write (local.get $stdout) (i32.const 0x105) (i32.add (local.get $length) (i32.const 1)) (i32.const 0x40))
        (call $drop (local.get $stdout))
        (if (i32.load8_u (i32.const 0x40)) (then (unreachable)))
        (i32.store (i32.const 0x40) (i32.const 0x100))
        (i32.store (i32.const 0x44) (i32.add (local.get $length) (i32.const 5)))
        (i32.const 0x40)))
    (core instance $p (instantiate $main
      (with "m" (instance $m))
      (with "w" (instance
        (export "get-stdout" (func $get-stdout'))
        (export "write" (func $write'))
        (export "drop" (func $drop))))))
    (func (export "say") (param "text" string) (result string)
      (canon lift (core func $p "say") (memory $memory) (realloc $realloc))))

  (component $program
    (import "one" (func $one (param "text" string) (result string)))
    (import "two" (func $two (param "text" string) (result string)))
    (core module $memory
      (memory (export "memory") 1)
      (data (i32.const 0x100) "gr\c3\bc\c3\9fe")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x200)))
    (core instance $m (instantiate $memory))
    (alias core export $m "memory" (core memory $memory))
    (alias core export $m "realloc" (core func $realloc))
    (core func $one' (canon lower (func $one) (memory $memory) (realloc $realloc)))
    (core func $two' (canon lower (func $two) (memory $memory) (realloc $realloc)))
    (core module $main
      (import "m" "memory" (memory 0))
      (import "w" "one" (func $one (param i32 i32 i32)))
      (import "w" "two" (func $two (param i32 i32 i32)))
      (func (export "run") (result i32)
        (call $one (i32.const 0x100) (i32.const 7) (i32.const 0x40))
        (call $two (i32.load (i32.const 0x40)) (i32.load (i32.const 0x44)) (i32.const 0x40))
        ;; `said said grüße`
        (i32.ne (i32.load (i32.const 0x44)) (i32.const 17))))
    (core instance $p (instantiate $main
      (with "m" (instance $m))
      (with "w" (instance (export "one" (func $one')) (export "two" (func $two'))))))
    (func (export "run") (result (result)) (canon lift (core func $p "run"))))

  (alias export $error "error" (type $e))
  (instance $one (instantiate $printer
    (with "error" (type $e))
    (with "stream-error" (type $stream-error))
    (with "output" (type $output-type))
    (with "get-stdout" (func $stdout "get-stdout"))
    (with "write" (func $streams "[method]output-stream.blocking-write-and-flush"))))
  (instance $two (instantiate $printer
    (with "error" (type $e))
    (with "stream-error" (type $stream-error))
    (with "output" (type $output-type))
    (with "get-stdout" (func $stdout "get-stdout"))
    (with "write" (func $streams "[method]output-stream.blocking-write-and-flush"))))
  (instance $p (instantiate $program (with "one" (func $one "say")) (with "two" (func $two "say"))))
  (alias export $p "run" (func $run))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
