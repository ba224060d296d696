;; Ends in a trap three calls deep; the backtrace names each function.
(module
  (memory (export "memory") 1)
  (func $_start (export "_start")
    (call $load_config))
  (func $load_config
    (call $parse_line))
  (func $parse_line
    unreachable))
