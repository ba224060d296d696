;; What the specification's scripts on objects leave open: the collector. Everything that can refer to an object keeps it, and much
;; more is made than there is memory for at once.

(module $list
  (type $node (struct (field $value i32) (field $next (mut (ref null $node)))))
  (type $pair (struct (field (mut i64)) (field (mut anyref)) (field (mut i8)) (field (mut externref)) (field (mut v128))))
  (type $bytes (array (mut i8)))
  (type $nodes (array (mut (ref null $node))))
  (type $wide (array (mut i64)))
  (type $make (func (result (ref $node))))
  (global $global (mut (ref null $node)) (ref.null $node))
  (global $constant (ref $nodes)
    (array.new_fixed $nodes 2 (struct.new $node (i32.const 41) (ref.null $node))
      (struct.new $node (i32.const 42) (struct.new_default $node))))
  (table $table 4 (ref null $node))
  (table $functions 1 funcref)
  (elem $segment (ref null $node) (item (struct.new $node (i32.const 51) (ref.null $node))) (item (ref.null $node)))
  (elem $made func $fresh)
  (tag $tag (param (ref $node)))

  ;; 16 MiB of garbage of each kind.
  (func $garbage (export "garbage")
    (local $i i32)
    (loop $more
      (drop (struct.new $node (local.get $i) (ref.null $node)))
      (drop (struct.new $pair (i64.const 1) (ref.null any) (i32.const 2) (ref.null extern) (v128.const i64x2 3 4)))
      (drop (array.new $wide (i64.const -1) (i32.const 100)))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 0x8000))))
    (drop (array.new $bytes (i32.const 0x55) (i32.const 0x100_0000))))

  (func $fresh (result (ref $node)) (struct.new $node (i32.const 61) (ref.null $node)))

  ;; A list of `count` nodes, the last first.
  (func $list (param $count i32) (result (ref null $node))
    (local $list (ref null $node))
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $list (struct.new $node (local.get $count) (local.get $list)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $more)))
    (local.get $list))
  (func $sum (param $list (ref null $node)) (result i64)
    (local $sum i64)
    (block $done
      (loop $more
        (br_if $done (ref.is_null (local.get $list)))
        (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (struct.get $node $value (local.get $list)))))
        (local.set $list (struct.get $node $next (local.get $list)))
        (br $more)))
    (local.get $sum))

  (func (export "on the stack") (param $count i32) (result i64)
    (local $list (ref null $node))
    (local.set $list (call $list (local.get $count)))
    (call $garbage)
    (call $sum (local.get $list)))

  (func $deep (param $depth i32) (result i64)
    (local $node (ref $node))
    (local.set $node (struct.new $node (local.get $depth) (ref.null $node)))
    (if (i32.eqz (local.get $depth)) (then (call $garbage) (return (i64.const 0))))
    (i64.add
      (call $deep (i32.sub (local.get $depth) (i32.const 1)))
      (i64.extend_i32_u (struct.get $node $value (local.get $node)))))
  (func (export "in each frame") (param i32) (result i64) (call $deep (local.get 0)))

  (func (export "in a global") (result i64)
    (global.set $global (call $list (i32.const 1000)))
    (call $garbage)
    (call $sum (global.get $global)))

  (func (export "in a table") (result i64)
    (table.set $table (i32.const 3) (call $list (i32.const 100)))
    (call $garbage)
    (call $sum (table.get $table (i32.const 3))))

  (func (export "in an exception") (result i64)
    (block $caught (result (ref $node))
      (try_table (catch $tag $caught)
        (block $again (result exnref)
          (try_table (catch_all_ref $again) (throw $tag (struct.new $node (i32.const 7) (call $list (i32.const 10)))))
          (unreachable))
        (call $garbage)
        (throw_ref))
      (unreachable))
    (call $sum))

  (func (export "in a segment") (result i64)
    (call $garbage)
    (call $sum (array.get $nodes (array.new_elem $nodes $segment (i32.const 0) (i32.const 2)) (i32.const 0))))

  ;; A function gets its reference from an array, which gets it from a segment.
  (type $makers (array funcref))
  (func (export "through a function in an array") (result i32)
    (local $makers (ref $makers))
    (local.set $makers (array.new_elem $makers $made (i32.const 0) (i32.const 1)))
    (call $garbage)
    (struct.get $node $value
      (call_ref $make (ref.cast (ref $make) (array.get $makers (local.get $makers) (i32.const 0))))))

  (func (export "in a constant") (result i64)
    (call $garbage)
    (i64.add
      (call $sum (array.get $nodes (global.get $constant) (i32.const 0)))
      (call $sum (array.get $nodes (global.get $constant) (i32.const 1)))))
  ;; An object of a constant that refers to a newer one.
  (func (export "behind a constant") (result i64)
    (array.set $nodes (global.get $constant) (i32.const 0) (call $list (i32.const 20)))
    (call $garbage)
    (call $sum (array.get $nodes (global.get $constant) (i32.const 0))))

  (func (export "in an externref and an anyref") (result i64)
    (local $pair (ref $pair))
    (local.set $pair (struct.new_default $pair))
    (struct.set $pair 1 (local.get $pair) (call $list (i32.const 30)))
    (struct.set $pair 3 (local.get $pair) (extern.convert_any (call $list (i32.const 40))))
    (call $garbage)
    (i64.add
      (call $sum (ref.cast (ref null $node) (struct.get $pair 1 (local.get $pair))))
      (call $sum (ref.cast (ref null $node) (any.convert_extern (struct.get $pair 3 (local.get $pair)))))))

  ;; Only addresses inside of the array are at hand while the garbage is made: the loop's code keeps no more.
  (func (export "while its elements are visited") (result i64)
    (local $array (ref $wide)) (local $i i32) (local $sum i64)
    (local.set $array (array.new $wide (i64.const 3) (i32.const 5000)))
    (loop $more
      (if (i32.eq (local.get $i) (i32.const 2500)) (then (call $garbage)))
      (local.set $sum (i64.add (local.get $sum) (array.get $wide (local.get $array) (local.get $i))))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000))))
    (local.get $sum))

  (func (export "a ring") (result i32)
    (local $first (ref $node)) (local $second (ref $node))
    (local.set $first (struct.new $node (i32.const 1) (ref.null $node)))
    (local.set $second (struct.new $node (i32.const 2) (local.get $first)))
    (struct.set $node $next (local.get $first) (local.get $second))
    (call $garbage)
    (i32.add
      (struct.get $node $value (struct.get $node $next (local.get $first)))
      (i32.mul (i32.const 10) (struct.get $node $value (struct.get $node $next (struct.get $node $next (local.get $first)))))))

  ;; An array's size in bytes does not fit into 32 bits.
  (func (export "too large") (drop (array.new_default $wide (i32.const 0x2000_0000))))
  (func (export "far too large") (drop (array.new_default $wide (i32.const -1))))
  (func (export "too large by a little") (drop (array.new_default $bytes (i32.const -1))))

  (func (export "pair") (result i64 i32 i32)
    (local $pair (ref $pair))
    (local.set $pair (struct.new $pair (i64.const -5) (ref.i31 (i32.const -7)) (i32.const 0x1ff) (ref.null extern)
      (v128.const i64x2 11 12)))
    (struct.get $pair 0 (local.get $pair))
    (i31.get_s (ref.cast (ref i31) (struct.get $pair 1 (local.get $pair))))
    (i32.add (struct.get_s $pair 2 (local.get $pair)) (struct.get_u $pair 2 (local.get $pair)))))

(assert_return (invoke "on the stack" (i32.const 200000)) (i64.const 20000100000))
(assert_return (invoke "in each frame" (i32.const 2000)) (i64.const 2001000))
(assert_return (invoke "in a global") (i64.const 500500))
(assert_return (invoke "in a table") (i64.const 5050))
(assert_return (invoke "in an exception") (i64.const 62))
(assert_return (invoke "in a segment") (i64.const 51))
(assert_return (invoke "through a function in an array") (i32.const 61))
(assert_return (invoke "in a constant") (i64.const 83))
(assert_return (invoke "behind a constant") (i64.const 210))
(assert_return (invoke "in an externref and an anyref") (i64.const 1285))
(assert_return (invoke "while its elements are visited") (i64.const 15000))
(assert_return (invoke "a ring") (i32.const 12))
(assert_trap (invoke "too large") "allocation size too large")
(assert_trap (invoke "far too large") "allocation size too large")
(assert_trap (invoke "too large by a little") "allocation size too large")
(assert_return (invoke "pair") (i64.const -5) (i32.const -7) (i32.const 254))
;; What was made before is whole.
(assert_return (invoke "in a constant") (i64.const 252))

;; Objects go from one instance to another, whose types are equal, and each collects for both.
(register "list" $list)
(module
  (type $node (struct (field $value i32) (field $next (mut (ref null $node)))))
  (import "list" "garbage" (func $garbage))
  (type $other (struct (field i32) (field (mut (ref null $node)))))
  (func (export "own") (param anyref) (result i32) (ref.test (ref $node) (local.get 0)))
  (func (export "across") (result i32)
    (local $node (ref $node))
    (local.set $node (struct.new $node (i32.const 9) (struct.new $node (i32.const 8) (ref.null $node))))
    (call $garbage)
    (i32.add (struct.get $node $value (local.get $node))
      (struct.get $node $value (struct.get $node $next (local.get $node)))))
  (func (export "foreign") (result anyref) (struct.new $other (i32.const 1) (ref.null $node)))
  (func (export "different") (result i32) (ref.test (ref $node) (struct.new $other (i32.const 1) (ref.null $node)))))
(assert_return (invoke "across") (i32.const 17))
(assert_return (invoke "own" (ref.null any)) (i32.const 0))
(assert_return (invoke "own" (ref.host 5)) (i32.const 0))
(assert_return (invoke "foreign") (ref.struct))
(assert_return (invoke "different") (i32.const 0))

;; Casts to types at every depth, which are not final: through the descriptor's list of supertypes.
(module
  (type $t0 (sub (struct (field i32))))
  (type $t1 (sub $t0 (struct (field i32) (field i64))))
  (type $t2 (sub $t1 (struct (field i32) (field i64) (field (ref null $t0)))))
  (type $u1 (sub $t0 (struct (field i32) (field i64) (field i64))))
  (table $objects 8 anyref)
  (func (export "make")
    (table.set (i32.const 0) (struct.new_default $t0))
    (table.set (i32.const 1) (struct.new_default $t1))
    (table.set (i32.const 2) (struct.new_default $t2))
    (table.set (i32.const 3) (struct.new_default $u1))
    (table.set (i32.const 4) (ref.i31 (i32.const 4))))
  ;; Bits: which of the four types.
  (func (export "is") (param i32) (result i32)
    (i32.or
      (i32.or
        (ref.test (ref $t0) (table.get (local.get 0)))
        (i32.shl (ref.test (ref $t1) (table.get (local.get 0))) (i32.const 1)))
      (i32.or
        (i32.shl (ref.test (ref $t2) (table.get (local.get 0))) (i32.const 2))
        (i32.shl (ref.test (ref $u1) (table.get (local.get 0))) (i32.const 3)))))
  (func (export "cast") (param i32) (drop (ref.cast (ref $t1) (table.get (local.get 0))))))
(assert_return (invoke "make"))
(assert_return (invoke "is" (i32.const 0)) (i32.const 1))
(assert_return (invoke "is" (i32.const 1)) (i32.const 3))
(assert_return (invoke "is" (i32.const 2)) (i32.const 7))
(assert_return (invoke "is" (i32.const 3)) (i32.const 9))
(assert_return (invoke "is" (i32.const 4)) (i32.const 0))
(assert_return (invoke "is" (i32.const 5)) (i32.const 0))
(assert_return (invoke "cast" (i32.const 2)))
(assert_trap (invoke "cast" (i32.const 3)) "cast failure")
(assert_trap (invoke "cast" (i32.const 4)) "cast failure")
(assert_trap (invoke "cast" (i32.const 5)) "cast failure")
