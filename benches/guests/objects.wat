  ;; 40 trees of 2^16 nodes of 24 bytes, one after the other, while one of 2^17 is kept.
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree)) (field $value i64)))
  (func $grow (param $depth i32) (result (ref $tree))
    (if (i32.eqz (local.get $depth))
      (then (return (struct.new $tree (ref.null $tree) (ref.null $tree) (i64.const 1)))))
    (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
    (struct.new $tree (call $grow (local.get $depth)) (call $grow (local.get $depth)) (i64.const 1)))
  (func $count (param $tree (ref null $tree)) (result i64)
    (if (ref.is_null (local.get $tree)) (then (return (i64.const 0))))
    (i64.add
      (struct.get $tree $value (local.get $tree))
      (i64.add
        (call $count (struct.get $tree $left (local.get $tree)))
        (call $count (struct.get $tree $right (local.get $tree))))))
  (func $kernel (result i64)
    (local $kept (ref $tree)) (local $i i32) (local $sum i64)
    (local.set $kept (call $grow (i32.const 16)))
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (call $count (call $grow (i32.const 15)))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))
    (i64.add (local.get $sum) (call $count (local.get $kept))))
