    ;; Ends in the way that its argument says.
    (func $run (result i32)
      (block $nested (block $failure (block $success (block $error (block $right
        (br_table $right $error $success $failure $nested (call $argument)))
        (return (i32.const 0)))
        (return (i32.const 1)))
        (call $exit (i32.const 0)) (return (i32.const 1)))
        (call $exit (i32.const 1)) (return (i32.const 0)))
      ;; A result that is neither.
      (i32.const 2))
