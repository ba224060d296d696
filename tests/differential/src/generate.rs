//! Modules from seeds.

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};
use wasmparser::{Operator, Parser, Payload};
use wave_compiler::features::{Feature, Support};

/// How much of a module's own counter there is: the heads of functions and loops that may be passed.
const STEPS: u32 = 2_000;

/// Bytes that a module is made of.
const ENTROPY_BYTES: usize = 8 << 10;

/// Largest memory.
const MEMORY_BYTES: u32 = 1 << 20;

/// Which features modules may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    /// Those that the interpreter has, too.
    Common,
    /// Objects, exceptions and typed function references, too.
    WithObjects,
}

/// The features that the generator knows as well as all engines, by their names in `wave`'s table.
///
/// Of what else `wave` supports: of `relaxed-simd`, results may differ between engines, and do; `atomics` need threads to tell
/// engines apart.
const COMMON: [&str; 10] = [
    "bulk-memory",
    "custom-page-sizes",
    "extended-const",
    "memory64",
    "multi-memory",
    "multivalue",
    "reference-types",
    "simd128",
    "tail-call",
    "wide-arithmetic",
];

/// The features that the interpreter has not.
const OBJECTS: [&str; 3] = ["exception-handling", "function-references", "gc"];

/// Whether a module may have a feature.
fn has(features: Features, name: &str) -> bool {
    let chosen = COMMON.contains(&name) || features == Features::WithObjects && OBJECTS.contains(&name);
    chosen && Feature::named(name).is_some_and(|feature| feature.support == Support::Yes)
}

/// How `wave` compiles a module.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub fixed: bool,
    pub fuel: bool,
    pub canonical_nans: bool,
}

/// A module, and how it is run.
#[derive(Clone, Debug)]
pub struct Case {
    /// What arguments and settings follow from.
    pub seed: u64,
    pub(crate) setup: Setup,
    /// The module.
    pub bytes: Vec<u8>,
}

impl Case {
    /// A module that is there already, such as one that was made smaller, with the calls and settings of a seed.
    #[must_use]
    pub fn of_module(seed: u64, bytes: Vec<u8>) -> Self {
        let canonical_nans = seed & 4 != 0 && !converts_floats(&bytes);
        let setup = Setup { fixed: seed & 1 == 0, fuel: seed & 2 != 0, canonical_nans };
        Self { seed, setup, bytes }
    }

    /// The module of a seed.
    #[must_use]
    pub fn of_seed(seed: u64, features: Features) -> Self {
        let mut state = seed ^ 0x5bd1_e995_9e37_79b9;
        let entropy: Vec<u8> = (0..ENTROPY_BYTES / 8).flat_map(|_| mix(&mut state).to_le_bytes()).collect();
        Self::of_bytes(seed, &entropy, features)
            .expect("the generator fails for lack of bytes only, and takes zeroes then")
    }

    /// The module that a fuzzer's bytes stand for.
    #[must_use]
    pub fn of_bytes(seed: u64, entropy: &[u8], features: Features) -> Option<Self> {
        let mut module = Module::new(config(seed, features), &mut Unstructured::new(entropy)).ok()?;
        module.ensure_termination(STEPS).ok()?;
        Some(Self::of_module(seed, module.to_bytes()))
    }
}

/// Whether floats are converted to another width: NaNs, too, which the generator leaves as they come out then.
fn converts_floats(module: &[u8]) -> bool {
    let bodies = Parser::new(0).parse_all(module).filter_map(|payload| match payload {
        Ok(Payload::CodeSectionEntry(body)) => body.get_operators_reader().ok(),
        _ => None,
    });
    bodies.flatten().flatten().any(|operator| {
        matches!(
            operator,
            Operator::F32DemoteF64
                | Operator::F64PromoteF32
                | Operator::F32x4DemoteF64x2Zero
                | Operator::F64x2PromoteLowF32x4
        )
    })
}

fn config(seed: u64, features: Features) -> Config {
    let has = |name| has(features, name);
    Config {
        bulk_memory_enabled: has("bulk-memory"),
        custom_page_sizes_enabled: has("custom-page-sizes"),
        extended_const_enabled: has("extended-const"),
        memory64_enabled: has("memory64"),
        max_memories: if has("multi-memory") { 3 } else { 1 },
        multi_value_enabled: has("multivalue"),
        reference_types_enabled: has("reference-types"),
        simd_enabled: has("simd128"),
        tail_call_enabled: has("tail-call"),
        wide_arithmetic_enabled: has("wide-arithmetic"),
        compact_imports_enabled: has("compact-imports"),
        exceptions_enabled: has("exception-handling"),
        // Typed function references, too.
        gc_enabled: has("function-references") && has("gc"),
        relaxed_simd_enabled: has("relaxed-simd"),
        threads_enabled: has("atomics"),
        // What differs between engines by right.
        canonicalize_nans: true,
        // Objects are null as often as not: half of the modules avoid that, so that code runs far enough to use them.
        disallow_traps: features == Features::WithObjects && seed & 8 != 0,
        limit_arrays_in_const_exprs: true,
        // Nothing to link.
        max_imports: 0,
        export_everything: true,
        // Sizes that are reached on both sides or on none.
        max_memory32_bytes: MEMORY_BYTES.into(),
        max_memory64_bytes: MEMORY_BYTES.into(),
        memory_max_size_required: true,
        max_table_elements: 100,
        table_max_size_required: true,
        max_tables: 3,
        // Functions as large as 20,000 modules in a minute or so allow.
        min_funcs: 3,
        max_funcs: 8,
        max_instructions: 200,
        ..Config::default()
    }
}

/// The next number after a state (SplitMix64).
pub fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
