;; The older exceptions proposal: try, catch, catch_all, delegate, rethrow. Semantics as in that proposal's text.

(module
  (tag $number (param i32))
  (tag $wide (param i64 v128))
  (tag $other)
  (func $throw (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $number (i32.const 10))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $wide (i64.const 20) (v128.const i64x2 3 4))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $other))))

  (func (export "catch") (param i32) (result i32)
    try (result i32)
      (call $throw (local.get 0)) (i32.const 5)
    catch $number
      (i32.add (i32.const 1))
    catch $wide
      (drop) (i32.wrap_i64) (i32.add (i32.const 2))
    end)
  (func (export "catch all") (param i32) (result i32)
    try (result i32)
      (call $throw (local.get 0)) (i32.const 5)
    catch $number
      (i32.add (i32.const 1))
    catch_all
      (i32.const 6)
    end)
  (func (export "only all") (param i32) (result i32)
    try (result i32)
      (call $throw (local.get 0)) (i32.const 5)
    catch_all
      (i32.const 6)
    end)
  (func (export "no handler") (param i32) (result i32)
    try (result i32)
      (call $throw (local.get 0)) (i32.const 5)
    end)
  (func (export "parameters") (param i32) (result i32)
    (i32.const 100) (local.get 0)
    try (param i32) (result i32)
      (call $throw) (i32.const 5)
    catch_all
      (i32.const 6)
    end
    (i32.add))

  ;; What a handler throws is not caught by its own try.
  (func (export "throws in handler") (param i32) (result i32)
    try (result i32)
      try (result i32)
        (call $throw (local.get 0)) (i32.const 5)
      catch $number
        (drop) (throw $other)
      catch_all
        (throw $number (i32.const 7))
      end
    catch $other
      (i32.const 8)
    catch $number
    end)

  (func (export "rethrow") (param i32) (result i32)
    try (result i32)
      try (result i32)
        (call $throw (local.get 0)) (i32.const 5)
      catch $number
        (drop) (rethrow 0)
      catch_all
        (rethrow 0)
      end
    catch $number
    catch $wide
      (drop) (drop) (i32.const 30)
    end)
  ;; The exception of the outer handler, from within the inner one.
  (func (export "rethrow outer") (result i32)
    try (result i32)
      try (result i32)
        (throw $number (i32.const 1))
      catch $number
        (drop)
        try (result i32)
          (throw $number (i32.const 2))
        catch $number
          (drop) (rethrow 1)
        end
      end
    catch $number
    end)
  ;; Not caught by the try around, whose handler this is.
  (func (export "rethrow in try") (result i32)
    try (result i32)
      (throw $number (i32.const 1))
    catch $number
      (drop)
        try (result i32)
        (rethrow 1)
      catch $number
        (i32.add (i32.const 40))
      end
    end)

  (func (export "delegate") (param i32) (result i32)
    try $outer (result i32)
      try (result i32)
        try (result i32)
          (call $throw (local.get 0)) (i32.const 5)
        delegate $outer
      catch $number
        (drop) (i32.const 50)
      end
    catch $number
      (i32.add (i32.const 60))
    end)
  (func (export "delegate to inner") (param i32) (result i32)
    try $outer (result i32)
      try $inner (result i32)
        try (result i32)
          (call $throw (local.get 0)) (i32.const 5)
        delegate $inner
      catch $number
        (drop) (i32.const 50)
      end
    catch $number
      (i32.add (i32.const 60))
    end)
  ;; To a block: as if it were thrown there.
  (func (export "delegate to block") (param i32) (result i32)
    try (result i32)
      (block $block (result i32)
        try (result i32)
          try (result i32)
            (call $throw (local.get 0)) (i32.const 5)
          delegate $block
        catch $number
          (drop) (i32.const 50)
        end)
    catch $number
      (i32.add (i32.const 60))
    end)
  (func (export "delegate to caller") (param i32) (result i32)
    try (result i32)
      try (result i32)
        (call $throw (local.get 0)) (i32.const 5)
      delegate 1
    catch $number
      (drop) (i32.const 50)
    end)
  ;; A label of a try whose handler this is in does not catch.
  (func (export "delegate from handler") (result i32)
    try (result i32)
      try $inner (result i32)
        (throw $number (i32.const 1))
      catch $number
        (drop)
        try (result i32)
          (throw $number (i32.const 2))
        delegate $inner
      end
    catch $number
      (i32.add (i32.const 70))
    end)

  (func (export "branches") (param i32) (result i32)
    (block $out (result i32)
      (loop $again
        try
          (call $throw (local.get 0)) (br $out (i32.const 5))
        catch $number
          (local.set 0) (br $again)
        catch $wide
          (drop) (drop) (local.set 0 (i32.const 3)) (br $again)
        catch_all
          (br $out (i32.const 80))
        end)
      (i32.const 90)))
  (func (export "dead") (param i32) (result i32)
    try (result i32)
      (return (i32.const 1))
    catch $number
    catch_all
      (i32.const 2)
    end)
  (func (export "dead too") (param i32) (result i32)
    try (result i32)
      (call $throw (local.get 0)) (unreachable)
    catch $number
      (unreachable)
    catch_all
      (return (i32.const 2))
    end)
  (func (export "locals") (param i32) (result i32)
    (local $x i32)
    (local.set $x (i32.const 1))
    try
      (local.set $x (i32.const 2)) (call $throw (local.get 0)) (local.set $x (i32.const 3))
    catch_all
    end
    (local.get $x))
  (func (export "trap")
        try
                          (unreachable)
                        catch_all
                        end)
  (func (export "many") (param $count i32) (result i32)
    (local $sum i32)
    (loop $more
      try
        try
          (throw $number (local.get $count))
        catch_all
          (rethrow 0)
        end
      catch $number
        (drop) (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
      end
      (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $sum)))

(assert_return (invoke "catch" (i32.const 0)) (i32.const 5))
(assert_return (invoke "catch" (i32.const 1)) (i32.const 11))
(assert_return (invoke "catch" (i32.const 2)) (i32.const 22))
(assert_exception (invoke "catch" (i32.const 3)))
(assert_return (invoke "catch all" (i32.const 0)) (i32.const 5))
(assert_return (invoke "catch all" (i32.const 1)) (i32.const 11))
(assert_return (invoke "catch all" (i32.const 2)) (i32.const 6))
(assert_return (invoke "only all" (i32.const 0)) (i32.const 5))
(assert_return (invoke "only all" (i32.const 3)) (i32.const 6))
(assert_return (invoke "no handler" (i32.const 0)) (i32.const 5))
(assert_exception (invoke "no handler" (i32.const 1)))
(assert_return (invoke "parameters" (i32.const 0)) (i32.const 105))
(assert_return (invoke "parameters" (i32.const 1)) (i32.const 106))
(assert_return (invoke "throws in handler" (i32.const 0)) (i32.const 5))
(assert_return (invoke "throws in handler" (i32.const 1)) (i32.const 8))
(assert_return (invoke "throws in handler" (i32.const 2)) (i32.const 7))
(assert_return (invoke "rethrow" (i32.const 0)) (i32.const 5))
(assert_return (invoke "rethrow" (i32.const 1)) (i32.const 10))
(assert_return (invoke "rethrow" (i32.const 2)) (i32.const 30))
(assert_exception (invoke "rethrow" (i32.const 3)))
(assert_return (invoke "rethrow outer") (i32.const 1))
(assert_return (invoke "rethrow in try") (i32.const 41))
(assert_return (invoke "delegate" (i32.const 0)) (i32.const 5))
(assert_return (invoke "delegate" (i32.const 1)) (i32.const 70))
(assert_exception (invoke "delegate" (i32.const 3)))
(assert_return (invoke "delegate to inner" (i32.const 1)) (i32.const 50))
(assert_return (invoke "delegate to block" (i32.const 1)) (i32.const 70))
(assert_return (invoke "delegate to caller" (i32.const 0)) (i32.const 5))
(assert_exception (invoke "delegate to caller" (i32.const 1)))
(assert_return (invoke "delegate from handler") (i32.const 72))
(assert_return (invoke "branches" (i32.const 0)) (i32.const 5))
(assert_return (invoke "branches" (i32.const 1)) (i32.const 5))
(assert_return (invoke "branches" (i32.const 2)) (i32.const 80))
(assert_return (invoke "dead" (i32.const 0)) (i32.const 1))
(assert_return (invoke "dead too" (i32.const 2)) (i32.const 2))
(assert_trap (invoke "dead too" (i32.const 1)) "unreachable")
(assert_return (invoke "locals" (i32.const 0)) (i32.const 3))
(assert_return (invoke "locals" (i32.const 1)) (i32.const 2))
(assert_trap (invoke "trap") "unreachable")
(assert_return (invoke "many" (i32.const 200000)) (i32.const 200000))

;; Nothing is thrown: the handlers are dead.
(module
  (func $f (param i32) (result i32) (local.get 0))
  (func (export "nothing thrown") (result i32)
    try (result i32)
      (call $f (i32.const 3))
    catch_all
      (i32.const 4)
    end)
  (func (export "delegated") (result i32)
    try (result i32)
      try (result i32)
        (call $f (i32.const 3))
      delegate 0
    catch_all
      (i32.const 4)
    end))
(assert_return (invoke "nothing thrown") (i32.const 3))
(assert_return (invoke "delegated") (i32.const 3))

(assert_invalid (module (tag $t) (func try
                                       catch_all
                                         (rethrow 1)
                                       end)) "invalid rethrow label")
(assert_invalid (module (tag $t) (func try
                                         (rethrow 0)
                                       catch_all
                                       end)) "invalid rethrow label")
(assert_invalid (module (tag $t (param i32)) (func try
                                                   catch $t
                                                   end)) "type mismatch")
(assert_invalid (module (tag $t) (func (result i32)
        try (result i32)
                                                      (i32.const 1)
                                                    catch $t
                                                    end)) "type mismatch")
