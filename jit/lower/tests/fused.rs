//! Calls between components: values are copied from one memory to the other, and checked.

mod common;

use common::{Host, Running, lowered, refused};
use wave_runtime::{Trap, Value};

/// A component in which one calls the other.
///
/// The callee has `f` of type `ty`, with the core type `core` and this body. It has a memory of one page, a `realloc` that gives out memory
/// from 1024 on and counts, and `look`, which loads a byte. The caller's `g` has this type and body, and may call `$f`.
fn pair(ty: &str, core: &str, body: &str, lowered: &str, caller: &str, g: &str) -> String {
    format!(
        r#"(component
          (component $callee
            (core module $m
              (memory (export "memory") 1) (global $next (mut i32) (i32.const 1024)) (global $seen (mut i64) (i64.const 0))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                                           (i32.sub (i32.const 0) (local.get 2))))
                (memory.copy (global.get $next) (local.get 0)
                  (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
                (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3))))
              (func (export "look") (param i32) (result i32) (i32.load8_u (local.get 0)))
              (func (export "seen") (result i64) (global.get $seen))
              (func (export "next") (result i32) (global.get $next))
              (func (export "f") {core} {body})
              (func (export "post") (param i32)))
            (core instance $m (instantiate $m))
            (func (export "f") {ty} (canon lift (core func $m "f") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
            (func (export "look") (param "at" u32) (result u32) (canon lift (core func $m "look")))
            (func (export "seen") (result s64) (canon lift (core func $m "seen")))
            (func (export "next") (result u32) (canon lift (core func $m "next"))))
          (component $caller
            (import "f" (func $f {ty}))
            (core module $memory
              (memory (export "memory") 1) (global $next (mut i32) (i32.const 2048))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                                           (i32.sub (i32.const 0) (local.get 2))))
                (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 3)))))
            (core instance $memory (instantiate $memory))
            (core func $f (canon lower (func $f) (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
            (core module $m (import "" "f" (func $f {lowered})) (import "" "memory" (memory 1))
              {caller} (func (export "g") {g}))
            (core instance $m (instantiate $m (with "" (instance
              (export "f" (func $f)) (export "memory" (memory $memory "memory"))))))
            (func (export "g") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $m "g"))))
          (instance $callee (instantiate $callee))
          (instance $caller (instantiate $caller (with "f" (func $callee "f"))))
          (export "g" (func $caller "g")) (export "look" (func $callee "look")) (export "seen" (func $callee "seen"))
          (export "next" (func $callee "next")))"#
    )
}

const G: &str = "(param i32 i32) (result i32)";

fn seen(running: &mut Running) -> i64 {
    match running.call("seen", &[]).as_deref() {
        Ok([Value::I64(value)]) => *value,
        other => panic!("{other:?}"),
    }
}

/// The canonical ABI, "Lifting Flat Values": what is not in the range of a type is cut off, or is a trap.
#[test]
fn flat_values_are_made_what_their_type_says() {
    /// A type, values with what becomes of them, and values that trap.
    type Case = (&'static str, &'static [(i64, i64)], &'static [i32]);
    let cases: &[Case] = &[
        ("bool", &[(0, 0), (1, 1), (2, 1), (-1, 1), (256, 1)], &[]),
        ("u8", &[(255, 255), (256, 0), (-1, 255)], &[]),
        ("s8", &[(127, 127), (128, -128), (255, -1), (-129, 127)], &[]),
        ("u16", &[(0xffff, 0xffff), (0x1_0001, 1)], &[]),
        ("s16", &[(0x7fff, 0x7fff), (0x8000, -0x8000)], &[]),
        ("u32", &[(-1, -1), (5, 5)], &[]),
        (
            "char",
            &[(0, 0), (0xd7ff, 0xd7ff), (0xe000, 0xe000), (0x10_ffff, 0x10_ffff)],
            &[0xd800, 0xdfff, 0x11_0000, -1],
        ),
        (r#"(flags "a" "b" "c")"#, &[(7, 7), (8, 0), (-1, 7)], &[]),
        (r#"(enum "a" "b" "c")"#, &[(0, 0), (2, 2)], &[3, -1, 256]),
        ("(option u8)", &[(0, 0), (1, 1)], &[2]),
    ];
    for (ty, values, trapping) in cases {
        let two = *ty == "(option u8)";
        let (core, push) = if two { ("(param i32 i32)", "(i32.const 0)") } else { ("(param i32)", "") };
        let text = pair(
            &format!(r#"(param "v" {})"#, if ty.starts_with("(flags") || ty.starts_with("(enum") { "$t" } else { ty }),
            core,
            "(global.set $seen (i64.extend_i32_s (local.get 0)))",
            core,
            "",
            &format!("{G} (call $f (local.get 0) {push}) (i32.const 0)"),
        );
        // Types with names must be defined, and exported.
        let text = if text.contains("$t)") {
            let text = text.replace(
                "(component $callee",
                &format!("(component $callee (type $u {ty}) (export $t \"t\" (type $u))"),
            );
            let text = text.replace(
                "(component $caller",
                &format!("(component $caller (type $u {ty}) (import \"t\" (type $t (eq $u)))"),
            );
            text.replace(
                "(with \"f\" (func $callee \"f\"))",
                "(with \"t\" (type $callee \"t\")) (with \"f\" (func $callee \"f\"))",
            )
        } else {
            text
        };
        let mut running = Running::of(&text);
        for (value, expected) in *values {
            running.number("g", &[i32::try_from(*value).unwrap(), 0]);
            assert_eq!(seen(&mut running), *expected, "{ty} {value}");
        }
        for value in *trapping {
            assert_eq!(Running::of(&text).traps("g", &[*value, 0]), Trap::Unreachable, "{ty} {value}");
        }
    }
}

/// A call with a string, whose bytes are these.
fn string_call(bytes: &str) -> String {
    pair(
        r#"(param "s" string) (result u32)"#,
        "(param i32 i32) (result i32)",
        "(global.set $seen (i64.extend_i32_u (local.get 0))) (local.get 1)",
        "(param i32 i32) (result i32)",
        &format!(r#"(data (i32.const 100) "{bytes}")"#),
        &format!("{G} (call $f (local.get 0) (local.get 1))"),
    )
}

#[test]
fn strings_are_copied_to_memory_of_the_callee() {
    let mut running = Running::of(&string_call("hello"));
    assert_eq!(running.number("g", &[100, 5]), 5);
    let at = i32::try_from(seen(&mut running)).unwrap();
    assert_eq!(at, 1024, "its own `realloc` gave it out");
    let copied: Vec<i32> = (0..6).map(|offset| running.number("look", &[at + offset])).collect();
    assert_eq!(copied, [104, 101, 108, 108, 111, 0]);
    // An empty string is an allocation of no bytes. Its address must be in bounds, too.
    assert_eq!((running.number("g", &[65536, 0]), seen(&mut running)), (0, 1029));
    assert_eq!(running.traps("g", &[65537, 0]), Trap::Unreachable);
    for (at, len) in [(65535, 2), (65536, 1), (-1, 1), (0, 65537), (100, -1), (0, 0x1000_0000)] {
        assert_eq!(Running::of(&string_call("x")).traps("g", &[at, len]), Trap::Unreachable, "{at} {len}");
    }
    assert_eq!(Running::of(&string_call("x")).number("g", &[65535, 1]), 1);
}

#[test]
fn only_utf8_is_a_string() {
    for (bytes, len) in [(r"\c3\a9", 2), (r"\f0\9f\98\80", 4), ("plain text of 22 bytes.", 22)] {
        assert_eq!(Running::of(&string_call(bytes)).number("g", &[100, len]), len, "{bytes}");
    }
    for (bytes, len) in [(r"\c3\a9", 1), (r"\ed\a0\80", 3), (r"\c0\80", 2), (r"\f4\90\80\80", 4), (r"12345678\ff", 9)] {
        assert_eq!(Running::of(&string_call(bytes)).traps("g", &[100, len]), Trap::Unreachable, "{bytes}");
    }
}

/// As [`string_call`], with these encodings of the caller and of the callee.
fn encoded_call(bytes: &[u8], from: &str, to: &str) -> String {
    let digits: String = bytes.iter().map(|byte| format!(r"\{byte:02x}")).collect();
    let text = string_call(&digits);
    let text =
        text.replace(r#"(core func $m "f") (memory"#, &format!(r#"(core func $m "f") string-encoding={to} (memory"#));
    text.replace("(canon lower (func $f) (memory", &format!("(canon lower (func $f) string-encoding={from} (memory"))
}

const TAG: i32 = i32::MIN;

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|each| u8::try_from(u32::from(each)).ok()).collect()
}

/// The ways to write a text in an encoding: its bytes and its length, with the bit that says UTF-16.
fn encoded(text: &str, encoding: &str) -> Vec<(Vec<u8>, i32)> {
    let len = |count: usize| i32::try_from(count).unwrap();
    let wide = utf16(text);
    let units = len(wide.len() / 2);
    match encoding {
        "utf8" => vec![(text.as_bytes().to_vec(), len(text.len()))],
        "utf16" => vec![(wide, units)],
        _ => latin1(text)
            .map(|bytes| (bytes.clone(), len(bytes.len())))
            .into_iter()
            .chain([(wide, units | TAG)])
            .collect(),
    }
}

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

#[test]
fn strings_are_copied_from_each_encoding_to_each() {
    let texts = [
        "",
        "a",
        "plain text of 22 bytes.",
        "gr\u{fc}n",
        "\u{80}\u{ff}",
        "\u{100}",
        "ab\u{e9}\u{20ac}c\u{1f600}\u{10ffff}",
        "\u{ffff}\u{d7ff}\u{e000}",
    ];
    for (from, to, text) in
        ENCODINGS.iter().flat_map(|from| ENCODINGS.iter().flat_map(move |to| texts.map(|text| (from, to, text))))
    {
        // What is Latin-1 comes out as that.
        let (expected, expected_len) = encoded(text, to).into_iter().next().unwrap();
        for (bytes, len) in encoded(text, from) {
            let mut running = Running::of(&encoded_call(&bytes, from, to));
            assert_eq!(running.number("g", &[100, len]), expected_len, "{text:?} from {from} to {to}");
            let at = i32::try_from(seen(&mut running)).unwrap();
            assert!(*to == "utf8" || at % 2 == 0, "{at}");
            let copied =
                (0..expected.len()).map(|offset| running.number("look", &[at + i32::try_from(offset).unwrap()]));
            assert_eq!(
                copied.collect::<Vec<_>>(),
                expected.iter().map(|byte| i32::from(*byte)).collect::<Vec<_>>(),
                "{text:?} from {from} to {to}"
            );
        }
    }
}

#[test]
fn what_is_no_text_in_its_encoding_traps() {
    let lone: [&[u8]; 4] = [b"\x00\xd8", b"\x00\xdc", b"\x00\xd8a\x00", b"\x00\xd8\x00\xd8"];
    for to in ENCODINGS {
        for (from, tag) in [("utf16", 0), ("latin1+utf16", TAG)] {
            for bytes in lone {
                let len = i32::try_from(bytes.len() / 2).unwrap() | tag;
                assert_eq!(
                    Running::of(&encoded_call(bytes, from, to)).traps("g", &[100, len]),
                    Trap::Unreachable,
                    "{bytes:x?} {to}"
                );
            }
            // Its permitted neighbours: a whole pair, an even address, what just fits.
            assert_eq!(Running::of(&encoded_call(b"\x00\xd8\x00\xdc", from, "utf16")).number("g", &[100, 2 | tag]), 2);
            for (at, len) in [(101, 1), (65535, 0), (65534, 2), (65536, 1), (0, 0x0800_0000)] {
                assert_eq!(
                    Running::of(&encoded_call(b"", from, to)).traps("g", &[at, len | tag]),
                    Trap::Unreachable,
                    "{at} {len}"
                );
            }
            for (at, len) in [(102, 1), (65536, 0), (65534, 1)] {
                Running::of(&encoded_call(b"", from, to)).number("g", &[at, len | tag]);
            }
        }
        for (at, len) in [(101, 1), (101, 0), (65536, 1), (65534, 3), (0, 0x1000_0000)] {
            assert_eq!(
                Running::of(&encoded_call(b"", "latin1+utf16", to)).traps("g", &[at, len]),
                Trap::Unreachable,
                "{at} {len}"
            );
        }
        for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80"] {
            let len = i32::try_from(bytes.len()).unwrap();
            assert_eq!(
                Running::of(&encoded_call(bytes, "utf8", to)).traps("g", &[100, len]),
                Trap::Unreachable,
                "{bytes:x?} {to}"
            );
        }
    }
}

#[test]
fn lists_are_copied_element_by_element_where_elements_are_checked() {
    let call = |element: &str, data: &str| {
        pair(
            &format!(r#"(param "l" (list {element})) (result u32)"#),
            "(param i32 i32) (result i32)",
            "(global.set $seen (i64.extend_i32_u (local.get 0))) (local.get 1)",
            "(param i32 i32) (result i32)",
            &format!(r#"(data (i32.const 96) "{data}")"#),
            &format!("{G} (call $f (local.get 0) (local.get 1))"),
        )
    };
    let bytes_of = |text: &str, at: i32, len: i32, bytes: i32| -> Vec<i32> {
        let mut running = Running::of(text);
        assert_eq!(running.number("g", &[at, len]), len);
        let at = i32::try_from(seen(&mut running)).unwrap();
        (0..bytes).map(|offset| running.number("look", &[at + offset])).collect()
    };
    // Numbers are copied as they are.
    assert_eq!(bytes_of(&call("u16", r"\01\02\03\04\05\06"), 96, 2, 6), [1, 2, 3, 4, 0, 0]);
    // Truth values become 0 and 1.
    assert_eq!(bytes_of(&call("bool", r"\00\02\ff\01"), 96, 4, 4), [0, 1, 1, 1]);
    // What is between the fields of a record stays where it is.
    assert_eq!(bytes_of(&call("(tuple u8 u32)", r"\01\aa\bb\cc\02\00\00\00"), 96, 1, 8), [1, 0, 0, 0, 2, 0, 0, 0]);
    // A list of strings has its own in new places: the list is allocated first.
    let strings = r"\70\00\00\00\02\00\00\00\72\00\00\00\01\00\00\00abc";
    assert_eq!(bytes_of(&call("string", strings), 96, 2, 16), [16, 4, 0, 0, 2, 0, 0, 0, 18, 4, 0, 0, 1, 0, 0, 0]);
    // An option that is none has no payload, whatever lies there.
    assert_eq!(bytes_of(&call("(option u8)", r"\00\ff\01\ee"), 96, 2, 4), [0, 0, 1, 0xee]);
    for (element, at, len) in
        [("u16", 97, 1), ("u32", 98, 0), ("u64", 4, 1), ("u32", 65536, 1), ("u64", 0, 0x2000_0000), ("string", 2, 0)]
    {
        assert_eq!(Running::of(&call(element, "")).traps("g", &[at, len]), Trap::Unreachable, "{element} {at} {len}");
    }
    for (element, at, len) in
        [("u16", 98, 1), ("u32", 100, 0), ("u64", 8, 1), ("u32", 65532, 1), ("u8", 65535, 1), ("string", 4, 0)]
    {
        assert_eq!(Running::of(&call(element, "")).number("g", &[at, len]), len, "{element} {at} {len}");
    }
    assert_eq!(Running::of(&call("char", r"\00\d8\00\00")).traps("g", &[96, 1]), Trap::Unreachable);
    assert_eq!(Running::of(&call("char", r"\00\d7\00\00")).number("g", &[96, 1]), 1);
    assert_eq!(Running::of(&call("(option u8)", r"\02")).traps("g", &[96, 1]), Trap::Unreachable);
    assert_eq!(Running::of(&call("string", r"\60\00\00\00\ff\ff\00\00")).traps("g", &[96, 1]), Trap::Unreachable);
}

/// A result with contents is allocated by the caller, and the callee may clean up once it was read.
#[test]
fn results_are_copied_to_memory_of_the_caller() {
    let text = pair(
        r#"(param "n" u32) (result (result (tuple string u64) (error char)))"#,
        "(param i32) (result i32)",
        r#"(i32.store8 (i32.const 64) (i32.eqz (local.get 0)))
           (i32.store (i32.const 72) (i32.const 200)) (i32.store (i32.const 76) (local.get 0))
           (if (i32.eqz (local.get 0)) (then (i32.store (i32.const 72) (i32.const 0x1f600))))
           (i32.store (i32.const 200) (i32.const 0x64636261))
           (i64.store (i32.const 80) (i64.const 77)) (i32.const 64)"#,
        "(param i32 i32)",
        "",
        &format!(
            "{G} (i32.store8 (i32.const 507) (i32.const 9)) (call $f (local.get 0) (local.get 1)) \
             (if (result i32) (i32.load8_u (local.get 1)) (then (i32.load offset=8 (local.get 1))) \
             (else (i32.add (i32.load8_u (i32.load offset=8 (local.get 1))) (i32.wrap_i64 (i64.load offset=16 (local.get 1))))))"
        ),
    );
    let mut running = Running::of(&text);
    assert_eq!(running.number("g", &[4, 512]), 0x61 + 77);
    assert_eq!(running.number("g", &[0, 512]), 0x1_f600);
    for pointer in [508, 513, 65_536 - 16, 65536, -8] {
        assert_eq!(Running::of(&text).traps("g", &[4, pointer]), Trap::Unreachable, "{pointer}");
    }
    assert_eq!(Running::of(&text).number("g", &[4, 65_536 - 24]), 0x61 + 77);
    // The callee's own mistakes are traps as well: text outside of its memory.
    assert_eq!(
        Running::of(&text.replace("(i32.const 76) (local.get 0)", "(i32.const 76) (i32.const -1)"))
            .traps("g", &[4, 512]),
        Trap::Unreachable
    );
}

/// More than 16 flat values are passed in memory.
#[test]
fn many_parameters_are_passed_in_memory() {
    let params = |count: usize| (0..count).map(|at| format!(r#"(param "p{at}" u32)"#)).collect::<String>();
    let sum = "(global.set $seen (i64.extend_i32_u (i32.load offset=64 (local.get 0))))";
    let text = pair(
        &params(17),
        "(param i32)",
        sum,
        "(param i32)",
        "",
        &format!("{G} (i32.store (i32.const 164) (i32.const 42)) (call $f (local.get 0)) (i32.const 0)"),
    );
    let mut running = Running::of(&text);
    running.number("g", &[100, 0]);
    assert_eq!(seen(&mut running), 42);
    for pointer in [101, 65536 - 64] {
        assert_eq!(Running::of(&text).traps("g", &[pointer, 0]), Trap::Unreachable, "{pointer}");
    }
    assert_eq!(Running::of(&text).number("g", &[65536 - 68, 0]), 0);
    let core = format!("(param{})", " i32".repeat(16));
    let arguments = "(local.get 0)".repeat(16);
    let text = pair(
        &params(16),
        &core,
        "(global.set $seen (i64.extend_i32_u (local.get 15)))",
        &core,
        "",
        &format!("{G} (call $f {arguments}) (i32.const 0)"),
    );
    let mut running = Running::of(&text);
    running.number("g", &[7, 0]);
    assert_eq!(seen(&mut running), 7);
}

/// Cases of a variant share their flat places, which are as wide as the widest.
#[test]
fn flat_variants_share_their_places() {
    let text = pair(
        r#"(param "v" $t)"#,
        "(param i32 i64)",
        "(global.set $seen (i64.xor (i64.extend_i32_u (local.get 0)) (i64.shl (local.get 1) (i64.const 8))))",
        "(param i32 i64)",
        "",
        &format!(
            "{G} (call $f (local.get 0) (i64.or (i64.extend_i32_u (local.get 1)) (i64.const 0x0ff00000000))) (i32.const 0)"
        ),
    );
    let ty = r#"(variant (case "a" u8) (case "b" f32) (case "c" u64) (case "d"))"#;
    let text =
        text.replace("(component $callee", &format!("(component $callee (type $u {ty}) (export $t \"t\" (type $u))"));
    let text = text
        .replace("(component $caller", &format!("(component $caller (type $u {ty}) (import \"t\" (type $t (eq $u)))"));
    let text = text.replace(
        "(with \"f\" (func $callee \"f\"))",
        "(with \"t\" (type $callee \"t\")) (with \"f\" (func $callee \"f\"))",
    );
    let mut running = Running::of(&text);
    for (case, payload, expected) in
        [(0, 0x1ff, 0xff), (1, 0x3f80_0000, 0x3f80_0000), (2, 5, 0x0ff_0000_0005), (3, 5, 0)]
    {
        running.number("g", &[case, payload]);
        assert_eq!(seen(&mut running), (expected << 8) ^ i64::from(case), "{case}");
    }
    assert_eq!(running.traps("g", &[4, 0]), Trap::Unreachable);
}

/// A component cannot be called while one of its functions runs, nor call out while it allocates or cleans up.
#[test]
fn components_are_not_entered_twice() {
    // The outer component gives a function to $a that calls $b; $b calls $a.
    let text = |again: bool| {
        format!(
            r#"(component
              (core module $table (table (export "t") 1 funcref)
                (func (export "f") (param i32) (result i32) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))
              (core instance $table (instantiate $table))
              (func $loop (param "n" u32) (result u32) (canon lift (core func $table "f")))
              (component $a (import "f" (func $f (param "n" u32) (result u32)))
                (core func $f (canon lower (func $f)))
                (core module $m (import "" "f" (func $f (param i32) (result i32)))
                  (func (export "f") (param i32) (result i32)
                    (if (result i32) (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 50)))))
                (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
                (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))
              (instance $a (instantiate $a (with "f" (func $loop))))
              (component $other (core module $m (func (export "f") (param i32) (result i32) (i32.const 60)))
                (core instance $m (instantiate $m))
                (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))
              (instance $other (instantiate $other))
              (core func $again (canon lower (func ${} "f")))
              (core module $fill (import "" "t" (table 1 funcref)) (import "" "f" (func $f (param i32) (result i32)))
                (elem (i32.const 0) func $f))
              (core instance (instantiate $fill (with "" (instance (export "t" (table $table "t")) (export "f" (func $again))))))
              (export "f" (func $a "f")))"#,
            if again { "a" } else { "other" }
        )
    };
    let mut running = Running::of(&text(true));
    assert_eq!(running.number("f", &[0]), 50);
    assert_eq!(running.number("f", &[0]), 50, "it may be entered again once it has returned");
    assert_eq!(running.traps("f", &[1]), Trap::Unreachable);
    assert_eq!(Running::of(&text(false)).number("f", &[1]), 60);
}

#[test]
fn a_callee_calls_nobody_while_it_allocates_or_cleans_up() {
    let text = |realloc: &str, post: &str| {
        format!(
            r#"(component
              (import "host" (instance $host (export "note" (func (param "value" u32)))))
              (component $callee (import "note" (func $note (param "value" u32)))
                (core func $note (canon lower (func $note)))
                (core module $m (import "" "note" (func $note (param i32))) (memory (export "memory") 1)
                  (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc} (i32.const 64))
                  (func (export "f") (param i32 i32) (result i32) (call $note (i32.const 1)) (i32.const 5))
                  (func (export "post") (param i32) {post}))
                (core instance $m (instantiate $m (with "" (instance (export "note" (func $note))))))
                (func (export "f") (param "s" string) (result u32) (canon lift (core func $m "f")
                  (memory (core memory $m "memory")) (realloc (core func $m "realloc")) (post-return (core func $m "post")))))
              (instance $callee (instantiate $callee (with "note" (func $host "note"))))
              (core module $memory (memory (export "memory") 1))
              (core instance $memory (instantiate $memory))
              (core func $f (canon lower (func $callee "f") (memory (core memory $memory "memory"))))
              (core module $m (import "" "f" (func $f (param i32 i32) (result i32)))
                (func (export "g") (result i32) (call $f (i32.const 0) (i32.const 1))))
              (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
              (func (export "g") (result u32) (canon lift (core func $m "g"))))"#
        )
    };
    let mut running = Running::with(&text("", ""), Host::default());
    assert_eq!((running.number("g", &[]), running.number("g", &[])), (5, 5));
    assert_eq!(running.store.data_mut().calls, ["note 1", "note 1"]);
    let mut running = Running::of(&text("(call $note (i32.const 2))", ""));
    assert_eq!(running.traps("g", &[]), Trap::Unreachable);
    assert!(running.store.data_mut().calls.is_empty());
    let mut running = Running::of(&text("", "(call $note (i32.const 3))"));
    assert_eq!(running.traps("g", &[]), Trap::Unreachable);
    assert_eq!(running.store.data_mut().calls, ["note 1"]);
}

/// An exception does not leave the component that throws it.
#[test]
fn an_exception_ends_at_the_border() {
    let text = |body: &str| {
        format!(
            r#"(component
              (component $callee (core module $m (tag $t) (func (export "f") (result i32) {body}))
                (core instance $m (instantiate $m)) (func (export "f") (result u32) (canon lift (core func $m "f"))))
              (instance $callee (instantiate $callee))
              (core func $f (canon lower (func $callee "f")))
              (core module $m (import "" "f" (func $f (result i32)))
                (func (export "g") (result i32)
                  (block $caught (return (try_table (result i32) (catch_all $caught) (call $f)))) (i32.const 99)))
              (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
              (func (export "g") (result u32) (canon lift (core func $m "g"))))"#
        )
    };
    assert_eq!(Running::of(&text("(i32.const 3)")).number("g", &[]), 3);
    assert_eq!(Running::of(&text("(throw $t)")).traps("g", &[]), Trap::Unreachable);
}

/// Nor the component whose `realloc` throws it.
#[test]
fn an_exception_of_an_allocation_is_a_trap() {
    let text = |realloc: &str, encoding: &str| {
        format!(
            r#"(component
              (component $callee (core module $m (tag $t) (memory (export "memory") 1)
                  (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                  (func (export "f") (param i32 i32) (result i32) (local.get 1)))
                (core instance $m (instantiate $m))
                (func (export "f") (param "s" string) (result u32) (canon lift (core func $m "f") string-encoding={encoding}
                  (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
              (instance $callee (instantiate $callee))
              (core module $memory (memory (export "memory") 1)) (core instance $memory (instantiate $memory))
              (core func $f (canon lower (func $callee "f") (memory (core memory $memory "memory"))))
              (core module $m (import "" "f" (func $f (param i32 i32) (result i32)))
                (func (export "g") (result i32)
                  (block $caught (return (try_table (result i32) (catch_all $caught) (call $f (i32.const 0) (i32.const 3)))))
                  (i32.const 99)))
              (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
              (func (export "g") (result u32) (canon lift (core func $m "g"))))"#
        )
    };
    for encoding in ENCODINGS {
        assert_eq!(Running::of(&text("(i32.const 8)", encoding)).number("g", &[]), 3);
        assert_eq!(Running::of(&text("(throw $t)", encoding)).traps("g", &[]), Trap::Unreachable, "{encoding}");
    }
}

/// Types can be small and their values many: the code to copy them is bounded.
#[test]
fn code_that_copies_is_bounded() {
    let text = |levels: usize| {
        let mut types = String::from(r#"(type $t0 (tuple bool bool))"#);
        for level in 1..=levels {
            types += &format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1);
        }
        format!(
            r#"(component {types}
              (component $callee (alias outer 1 $t{levels} (type $t))
                (core module $m (memory (export "memory") 1)
                  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)) (func (export "f") (param i32)))
                (core instance $m (instantiate $m))
                (func (export "f") (param "v" $t) (canon lift (core func $m "f") (memory (core memory $m "memory")) (realloc (core func $m "realloc")))))
              (instance $callee (instantiate $callee))
              (core module $memory (memory (export "memory") 1))
              (core instance $memory (instantiate $memory))
              (core func $f (canon lower (func $callee "f") (memory (core memory $memory "memory")))))"#
        )
    };
    lowered(&text(12));
    assert_eq!(refused(&text(17)), "the component is too large: values between its components take too much code");
}
