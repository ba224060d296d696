//! What components are lowered to, run by a small host.

mod common;

use common::{Host, Running, component, exports, imports, lowered, refused};
use wave_lower::LowerError;
use wave_runtime::{Stop, Trap, Value};

/// The way toolchains link a command: the program, a shim whose table has what the program imports, and a module that fills the table.
const SHIMMED: &str = r#"(component
    (import "test:host/a@0.2.3" (instance $host
      (export "texts" (func (result (list string))))
      (export "log" (func (param "text" string)))
      (export "double" (func (param "value" u32) (result u32)))))
    (core module $main
      (import "test:host/a@0.2.3" "texts" (func $texts (param i32)))
      (import "test:host/a@0.2.3" "log" (func $log (param i32 i32)))
      (import "test:host/a@0.2.3" "double" (func $double (param i32) (result i32)))
      (memory (export "memory") 2)
      (global $free (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $free (i32.and (i32.add (global.get $free) (i32.sub (local.get 2) (i32.const 1)))
                                   (i32.sub (i32.const 0) (local.get 2))))
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get 3))))
      (func $run (export "run") (result i32) (local $list i32) (local $count i32)
        (call $texts (i32.const 16))
        (local.set $list (i32.load (i32.const 16)))
        (local.set $count (i32.load (i32.const 20)))
        (block $done (loop $each
          (br_if $done (i32.eqz (local.get $count)))
          (call $log (i32.load (local.get $list)) (i32.load offset=4 (local.get $list)))
          (local.set $list (i32.add (local.get $list) (i32.const 8)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $each)))
        (i32.ne (call $double (i32.load (i32.const 20))) (i32.const 4))))
    (core module $shim
      (table (export "table") 2 2 funcref)
      (func (export "0") (param i32) (call_indirect (param i32) (local.get 0) (i32.const 0)))
      (func (export "1") (param i32 i32) (call_indirect (param i32 i32) (local.get 0) (local.get 1) (i32.const 1))))
    (core module $fixup
      (import "" "table" (table 2 2 funcref))
      (import "" "0" (func (param i32)))
      (import "" "1" (func (param i32 i32)))
      (elem (i32.const 0) func 0 1))
    (core instance $shim (instantiate $shim))
    (alias export $host "double" (func $double))
    (core func $double (canon lower (func $double)))
    (core instance $early
      (export "texts" (func $shim "0")) (export "log" (func $shim "1")) (export "double" (func $double)))
    (core instance $main (instantiate $main (with "test:host/a@0.2.3" (instance $early))))
    (alias core export $main "memory" (core memory $memory))
    (core func $realloc (alias core export $main "realloc"))
    (core func $texts (canon lower (func $host "texts") (memory $memory) (realloc $realloc)))
    (core func $log (canon lower (func $host "log") (memory $memory)))
    (core instance $late
      (export "table" (table $shim "table")) (export "0" (func $texts)) (export "1" (func $log)))
    (core instance (instantiate $fixup (with "" (instance $late))))
    (type $result (result))
    (func $run (result $result) (canon lift (core func $main "run")))
    (component $shell
      (import "run" (func $run (result (result))))
      (export "run" (func $run)))
    (instance $exports (instantiate $shell (with "run" (func $run))))
    (export "wasi:cli/run@0.2.6" (instance $exports)))"#;

fn with_texts(texts: &[&'static str]) -> Host {
    Host { texts: texts.to_vec(), ..Host::default() }
}

#[test]
fn a_command_imports_what_the_host_has_and_exports_its_entry() {
    let module = lowered(SHIMMED);
    assert_eq!(
        imports(&module),
        [
            "test:host/a@0.2 double: (i32) -> (i32)",
            "test:host/a@0.2 texts: (i32) -> ()",
            "test:host/a@0.2 log: (i32, i32) -> ()",
            "wasi:cli/exit@0.2 exit: (i32) -> ()",
            "wave:abi/results@1 next: () -> (i64)",
            "wave:abi/results@1 place: (i32) -> ()",
        ]
    );
    assert_eq!(exports(&module), ["_start", "memory"]);
}

#[test]
fn texts_of_the_host_are_allocated_by_the_component() {
    let mut running = Running::with(SHIMMED, with_texts(&["one", "zwölf"]));
    assert_eq!(running.call("_start", &[]), Ok(Vec::new()));
    assert_eq!(running.store.data_mut().calls, ["texts", "one", "zwölf"]);
    // Again, now with an error as its result, since there are other texts.
    running.store.data_mut().texts = vec!["", "b", "c"];
    assert_eq!(running.call("_start", &[]), Err(Stop::Exit(1)));
    assert_eq!(running.store.data_mut().calls[3..], ["texts", "", "b", "c"]);
}

/// A component with a `realloc` of this body, and `call`, which gets texts.
fn with_realloc(body: &str) -> String {
    format!(
        r#"(component
          (import "host" (instance $host
            (export "texts" (func (result (list string))))
            (export "nothing" (func (result (option string))))
            (export "note" (func (param "value" u32)))))
          (core func $note (canon lower (func $host "note")))
          (core module $memory
            (import "" "note" (func $note (param i32)))
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 4096))
            (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $bytes i32) (result i32)
              {body}))
          (core instance $memory (instantiate $memory (with "" (instance (export "note" (func $note))))))
          (core func $texts (canon lower (func $host "texts")
            (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
          (core func $nothing (canon lower (func $host "nothing")
            (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
          (core module $main
            (import "" "texts" (func $texts (param i32)))
            (import "" "nothing" (func $nothing (param i32)))
            (import "" "note" (func $note (param i32)))
            (import "" "memory" (memory 1))
            (func (export "call") (result i32)
              (call $note (i32.const 1)) (call $texts (i32.const 64)) (call $note (i32.const 2)) (i32.load (i32.const 68)))
            (func (export "none") (result i32) (call $nothing (i32.const 64)) (i32.load8_u (i32.const 64))))
          (core instance $main (instantiate $main (with "" (instance
            (export "texts" (func $texts)) (export "nothing" (func $nothing)) (export "note" (func $note))
            (export "memory" (memory $memory "memory"))))))
          (func (export "call") (result u32) (canon lift (core func $main "call")))
          (func (export "none") (result u32) (canon lift (core func $main "none"))))"#
    )
}

/// What the canonical ABI says of `realloc`: the result is aligned and in bounds.
#[test]
fn a_wrong_allocation_traps() {
    let accepted = ["(i32.const 65532)", "(i32.const 128)", "(memory.grow (i32.const 1)) drop (i32.const 65536)"];
    let trapping = ["(i32.const 65534)", "(i32.const 65536)", "(i32.const -4)", "(i32.const -1)", "(i32.const 130)"];
    // One text of four bytes, and the list of it, which is aligned to four and has eight bytes.
    let only_list = |place: &str| {
        format!("(if (result i32) (i32.eq (local.get $align) (i32.const 1)) (then (i32.const 512)) (else {place}))")
    };
    let only_text = |place: &str| {
        format!("(if (result i32) (i32.eq (local.get $align) (i32.const 4)) (then (i32.const 512)) (else {place}))")
    };
    for place in accepted {
        let mut running = Running::with(&with_realloc(&only_text(place)), with_texts(&["four"]));
        assert_eq!(running.number("call", &[]), 1, "{place}");
        assert_eq!(running.store.data_mut().calls, ["note 1", "texts", "note 2"]);
    }
    for place in ["(i32.const 65528)", "(i32.const 128)"] {
        assert_eq!(
            Running::with(&with_realloc(&only_list(place)), with_texts(&["four"])).number("call", &[]),
            1,
            "{place}"
        );
    }
    for place in trapping {
        for body in [only_list(place), only_text(place)] {
            if body == only_text("(i32.const 130)") {
                continue;
            }
            let mut running = Running::with(&with_realloc(&body), with_texts(&["four"]));
            assert_eq!(running.traps("call", &[]), Trap::Unreachable, "{body}");
            assert_eq!(running.store.data_mut().calls, ["note 1", "texts"]);
        }
    }
    // Of an empty text, too.
    let mut running = Running::with(&with_realloc(&only_text("(i32.const 65537)")), with_texts(&[""]));
    assert_eq!(running.traps("call", &[]), Trap::Unreachable);
    let mut running = Running::with(&with_realloc(&only_text("(i32.const 65536)")), with_texts(&[""]));
    assert_eq!(running.number("call", &[]), 1);
}

#[test]
fn a_result_without_contents_is_not_allocated() {
    let mut running = Running::of(&with_realloc("unreachable"));
    assert_eq!(running.number("none", &[]), 0);
    // No texts are a list without elements, which is an allocation of no bytes.
    assert_eq!(running.traps("call", &[]), Trap::Unreachable);
}

/// The canonical ABI: a component may not call out while its `realloc` runs.
#[test]
fn realloc_calls_nobody() {
    let body = "(call $note (i32.const 9)) (i32.const 512)";
    let mut running = Running::with(&with_realloc(body), with_texts(&["four"]));
    assert_eq!(running.traps("call", &[]), Trap::Unreachable);
    assert_eq!(running.store.data_mut().calls, ["note 1", "texts"], "the host was not called");
    let mut running = Running::with(&with_realloc("(i32.const 512)"), with_texts(&["four"]));
    assert_eq!(running.number("call", &[]), 1);
    assert_eq!(running.store.data_mut().calls, ["note 1", "texts", "note 2"], "afterwards, it may");
}

/// An exception does not leave a component.
#[test]
fn what_realloc_throws_is_a_trap() {
    let mut running = Running::with(&with_realloc("(throw $tag)) (tag $tag"), with_texts(&["four"]));
    assert_eq!(running.traps("call", &[]), Trap::Unreachable);
    let mut running = Running::with(&with_realloc("(i32.const 512)) (tag $tag"), with_texts(&["four"]));
    assert_eq!(running.number("call", &[]), 1);
}

/// A component applies segments and runs start functions instance by instance. A module applies all segments first.
#[test]
fn segments_and_start_functions_keep_their_order() {
    let mut running = Running::of(
        r#"(component
          (core module $a
            (memory (export "memory") 1) (table (export "table") 4 funcref)
            (func $one (result i32) (i32.const 1))
            (data (i32.const 0) "a") (elem (i32.const 0) func $one)
            (func $start (i32.store8 (i32.const 1) (i32.add (i32.const 1) (i32.load8_u (i32.const 0)))))
            (start $start))
          (core module $b
            (import "a" "memory" (memory 1)) (import "a" "table" (table 4 funcref))
            (func $two (result i32) (i32.const 2))
            (data (i32.const 0) "xy") (elem (i32.const 1) func $two) (elem $kept func $two) (data $kept "z")
            (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
            (func (export "again") (memory.init $kept (i32.const 3) (i32.const 0) (i32.const 1))
              (table.init $kept (i32.const 2) (i32.const 0) (i32.const 1)))
            (func (export "dropped") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)))
            (func $start (i32.store8 (i32.const 2) (i32.load8_u (i32.const 1))))
            (start $start))
          (core instance $a (instantiate $a))
          (core instance $b (instantiate $b (with "a" (instance $a))))
          (func (export "get") (param "at" u32) (result u32) (canon lift (core func $b "get")))
          (func (export "call") (param "at" u32) (result u32) (canon lift (core func $b "call")))
          (func (export "dropped") (canon lift (core func $b "dropped")))
          (func (export "again") (canon lift (core func $b "again"))))"#,
    );
    let bytes: Vec<i32> = (0..4).map(|at| running.number("get", &[at])).collect();
    // The first start function saw `a`, and the second segment came after it: the second start function saw `y`.
    assert_eq!(bytes, [i32::from(b'x'), i32::from(b'y'), i32::from(b'y'), 0]);
    assert_eq!((running.number("call", &[0]), running.number("call", &[1])), (1, 2));
    assert_eq!(running.traps("call", &[2]), Trap::UninitializedElement);
    running.call("again", &[]).expect("passive segments are there");
    assert_eq!((running.number("get", &[3]), running.number("call", &[2])), (i32::from(b'z'), 2));
    assert_eq!(running.traps("dropped", &[]), Trap::MemoryOutOfBounds);
}

#[test]
fn a_start_function_that_traps_stops_the_rest() {
    let text = |first: &str| {
        format!(
            r#"(component
              (import "host" (instance $host (export "note" (func (param "value" u32)))))
              (core func $note (canon lower (func $host "note")))
              (core module $a (import "" "note" (func $note (param i32))) (func $start {first}) (start $start))
              (core module $b (import "" "note" (func $note (param i32))) (func $start (call $note (i32.const 2))) (start $start))
              (core instance (instantiate $a (with "" (instance (export "note" (func $note))))))
              (core instance (instantiate $b (with "" (instance (export "note" (func $note)))))))"#
        )
    };
    let module = lowered(&text("unreachable"));
    assert_eq!(
        Running::start(&module, Host::default()).err().map(|stopped| stopped.stop),
        Some(Stop::Trap(Trap::Unreachable))
    );
    let mut running = Running::of(&text("(call $note (i32.const 1))"));
    assert_eq!(running.store.data_mut().calls, ["note 1", "note 2"]);
}

/// Constants of other modules are known here, so that they may stand where only constants may.
#[test]
fn constants_of_other_instances_are_computed() {
    let mut running = Running::of(
        r#"(component
          (core module $a
            (global (export "base") i32 (i32.const 100)) (global (export "wide") i64 (i64.const -7))
            (func $f (result i32) (i32.const 5)) (global (export "function") funcref (ref.func $f)))
          (core module $b
            (import "a" "base" (global $base i32)) (import "a" "wide" (global $wide i64))
            (import "a" "function" (global $function funcref))
            (global $next i32 (i32.add (global.get $base) (i32.mul (i32.const 2) (i32.const 3))))
            (memory 1) (data (global.get $base) "A") (data (i32.sub (global.get $base) (i32.const 1)) "B")
            (table $table 3 funcref) (elem (table $table) (i32.const 1) funcref (global.get $function))
            (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "next") (result i32) (global.get $next))
            (func (export "wide") (result i64) (global.get $wide))
            (func (export "call") (result i32) (call_indirect $table (result i32) (i32.const 1))))
          (core instance $a (instantiate $a))
          (core instance $b (instantiate $b (with "a" (instance $a))))
          (func (export "get") (param "at" u32) (result u32) (canon lift (core func $b "get")))
          (func (export "next") (result u32) (canon lift (core func $b "next")))
          (func (export "wide") (result s64) (canon lift (core func $b "wide")))
          (func (export "call") (result u32) (canon lift (core func $b "call"))))"#,
    );
    assert_eq!((running.number("get", &[100]), running.number("get", &[99])), (i32::from(b'A'), i32::from(b'B')));
    assert_eq!((running.number("next", &[]), running.number("call", &[])), (106, 5));
    assert_eq!(running.call("wide", &[]), Ok(vec![Value::I64(-7)]));
}

/// Several memories stay several, and the host is told which one it works on.
#[test]
fn memories_stay_apart() {
    let text = r#"(component
      (import "host" (instance $host (export "log" (func (param "text" string)))))
      (core module $memory (memory (export "memory") 1) (func (export "get") (result i32) (i32.load8_u (i32.const 0))))
      (core instance $a (instantiate $memory)) (core instance $b (instantiate $memory)) (core instance $c (instantiate $memory))
      (core func $b (canon lower (func $host "log") (memory (core memory $b "memory"))))
      (core func $c (canon lower (func $host "log") (memory (core memory $c "memory"))))
      (core module $main (import "b" "memory" (memory 1)) (import "b" "log" (func $b (param i32 i32)))
        (import "c" "log" (func $c (param i32 i32)))
        (data (i32.const 0) "b")
        (func (export "both") (call $b (i32.const 0) (i32.const 1)) (call $c (i32.const 0) (i32.const 1))))
      (core instance $main (instantiate $main
        (with "b" (instance (export "memory" (memory $b "memory")) (export "log" (func $b))))
        (with "c" (instance (export "log" (func $c))))))
      (func (export "a") (result u32) (canon lift (core func $a "get")))
      (func (export "b") (result u32) (canon lift (core func $b "get")))
      (func (export "c") (result u32) (canon lift (core func $c "get")))
      (func (export "both") (canon lift (core func $main "both"))))"#;
    let module = lowered(text);
    // The memory that the host uses first is the main one.
    assert_eq!(imports(&module), ["host log: (i32, i32) -> ()", "host log|memory=2: (i32, i32) -> ()"]);
    assert_eq!(exports(&module), ["a", "b", "both", "c", "memory"]);
    let text = text.replace(r#"(memory (core memory $c "memory"))"#, r#"(memory (core memory $b "memory"))"#);
    let mut running = Running::of(&text);
    running.call("both", &[]).expect("the host finds the text");
    assert_eq!(running.store.data_mut().calls, ["b", "b"]);
    assert_eq!(["a", "b", "c"].map(|name| running.number(name, &[])), [0, i32::from(b'b'), 0]);
}

/// A module that is instantiated twice is there twice.
#[test]
fn instances_of_one_module_have_their_own_state() {
    let mut running = Running::of(
        r#"(component
          (core module $counter (global $count (mut i32) (i32.const 0)) (type $t (func (result i32)))
            (func (export "next") (type $t) (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count)))
          (component $inner (alias outer 1 $counter (core module $counter))
            (core instance $i (instantiate $counter)) (func (export "next") (result u32) (canon lift (core func $i "next"))))
          (instance $a (instantiate $inner)) (instance $b (instantiate $inner))
          (export "a" (func $a "next")) (export "b" (func $b "next")))"#,
    );
    assert_eq!([running.number("a", &[]), running.number("a", &[]), running.number("b", &[])], [1, 2, 1]);
}

#[test]
fn a_flat_result_is_cleaned_up_after_by_generated_code() {
    let text = |post: &str| {
        format!(
            r#"(component
              (import "host" (instance $host (export "note" (func (param "value" u32)))))
              (core func $note (canon lower (func $host "note")))
              (core module $m (import "" "note" (func $note (param i32))) (global $cleaned (mut i32) (i32.const 0))
                (func (export "f") (result i32) (call $note (i32.const 1)) (i32.const 40))
                (func (export "post") (param i32) {post} (global.set $cleaned (local.get 0)))
                (func (export "cleaned") (result i32) (global.get $cleaned)))
              (core instance $m (instantiate $m (with "" (instance (export "note" (func $note))))))
              (func (export "f") (result u32) (canon lift (core func $m "f") (post-return (core func $m "post"))))
              (func (export "cleaned") (result u32) (canon lift (core func $m "cleaned"))))"#
        )
    };
    let mut running = Running::of(&text(""));
    assert_eq!((running.number("f", &[]), running.number("cleaned", &[]), running.number("f", &[])), (40, 40, 40));
    // It may not call out.
    let mut running = Running::of(&text("(call $note (i32.const 2))"));
    assert_eq!(running.traps("f", &[]), Trap::Unreachable);
    assert_eq!(running.store.data_mut().calls, ["note 1"]);
}

#[test]
fn what_a_caller_needs_is_exported_beside_a_function() {
    let module = lowered(
        r#"(component
          (core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
            (func (export "f") (param i32 i32) (result i32) (i32.const 0)) (func (export "post") (param i32)))
          (core instance $m (instantiate $m))
          (func $f (param "text" string) (result string) (canon lift (core func $m "f")
            (memory (core memory $m "memory")) (realloc (core func $m "realloc")) (post-return (core func $m "post"))))
          (instance $i (export "f" (func $f)))
          (export "f" (func $f))
          (export "a:b/c@1.2.3" (instance $i)))"#,
    );
    let names = [
        "a:b/c@1.2.3#f",
        "a:b/c@1.2.3#f|realloc",
        "a:b/c@1.2.3#f|post-return",
        "f",
        "f|realloc",
        "f|post-return",
        "memory",
    ];
    assert_eq!(exports(&module), names);
}

#[test]
fn resources_of_the_host_are_numbers() {
    let mut running = Running::of(
        r#"(component
          (import "test:host/a@0.2.0" (instance $host
            (export "thing" (type $thing (sub resource)))
            (export "[constructor]thing" (func (result (own $thing))))))
          (alias export $host "thing" (type $thing))
          (core func $new (canon lower (func $host "[constructor]thing")))
          (core func $drop (canon resource.drop $thing))
          (core module $m (import "" "new" (func $new (result i32))) (import "" "drop" (func $drop (param i32)))
            (func (export "f") (result i32) (local i32) (local.set 0 (call $new)) (call $drop (local.get 0)) (local.get 0)))
          (core instance $m (instantiate $m (with "" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
          (func (export "f") (result u32) (canon lift (core func $m "f"))))"#,
    );
    assert_eq!(running.number("f", &[]), 7);
    assert_eq!(running.store.data_mut().calls, ["drop 7"]);
}

/// `run` may return no other number than those of the cases of its result.
#[test]
fn an_unknown_case_of_run_traps() {
    let text = |value: u32| {
        format!(
            r#"(component (core module $m (func (export "run") (result i32) (i32.const {value})))
              (core instance $m (instantiate $m)) (func $run (result (result)) (canon lift (core func $m "run")))
              (instance $i (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $i)))"#
        )
    };
    assert_eq!(Running::of(&text(0)).call("_start", &[]), Ok(Vec::new()));
    assert_eq!(Running::of(&text(1)).call("_start", &[]), Err(Stop::Exit(1)));
    assert_eq!(Running::of(&text(2)).call("_start", &[]), Err(Stop::Trap(Trap::Unreachable)));
}

/// A function of the host finds strings in UTF-8, whatever the component has, and returns them so.
#[test]
fn strings_for_the_host_become_utf8() {
    let text = |encoding: &str, bytes: &str| {
        format!(
            r#"(component
              (import "host" (instance $host
                (export "log" (func (param "text" string))) (export "texts" (func (result (list string))))))
              (core module $memory (memory (export "memory") 1) (data (i32.const 96) "{bytes}")
                (global $next (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                  (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                  (memory.copy (global.get $next) (local.get 0)
                    (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
                  (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))
              (core instance $memory (instantiate $memory))
              (core func $log (canon lower (func $host "log") string-encoding={encoding} (memory (core memory $memory "memory"))))
              (core func $texts (canon lower (func $host "texts") string-encoding={encoding}
                (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
              (core module $m (import "" "log" (func $log (param i32 i32))) (import "" "texts" (func $texts (param i32)))
                (import "" "memory" (memory 1))
                (func (export "g") (param i32) (result i32) (call $log (i32.const 96) (local.get 0)) (i32.const 0))
                (func (export "h") (result i32) (call $texts (i32.const 64))
                  (call $log (i32.load offset=8 (i32.load (i32.const 64))) (i32.load offset=12 (i32.load (i32.const 64))))
                  (i32.load offset=12 (i32.load (i32.const 64)))))
              (core instance $m (instantiate $m (with "" (instance
                (export "log" (func $log)) (export "texts" (func $texts)) (export "memory" (memory $memory "memory"))))))
              (func (export "g") (param "n" u32) (result u32) (canon lift (core func $m "g")))
              (func (export "h") (result u32) (canon lift (core func $m "h"))))"#
        )
    };
    const TAG: i32 = i32::MIN;
    for (encoding, bytes, len, expected) in [
        ("utf8", r"gr\c3\bcn", 5, "gr\u{fc}n"),
        ("utf16", r"g\00r\00\fc\00n\00", 4, "gr\u{fc}n"),
        ("latin1+utf16", r"gr\fcn", 4, "gr\u{fc}n"),
        ("latin1+utf16", r"\ac\20\3d\d8\00\de", 3 | TAG, "\u{20ac}\u{1f600}"),
    ] {
        let mut running = Running::of(&text(encoding, bytes));
        assert_eq!((running.number("g", &[len]), running.number("g", &[len])), (0, 0), "{encoding}");
        assert_eq!(running.store.data_mut().calls, [expected, expected], "{encoding}");
    }
    assert_eq!(Running::of(&text("utf16", r"\00\d8")).traps("g", &[1]), Trap::Unreachable);
    // Texts of the host, of which the second is passed back.
    for (encoding, second, len) in [
        ("utf8", "zw\u{f6}lf", 6),
        ("utf16", "zw\u{f6}lf", 5),
        ("latin1+utf16", "zw\u{f6}lf", 5),
        ("latin1+utf16", "\u{20ac}", 1 | TAG),
    ] {
        let mut running = Running::with(&text(encoding, ""), with_texts(&["one", second]));
        assert_eq!((running.number("h", &[]), running.number("h", &[])), (len, len), "{encoding}");
        assert_eq!(running.store.data_mut().calls, ["texts", second, "texts", second], "{encoding}");
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let lift = |ty: &str, body: &str| {
        format!(
            r#"(component (core module $m {body} (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)) (memory (export "memory") 1))
              (core instance $m (instantiate $m))
              (func (export "f") {ty}))"#
        )
    };
    // Each with its accepted neighbour.
    let cases = [
        (
            lift(r#"async (canon lift (core func $m "f") async)"#, r#"(func (export "f"))"#),
            "`async` functions",
            lift(r#"(canon lift (core func $m "f"))"#, r#"(func (export "f"))"#),
        ),
        (
            r#"(component (type (stream u8)))"#.to_owned(),
            "the type `stream` (async)",
            r#"(component (type (list u8)))"#.to_owned(),
        ),
        (
            r#"(component (type (future u8)))"#.to_owned(),
            "the type `future` (async)",
            r#"(component (type (option u8)))"#.to_owned(),
        ),
        (
            r#"(component (core func (canon context.get i32 0)))"#.to_owned(),
            "the built-in function `context.get`",
            r#"(component (import "i" (instance $i (export "r" (type (sub resource))))) (alias export $i "r" (type $r)) (core func (canon resource.drop $r)))"#.to_owned(),
        ),
        (
            r#"(component (import "m" (core module)))"#.to_owned(),
            "the core module `m` as an import",
            r#"(component (import "m" (func)))"#.to_owned(),
        ),
        (
            r#"(component (import "c" (component)))"#.to_owned(),
            "the component `c` as an import",
            r#"(component (import "c" (instance)))"#.to_owned(),
        ),
        (
            r#"(component (component $c) (export "c" (component $c)))"#.to_owned(),
            "the component `c` as an export",
            r#"(component (core module $c) (export "c" (core module $c)))"#.to_owned(),
        ),
        (
            r#"(component (import "f" (func $f)) (export "g" (func $f)))"#.to_owned(),
            "the export `g`, which is one of its imports",
            r#"(component (import "f" (func $f)) (core func (canon lower (func $f))))"#.to_owned(),
        ),
        (
            r#"(component (core module $m (func (export "memory"))) (core instance $m (instantiate $m))
              (func (export "memory") (canon lift (core func $m "memory"))))"#.to_owned(),
            "two exports with the name `memory`",
            r#"(component (core module $m (func (export "memory"))) (core instance $m (instantiate $m))
              (func (export "memories") (canon lift (core func $m "memory"))))"#.to_owned(),
        ),
    ];
    for (text, what, neighbour) in &cases {
        assert_eq!(refused(text), format!("the component uses {what}, which wave does not lower"), "{text}");
        lowered(neighbour);
    }
}

#[test]
fn what_is_no_component_is_said() {
    for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"\0asm", b"(component)"] {
        assert!(matches!(wave_lower::lower(bytes), Err(LowerError::NoComponent)), "{bytes:?}");
    }
    let mut bytes = component("(component (core module))");
    assert!(wave_lower::lower(&bytes).is_ok());
    bytes.pop();
    let error = wave_lower::lower(&bytes).expect_err("it is truncated");
    assert!(matches!(error, LowerError::Invalid(_)), "{error:?}");
    assert!(error.offset().is_some_and(|offset| offset >= 8));
}
