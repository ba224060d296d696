//! Functions of an adapter become part of the lowered module.

mod common;

use common::{Host, Running, component, exports, imports};
use wave_lower::{LowerError, lower_with};
use wave_runtime::Trap;

/// It counts in its own memory, passes text on, allocates, and has a function that nobody uses.
const ADAPTER: &str = r#"(module
  (import "own" "memory" (memory $own 1 4))
  (import "guest" "memory" (memory $guest 0))
  (import "guest" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "preview" "log" (func $log (param i32 i32)))
  (import "preview" "note" (func $note (param i32)))
  (import "preview" "double" (func $double (param i32) (result i32)))
  (func $count (export "a:b/c@1#count") (result i32)
    (i32.store $own (i32.const 64) (i32.add (i32.load $own (i32.const 64)) (i32.const 1)))
    (i32.load $own (i32.const 64)))
  (func $copy_in (param $to i32) (param $from i32) (param $len i32)
    (memory.copy $own $guest (local.get $to) (local.get $from) (local.get $len)))
  (func $say (export "a:b/c@1#say") (param $text i32) (param $len i32)
    (call $copy_in (i32.const 128) (local.get $text) (local.get $len))
    (call $log (i32.const 128) (local.get $len)))
  (func $text (export "a:b/c@1#text") (param $out i32) (local $at i32)
    (drop (call $count))
    (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 3)))
    (i32.store8 $guest (local.get $at) (i32.const 0x61))
    (i32.store8 $guest offset=1 (local.get $at) (i32.const 0x62))
    (i32.store8 $guest offset=2 (local.get $at) (i32.const 0x63))
    (i32.store $guest (local.get $out) (local.get $at))
    (i32.store $guest offset=4 (local.get $out) (i32.const 3)))
  ;; Each calls the other.
  (func $even (export "a:b/c@1#even") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
  (func $odd (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
  (func (export "a:b/c@1#[resource-drop]thing") (param i32) (call $note (local.get 0)))
  (func (export "a:b/c@1#unused") (result i32) (call $double (i32.const 1)))
  (func $exit (export "wasi:cli/exit@0.2#exit") (param i32) (call $note (i32.add (local.get 0) (i32.const 100)))))"#;

/// A component with a memory and `realloc` of this body.
fn user(realloc: &str) -> String {
    format!(
        r#"(component $user
      (import "a:b/c@1.2.0" (instance $c
        (export "count" (func (result u32)))
        (export "say" (func (param "text" string)))
        (export "text" (func (result string)))
        (export "even" (func (param "number" u32) (result bool)))
        (export "thing" (type (sub resource)))))
      (alias export $c "thing" (type $thing))
      (core func $count (canon lower (func $c "count")))
      (core func $even (canon lower (func $c "even")))
      (core func $drop (canon resource.drop $thing))
      (core module $memory
        (import "" "count" (func $count (result i32)))
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
      (core instance $memory (instantiate $memory (with "" (instance (export "count" (func $count))))))
      (core func $say (canon lower (func $c "say") (memory (core memory $memory "memory"))))
      (core func $text (canon lower (func $c "text")
        (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
      (core module $main
        (import "" "count" (func $count (result i32)))
        (import "" "say" (func $say (param i32 i32)))
        (import "" "text" (func $text (param i32)))
        (import "" "even" (func $even (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "memory" (memory 1))
        (data (i32.const 32) "words")
        (func (export "call") (result i32)
          (call $say (i32.const 32) (i32.const 5))
          (call $text (i32.const 64))
          (call $say (i32.load (i32.const 64)) (i32.load (i32.const 68)))
          (call $drop (i32.const 5))
          (i32.add (i32.mul (call $even (i32.const 10)) (i32.const 100)) (call $count))))
      (core instance $main (instantiate $main (with "" (instance
        (export "count" (func $count)) (export "say" (func $say)) (export "text" (func $text)) (export "even" (func $even))
        (export "drop" (func $drop)) (export "memory" (memory $memory "memory"))))))
      (func (export "call") (result u32) (canon lift (core func $main "call"))))"#
    )
}

fn adapted(text: &str) -> Vec<u8> {
    adapted_by(ADAPTER, text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn adapted_by(adapter: &str, text: &str) -> Result<Vec<u8>, LowerError> {
    lower_with(&component(text), Some(&component(adapter)))
}

fn run(text: &str) -> Running {
    Running::start(&adapted(text), Host::default()).expect("it starts")
}

#[test]
fn only_what_is_used_is_imported() {
    let module = adapted(&user("(i32.const 512)"));
    assert_eq!(imports(&module), ["preview note: (i32) -> ()", "preview log: (i32, i32) -> ()"]);
    assert_eq!(exports(&module), ["call", "memory"]);
    assert!(adapted(&user("(i32.const 512)")) == module, "the same bytes");
    // Without the adapter, the interface stays.
    let module = lower_with(&component(&user("(i32.const 512)")), None).expect("it is supported");
    assert!(imports(&module)[0].starts_with("a:b/c@1 "), "{:?}", imports(&module));
}

#[test]
fn the_adapter_has_a_memory_of_its_own_that_the_host_sees() {
    let mut running = run(&user("(i32.const 512)"));
    // One is counted by `text`.
    assert_eq!(running.number("call", &[]), 102);
    assert_eq!(running.store.data_mut().calls, ["words", "abc", "note 5"]);
    assert_eq!(running.number("call", &[]), 104, "its memory stays");
    let module = adapted(&user("(i32.const 512)"));
    let module = wave_compiler::Module::parse(&module).expect("it is valid");
    let limits: Vec<_> = module.info().memories.iter().map(|memory| (memory.min_pages, memory.max_pages)).collect();
    assert_eq!(limits, [(1, Some(4)), (1, None)]);
}

/// The canonical ABI: a component may not call out while its `realloc` runs, and the adapter is outside.
#[test]
fn realloc_does_not_call_the_adapter() {
    let mut running = run(&user("(drop (call $count)) (i32.const 512)"));
    assert_eq!(running.traps("call", &[]), Trap::Unreachable);
    assert_eq!(running.store.data_mut().calls, ["words"]);
}

/// An exception does not leave a component.
#[test]
fn what_realloc_throws_is_a_trap() {
    let mut running = run(&user("(throw $tag)) (tag $tag"));
    assert_eq!(running.traps("call", &[]), Trap::Unreachable);
    let mut running = run(&user("(i32.const 512)) (tag $tag"));
    assert_eq!(running.number("call", &[]), 102);
}

#[test]
fn each_memory_has_copies_and_the_state_is_one() {
    let text = format!(
        r#"(component
      (import "a:b/c@1.3.0" (instance $c
        (export "count" (func (result u32)))
        (export "say" (func (param "text" string)))
        (export "text" (func (result string)))
        (export "even" (func (param "number" u32) (result bool)))
        (export "thing" (type (sub resource)))))
      {}
      (instance $one (instantiate $user (with "a:b/c@1.2.0" (instance $c))))
      (instance $two (instantiate $user (with "a:b/c@1.2.0" (instance $c))))
      (export "one" (func $one "call"))
      (export "two" (func $two "call")))"#,
        user("(i32.const 512)")
    );
    // Two components use the resource, so each has its own handles of it, of which this is none.
    assert_eq!(run(&text).traps("one", &[]), Trap::Unreachable);
    let mut running = run(&text.replace("(call $drop (i32.const 5))", ""));
    assert_eq!([running.number("one", &[]), running.number("two", &[]), running.number("one", &[])], [102, 104, 106]);
    assert_eq!(running.store.data_mut().calls, ["words", "abc"].repeat(3));
}

#[test]
fn a_command_ends_through_the_adapter() {
    let command = |result: &str| {
        format!(
            r#"(component
          (core module $main (func (export "run") (result i32) (i32.const {result})))
          (core instance $main (instantiate $main))
          (func $run (result (result)) (canon lift (core func $main "run")))
          (instance $run (export "run" (func $run)))
          (export "wasi:cli/run@0.2.3" (instance $run)))"#
        )
    };
    let mut running = run(&command("0"));
    assert_eq!(running.call("_start", &[]), Ok(Vec::new()));
    assert!(running.store.data_mut().calls.is_empty());
    let mut running = run(&command("1"));
    assert_eq!(running.traps("_start", &[]), Trap::Unreachable, "this adapter does not end it");
    assert_eq!(running.store.data_mut().calls, ["note 101"]);
}

#[test]
fn what_the_adapter_lacks_is_named() {
    let ask = |function: &str| {
        let text = format!(
            r#"(component (import "a:b/c@1.0.0" (instance $c (export "{function})))
               (core func (canon lower (func $c "{}"))))"#,
            function.split('"').next().unwrap_or_default()
        );
        adapted_by(ADAPTER, &text).map(|module| imports(&module)).map_err(|error| error.to_string())
    };
    assert_eq!(ask(r#"count" (func (result u32))"#), Ok(Vec::new()));
    assert_eq!(
        ask(r#"more" (func)"#),
        Err("the component uses the function `more` of `a:b/c@1`, which wave does not lower".to_owned())
    );
    assert_eq!(
        ask(r#"count" (func (result u64))"#),
        Err("the component uses the function `count` of `a:b/c@1` with a type that is not its own, which wave does not lower"
            .to_owned())
    );
}

#[test]
fn an_adapter_has_only_functions() {
    let text = user("(i32.const 512)");
    let with = |field: &str| adapted_by(&ADAPTER.replacen("(module", &format!("(module {field}"), 1), &text);
    assert!(with("").is_ok());
    for field in [
        "(table 1 funcref)",
        "(global i32 (i32.const 0))",
        "(memory 1)",
        "(data \"x\")",
        "(import \"a\" \"b\" (table 1 funcref))",
    ] {
        let adapter = match field.starts_with("(import") {
            true => ADAPTER.replacen("(module", &format!("(module {field}"), 1),
            false => format!("{} {field})", &ADAPTER[..ADAPTER.len() - 1]),
        };
        assert!(matches!(adapted_by(&adapter, &text), Err(LowerError::Mistake(_))), "{field}");
    }
}

#[test]
fn t121_realloc_and_post_return_have_their_types() {
    let with = |realloc: &str, post_return: &str| {
        let text = format!(
            r#"(component
          (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") {realloc})
            (func (export "clean") {post_return})
            (func (export "text") (param i32 i32) (result i32) unreachable))
          (core instance $m (instantiate $m))
          (func (export "text") (param "text" string) (result string) (canon lift (core func $m "text")
            (memory (core memory $m "memory")) (realloc (core func $m "realloc")) (post-return (core func $m "clean")))))"#
        );
        adapted_by(ADAPTER, &text)
    };
    let (realloc, post_return) = ("(param i32 i32 i32 i32) (result i32) unreachable", "(param i32)");
    assert!(with(realloc, post_return).is_ok());
    for wrong in [
        "(param i32 i32 i32) (result i32) unreachable",
        "(param i32 i32 i32 i64) (result i32) unreachable",
        "(param i32 i32 i32 i32)",
    ] {
        assert!(matches!(with(wrong, post_return), Err(LowerError::Invalid(_))), "{wrong}");
    }
    for wrong in ["", "(param i64)", "(param i32) (result i32) unreachable"] {
        assert!(matches!(with(realloc, wrong), Err(LowerError::Invalid(_))), "{wrong}");
    }
}
