;; Calls with eight arguments, more than fit in registers.
(func $kernel (result i64) (local $i i32) (local $sum i32)
  (local.set $i (i32.const 4000000))
  (loop $next
    (local.set $sum
      (call $rotate
        (local.get $sum) (local.get $i) (i32.const 2) (i32.const 3)
        (i32.const 4) (i32.const 5) (i32.const 6) (local.get $sum)))
    (br_if $next (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
  (i64.extend_i32_u (local.get $sum)))

(func $rotate (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (call $combine
    (local.get 1) (local.get 2) (local.get 3) (local.get 4)
    (local.get 5) (local.get 6) (local.get 7) (local.get 0)))

(func $combine (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.add
    (i32.add
      (i32.xor (local.get 0) (local.get 1))
      (i32.xor (local.get 2) (local.get 3)))
    (i32.sub
      (i32.xor (local.get 4) (local.get 5))
      (i32.add (local.get 6) (local.get 7)))))
