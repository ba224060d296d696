//! Whole modules through the compiler, in both modes. What the code does is tested with the runtime.

use crate::{CompileError, CompileOptions, ImportLinkage, Module};
use std::collections::HashSet;
use wave_contract::abi::FUEL;
use wave_contract::artifact::CodeSettings;
use wave_contract::context::{Addressing, FixedAddresses, MemoryAddresses};
use wave_contract::image::{CodeImage, TEXT_ALIGN};
use wave_contract::module::{ConstOp, ExportKind, ModuleInfo, SegmentMode};
use wave_contract::trap::TrapCode;
use wave_contract::types::{SignatureRegistry, TypeIds, ValType};

fn signatures(info: &ModuleInfo) -> Vec<TypeIds> {
    let mut registry = SignatureRegistry::default();
    registry.intern_module(info)
}

fn fixed(info: &ModuleInfo) -> Addressing {
    let cells = |base: u64, count: usize| (0..count as u64).map(|n| base + 64 * n).collect();
    Addressing::Fixed(FixedAddresses {
        context: 0x1000_0000,
        results: 0x1100_0000,
        memories: (0..info.memories.len() as u64)
            .map(|n| MemoryAddresses { base: 0x2000_0000 + (n << 34), descriptor: 0x1200_0000 + 16 * n })
            .collect(),
        tables: cells(0x1300_0000, info.tables.len()),
        globals: cells(0x1400_0000, info.globals.len()),
        functions: 0x1500_0000,
    })
}

/// Far addresses and other settings of mode fixed.
fn far(info: &ModuleInfo) -> Addressing {
    let Addressing::Fixed(mut fixed) = fixed(info) else { unreachable!() };
    fixed.context += 0x7000_0000_0000;
    for memory in &mut fixed.memories {
        memory.base += 0x5fff_f000;
    }
    Addressing::Fixed(fixed)
}

const PLAIN: CodeSettings = CodeSettings { canonical_nans: false, fuel: false };
const EVERY: CodeSettings = CodeSettings { canonical_nans: true, fuel: true };

fn compile_as(
    bytes: &[u8],
    addressing: impl Fn(&ModuleInfo) -> Addressing,
    linkage: ImportLinkage,
    threads: usize,
    settings: CodeSettings,
) -> Result<CodeImage, CompileError> {
    let module = Module::parse(bytes)?;
    let signatures = signatures(module.info());
    let imports = vec![linkage; module.info().imported_functions as usize];
    let addressing = addressing(module.info());
    let options =
        CompileOptions { addressing, signatures: &signatures, imports: &imports, threads, verify_ir: true, settings };
    let image = module.compile(&options)?;
    check_image(module.info(), &image);
    Ok(image)
}

/// What holds for every image.
fn check_image(info: &ModuleInfo, image: &CodeImage) {
    assert_eq!(image.functions.len(), info.functions.len());
    let distinct: HashSet<_> = info.functions.iter().map(|&ty| &info.types[ty as usize]).collect();
    assert_eq!(image.entries.len(), distinct.len());
    let mut end = 0;
    for range in image.functions.iter().chain(image.entries.iter().map(|entry| &entry.code)) {
        assert!(range.start >= end && range.start % 32 == 0 && range.len > 0);
        end = range.start + range.len;
    }
    assert_eq!(image.text.len(), end as usize);
    for offset in 0..end {
        if let Some(code) = image.traps.get(offset) {
            assert!(TrapCode::from_u8(code).is_some(), "trap code {code} is not of the contract");
        }
    }
}

/// Compiles a text in every mode and gives the image of mode arg.
fn compile(text: &str) -> CodeImage {
    let bytes = wat::parse_str(text).expect("the test's text is right");
    for linkage in [ImportLinkage::Host, ImportLinkage::Guest] {
        for addressing in [fixed, far, |_: &ModuleInfo| Addressing::Arg] {
            compile_as(&bytes, addressing, linkage, 1, EVERY).unwrap_or_else(|error| panic!("{error}\n{text}"));
        }
    }
    compile_as(&bytes, |_| Addressing::Arg, ImportLinkage::Host, 1, PLAIN).expect("it compiled before")
}

/// Trap codes of the first function that is not imported.
fn traps(text: &str) -> Vec<TrapCode> {
    let image = compile(text);
    let range = image.functions[0];
    (range.start..range.start + range.len).filter_map(|at| TrapCode::from_u8(image.traps.get(at)?)).collect()
}

#[test]
fn empty_module() {
    let image = compile("(module)");
    assert!(image.text.is_empty() && image.functions.is_empty() && image.entries.is_empty());
    assert!(!image.processor.is_empty());
    assert_eq!(TEXT_ALIGN, 64);
}

#[test]
fn traps_have_their_codes() {
    use TrapCode::*;
    assert_eq!(traps("(module (func unreachable))"), [Unreachable]);
    assert_eq!(traps("(module (func (param i32) (result i32) local.get 0))"), []);
    assert_eq!(
        traps("(module (memory 1) (func (param i32) (result i32) (i32.load (local.get 0))))"),
        [HeapOutOfBounds]
    );
    assert_eq!(
        traps("(module (memory 1) (func (param i32 v128) (v128.store offset=0xffffffff (local.get 0) (local.get 1))))"),
        [HeapOutOfBounds]
    );
    // Folded into an addition.
    assert_eq!(
        traps(
            "(module (memory 1) (func (param i32 i32) (result i32) (i32.add (i32.load (local.get 0)) (local.get 1))))"
        ),
        [HeapOutOfBounds]
    );
    let division = traps("(module (func (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))");
    assert!(division.contains(&IntegerDivisionByZero) && division.contains(&IntegerOverflow), "{division:?}");
    let conversion = traps("(module (func (param f64) (result i32) (i32.trunc_f64_u (local.get 0))))");
    assert!(conversion.contains(&BadConversionToInteger) && conversion.contains(&IntegerOverflow), "{conversion:?}");
    assert_eq!(traps("(module (func (param f64) (result i32) (i32.trunc_sat_f64_u (local.get 0))))"), []);
    let indirect = traps("(module (table 1 funcref) (func (param i32) (call_indirect (local.get 0))))");
    for code in [TableOutOfBounds, IndirectCallToNull, BadSignature] {
        assert_eq!(indirect.iter().filter(|&&found| found == code).count(), 1, "{indirect:?}");
    }
    let library = traps("(module (memory 1) (func (param i32) (result i32) (memory.grow (local.get 0))))");
    assert_eq!(HashSet::from_iter(library), HashSet::from([StackOverflow, Host]));
}

#[test]
fn positions_are_those_of_the_operators() {
    let bytes = wat::parse_str("(module (memory 1) (func $f) (func call $f nop unreachable))").expect("text is right");
    let image = compile_as(&bytes, |_| Addressing::Arg, ImportLinkage::Host, 1, PLAIN).expect("it compiles");
    let range = image.functions[1];
    let positions: Vec<u32> = (range.start..range.start + range.len).filter_map(|at| image.sources.get(at)).collect();
    let opcodes: Vec<u8> = positions.iter().map(|&at| bytes[at as usize]).collect();
    // Behind the call is the trap itself, whose position it has.
    assert_eq!(opcodes.last(), Some(&0x00), "{opcodes:?}");
    assert_eq!(image.sources.iter().count(), positions.len());
}

const CONTROL: &str = r#"(module
  (type $two (func (param i32 i64) (result i32 i64)))
  (func (param i32) (result i32)
    (block (result i32) (br_if 0 (i32.const 7) (local.get 0)) drop (i32.const 1)))
  (func (param i32) (result i32)
    (loop (result i32) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))) (local.get 0)))
  (func (param i32 i64) (result i32 i64)
    (local.get 0) (local.get 1) (loop (type $two) (br_if 0 (local.get 0))))
  (func (param i32 i64) (result i32 i64)
    (local.get 0) (local.get 1) (if (type $two) (local.get 0) (then)))
  (func (param i32 i64) (result i32 i64)
    (local.get 0) (local.get 1) (if (type $two) (local.get 0) (then (drop) (drop) (i32.const 1) (i64.const 2)) (else)))
  (func (param i32 i64) (result i32 i64)
    (local.get 0) (local.get 1) (if (type $two) (local.get 0) (then (unreachable))))
  (func (param i32 i64) (result i32 i64)
    (local.get 0) (local.get 1) (if (type $two) (local.get 0) (then (br 1)) (else (return))))
  (func (param i32)
    (if (local.get 0) (then (nop)))
    (if (local.get 0) (then (return)))
    (if (local.get 0) (then (return)) (else (unreachable))))
  (func (param i32)
    (if (local.get 0) (then (nop)) (else (local.set 0 (i32.const 3))))
    (if (i32.eqz (i32.lt_s (local.get 0) (i32.const 4))) (then) (else)))
  (func (param i32) (result i32)
    (block (block (block (br_table 0 1 2 0 1 2 2 2 (local.get 0)))
      (return (i32.const 10))) (return (i32.const 11))) (i32.const 12))
  (func (param i32) (result i32)
    (block (result i32) (block (result i32) (br_table 0 1 0 2 2 (i32.const 5) (local.get 0)))))
  (func (param i32) (result i32) (br_table 0 0 0 (i32.const 5) (local.get 0)))
  (func (param i32) (loop (br_table 0 1 0 1 0 (local.get 0))))
  (func (result f64) (block (br 0)) (return (f64.const 1)) (block (drop (br 0))) (f64.const 2))
  (func (block (block (br 1) (loop (if (i32.const 1) (then (nop)) (else (nop))))) (nop)))
  (func (loop (br 0)))
  (func (result i32) (loop (result i32) (br 0)))
  (func (param v128 i32) (result v128)
    (local v128) (local.set 2 (i32x4.add (local.get 0) (local.get 0)))
    (if (result v128) (local.get 1) (then (f32x4.add (local.get 0) (local.get 2))) (else (i64x2.neg (local.get 2)))))
  (func (param i32 v128 v128) (result v128 i32)
    (select (i16x8.neg (local.get 1)) (f64x2.neg (local.get 2)) (i32.eqz (local.get 0)))
    (select (result i32) (i32.eqz (local.get 0)) (i32.const 1) (i32.ne (local.get 0) (i32.const 5))))
  (func (param i32) (result i32)
    (block (result i32) (br_if 0 (i32.eq (local.get 0) (i32.const 1)) (i32.const 1)))
    (i32.add (i32.lt_u (local.get 0) (i32.const 2)) (f32.lt (f32.const 1) (f32.const nan)))
    (i32.and))
)"#;

#[test]
fn control() {
    compile(CONTROL);
}

#[test]
fn calls() {
    compile(
        r#"(module
  (type $many (func (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 f32 v128)))
  (type $eight (func (result i32 i64 i32 i64 i32 i64 i32 i64 f32 f64 f32 f64 f32 f64 f32 f64)))
  (import "host" "none" (func $none))
  (import "host" "one" (func $one (param i32 i64 f32 f64 funcref externref) (result f32)))
  (import "host" "ref" (func $ref (param externref) (result externref)))
  (import "host" "two" (func $two (param i32) (result i32 f64)))
  (import "host" "vector" (func $vector (result v128)))
  (import "host" "many" (func $many (type $many)))
  (table $t 10 funcref)
  (table $x 10 externref)
  (elem (table $t) (i32.const 0) func $none $one $self)
  (func $self (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 f32 v128)
    (call $none) (drop (call $two (i32.const 1))) (drop) (drop (call $vector))
    (drop (call $one (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (ref.func $none) (ref.null extern)))
    (if (local.get 0) (then (return (call $many (i32.const 1)))))
    (if (local.get 0) (then (return (call $self (i32.const 1)))))
    (if (local.get 0) (then (return_call $many (i32.const 1))))
    (if (local.get 0) (then (return_call $self (i32.const 1))))
    (if (local.get 0) (then (return (call_indirect $t (type $many) (local.get 0) (local.get 0)))))
    (return_call_indirect $t (type $many) (local.get 0) (local.get 0)))
  (func $eight (type $eight)
    (if (i32.const 0) (then (return_call $eight)))
    (call $eight))
  (func (param externref i32) (result externref)
    (table.set $x (local.get 1) (local.get 0))
    (table.fill $x (local.get 1) (local.get 0) (i32.const 3))
    (drop (table.grow $x (local.get 0) (i32.const 3)))
    (drop (table.grow $t (table.get $t (local.get 1)) (table.size $x)))
    (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 2))
    (if (ref.is_null (local.get 0)) (then (return (call $ref (local.get 0)))))
    (table.get $x (local.get 1)))
)"#,
    );
}

#[test]
fn memory_and_globals() {
    compile(
        r#"(module
  (import "env" "global" (global $imported (mut i64)))
  (import "env" "constant" (global $constant i32))
  (import "env" "memory" (memory 1))
  (global $a (mut i32) (i32.const 1)) (global $b f32 (f32.const 2)) (global $c (mut v128) (v128.const i64x2 1 2))
  (global $d i64 (i64.add (i64.const 1) (i64.const 2))) (global $e (mut externref) (ref.null extern))
  (global $f i64 (i64.const -5)) (global $g f64 (f64.const nan:0x4))
  (data $data "hello")
  (elem $elem func 0)
  (table 1 funcref)
  (func (result i64 i32 i32 f32 v128 i64 externref i64 f64)
    (global.set $imported (i64.const 3)) (global.set $a (i32.const 4)) (global.set $c (i32x4.splat (global.get $a)))
    (global.set $e (global.get $e))
    (global.get $imported) (global.get $constant) (global.get $a) (global.get $b) (global.get $c) (global.get $d)
    (global.get $e) (global.get $f) (global.get $g))
  (func (param i32)
    (memory.copy (local.get 0) (i32.const 1) (i32.const 2))
    (memory.fill (local.get 0) (i32.const 1) (i32.const 2))
    (memory.init $data (local.get 0) (i32.const 1) (i32.const 2)) (data.drop $data)
    (table.init $elem (local.get 0) (i32.const 1) (i32.const 2)) (elem.drop $elem)
    (drop (i32.add (memory.size) (memory.grow (local.get 0)))))
)"#,
    );
}

/// One function per operator: `shape` is its type in text, `operators` those that fit.
fn each(shape: &str, operands: usize, operators: &[String]) -> String {
    let operands: String = (0..operands).map(|n| format!("(local.get {n}) ")).collect();
    operators.iter().map(|operator| format!("(func {shape} {operands} {operator})\n")).collect()
}

fn strings(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

fn cross(prefixes: &str, suffixes: &str) -> Vec<String> {
    let suffixes = strings(suffixes);
    strings(prefixes)
        .iter()
        .flat_map(|prefix| suffixes.iter().map(move |suffix| format!("{prefix}.{suffix}")))
        .collect()
}

#[test]
fn every_scalar_operator() {
    let mut text = String::from("(module (memory 1)\n");
    for int in ["i32", "i64"] {
        text += &each(&format!("(param {int}) (result i32)"), 1, &cross(int, "eqz"));
        text += &each(
            &format!("(param {int} {int}) (result i32)"),
            2,
            &cross(int, "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"),
        );
        text += &each(&format!("(param {int}) (result {int})"), 1, &cross(int, "clz ctz popcnt extend8_s extend16_s"));
        let binary = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
        text += &each(&format!("(param {int} {int}) (result {int})"), 2, &cross(int, binary));
        for float in ["f32", "f64"] {
            let to = format!("trunc_{float}_s trunc_{float}_u trunc_sat_{float}_s trunc_sat_{float}_u");
            text += &each(&format!("(param {float}) (result {int})"), 1, &cross(int, &to));
            text += &each(
                &format!("(param {int}) (result {float})"),
                1,
                &cross(float, &format!("convert_{int}_s convert_{int}_u")),
            );
        }
        let loads = cross(int, "load load8_s load8_u load16_s load16_u");
        let far =
            ["70000", "0x7fffffff", "0x80000000", "0xffffffff"].map(|offset| format!("{int}.load offset={offset}"));
        text += &each(&format!("(param i32) (result {int})"), 1, &[loads, far.to_vec()].concat());
        text += &each(&format!("(param i32 {int})"), 2, &cross(int, "store store8 store16"));
    }
    for float in ["f32", "f64"] {
        text += &each(&format!("(param {float} {float}) (result i32)"), 2, &cross(float, "eq ne lt gt le ge"));
        text += &each(
            &format!("(param {float}) (result {float})"),
            1,
            &cross(float, "abs neg ceil floor trunc nearest sqrt"),
        );
        text += &each(
            &format!("(param {float} {float}) (result {float})"),
            2,
            &cross(float, "add sub mul div min max copysign"),
        );
        text += &each(&format!("(param i32) (result {float})"), 1, &cross(float, "load"));
        text += &each(&format!("(param i32 {float})"), 2, &cross(float, "store"));
    }
    text += &each("(param i32) (result i64)", 1, &cross("i64", "extend_i32_s extend_i32_u load32_s load32_u"));
    text += &each("(param i64) (result i64)", 1, &cross("i64", "extend32_s"));
    text += &each("(param i32 i64)", 2, &cross("i64", "store32"));
    text += &each("(param i64) (result i32)", 1, &cross("i32", "wrap_i64"));
    text += &each("(param f64) (result f32)", 1, &cross("f32", "demote_f64"));
    text += &each("(param f32) (result f64)", 1, &cross("f64", "promote_f32"));
    text += &each("(param f32) (result i32)", 1, &cross("i32", "reinterpret_f32"));
    text += &each("(param i32) (result f32)", 1, &cross("f32", "reinterpret_i32"));
    text += &each("(param f64) (result i64)", 1, &cross("i64", "reinterpret_f64"));
    text += &each("(param i64) (result f64)", 1, &cross("f64", "reinterpret_i64"));
    text += ")";
    compile(&text);
}

#[test]
fn every_vector_operator() {
    let mut text = String::from("(module (memory 1)\n");
    let unary = [
        cross("i8x16 i16x8 i32x4 i64x2", "abs neg"),
        cross("f32x4 f64x2", "abs neg sqrt ceil floor trunc nearest"),
        strings("v128.not i8x16.popcnt"),
        cross("i16x8", "extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u"),
        cross("i32x4", "extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u"),
        cross("i16x8", "extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u"),
        cross("i32x4", "extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u"),
        cross("i64x2", "extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u"),
        cross("i32x4", "trunc_sat_f32x4_s trunc_sat_f32x4_u trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero"),
        cross("f32x4", "convert_i32x4_s convert_i32x4_u demote_f64x2_zero"),
        cross("f64x2", "convert_low_i32x4_s convert_low_i32x4_u promote_low_f32x4"),
    ];
    text += &each("(param v128) (result v128)", 1, &unary.concat());
    let compare = "eq ne lt_s gt_s le_s ge_s";
    let binary = [
        cross("i8x16 i16x8 i32x4 i64x2", compare),
        cross("i8x16 i16x8 i32x4", "lt_u gt_u le_u ge_u min_s min_u max_s max_u"),
        cross("f32x4 f64x2", "eq ne lt gt le ge add sub mul div min max pmin pmax"),
        cross("v128", "and andnot or xor"),
        cross("i8x16 i16x8 i32x4 i64x2", "add sub"),
        cross("i16x8 i32x4 i64x2", "mul"),
        cross("i8x16 i16x8", "add_sat_s add_sat_u sub_sat_s sub_sat_u avgr_u"),
        strings("i16x8.q15mulr_sat_s i32x4.dot_i16x8_s i8x16.swizzle"),
        cross("i8x16", "narrow_i16x8_s narrow_i16x8_u"),
        cross("i16x8", "narrow_i32x4_s narrow_i32x4_u"),
        cross("i16x8", "extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u"),
        cross("i32x4", "extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u"),
        cross("i64x2", "extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u"),
        vec!["i8x16.shuffle 0 31 2 29 4 27 6 25 8 23 10 21 12 19 14 17".to_owned()],
    ];
    text += &each("(param v128 v128) (result v128)", 2, &binary.concat());
    text += &each("(param v128 v128 v128) (result v128)", 3, &strings("v128.bitselect"));
    text += &each("(param v128) (result i32)", 1, &cross("i8x16 i16x8 i32x4 i64x2", "all_true bitmask"));
    text += &each("(param v128) (result i32)", 1, &strings("v128.any_true"));
    text += &each("(param v128 i32) (result v128)", 2, &cross("i8x16 i16x8 i32x4 i64x2", "shl shr_s shr_u"));
    for (shape, lane, int) in [
        ("i8x16", "i32", true),
        ("i16x8", "i32", true),
        ("i32x4", "i32", false),
        ("i64x2", "i64", false),
        ("f32x4", "f32", false),
        ("f64x2", "f64", false),
    ] {
        text += &each(&format!("(param {lane}) (result v128)"), 1, &cross(shape, "splat"));
        text += &each(&format!("(param v128 {lane}) (result v128)"), 2, &[format!("{shape}.replace_lane 1")]);
        let extract = if int { vec!["extract_lane_s 1", "extract_lane_u 1"] } else { vec!["extract_lane 1"] };
        let extract: Vec<String> = extract.iter().map(|name| format!("{shape}.{name}")).collect();
        text += &each(&format!("(param v128) (result {lane})"), 1, &extract);
    }
    let loads = "load load8x8_s load8x8_u load16x4_s load16x4_u load32x2_s load32x2_u load8_splat load16_splat load32_splat \
                 load64_splat load32_zero load64_zero";
    text += &each("(param i32) (result v128)", 1, &cross("v128", loads));
    for width in [8, 16, 32, 64] {
        text += &each("(param i32 v128) (result v128)", 2, &[format!("v128.load{width}_lane 1")]);
        text += &each("(param i32 v128)", 2, &[format!("v128.store{width}_lane offset=5 1")]);
    }
    text += &each("(param i32 v128)", 2, &strings("v128.store"));
    text += "(func (result v128) (v128.const i32x4 1 2 3 4)))";
    compile(&text);
}

#[test]
fn declarations() {
    let bytes = wat::parse_str(
        r#"(module $shop
  (import "wasi" "exit" (func $exit (param i32)))
  (memory (export "memory") 2 5)
  (table 3 7 funcref)
  (global $g i32 (i32.const 42))
  (func $run (export "run") (param $x i32) (result i32) (local.get $x))
  (func (export "start"))
  (start 2)
  (data (i32.const 16) "abc")
  (data "passive")
  (elem (i32.const 1) func $run)
  (elem declare funcref (ref.func $run) (ref.null func))
)"#,
    )
    .expect("the test's text is right");
    let module = Module::parse(&bytes).expect("it is valid");
    let info = module.info();
    assert_eq!(info.name.as_deref(), Some("shop"));
    assert_eq!(info.names.get(0), Some("exit"));
    assert_eq!(info.names.get(1), Some("run"));
    assert_eq!(info.names.get(2), None);
    assert_eq!((info.imported_functions, info.functions.len(), info.start), (1, 3, Some(2)));
    assert_eq!(
        info.memories.iter().map(|memory| (memory.min_pages, memory.max_pages)).collect::<Vec<_>>(),
        [(2, Some(5))]
    );
    assert_eq!((info.tables[0].element, info.tables[0].min, info.tables[0].max), (ValType::FuncRef, 3, Some(7)));
    assert_eq!(info.global_inits, [vec![ConstOp::I32Const(42)]]);
    assert_eq!(info.export("run").map(|export| (export.kind, export.index)), Some((ExportKind::Function, 1)));
    assert_eq!(&bytes[info.data[0].bytes.clone()], b"abc");
    assert_eq!(info.data[0].mode, SegmentMode::Active { index: 0, offset: vec![ConstOp::I32Const(16)] });
    assert_eq!(&bytes[info.data[1].bytes.clone()], b"passive");
    assert_eq!(info.elements[1].mode, SegmentMode::Declared);
}

#[test]
fn refusals() {
    let component = b"\0asm\x0d\0\x01\0";
    assert_eq!(Module::parse(component).err(), Some(CompileError::Component));
    assert!(matches!(Module::parse(b"").err(), Some(CompileError::Invalid { .. })));
    assert!(matches!(Module::parse(b"(module)").err(), Some(CompileError::Invalid { .. })));
    for text in [
        "(module (table i64 0x1_0000_0000 funcref))",
        "(module (global i31ref (ref.i31 (i64.const 1))))",
        "(module (type $s (struct (field i32))) (global (ref $s) (struct.new $s)))",
        "(module (table 1 (ref func)))",
        "(module (global $later i32 (global.get 1)) (global i32 (i32.const 1)))",
        "(module (global (mut i32) (i32.const 1)) (global i32 (global.get 0)))",
        "(module (tag (result i32)))",
    ] {
        let bytes = wat::parse_str(text).expect("the test's text is right");
        let refused = Module::parse(&bytes).err();
        assert!(matches!(refused, Some(CompileError::Invalid { .. } | CompileError::Unsupported { .. })), "{text}");
    }
    for text in [
        "(module (func (result i32)))",
        "(module (func (drop (ref.i31 (i64.const 1)))))",
        "(module (type $s (struct (field i32))) (func (struct.set $s 0 (struct.new_default $s) (i32.const 1))))",
        "(module (type $t (func)) (func (local (ref $t)) (drop (local.get 0))))",
        "(module (func i32.const 0 i32.add drop))",
        "(module (func (local i32) local.get 1 drop))",
    ] {
        let bytes = wat::parse_str(text).expect("the test's text is right");
        let module = Module::parse(&bytes).expect("declarations are valid");
        let invalid = module.validate(1);
        assert!(
            matches!(invalid, Err(CompileError::Invalid { .. } | CompileError::Unsupported { .. })),
            "{text}: {invalid:?}"
        );
        let refused = compile_as(&bytes, |_| Addressing::Arg, ImportLinkage::Host, 1, PLAIN);
        assert_eq!(refused.err(), module.validate(4).err(), "{text}");
    }
    let vector = wat::parse_str(r#"(module (import "" "" (func (param v128))))"#).expect("text is right");
    assert!(matches!(
        compile_as(&vector, |_| Addressing::Arg, ImportLinkage::Host, 1, PLAIN),
        Err(CompileError::Unsupported { .. })
    ));
    assert!(compile_as(&vector, |_| Addressing::Arg, ImportLinkage::Guest, 1, PLAIN).is_ok());
}

#[test]
fn wrong_options_are_refused() {
    let bytes = wat::parse_str("(module (func) (table 1 funcref))").expect("text is right");
    let module = Module::parse(&bytes).expect("it is valid");
    let options = |addressing, signatures| CompileOptions {
        addressing,
        signatures,
        imports: &[],
        threads: 1,
        verify_ir: false,
        settings: PLAIN,
    };
    let ids = signatures(module.info());
    assert!(matches!(module.compile(&options(Addressing::Arg, &[])), Err(CompileError::Options { .. })));
    assert!(matches!(
        module.compile(&options(Addressing::Fixed(FixedAddresses::default()), &ids)),
        Err(CompileError::Options { .. })
    ));
    assert!(module.compile(&options(Addressing::Arg, &ids)).is_ok());
}

/// A module of several hundred functions that call each other.
fn large() -> Vec<u8> {
    let functions: String = (0..600)
        .map(|n| {
            let body: String = (0..n % 40 * 10)
                .map(|k| format!("(local.set 0 (i32.xor (local.get 0) (i32.load offset={k} (local.get 0))))"))
                .collect();
            format!("(func (param i32) (result i32) {body} (call {} (local.get 0)))", (n * 7 + 3) % 600)
        })
        .collect();
    wat::parse_str(format!("(module (memory 1) {functions})")).expect("text is right")
}

#[test]
fn output_does_not_depend_on_threads() {
    let bytes = large();
    let one = compile_as(&bytes, fixed, ImportLinkage::Host, 1, PLAIN).expect("it compiles");
    let many = compile_as(&bytes, fixed, ImportLinkage::Host, 5, PLAIN).expect("it compiles");
    assert!(one.text == many.text && one.functions == many.functions && one.entries == many.entries);
    assert!(one.traps == many.traps && one.sources == many.sources);
}

#[test]
fn direct_calls_reach_their_functions() {
    let image = compile("(module (func) (func call 0 call 2 call 0) (func call 1))");
    let range = image.functions[1];
    let code = &image.text[range.start as usize..(range.start + range.len) as usize];
    if cfg!(target_arch = "x86_64") {
        let targets: Vec<i64> = code
            .windows(5)
            .enumerate()
            .filter(|(_, window)| window[0] == 0xe8)
            .map(|(at, window)| {
                let field = i32::from_le_bytes([window[1], window[2], window[3], window[4]]);
                i64::from(range.start) + at as i64 + 5 + i64::from(field)
            })
            .collect();
        let starts = [0, 2, 0].map(|function: usize| i64::from(image.functions[function].start));
        assert_eq!(targets, starts);
    }
}

#[test]
fn speculation_stays_inside_tables() {
    let count_cmov = |text: &str| {
        let image = compile(text);
        let range = image.functions[0];
        let code = &image.text[range.start as usize..(range.start + range.len) as usize];
        code.windows(2).filter(|pair| pair[0] == 0x0f && pair[1] & 0xf0 == 0x40).count()
    };
    if cfg!(target_arch = "x86_64") {
        assert_eq!(count_cmov("(module (table 9 funcref) (func (param i32) (call_indirect (local.get 0))))"), 1);
        assert_eq!(
            count_cmov("(module (func (param i32) (block (block (br_table 0 1 (local.get 0))) unreachable)))"),
            1
        );
    }
}

/// How often the code of the first function takes fuel.
fn charges(body: &str) -> usize {
    let text = format!(
        "(module (memory 1) (table 1 funcref) (func (param i32) (result i32) {body} local.get 0) (func) (export \"f\" (func 1)))"
    );
    let bytes = wat::parse_str(text).expect("the test's text is right");
    let image = compile_as(&bytes, fixed, ImportLinkage::Host, 1, EVERY).expect("it compiles");
    image.traps.iter().filter(|(_, code)| *code == TrapCode::OutOfFuel as u8).count()
}

#[test]
fn fuel_is_taken_once_per_block() {
    // The function's own block, and the blocks of a body before it.
    for (body, expected) in [
        ("", 1),
        ("nop block end", 1),
        ("call 1 call 1 i32.const 0 call_indirect", 1),
        ("loop end", 1),
        ("call 1 loop end", 2),
        ("call 1 loop local.get 0 br_if 0 end", 3),
        ("local.get 0 if end", 2),
        ("local.get 0 if call 1 else call 1 end", 4),
        ("block local.get 0 br_if 0 call 1 end", 3),
        ("block block local.get 0 br_table 0 1 0 1 end call 1 end", 3),
        ("block br 0 call 1 call 1 end", 2),
        // What is moved comes on top.
        ("i32.const 0 i32.const 0 local.get 0 memory.fill", 2),
        ("i32.const 0 i32.const 0 local.get 0 memory.copy", 2),
        ("ref.null func local.get 0 table.grow drop", 2),
        ("local.get 0 memory.grow drop", 1),
    ] {
        assert_eq!(charges(body), expected, "{body}");
    }
}

#[test]
fn code_takes_fuel_only_if_it_is_asked_to() {
    let bytes = large();
    let code = |fuel| {
        let settings = CodeSettings { fuel, ..PLAIN };
        compile_as(&bytes, fixed, ImportLinkage::Host, 1, settings).expect("it compiles")
    };
    let takes = |image: &CodeImage| image.traps.iter().any(|(_, code)| code == TrapCode::OutOfFuel as u8);
    // The address of the counter's area, and its offset there.
    let names = |image: &CodeImage| {
        [0x1100_0000, FUEL].map(|number| image.text.windows(4).any(|bytes| bytes == number.to_le_bytes()))
    };
    assert!(takes(&code(true)) && names(&code(true)) == [true; 2]);
    assert!(!takes(&code(false)) && names(&code(false)) == [false; 2]);
}

#[test]
fn mutilated_modules_never_panic() {
    let texts = [
        CONTROL,
        "(module $n (memory 1) (func $f (param i32) (result i32) (i32.load (local.get 0))) (data (i32.const 1) \"abc\"))",
    ];
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for text in texts {
        let good = wat::parse_str(text).expect("the test's text is right");
        for round in 0..1500 {
            let mut bytes = good.clone();
            for _ in 0..=round % 4 {
                let at = usize::try_from(random() % bytes.len() as u64).expect("small");
                match random() % 3 {
                    0 => bytes[at] ^= 1 << (random() % 8),
                    1 => bytes[at] = random().to_le_bytes()[0],
                    _ => bytes.truncate(at.max(8)),
                }
            }
            // A panic of the code generator would show as this message.
            let outcome = compile_as(&bytes, |_| Addressing::Arg, ImportLinkage::Host, 1, PLAIN);
            if let Err(CompileError::Codegen { message, .. }) = outcome {
                panic!("{message}: {bytes:?}");
            }
        }
    }
}

#[test]
fn pathological_bodies_stay_within_bounds() {
    let nested = |open: &str, count: usize| {
        format!("(module (func (param i32) {} nop {}))", open.repeat(count), "end ".repeat(count))
    };
    compile_quick(&nested("block ", 20_000));
    compile_quick(&nested("local.get 0 if ", 5_000));
    // Deeper than what is optimized: the second translation must do, whatever the first had begun.
    compile_quick(&nested("loop ", 65));
    compile_quick(&nested("loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 ", 5_000));
    compile_quick(&format!("(module (func (param i32) (result i32) local.get 0 {}))", "i32.eqz ".repeat(20_000)));
    compile_quick(&format!("(module (func (param i32) (block local.get 0 br_table {})))", "0 1 ".repeat(5_000)));
    let locals = "i64 ".repeat(40_000);
    let sets: String =
        (0..2000).map(|n| format!("(local.set {} (i64.const {n})) (block (br_if 0 (i32.const 1)))", n * 20)).collect();
    compile_quick(&format!("(module (func (local {locals}) {sets}))"));
}

#[test]
fn bodies_past_the_bounds_are_refused() {
    // A thousand values into each of many loops.
    let values = "i32 ".repeat(1000);
    let gets: String = (0..1000).map(|n| format!("local.get {n} ")).collect();
    let loops = "loop (type 0) end ".repeat(20_000);
    refuse(&format!("(module (type (func (param {values}) (result {values}))) (func (type 0) {gets} {loops}))"));
    refuse(&format!("(module (func {} {}))", "block ".repeat(60_000), "end ".repeat(60_000)));
    refuse(&format!("(module (func (block i32.const 0 br_table {})))", "0 1 ".repeat(35_000)));
}

fn refuse(text: &str) {
    let bytes = wat::parse_str(text).expect("the test's text is right");
    let outcome = compile_as(&bytes, |_| Addressing::Arg, ImportLinkage::Host, 1, PLAIN);
    assert!(matches!(outcome, Err(CompileError::Unsupported { .. })));
}

fn compile_quick(text: &str) {
    let bytes = wat::parse_str(text).expect("the test's text is right");
    compile_as(&bytes, fixed, ImportLinkage::Host, 1, PLAIN).expect("it compiles");
}

/// Size of each function that is not imported, in bytes.
fn sizes(text: &str, linked: bool) -> Vec<u32> {
    let bytes = wat::parse_str(text).expect("the test's text is right");
    let module = Module::parse(&bytes).expect("valid");
    let module = if linked { module.linked() } else { module };
    let signatures = signatures(module.info());
    let imports = vec![ImportLinkage::Host; module.info().imported_functions as usize];
    let addressing = fixed(module.info());
    let (signatures, imports) = (&*signatures, &*imports);
    let options = CompileOptions { addressing, signatures, imports, threads: 1, verify_ir: true, settings: PLAIN };
    let image = module.compile(&options).expect("it compiles");
    image.functions[imports.len()..].iter().map(|range| range.len).collect()
}

#[test]
fn only_calls_that_may_throw_are_looked_behind() {
    let module = |tag: &str, body: &str| {
        format!(
            r#"(module
                (type $plain (func)) (type $number (func (param i32)))
                (import "host" "f" (func $host))
                {tag}
                (table 4 funcref) (elem (i32.const 0) func $thrower $quiet)
                (func $thrower (type $plain) {body})
                (func $quiet (type $number))
                (func $calls_host (call $host))
                (func $calls_quiet (call $quiet (i32.const 1)))
                (func $calls_thrower (call $thrower))
                (func $calls_caller (call $calls_thrower))
                (func $indirect_thrower (call_indirect (type $plain) (i32.const 0)))
                (func $indirect_quiet (call_indirect (type $number) (i32.const 1) (i32.const 1)))
                (func $tail (return_call $thrower))
                (func $calls_tail (call $tail)))"#
        )
    };
    let without = sizes(&module("", "unreachable"), false);
    let with = sizes(&module("(tag $t)", "(throw $t)"), false);
    let larger: Vec<bool> = with.iter().zip(&without).map(|(with, without)| with > without).collect();
    assert_eq!(larger, [true, false, false, false, true, true, true, false, false, true]);
    // A tag that nothing throws changes nothing.
    assert_eq!(sizes(&module("(tag $t)", "unreachable"), false), without);

    // What catches everything does not throw.
    let catches = "(block $c (try_table (catch_all $c) (throw $t)))";
    let same = sizes(&module("(tag $t)", catches), false);
    assert_eq!(same[1..], without[1..]);
    let legacy = "try (throw $t) catch $t end";
    assert!(sizes(&module("(tag $t)", legacy), false)[4] > without[4], "another tag would go on");

    // Functions of other instances can get into a table that is shared. What the host calls alone cannot change that.
    let text = |table: &str| format!("(module (table {table} 1 funcref) (func (call_indirect (i32.const 0))))");
    assert_eq!(sizes(&text(""), true), sizes(&text(""), false));
    assert_eq!(sizes(&text("(export \"t\")"), false), sizes(&text(""), false));
    assert!(sizes(&text("(export \"t\")"), true) > sizes(&text(""), false));
}

#[test]
fn two_generations_of_exceptions_are_not_mixed() {
    let mixed = "(module (tag $t) (func try catch $t end) (func (try_table (throw $t))))";
    let bytes = wat::parse_str(mixed).expect("text");
    let expected = CompileError::Invalid {
        message: "`try` of the older exceptions proposal, in a module that also uses `try_table` or `throw_ref`"
            .to_owned(),
        offset: 0x1d,
    };
    assert_eq!(Module::parse(&bytes).expect("valid so far").validate(1), Err(expected.clone()));
    assert_eq!(compile_as(&bytes, fixed, ImportLinkage::Host, 1, PLAIN).err(), Some(expected));
    for one in ["try (throw $t) catch $t end", "(try_table (throw $t))"] {
        compile(&format!("(module (tag $t) (func (throw $t)) (func {one}))"));
    }
}

/// T62: a thousand nested blocks that catch, and as many clauses, in every shape.
#[test]
fn t62_many_blocks_that_catch() {
    let nested = |open: &str, close: &str| {
        let body = format!("{}(call $f){}", open.repeat(1000), close.repeat(1000));
        format!("(module (tag $t (param i64)) (func $f (throw $t (i64.const 1))) (func {body}))")
    };
    compile(&nested("(block (result i64) (try_table (catch $t 0)", ") (i64.const 0)) (drop)"));
    compile(&nested("try ", " catch $t drop catch_all rethrow 0 end "));
    compile(&nested("try ", " delegate 0 "));
    let clauses = "(catch $t 0)".repeat(1000);
    compile(&format!(
        "(module (tag $t (param i64)) (func $f (throw $t (i64.const 1)))
            (func (result i64) (block (result i64) (try_table {clauses} (call $f)) (i64.const 0))))"
    ));
}

/// A function that has one branch, whose sides are a store and a sum; `hints` is the content of a custom section.
fn branch(kind: &str, hints: Option<&[u8]>) -> CodeImage {
    let section = hints.map_or_else(String::new, |hints| {
        let hints: String = hints.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!(r#"(@custom "metadata.code.branch_hint" (before code) "{hints}")"#)
    });
    let body = match kind {
        "if" => {
            "(if (local.get 0) (then (i32.store (i32.const 0) (i32.const 1))) (else (local.set 0 (i32.mul (local.get 1) (local.get 1)))))"
        }
        _ => "(block (br_if 0 (local.get 0)) (i32.store (i32.const 0) (i32.const 1)) (local.set 0 (i32.const 7)))",
    };
    compile(&format!(
        "(module {section} (memory 1) (func (param i32 i32) (result i32) {body} (i32.add (local.get 0) (local.get 1))))"
    ))
}

#[test]
fn hints_move_the_unlikely_side() {
    // The branch is the operator at this offset of the body: behind the number of locals and `local.get 0`, and a block's start.
    for (kind, offset) in [("if", 3), ("br_if", 5)] {
        let plain = branch(kind, None);
        let hint = |function, offset, taken| [1, function, 1, offset, 1, taken];
        let likely = branch(kind, Some(&hint(0, offset, 1)));
        let unlikely = branch(kind, Some(&hint(0, offset, 0)));
        assert_ne!(likely.text, unlikely.text, "{kind}: the sides are in another order");
        let store_at =
            |image: &CodeImage| (0..).find(|at| image.traps.get(*at) == Some(TrapCode::HeapOutOfBounds as u8));
        match kind {
            "if" => assert!(store_at(&unlikely) > store_at(&likely), "the unlikely side is last"),
            _ => assert!(store_at(&likely) > store_at(&unlikely), "the unlikely side is last"),
        }
        let good = hint(0, offset, 1);
        let ignored: [(&str, &[u8]); 8] = [
            ("for another function", &hint(1, offset, 1)),
            ("for another operator", &hint(0, offset + 1, 1)),
            ("neither taken nor not", &hint(0, offset, 2)),
            ("cut off", &good[..5]),
            ("bytes behind it", &[&good[..], &[0]].concat()),
            ("a longer hint", &[1, 0, 1, offset, 2, 1, 1]),
            ("twice the same branch", &[1, 0, 2, offset, 1, 1, offset, 1, 1]),
            ("functions out of order", &[2, 1, 1, offset, 1, 1, 0, 1, offset, 1, 1]),
        ];
        for (what, hints) in ignored {
            assert_eq!(branch(kind, Some(hints)).text, plain.text, "{kind}: {what}");
        }
    }
}

#[test]
fn indexes_of_64_bits_are_checked_and_others_are_not() {
    use TrapCode::{HeapOutOfBounds, MemoryOutOfBounds};
    let load = |memory: &str, index: &str, offset: &str| {
        traps(&format!(
            "(module (memory {memory}) (func (param {index}) (result i32) (i32.load {offset} (local.get 0))))"
        ))
    };
    assert_eq!(load("1", "i32", ""), [HeapOutOfBounds]);
    assert_eq!(load("1 (pagesize 65536)", "i32", ""), [HeapOutOfBounds]);
    let sorted = |mut codes: Vec<TrapCode>| {
        codes.sort_by_key(|code| *code as u8);
        codes
    };
    assert_eq!(sorted(load("i64 1", "i64", "")), [MemoryOutOfBounds, HeapOutOfBounds]);
    assert_eq!(sorted(load("1 (pagesize 1)", "i32", "")), [MemoryOutOfBounds, HeapOutOfBounds]);
    assert_eq!(
        sorted(load("i64 1 (pagesize 1)", "i64", "offset=0xffffffff")),
        [MemoryOutOfBounds, MemoryOutOfBounds, HeapOutOfBounds]
    );
    assert!(load("i64 1", "i64", "offset=0x100000000").contains(&MemoryOutOfBounds));
}
