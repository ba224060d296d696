;; wasi:cli. What a component exports, wasi:cli/run, is not here.

(func $trap:text_of_the_host_that_is_not_utf_8 unreachable)

;; ---- environment ----

;; Makes place for arguments or variables, for the $count and the bytes of text that preview 1 has written at 0x100 and 0x104. First come
;; the pointers, which nobody needs: the texts follow one another, each with a zero after it. Returns where the texts begin.
(func $texts (result i32)
  (local $count i32)
  (local.set $count (i32.load $own (i32.const 0x100)))
  (if
    (i64.gt_u
      (i64.add
        (i64.shl (i64.extend_i32_u (local.get $count)) (i64.const 2))
        (i64.load32_u $own (i32.const 0x104)))
      (i64.const 0xff00000))
    (then (call $trap:no_memory_for_what_the_host_has)))
  (i32.add
    (call $scratch (i32.add (i32.shl (local.get $count) (i32.const 2)) (i32.load $own (i32.const 0x104))))
    (i32.shl (local.get $count) (i32.const 2))))

;; Where the first $byte is from $from on, before $end; $end if it is nowhere.
(func $find (param $from i32) (param $end i32) (param $byte i32) (result i32)
  (loop $next
    (if (i32.lt_u (local.get $from) (local.get $end))
      (then
        (if (i32.ne (i32.load8_u $own (local.get $from)) (local.get $byte))
          (then
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (br $next))))))
  (local.get $from))

;; The end of the text that begins at $from: where the zero is.
(func $text_end (param $from i32) (param $end i32) (result i32)
  (local $at i32)
  (local.set $at (call $find (local.get $from) (local.get $end) (i32.const 0)))
  (if (i32.eq (local.get $at) (local.get $end)) (then (call $trap:the_host_answered_what_it_cannot)))
  (if (i32.eqz (call $utf8 (local.get $from) (i32.sub (local.get $at) (local.get $from))))
    (then (call $trap:text_of_the_host_that_is_not_utf_8)))
  (local.get $at))

;; A variable without `=` has an empty value.
(func $environment.get-environment (export "wasi:cli/environment@0.2#get-environment") (param $out i32)
  (local $count i32) (local $list i32) (local $at i32) (local $end i32) (local $place i32) (local $left i32)
  (local $stop i32) (local $equals i32) (local $value i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $must (call $environ_sizes_get (i32.const 0x100) (i32.const 0x104)))
  (local.set $count (i32.load $own (i32.const 0x100)))
  (local.set $at (call $texts))
  (local.set $end (i32.add (local.get $at) (i32.load $own (i32.const 0x104))))
  (call $must
    (call $environ_get (i32.sub (local.get $at) (i32.shl (local.get $count) (i32.const 2))) (local.get $at)))
  (local.set $list (call $alloc (i32.const 4) (i32.shl (local.get $count) (i32.const 4))))
  (local.set $place (local.get $list))
  (local.set $left (local.get $count))
  (loop $next
    (if (local.get $left)
      (then
        (local.set $stop (call $text_end (local.get $at) (local.get $end)))
        (local.set $equals (call $find (local.get $at) (local.get $stop) (i32.const 0x3d)))
        (local.set $value (i32.add (local.get $equals) (i32.lt_u (local.get $equals) (local.get $stop))))
        (call $result_list (local.get $place) (local.get $at) (i32.sub (local.get $equals) (local.get $at)))
        (call $result_list
          (i32.add (local.get $place) (i32.const 8)) (local.get $value) (i32.sub (local.get $stop) (local.get $value)))
        (local.set $at (i32.add (local.get $stop) (i32.const 1)))
        (local.set $place (i32.add (local.get $place) (i32.const 16)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))))
  (call $write_list (local.get $out) (local.get $list) (local.get $count)))

(func $environment.get-arguments (export "wasi:cli/environment@0.2#get-arguments") (param $out i32)
  (local $count i32) (local $list i32) (local $at i32) (local $end i32) (local $place i32) (local $left i32) (local $stop i32)
  (call $aligned (local.get $out) (i32.const 4))
  (call $must (call $args_sizes_get (i32.const 0x100) (i32.const 0x104)))
  (local.set $count (i32.load $own (i32.const 0x100)))
  (local.set $at (call $texts))
  (local.set $end (i32.add (local.get $at) (i32.load $own (i32.const 0x104))))
  (call $must
    (call $args_get (i32.sub (local.get $at) (i32.shl (local.get $count) (i32.const 2))) (local.get $at)))
  (local.set $list (call $alloc (i32.const 4) (i32.shl (local.get $count) (i32.const 3))))
  (local.set $place (local.get $list))
  (local.set $left (local.get $count))
  (loop $next
    (if (local.get $left)
      (then
        (local.set $stop (call $text_end (local.get $at) (local.get $end)))
        (call $result_list (local.get $place) (local.get $at) (i32.sub (local.get $stop) (local.get $at)))
        (local.set $at (i32.add (local.get $stop) (i32.const 1)))
        (local.set $place (i32.add (local.get $place) (i32.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))))
  (call $write_list (local.get $out) (local.get $list) (local.get $count)))

;; There is none, as for programs of preview 1.
(func $environment.initial-cwd (export "wasi:cli/environment@0.2#initial-cwd") (param $out i32)
  (call $aligned (local.get $out) (i32.const 4))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

;; ---- exit ----

(func $exit.exit (export "wasi:cli/exit@0.2#exit") (param $status i32)
  (if (i32.gt_u (local.get $status) (i32.const 1)) (then (call $trap:an_enum_or_variant_without_such_a_case)))
  (call $proc_exit (local.get $status))
  unreachable)

(func $exit.exit-with-code (export "wasi:cli/exit@0.2#exit-with-code") (param $code i32)
  (call $proc_exit (i32.and (local.get $code) (i32.const 0xff)))
  unreachable)

;; ---- standard streams ----

;; The open file of standard stream $fd, which keeps a reference for itself. Its type is 255 if there is no such descriptor.
(func $standard (param $fd i32) (result i32)
  (local $at i32) (local $file i32)
  (local.set $at (i32.add (i32.const 0x48) (i32.shl (local.get $fd) (i32.const 2))))
  (local.set $file (i32.load $own (local.get $at)))
  (if (i32.eqz (local.get $file))
    (then
      (local.set $file
        (call $file_new (local.get $fd) (i32.const 0)
          (if (result i32) (call $fd_fdstat_get (local.get $fd) (i32.const 0x100))
            (then (i32.const 255))
            (else (i32.load8_u $own (i32.const 0x100))))))
      (call $file_ref (local.get $file))
      (i32.store $own (local.get $at) (local.get $file))))
  (local.get $file))

;; A new stream, of kind $kind, that reads or writes a standard stream.
(func $standard_stream (param $kind i32) (param $fd i32) (result i32)
  (local $file i32) (local $type i32) (local $mode i32)
  (local.set $file (call $standard (local.get $fd)))
  (local.set $type (i32.load $own offset=20 (call $entry (local.get $file))))
  ;; Mode 4 for regular files (4), mode 3 if there is none.
  (if (i32.eq (local.get $type) (i32.const 4)) (then (local.set $mode (i32.const 4))))
  (if (i32.eq (local.get $type) (i32.const 255)) (then (local.set $mode (i32.const 3))))
  (call $handle_of_file (local.get $kind) (local.get $file) (local.get $mode) (i64.const 0)))

(func $stdin.get-stdin (export "wasi:cli/stdin@0.2#get-stdin") (result i32)
  (call $standard_stream (i32.const 2) (i32.const 0)))

(func $stdout.get-stdout (export "wasi:cli/stdout@0.2#get-stdout") (result i32)
  (call $standard_stream (i32.const 3) (i32.const 1)))

(func $stderr.get-stderr (export "wasi:cli/stderr@0.2#get-stderr") (result i32)
  (call $standard_stream (i32.const 3) (i32.const 2)))

;; ---- terminals ----

;; Writes an option of a handle of kind $kind: there is one if $fd is a character device (2) without a position, as in `isatty`.
(func $terminal (param $kind i32) (param $fd i32) (param $out i32)
  (call $aligned (local.get $out) (i32.const 4))
  (if (i32.eqz (call $fd_fdstat_get (local.get $fd) (i32.const 0x100)))
    (then
      (if
        (i32.and
          (i32.eq (i32.load8_u $own (i32.const 0x100)) (i32.const 2))
          ;; fd_seek, fd_tell
          (i32.eqz (i32.and (i32.load $own (i32.const 0x108)) (i32.const 0x24))))
        (then
          (i32.store $guest offset=4 (local.get $out) (call $handle_new (local.get $kind)))
          (i32.store8 $guest (local.get $out) (i32.const 1))
          return))))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

(func $terminal-stdin.get-terminal-stdin (export "wasi:cli/terminal-stdin@0.2#get-terminal-stdin") (param $out i32)
  (call $terminal (i32.const 7) (i32.const 0) (local.get $out)))

(func $terminal-stdout.get-terminal-stdout (export "wasi:cli/terminal-stdout@0.2#get-terminal-stdout") (param $out i32)
  (call $terminal (i32.const 8) (i32.const 1) (local.get $out)))

(func $terminal-stderr.get-terminal-stderr (export "wasi:cli/terminal-stderr@0.2#get-terminal-stderr") (param $out i32)
  (call $terminal (i32.const 8) (i32.const 2) (local.get $out)))

(func $terminal-input.drop (export "wasi:cli/terminal-input@0.2#[resource-drop]terminal-input") (param $handle i32)
  (call $handle_drop (local.get $handle) (i32.const 7)))

(func $terminal-output.drop (export "wasi:cli/terminal-output@0.2#[resource-drop]terminal-output") (param $handle i32)
  (call $handle_drop (local.get $handle) (i32.const 8)))
