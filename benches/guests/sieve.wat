;; The primes below five million by the sieve of Eratosthenes, one byte a number: loops that store.
(func $kernel (result i64) (local $n i32) (local $multiple i32) (local $count i64)
  (memory.fill (i32.const 65536) (i32.const 0) (i32.const 5000000))
  (local.set $n (i32.const 2))
  (loop $number
    (if (i32.eqz (i32.load8_u offset=65536 (local.get $n)))
      (then
        (local.set $count (i64.add (local.get $count) (i64.const 1)))
        (local.set $multiple (i32.shl (local.get $n) (i32.const 1)))
        (block $done
          (loop $cross
            (br_if $done (i32.ge_u (local.get $multiple) (i32.const 5000000)))
            (i32.store8 offset=65536 (local.get $multiple) (i32.const 1))
            (local.set $multiple (i32.add (local.get $multiple) (local.get $n)))
            (br $cross)))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $number (i32.lt_u (local.get $n) (i32.const 5000000))))
  (local.get $count))
