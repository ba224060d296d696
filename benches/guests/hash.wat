;; FNV-1a over four megabytes: one byte loaded, one multiplication, in a chain.
(func $kernel (result i64) (local $at i32) (local $hash i64)
  (local.set $hash (i64.const 0xcbf29ce484222325))
  (loop $next
    (local.set $hash
      (i64.mul
        (i64.xor (local.get $hash) (i64.load8_u offset=65536 (local.get $at)))
        (i64.const 0x100000001b3)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 4194304))))
  (local.get $hash))
