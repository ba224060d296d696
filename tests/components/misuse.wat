    ;; Does what no program may, one thing for each number from 1 on, and is ended for it. With 20 more, it does the same in the way that is
    ;; right, and returns.
    (data (i32.const 0x400) "text\ff")
    (global $right (mut i32) (i32.const 0))

    ;; The first if this is to be wrong, the second if it is to be right.
    (func $or (param $wrong i32) (param $right i32) (result i32)
      (select (local.get $right) (local.get $wrong) (global.get $right)))

    (func $run (result i32)
      (local $case i32) (local $output i32) (local $input i32) (local $ready i32) (local $directory i32)
      (local.set $case (call $argument))
      (global.set $right (i32.gt_u (local.get $case) (i32.const 20)))
      (if (global.get $right) (then (local.set $case (i32.sub (local.get $case) (i32.const 20)))))
      (local.set $output (call $get-stdout))
      (local.set $input (call $get-stdin))

      (if (i32.eq (local.get $case) (i32.const 1)) ;; drops twice
        (then
          (call $drop-output (local.get $output))
          (if (i32.eqz (global.get $right)) (then (call $drop-output (local.get $output))))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 2)) ;; drops as another type
        (then
          (call $drop-output (call $or (local.get $input) (local.get $output)))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 3)) ;; uses as another type
        (then
          (call $check-write (call $or (local.get $input) (local.get $output)) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 4)) ;; uses what it dropped
        (then
          (if (i32.eqz (global.get $right)) (then (call $drop-output (local.get $output))))
          (call $check-write (local.get $output) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 5)) ;; uses the handle 0, which there never is
        (then
          (call $check-write (call $or (i32.const 0) (local.get $output)) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 6)) ;; uses a handle beyond all
        (then
          (call $check-write (call $or (i32.const -1) (local.get $output)) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 7)) ;; writes and did not ask
        (then
          (if (global.get $right) (then (call $check-write (local.get $output) (i32.const 0x100))))
          (call $write (local.get $output) (i32.const 0x400) (i32.const 4) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 8)) ;; writes one byte more than it may
        (then
          (call $check-write (local.get $output) (i32.const 0x100))
          (if (i32.or (i32.load8_u (i32.const 0x100)) (i64.eqz (i64.load (i32.const 0x108)))) (then (return (i32.const 1))))
          (call $write (local.get $output) (i32.const 0x1000)
            (i32.add (i32.wrap_i64 (i64.load (i32.const 0x108))) (call $or (i32.const 1) (i32.const 0))) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 9)) ;; drops a stream before the pollable of it
        (then
          (local.set $ready (call $subscribe-output (local.get $output)))
          (if (global.get $right) (then (call $drop-pollable (local.get $ready))))
          (call $drop-output (local.get $output))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 10)) ;; waits for nothing
        (then
          (i32.store (i32.const 0x200) (call $subscribe-duration (i64.const 0)))
          (call $poll (i32.const 0x200) (call $or (i32.const 0) (i32.const 1)) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 11)) ;; waits for something else
        (then
          (i32.store (i32.const 0x200) (call $or (local.get $output) (call $subscribe-duration (i64.const 0))))
          (call $poll (i32.const 0x200) (i32.const 1) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 12)) ;; a list that is not aligned
        (then
          (local.set $ready (call $subscribe-duration (i64.const 0)))
          (i32.store (i32.const 0x200) (local.get $ready))
          (i32.store (i32.const 0x206) (local.get $ready))
          (call $poll (call $or (i32.const 0x206) (i32.const 0x200)) (i32.const 1) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 13)) ;; a result that is not aligned
        (then
          (call $check-write (local.get $output) (call $or (i32.const 0x104) (i32.const 0x100)))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 14)) ;; a result out of bounds
        (then
          (call $check-write (local.get $output) (call $or (i32.const 0xfffffff0) (i32.const 0x100)))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 15)) ;; bytes out of bounds
        (then
          (call $blocking-write (local.get $output) (call $or (i32.const 0xfffffffe) (i32.const 0x400)) (i32.const 4) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 16)) ;; a path that is not UTF-8
        (then
          (call $open-at (call $directory) (i32.const 0) (i32.const 0x400) (call $or (i32.const 5) (i32.const 4))
            (i32.const 0) (i32.const 1) (i32.const 0x100))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 17)) ;; a directory before what was opened in it; that is no parent
        (then
          (local.set $directory (call $directory))
          (call $open-at (local.get $directory) (i32.const 0) (i32.const 0x400) (i32.const 4) (i32.const 0) (i32.const 1)
            (i32.const 0x100))
          (call $drop-descriptor (local.get $directory))
          (call $read-via-stream (call $or (local.get $directory) (i32.load (i32.const 0x104))) (i64.const 0) (i32.const 0x108))
          (return (i32.const 0))))
      (if (i32.eq (local.get $case) (i32.const 18)) ;; an end that is neither good nor bad
        (then
          (call $exit (call $or (i32.const 2) (i32.const 0)))))
      (i32.const 1))
