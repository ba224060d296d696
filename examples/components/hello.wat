;; One line on standard output, as a component of WASI 0.2.
(component
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-type (type $error))
    (export "error" (type $io-error (eq $error)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $io-error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $output))
    (export "output-stream" (type $output-stream (eq $output)))
    (export "get-stdout" (func (result (own $output-stream))))))

  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 16) "Hello from a component!\n"))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $memory))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $write
    (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core func $drop (canon resource.drop $output-stream))

  (core module $main
    (import "m" "memory" (memory 0))
    (import "w" "get-stdout" (func $get-stdout (result i32)))
    (import "w" "write" (func $write (param i32 i32 i32 i32)))
    (import "w" "drop" (func $drop (param i32)))
    (func (export "run") (result i32) (local $stdout i32)
      (local.set $stdout (call $get-stdout))
      (call $write (local.get $stdout) (i32.const 16) (i32.const 24) (i32.const 0)) ;; the result is at 0
      (call $drop (local.get $stdout))
      (i32.load8_u (i32.const 0)))) ;; 0 if it was written, 1 if not
  (core instance $p (instantiate $main
    (with "m" (instance $m))
    (with "w" (instance
      (export "get-stdout" (func $get-stdout))
      (export "write" (func $write))
      (export "drop" (func $drop))))))

  (alias core export $p "run" (core func $run))
  (func $lifted (result (result)) (canon lift (core func $run)))
  (instance $command (export "run" (func $lifted)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
