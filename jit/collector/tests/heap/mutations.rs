//! Collectors with a mistake, each of which the model must find.

use std::fs;
use std::path::Path;

use crate::machine::Fault;
use crate::random::{self, Plan};
use crate::shapes;

/// What is wrong, the text that occurs once in `collector.wat`, and what stands there instead.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "what a field refers to is not marked",
        "(i32.store (local.get $word) (i32.or (local.get $header) (i32.const 1)))",
        "",
    ),
    (
        "the fields of what a field refers to are not marked",
        "(call $push (local.get $word))\n        (br $reference)",
        "(br $reference)",
    ),
    (
        "the first field of a window is forgotten",
        "(br_if $next (i32.eqz (local.get $bits)))\n        (local.set $word",
        "(br_if $next (i32.eqz (i32.and (local.get $bits) (i32.const -2))))\n        (local.set $word",
    ),
    ("the bitmap is read one word too early", "(i32.load offset=20", "(i32.load offset=16"),
    (
        "only the first 32 words of an object are fields",
        concat!(
            "(i32.store offset=4 (local.get $stack) (i32.add (local.get $window) (i32.const 1)))\n",
            "          (i32.store (i32.const 96) (i32.add (local.get $stack) (i32.const 8))))"
        ),
        "nop)",
    ),
    (
        "the last element is forgotten",
        "(local.set $limit (i32.add (local.get $limit) (i32.const 2)))",
        "(local.set $limit (i32.add (local.get $limit) (i32.const 1)))",
    ),
    (
        "arrays of references are leaves",
        "(if (i32.ne (i32.load (local.get $descriptor)) (i32.const 2))\n          (then (return)))))\n    (local.set $stack",
        "(return)))\n    (local.set $stack",
    ),
    ("what does not fit on the mark stack is forgotten", "(call $mark_again)", ""),
    (
        "only one page is looked at again",
        "(br_if $next (i32.lt_u (local.get $page) (local.get $top))))\n      (br $again)",
        "(br_if $next (i32.lt_u (local.get $page) (i32.const 10))))\n      (br $again)",
    ),
    (
        "an address inside of an object is no root",
        "(local.set $word (i32.sub (local.get $word) (i32.rem_u (local.get $word) (local.get $entry))))",
        "(if (i32.rem_u (local.get $word) (local.get $entry)) (then (return (i32.const 0))))",
    ),
    (
        "an address in a later page of an object is no root",
        "(then (return (i32.sub (local.get $page) (i32.shl (i32.shr_u (local.get $entry) (i32.const 8)) (i32.const 16))))))",
        "(then (return (i32.const 0))))",
    ),
    ("the end of an array is no root", "(if (call $ends (local.get $before) (local.get $word))", "(if (i32.const 0)"),
    ("the end of any object is a root", "(if (call $ends (local.get $before) (local.get $word))", "(if (i32.const 1)"),
    (
        "only the first buffer of roots counts",
        "(br_if $next (i32.lt_u (local.get $at) (local.get $end))))\n      (br $more)",
        "(br_if $next (i32.lt_u (local.get $at) (local.get $end))))",
    ),
    ("immortal objects are no roots", "(call $mark_immortal)", ""),
    (
        "one immortal object is a root",
        "(local.set $node (i32.load (local.get $node)))",
        "(local.set $node (i32.const 0))",
    ),
    (
        "the mark of a small object stays",
        "(i32.store (local.get $cell) (i32.xor (local.get $header) (i32.const 1)))",
        "",
    ),
    (
        "the mark of a large object stays",
        "(i32.store (local.get $start) (i32.xor (local.get $entry) (i32.const 1)))",
        "",
    ),
    (
        "a free cell keeps its header",
        "(i64.store (local.get $cell) (i64.shl (i64.extend_i32_u (local.get $head)) (i64.const 32)))",
        "(i32.store offset=4 (local.get $cell) (local.get $head))",
    ),
    ("the old free lists stay", "(call $forget)", ""),
    ("one free list stays", "(local.set $class (i32.const 44))", "(local.set $class (i32.const 43))"),
    (
        "a page with objects is free",
        "(then (br_if $in_use (call $thread (local.get $page) (local.get $entry) (i32.const 1))))",
        "(then (br_if $in_use (i32.gt_u (call $thread (local.get $page) (local.get $entry) (i32.const 1)) (i32.const 1))))",
    ),
    (
        "only the first page of a dead object is free",
        "(call $release (local.get $page) (local.get $pages))",
        "(call $release (local.get $page) (i32.const 1))",
    ),
    ("pages of others are free", "(br_if $foreign (i32.eqz (local.get $kind)))", ""),
    (
        "a large object has a page too few",
        "(call $large (i32.add (i32.shr_u (local.get $last) (i32.const 16)) (i32.const 1)))",
        "(call $large (i32.add (i32.shr_u (i32.sub (local.get $last) (i32.const 4096)) (i32.const 16)) (i32.const 1)))",
    ),
    (
        "cells are a class too small",
        "(i32.shr_u (local.get $last) (i32.sub (local.get $log) (i32.const 2)))))",
        "(i32.shr_u (i32.sub (local.get $last) (i32.const 1)) (i32.sub (local.get $log) (i32.const 2)))))",
    ),
    (
        "a run of free pages has a hole",
        "(select\n                (i32.add (local.get $run) (i32.const 1))\n                (i32.const 0)",
        "(select\n                (i32.add (local.get $run) (i32.const 1))\n                (local.get $run)",
    ),
    (
        "the last page is not swept",
        "(i32.store (i32.const 76) (local.get $end))",
        "(i32.store (i32.const 76) (local.get $page))",
    ),
    ("the end of the cells of a page is wrong", "(i32.rem_u (i32.const 0x10000) (local.get $bytes))", "(i32.const 0)"),
];

/// The programs that a collector is tried with. Small ones, for each runs with each mistake; together they must find all.
fn try_out(module: &[u8]) -> Result<(), Fault> {
    // A collector that hangs is out of fuel.
    let fuel = Some(4_000_000_000);
    shapes::rings(module, 1000, fuel)?;
    shapes::many_roots(module, 5000, fuel)?;
    shapes::long_list(module, 100_000, false, fuel)?;
    shapes::wide(module, 5_000, fuel)?;
    for seed in 100..103 {
        random::run(
            module,
            &Plan {
                seed,
                bytes: 12_000_000,
                live_bytes: 1 << 20,
                most_pages: 1024,
                ambiguous: seed != 100,
                array_bytes: 1 << 18,
                fuel,
            },
        )?;
    }
    Ok(())
}

#[test]
fn the_model_finds_every_mistake() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collector.wat");
    let text = fs::read_to_string(source).expect("the collector's text is there");
    let honest = wat::parse_str(&text).expect("the text is WebAssembly");
    try_out(&honest).expect("the honest collector passes");
    let mut missed = Vec::new();
    for (what, from, to) in MISTAKES {
        assert_eq!(text.matches(from).count(), 1, "{what}: where is {from}?");
        let module = wat::parse_str(text.replace(from, to)).unwrap_or_else(|error| panic!("{what}: {error}"));
        match try_out(&module) {
            Ok(()) => missed.push(*what),
            Err(fault) => println!("{what}: {fault}"),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}
