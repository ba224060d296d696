;; What a compiler's mistakes are made in: a store where the caller says, and a length that the runtime alone writes.
(module
  (memory 1 10)
  (global $kept i32 (i32.const 7))
  (func (export "subject") (param i32 i64) (result i64)
    (i32.store offset=16 (local.get 0) (i32.const -1))
    (drop (memory.grow (i32.const 1)))
    (i64.extend_i32_s (global.get $kept))))
