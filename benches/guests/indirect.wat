;; Indirect calls to four functions in turn.
(type $step (func (param i64) (result i64)))
(table 4 4 funcref)
(elem (i32.const 0) $add $multiply $rotate $flip)

(func $kernel (result i64) (local $i i32) (local $value i64)
  (local.set $i (i32.const 8000000))
  (loop $next
    (local.set $value
      (call_indirect (type $step) (local.get $value) (i32.and (local.get $i) (i32.const 3))))
    (br_if $next (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
  (local.get $value))

(func $add (type $step) (i64.add (local.get 0) (i64.const 0x9e3779b97f4a7c15)))
(func $multiply (type $step) (i64.mul (local.get 0) (i64.const 0xff51afd7ed558ccd)))
(func $rotate (type $step) (i64.rotl (local.get 0) (i64.const 27)))
(func $flip (type $step) (i64.xor (local.get 0) (i64.shr_u (local.get 0) (i64.const 31))))
