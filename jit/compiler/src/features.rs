//! Features of WebAssembly: one table.
//!
//! What the validator accepts, what `wave` says of a module that needs more, what `wave inspect` and `wave audit` say that a module uses,
//! `wave --version --verbose` and the block in `docs/webassembly.md` follow from it.

use std::collections::BTreeSet;
use wasmparser::{
    BlockType, FuncValidatorAllocations, Operator, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

/// One feature: a proposal, or what a version of the standard has.
#[derive(Debug)]
pub struct Feature {
    /// Its name, as toolchains write it.
    pub name: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// Where it is defined: a version of the standard, or a proposal.
    pub origin: &'static str,
    /// What the validator calls it. Empty for what is no question of validity.
    flags: WasmFeatures,
    /// Whether programs may use it.
    pub support: Support,
}

/// Whether a feature may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It may.
    Yes,
    /// It may not.
    No {
        /// Why, after "it is not supported: ".
        why: &'static str,
        /// What to do about it.
        fix: &'static str,
    },
}

const fn yes(name: &'static str, title: &'static str, origin: &'static str, flags: WasmFeatures) -> Feature {
    Feature { name, title, origin, flags, support: Support::Yes }
}

const OBJECTS: &str = "use a toolchain that keeps objects in linear memory, such as those of C, Rust, Go and TinyGo";

/// All features that the validator knows. Each of its flags is in one row.
pub static FEATURES: &[Feature] = &[
    yes(
        "mvp",
        "functions, linear memory, tables, floating point",
        "1.0",
        WasmFeatures::FLOATS.union(WasmFeatures::GC_TYPES),
    ),
    yes("mutable-globals", "mutable globals in imports and exports", "1.0", WasmFeatures::MUTABLE_GLOBAL),
    yes("nontrapping-fptoint", "conversions of numbers that do not trap", "2.0", WasmFeatures::SATURATING_FLOAT_TO_INT),
    yes("sign-ext", "sign extension", "2.0", WasmFeatures::SIGN_EXTENSION),
    yes("multivalue", "several results of functions and blocks", "2.0", WasmFeatures::MULTI_VALUE),
    yes("bulk-memory", "bulk operations on memories and tables", "2.0", WasmFeatures::BULK_MEMORY),
    yes("reference-types", "references as values, several tables", "2.0", WasmFeatures::REFERENCE_TYPES),
    yes("simd128", "vectors of 128 bits", "2.0", WasmFeatures::SIMD),
    yes("tail-call", "tail calls", "3.0", WasmFeatures::TAIL_CALL),
    yes(
        "extended-const",
        "arithmetic and earlier globals in constant expressions",
        "3.0",
        WasmFeatures::EXTENDED_CONST,
    ),
    yes(
        "branch-hinting",
        "hints on branches: code of unlikely ones is moved out of the way",
        "proposal branch-hinting",
        WasmFeatures::empty(),
    ),
    yes("multi-memory", "several memories", "3.0", WasmFeatures::MULTI_MEMORY),
    yes("relaxed-simd", "relaxed vector operations", "3.0", WasmFeatures::RELAXED_SIMD),
    yes("exception-handling", "exceptions with `exnref`", "3.0", WasmFeatures::EXCEPTIONS),
    yes(
        "function-references",
        "typed function references; groups of types and subtypes",
        "3.0",
        WasmFeatures::FUNCTION_REFERENCES,
    ),
    yes("gc", "garbage-collected structures and arrays, `i31`, casts", "3.0", WasmFeatures::GC),
    yes(
        "memory64",
        "memories and tables with 64-bit indexes; memories of at most 4 GiB",
        "3.0",
        WasmFeatures::MEMORY64,
    ),
    yes("atomics", "atomic operations and shared memories, in one thread", "proposal threads", WasmFeatures::THREADS),
    yes("wide-arithmetic", "arithmetic of 128 bits", "proposal wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    yes(
        "custom-page-sizes",
        "memories with pages of one byte",
        "proposal custom-page-sizes",
        WasmFeatures::CUSTOM_PAGE_SIZES,
    ),
    yes(
        "legacy-exceptions",
        "exceptions in their old form, `try` and `catch`; not in one module with `exnref`",
        "proposal exception-handling, 2021",
        WasmFeatures::LEGACY_EXCEPTIONS,
    ),
    Feature {
        name: "stack-switching",
        title: "coroutines",
        origin: "proposal stack-switching",
        flags: WasmFeatures::STACK_SWITCHING,
        support: Support::No {
            why: "the verifier proves code that has one stack",
            fix: "build without it; wasm-opt --asyncify suspends programs by other means",
        },
    },
    Feature {
        name: "shared-everything-threads",
        title: "shared functions, globals, tables and objects",
        origin: "proposal shared-everything-threads",
        flags: WasmFeatures::SHARED_EVERYTHING_THREADS,
        support: Support::No { why: "a program runs in one thread", fix: "build without threads, for wasm32-wasip1" },
    },
    Feature {
        name: "acquire-release-atomics",
        title: "atomic operations with weaker orders",
        origin: "proposal acquire-release-atomics",
        flags: WasmFeatures::ACQUIRE_RELEASE_ATOMICS,
        support: Support::No { why: "a program runs in one thread", fix: "build without threads, for wasm32-wasip1" },
    },
    Feature {
        name: "memory-control",
        title: "discarding of memory",
        origin: "proposal memory-control",
        flags: WasmFeatures::MEMORY_CONTROL,
        support: Support::No { why: "the proposal is at an early stage", fix: "build without it" },
    },
    Feature {
        name: "custom-descriptors",
        title: "descriptors of types of objects",
        origin: "proposal custom-descriptors",
        flags: WasmFeatures::CUSTOM_DESCRIPTORS,
        support: Support::No { why: "they are for programs with JavaScript", fix: OBJECTS },
    },
    Feature {
        name: "multibyte-array-access",
        title: "wide access to arrays of bytes",
        origin: "proposal multibyte-array-access",
        flags: WasmFeatures::MULTIBYTE_ARRAY_ACCESS,
        support: Support::No { why: "the proposal is at an early stage", fix: "build without it" },
    },
    Feature {
        name: "compact-imports",
        title: "imports that share a name",
        origin: "proposal compact-import-section",
        flags: WasmFeatures::COMPACT_IMPORTS,
        support: Support::No {
            why: "a small module could declare more names than fit into memory",
            fix: "write the imports in the usual form",
        },
    },
    yes(
        "component-model",
        "components, lowered to one core module; docs/lowering.md lists what is refused",
        "component model, WASI 0.2",
        WasmFeatures::COMPONENT_MODEL,
    ),
    Feature {
        name: "component-model-async",
        title: "asynchronous functions, streams and values of components",
        origin: "component model, WASI 0.3",
        flags: COMPONENTS.difference(WasmFeatures::COMPONENT_MODEL),
        support: Support::No {
            why: "a component becomes one core module, whose functions run to their end",
            fix: "build for WASI 0.2: wasm32-wasip2 (Rust, C)",
        },
    },
];

/// The component model in all its parts.
const COMPONENTS: WasmFeatures = WasmFeatures::COMPONENT_MODEL
    .union(WasmFeatures::CM_VALUES)
    .union(WasmFeatures::CM_NESTED_NAMES)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_MAP)
    .union(WasmFeatures::CM64)
    .union(WasmFeatures::CM_IMPLEMENTS)
    .union(WasmFeatures::CM_CANON_NAMES)
    .union(WasmFeatures::CM_FORWARD)
    .union(WasmFeatures::CM_ACCESSORS);

/// What the validator is asked to accept. Components are lowered to modules before.
pub(crate) fn supported() -> WasmFeatures {
    let rows = FEATURES.iter().filter(|feature| feature.support == Support::Yes);
    rows.fold(WasmFeatures::empty(), |all, feature| all.union(feature.flags)).difference(COMPONENTS)
}

/// What a validator could be asked to accept beyond that. Components are no modules, and compact imports take memory without bound.
fn unsupported() -> WasmFeatures {
    WasmFeatures::all().difference(supported()).difference(COMPONENTS).difference(WasmFeatures::COMPACT_IMPORTS)
}

impl Feature {
    /// The feature of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// The feature with one of these flags that is not supported.
    fn with(flags: WasmFeatures) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.support != Support::Yes && feature.flags.intersects(flags))
    }
}

/// Whether a module could be compiled, and if not, why.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is valid, and all that it uses is supported.
    Runs,
    /// It is valid, and uses features that are not supported: names of [`FEATURES`], at least one, in the order of the first use.
    Needs(Vec<&'static str>),
    /// It is not valid, whatever is supported.
    Invalid {
        /// What is wrong, in the validator's words.
        message: String,
        /// Offset in the module's bytes.
        offset: u64,
    },
}

/// Says which features a module needs that are not supported. Reads all of it, function bodies too, once if it can run.
#[must_use]
pub fn judge(bytes: &[u8]) -> Verdict {
    // It can be valid with a feature that the validator knows only as part of another one.
    if crate::Module::parse(bytes).is_ok_and(|module| module.validate(1).is_ok()) {
        return Verdict::Runs;
    }
    let mut enabled = supported();
    let mut needs = Vec::new();
    // A feature that is found is enabled, so each turn finds another one.
    while let Err(error) = validate(bytes, enabled) {
        let Some(feature) = missing(bytes, enabled, &error) else {
            return Verdict::Invalid { message: error.message().to_owned(), offset: error.offset() };
        };
        needs.push(feature.name);
        if feature.flags == WasmFeatures::COMPACT_IMPORTS {
            break;
        }
        enabled |= feature.flags;
    }
    if needs.is_empty() { Verdict::Runs } else { Verdict::Needs(needs) }
}

/// What a module uses beyond version 1.0, in its declarations or in the instructions of its functions. `None` if its declarations are not
/// valid or its instructions cannot be read.
#[must_use]
pub fn used(bytes: &[u8]) -> Option<Vec<&'static Feature>> {
    let known = supported() | unsupported();
    let needs = |flags: WasmFeatures| validate_declarations(bytes, known.difference(flags)).is_err();
    if needs(WasmFeatures::empty()) {
        return None;
    }
    let (mut found, has_hints) = used_by_functions(bytes).ok()?;
    let mut declarable = known.difference(found);
    if found.contains(WasmFeatures::LEGACY_EXCEPTIONS) {
        // Its tags are of the old form, too.
        declarable.remove(WasmFeatures::EXCEPTIONS);
    }
    let beyond = || FEATURES.iter().filter(|feature| feature.name != "mvp" && known.contains(feature.flags));
    for Feature { flags, .. } in beyond() {
        if declarable.contains(*flags) && needs(*flags) {
            found |= *flags;
        }
    }
    let is_used = |feature: &&Feature| found.intersects(feature.flags) || has_hints && feature.name == "branch-hinting";
    Some(beyond().filter(is_used).collect())
}

/// What the instructions of all functions need, and whether there are hints on branches.
fn used_by_functions(bytes: &[u8]) -> Result<(WasmFeatures, bool), wasmparser::Error> {
    let mut proposals = BTreeSet::new();
    let mut has_hints = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::CodeSectionEntry(body) => {
                let mut operators = body.get_operators_reader()?;
                while !operators.eof() {
                    let proposal = proposal(&operators.read()?);
                    if proposal != "mvp" {
                        proposals.insert(proposal);
                    }
                }
            }
            Payload::CustomSection(section) => has_hints |= section.name() == "metadata.code.branch_hint",
            _ => {}
        }
    }
    Ok((proposals.into_iter().filter_map(flag).collect(), has_hints))
}

/// The proposal that an instruction is of, in the parser's words.
fn proposal(operator: &Operator<'_>) -> &'static str {
    macro_rules! by_operator {
        ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
            match operator {
                $(Operator::$op { .. } => stringify!($proposal),)*
                _ => "mvp",
            }
        };
    }
    match operator {
        Operator::Block { blockty: BlockType::FuncType(_) }
        | Operator::Loop { blockty: BlockType::FuncType(_) }
        | Operator::If { blockty: BlockType::FuncType(_) } => "multi_value",
        // It is in both forms of exceptions, and its tag is declared.
        Operator::Throw { .. } => "mvp",
        _ => wasmparser::for_each_operator!(by_operator),
    }
}

/// What the validator calls a proposal.
fn flag(proposal: &str) -> Option<WasmFeatures> {
    WasmFeatures::from_name(&proposal.to_uppercase())
}

/// Whether a module has garbage-collected objects, and so a heap for them. False for one that cannot be compiled.
#[must_use]
pub fn has_objects(bytes: &[u8]) -> bool {
    crate::Module::parse(bytes).is_ok_and(|module| module.info().heap.is_some())
}

/// The feature without which validation ends with this error.
fn missing(bytes: &[u8], enabled: WasmFeatures, error: &wasmparser::Error) -> Option<&'static Feature> {
    let is_missing = |feature: &&Feature| !enabled.contains(feature.flags);
    if let Some(feature) = error.missing_wasm_feature().and_then(Feature::with).filter(is_missing) {
        return Some(feature);
    }
    // Not every error names what is missing.
    let helps = |more| match validate(bytes, enabled | more) {
        Ok(()) => true,
        Err(other) => other.offset() > error.offset(),
    };
    if !helps(unsupported()) {
        return None;
    }
    FEATURES.iter().filter(is_missing).find(|feature| helps(feature.flags))
}

/// What `wave` says of features that it does not support: what they are, and what to do.
#[must_use]
pub fn explain(names: &[&str]) -> (String, String) {
    let features: Vec<&Feature> = names.iter().filter_map(|name| Feature::named(name)).collect();
    let mut what = "the module needs ".to_owned();
    let mut fixes: Vec<&str> = Vec::new();
    let mut reason = None;
    for (index, Feature { name, title, support, .. }) in features.iter().enumerate() {
        what += match index {
            0 => "",
            _ if index + 1 == features.len() => " and ",
            _ => ", ",
        };
        what += &format!("`{name}` ({title})");
        if let Support::No { why, fix } = support {
            reason = Some(*why);
            if !fixes.contains(fix) {
                fixes.push(fix);
            }
        }
    }
    what += ", which wave does not support";
    if let ([_], Some(why)) = (&*features, reason) {
        what += &format!(": {why}");
    }
    (what, fixes.join("; "))
}

/// Validates a module without its function bodies.
fn validate_declarations(bytes: &[u8], features: WasmFeatures) -> Result<(), wasmparser::Error> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    parser.parse_all(bytes).try_for_each(|payload| validator.payload(&payload?).map(drop))
}

/// Validates all of a module.
fn validate(bytes: &[u8], features: WasmFeatures) -> Result<(), wasmparser::Error> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    for payload in parser.parse_all(bytes) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            let mut function = function.into_validator(allocations);
            function.validate(&body)?;
            allocations = function.into_allocations();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Verdict {
        judge(&wat::parse_str(text).expect("the test's text is right"))
    }

    /// So no flag of the validator is forgotten when it learns one, nor decided twice.
    #[test]
    fn each_flag_of_the_validator_is_in_one_row() {
        let mut all = WasmFeatures::empty();
        for Feature { name, flags, .. } in FEATURES {
            assert!(!all.intersects(*flags), "{name}");
            all |= *flags;
        }
        assert_eq!(all, WasmFeatures::all());
        let mut names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FEATURES.len());
    }

    /// A module that needs a feature by a section, and one that needs it in a function body alone. The name of the feature, or nothing if
    /// it is supported by now.
    #[test]
    fn what_a_module_needs_is_named_wherever_it_is() {
        let cases: &[(&str, &str)] = &[
            ("multi-memory", "(module (memory 1) (memory 1))"),
            (
                "relaxed-simd",
                "(module (func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
            ),
            ("exception-handling", "(module (tag))"),
            ("exception-handling", "(module (func try_table end))"),
            ("exception-handling", "(module (func (param exnref)))"),
            ("function-references", "(module (type $t (func)) (func (param (ref null $t))))"),
            (
                "function-references",
                "(module (type $t (func)) (func (param funcref) (drop (ref.as_non_null (local.get 0)))))",
            ),
            ("function-references", "(module (rec (type (struct (field (ref null 1)))) (type (sub (array i8)))))"),
            ("gc", "(module (type (struct)) (func (drop (struct.new 0))))"),
            ("gc", "(module (type (struct)) (func unreachable (struct.new 0) drop))"),
            ("gc", "(module (type (struct)) (global (ref 0) (struct.new 0)))"),
            ("gc", "(module (func (drop (ref.i31 (i32.const 1)))))"),
            ("extended-const", "(module (global i32 (i32.const 1)) (global i32 (global.get 0)))"),
            ("memory64", "(module (memory i64 1))"),
            ("memory64", "(module (table i64 1 funcref))"),
            ("memory64", "(module (memory i64 0x1_0000_0001))"),
            ("atomics", "(module (memory 1 1 shared))"),
            ("atomics", "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"),
            (
                "wide-arithmetic",
                "(module (func (param i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 0))))",
            ),
            ("custom-page-sizes", "(module (memory 1 (pagesize 1)))"),
            ("legacy-exceptions", "(module (func try catch_all end))"),
            ("stack-switching", "(module (type $f (func)) (type $c (cont $f)))"),
            ("shared-everything-threads", "(module (global (shared i32) (i32.const 0)))"),
            ("memory-control", "(module (memory 1) (func (memory.discard (i32.const 0) (i32.const 0))))"),
        ];
        for (name, text) in cases {
            let feature = Feature::named(name).expect("a row");
            let verdict = judged(text);
            match feature.support {
                Support::Yes => assert_eq!(verdict, Verdict::Runs, "{text}"),
                // It may need others, too: objects need typed references.
                Support::No { .. } => {
                    let Verdict::Needs(names) = verdict else { panic!("{text}: {verdict:?}") };
                    assert!(names.contains(name), "{text}: {names:?}");
                }
            }
        }
        assert_eq!(judged("(module (memory 1) (func (export \"f\")))"), Verdict::Runs);
    }

    #[test]
    fn what_a_module_uses_is_found_in_declarations_and_functions() {
        let cases: &[(&str, &[&str])] = &[
            ("(memory 1) (table 1 funcref) (func (export \"f\") (call_indirect (i32.const 0)))", &[]),
            ("(func (result f32) (f32.convert_i32_s (i32.const 1)))", &[]),
            ("(func (param i32) (result i32) (i32.extend8_s (local.get 0)))", &["sign-ext"]),
            ("(func (result i32) (i32.trunc_sat_f32_s (f32.const 1)))", &["nontrapping-fptoint"]),
            ("(global (export \"g\") (mut i32) (i32.const 0))", &["mutable-globals"]),
            ("(func (result i32 i32) i32.const 1 i32.const 2)", &["multivalue"]),
            ("(func i32.const 1 block (param i32) drop end)", &["multivalue"]),
            ("(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))", &["bulk-memory"]),
            ("(memory 1) (data \"passive\")", &["bulk-memory"]),
            ("(func (result v128) (v128.const i64x2 0 0))", &["simd128"]),
            ("(func return_call 0)", &["tail-call"]),
            ("(func (param externref) (drop (ref.is_null (local.get 0))))", &["reference-types"]),
            (
                "(func (result v128) (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))",
                &["simd128", "relaxed-simd"],
            ),
            ("(global i32 (i32.add (i32.const 1) (i32.const 2)))", &["extended-const"]),
            ("(memory 1) (memory 1)", &["multi-memory"]),
            ("(tag)", &["exception-handling"]),
            ("(tag) (func try_table end throw 0)", &["exception-handling"]),
            ("(tag) (func try throw 0 catch_all end)", &["legacy-exceptions"]),
            ("(type (struct)) (func (drop (struct.new 0)))", &["gc"]),
            ("(memory i64 1)", &["memory64"]),
            ("(memory 1) (func (drop (i32.atomic.load (i32.const 0))))", &["atomics"]),
            (
                "(func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 2)))",
                &["multivalue", "wide-arithmetic"],
            ),
            ("(memory 1 (pagesize 1))", &["custom-page-sizes"]),
            ("(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))", &["memory-control"]),
            ("(func (@metadata.code.branch_hint \"\\00\") (if (i32.const 0) (then)))", &["branch-hinting"]),
        ];
        for (text, expected) in cases {
            let bytes = wat::parse_str(format!("(module {text})")).expect("the test's text is right");
            let found: Vec<_> = used(&bytes).expect("it is valid").iter().map(|feature| feature.name).collect();
            assert_eq!(&found, expected, "{text}");
        }
        assert!(used(b"\0asm\x01\0\0\0\x01").is_none());
    }

    #[test]
    fn each_proposal_of_the_parser_has_a_flag() {
        macro_rules! proposals {
            ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
                [$(stringify!($proposal)),*]
            };
        }
        let all = wasmparser::for_each_operator!(proposals);
        for name in all.iter().chain(&["multi_value"]).filter(|name| **name != "mvp") {
            assert!(flag(name).is_some(), "{name}");
        }
    }

    #[test]
    fn modules_with_objects_are_told_apart() {
        let found = |text: &str| has_objects(&wat::parse_str(text).expect("the test's text is right"));
        assert!(found("(module (type (struct)))") && found("(module (func (param anyref)))"));
        assert!(!found("(module (memory 1))") && !found("(module (func (param externref)))"));
        assert!(!has_objects(b"\0asm"));
    }

    #[test]
    fn what_is_invalid_anyway_needs_nothing() {
        let after = |text: &str| judged(&format!("(module {text} (func (result i32) i64.const 0))"));
        for text in ["", "(memory 1)", "(memory 1) (memory 1)", "(tag)", "(memory i64 1)"] {
            let Verdict::Invalid { message, offset } = after(text) else { panic!("{text}") };
            assert_eq!(message, "type mismatch: expected i32, found i64", "{text}");
            assert!(offset > 8, "{text}");
        }
        assert!(matches!(judge(b"\0asm\x01\0\0\0\x01"), Verdict::Invalid { offset: 9, .. }));
    }

    #[test]
    fn what_is_said_has_each_feature_and_each_remedy_once() {
        let (what, fix) = explain(&["stack-switching"]);
        assert_eq!(
            what,
            "the module needs `stack-switching` (coroutines), which wave does not support: the verifier proves code that has one stack"
        );
        assert_eq!(fix, "build without it; wasm-opt --asyncify suspends programs by other means");
        let (what, fix) = explain(&["memory-control", "multibyte-array-access", "compact-imports", "unknown"]);
        assert_eq!(
            what,
            "the module needs `memory-control` (discarding of memory), `multibyte-array-access` (wide access to arrays of bytes) and \
             `compact-imports` (imports that share a name), which wave does not support"
        );
        assert_eq!(fix, "build without it; write the imports in the usual form");
    }
}
