;; The product of two 200 by 200 matrices of f64, at 1 and 2 MiB, into a third at 3 MiB.
(func $kernel (result i64)
  (local $row i32) (local $column i32) (local $k i32) (local $a i32) (local $b i32) (local $to i32) (local $sum f64)
  (call $fill (i32.const 0x100000) (f64.const 0.5))
  (call $fill (i32.const 0x200000) (f64.const 0.25))
  (local.set $to (i32.const 0x300000))
  (loop $rows
    (local.set $column (i32.const 0))
    (loop $columns
      (local.set $a (i32.add (i32.const 0x100000) (i32.mul (local.get $row) (i32.const 1600))))
      (local.set $b (i32.add (i32.const 0x200000) (i32.shl (local.get $column) (i32.const 3))))
      (local.set $sum (f64.const 0))
      (local.set $k (i32.const 0))
      (loop $products
        (local.set $sum
          (f64.add (local.get $sum) (f64.mul (f64.load (local.get $a)) (f64.load (local.get $b)))))
        (local.set $a (i32.add (local.get $a) (i32.const 8)))
        (local.set $b (i32.add (local.get $b) (i32.const 1600)))
        (br_if $products (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 200))))
      (f64.store (local.get $to) (local.get $sum))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (br_if $columns
        (i32.lt_u (local.tee $column (i32.add (local.get $column) (i32.const 1))) (i32.const 200))))
    (br_if $rows (i32.lt_u (local.tee $row (i32.add (local.get $row) (i32.const 1))) (i32.const 200))))
  (i64.trunc_f64_u (f64.load (i32.const 0x302c08)))) ;; row 7, column 9

(func $fill (param $at i32) (param $step f64) (local $i i32) (local $value f64)
  (loop $next
    (f64.store (local.get $at) (local.get $value))
    (local.set $value (f64.add (local.get $value) (local.get $step)))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40000)))))
