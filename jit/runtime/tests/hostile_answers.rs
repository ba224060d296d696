//! What a compiler that a module has taken over could send instead of declarations and code: each answer is refused, or the
//! runtime makes an instance of it without a panic or a fault (T62, T99). Nothing of the machine code runs here.

use std::ops::Range;
use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::Inconsistent;
use wave_contract::artifact::CodeSettings;
use wave_contract::encoding::{ImageBounds, read_image, read_value, write_image, write_value};
use wave_contract::image::{CodeImage, CodeRange};
use wave_contract::module::{ConstOp, ElementItems, ExportKind, ImportType, ModuleInfo, SegmentMode};
use wave_contract::object::HEAP;
use wave_contract::types::{
    CompositeType, FuncType, HeapType, RefType, SignatureId, SubType, TableType, TypeIds, ValType,
};
use wave_policy::{Level, Policy};
use wave_runtime::{Binding, Caller, HostFunction, Placement, Stop, Store, StoreOptions};
use wave_sandbox::{SealPlan, Sealed};

/// Something of everything that is declared.
const TEXT: &str = r#"(module $named
    (type $empty (func))
    (import "host" "add" (func $add (param i32 i32) (result i32)))
    (import "host" "tick" (func $tick))
    (func $start (type $empty) (call $tick))
    (func $both (param i64 f32 f64 v128 externref) (result i32 i64) (i32.const 1) (local.get 0))
    (func $trap (export "trap") (result i32) (i32.div_s (i32.const 1) (i32.load (i32.const -1))))
    (table $t (export "t") 5 10 funcref)
    (table $e 2 externref)
    (memory (export "m") 1 3)
    (global $c i32 (i32.const 7))
    (global $l (mut i64) (i64.const -1))
    (global $f f32 (f32.const 1.5))
    (global $d f64 (f64.const 2.5))
    (global $v v128 (v128.const i64x2 1 2))
    (global $r (export "g") funcref (ref.func $both))
    (global $n externref (ref.null extern))
    (elem (table $t) (i32.add (i32.const 1) (i32.const 1)) func $start $both)
    (elem (table $e) (i32.const 0) externref (ref.null extern) (item (ref.null extern)))
    (elem $passive funcref (ref.func $start) (ref.null func))
    (elem declare func $both)
    (data (i32.sub (i32.const 20) (i32.mul (i32.const 2) (i32.const 5))) "hello")
    (data $kept "world")
    (func (export "_start") (call_indirect $t (type $empty) (i32.const 2))
        (memory.init $kept (i32.const 0) (i32.const 0) (i32.const 5)) (drop (call $add (i32.const 1) (i32.const 2)))))"#;

const MUTATIONS: u32 = 20_000;

fn unsealed() -> Sealed {
    let policy = Policy { level: Level::Off, ..Policy::default() };
    let plan = SealPlan::new(&policy);
    wave_sandbox::seal(&plan).expect("nothing is asked for")
}

/// In mode arg, so that code of one store is code of another.
fn store() -> Store<()> {
    let options =
        StoreOptions { fixed: false, stack_bytes: 1 << 20, memory_limit_bytes: 4 << 16, ..StoreOptions::default() };
    Store::new(options, ()).expect("a store")
}

/// Every function import bound to the host function of its name, anything else to one that does not fit.
fn bindings(info: &ModuleInfo) -> Vec<Binding<()>> {
    let bind = |name: &str| match name {
        "add" => HostFunction::new(|_: &mut Caller<()>, a: u32, b: u32| Ok::<u32, Stop>(a.wrapping_add(b))),
        _ => HostFunction::new(|_: &mut Caller<()>| Ok::<(), Stop>(())),
    };
    info.imports.iter().map(|import| Binding::Host(bind(&import.name))).collect()
}

fn add_heap(info: &mut ModuleInfo) {
    info.memories.push(HEAP);
    info.heap = Some(1);
}

/// A valid module, its declarations and its code.
struct Honest {
    bytes: Vec<u8>,
    info: ModuleInfo,
    signatures: Vec<TypeIds>,
    image: CodeImage,
}

fn compile(module: &Module<'_>, placement: &Placement) -> CodeImage {
    let imports: Vec<_> = placement.host_imports.iter().map(|_| ImportLinkage::Host).collect();
    let options = CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &imports,
        threads: 1,
        verify_ir: false,
        settings: CodeSettings::default(),
    };
    module.compile(&options).expect("the module compiles")
}

fn honest() -> Honest {
    let bytes = wat::parse_str(TEXT).expect("the text is valid");
    let module = Module::parse(&bytes).expect("the module is valid");
    let placement = store().place(module.info(), &bindings(module.info())).expect("the imports are bound");
    let image = compile(&module, &placement);
    let info = module.into_info();
    Honest { info, signatures: placement.signatures, image, bytes }
}

impl Honest {
    fn bounds(&self, info: &ModuleInfo) -> ImageBounds {
        ImageBounds { functions: Some(info.functions.len()), signatures: info.types.len(), bytes: 1 << 24 }
    }

    /// What the command does with an answer. Whether it came to an instance.
    fn accept(&self, info: ModuleInfo, image: &[u8]) -> bool {
        if info.check(self.bytes.len()).is_err() {
            return false;
        }
        let mut store = store();
        let Ok(placement) = store.place(&info, &bindings(&info)) else { return false };
        let bounds = self.bounds(&info);
        let Ok(image) = read_image(&mut &image[..], placement.addressing.clone(), &bounds) else { return false };
        if image.check(&info, &placement.signatures, self.bytes.len()).is_err() {
            return false;
        }
        // Code of other declarations must not run.
        let runs = info.start.is_some();
        let names: Vec<_> = info.exports.iter().map(|export| export.name.clone()).collect();
        let Ok((image, _)) = wave_verifier::verify(image, &self.bytes, placement.terms(), 1) else { return false };
        let Ok(instance) = store.load(placement, info, image, self.bytes.clone()) else { return false };
        for name in names {
            store.export(instance, &name).expect("an export that was checked");
        }
        if !runs {
            // Segments that do not fit trap, which is what they should do.
            drop(store.initialize(&unsealed(), instance));
        }
        true
    }
}

/// A small generator of numbers, the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).expect("below a usize")
    }

    /// Changes one to four places of `range`: other values, bits, lost and new bytes.
    fn mutate(&mut self, bytes: &[u8], range: Range<usize>) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = (range.start + self.below(range.len())).min(bytes.len() - 1);
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][self.below(6)],
                2 => bytes[at] = bytes[at].wrapping_add(1),
                3 => bytes[at] = bytes[at].wrapping_sub(1),
                4 => drop(bytes.remove(at)),
                _ => bytes.insert(at, [0, 1, 0x80, 0xff][self.below(4)]),
            }
        }
        bytes
    }
}

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_value(&mut bytes, value).expect("memory takes all");
    bytes
}

fn encoded_image(image: &CodeImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_image(&mut bytes, image).expect("memory takes all");
    bytes
}

#[test]
fn an_honest_answer_is_accepted() {
    let honest = honest();
    assert_eq!(honest.info.check(honest.bytes.len()), Ok(()));
    assert_eq!(honest.image.check(&honest.info, &honest.signatures, honest.bytes.len()), Ok(()));
    let info: ModuleInfo = read_value(&mut &encoded(&honest.info)[..], 1 << 16).expect("it reads back");
    assert_eq!(format!("{info:?}"), format!("{:?}", honest.info));
    assert!(honest.accept(info, &encoded_image(&honest.image)));
}

#[test]
fn t62_mutated_declarations_are_refused_or_harmless() {
    let honest = honest();
    let image = encoded_image(&honest.image);
    // Without its length: that one is about the bytes that follow.
    let good = encoded(&honest.info)[8..].to_vec();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..MUTATIONS {
        let bad = numbers.mutate(&good, 0..good.len());
        let framed = [&(bad.len() as u64).to_le_bytes()[..], &bad].concat();
        let info = read_value::<ModuleInfo>(&mut &framed[..], 1 << 16);
        match info.is_ok_and(|info| honest.accept(info, &image)) {
            true => accepted += 1,
            false => refused += 1,
        }
    }
    println!("{accepted} accepted, {refused} refused");
    // Names and constants may be anything.
    assert!(accepted > MUTATIONS / 50 && refused > MUTATIONS / 2, "{accepted} {refused}");
}

#[test]
fn t62_mutated_images_are_refused_or_harmless() {
    let honest = honest();
    let good = encoded_image(&honest.image);
    let text = 48..48 + honest.image.text.len();
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..MUTATIONS {
        let range = match round % 3 {
            0 => 0..text.start,
            1 => text.clone(),
            _ => text.end..good.len(),
        };
        let bad = numbers.mutate(&good, range);
        match honest.accept(honest.info.clone(), &bad) {
            true => accepted += 1,
            false => refused += 1,
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > MUTATIONS / 50 && refused > MUTATIONS / 4, "{accepted} {refused}");
}

/// A change of the declarations and what is said of it.
type Edit = (&'static str, fn(&mut ModuleInfo));

/// References to a type.
const fn unknown(index: u32) -> ValType {
    ValType::reference(RefType { nullable: true, heap: HeapType::Concrete(index) })
}

const EDITS: &[Edit] = &[
    ("a type has too many values", |info| info.types[0] = FuncType::new(vec![ValType::I32; 1001], []).into()),
    ("a type has too many values", |info| info.types[0] = FuncType::new([], vec![ValType::I32; 1001]).into()),
    ("a type refers to a later one", |info| info.types[0] = FuncType::new([unknown(1)], []).into()),
    ("a type is a subtype of a later one", |info| info.types[0].supertype = Some(0)),
    ("a group of types is not there", |info| info.groups.push(0..99)),
    ("a group of types is not there", |info| info.groups.extend([0..2, 1..2])),
    ("a group of types is not there", |info| info.groups.push(Range { start: 1, end: 0 })),
    ("a function has no type", |info| info.types[0].composite = CompositeType::Struct([].into())),
    ("a table type is invalid", |info| info.tables[0].element = unknown(99)),
    ("a global's type is invalid", |info| info.globals[0].content = unknown(99)),
    ("there is another number of values of tables", |info| info.table_inits.push(None)),
    ("a table's value is invalid", |info| info.table_inits[0] = Some(vec![ConstOp::I32Const(1)])),
    ("a table's value is invalid", |info| info.table_inits[0] = Some(vec![ConstOp::RefFunc(99)])),
    ("a function has no type", |info| info.functions[3] = 99),
    ("a table type is invalid", |info| info.tables[0].element = ValType::I32),
    ("a table type is invalid", |info| info.tables[0].max = Some(4)),
    ("there are too many memories", |info| info.memories = vec![info.memories[0]; 101]),
    ("a type has too many supertypes", |info| {
        // The first has none, and 63 are not too many.
        let first = u32::try_from(info.types.len()).expect("a few");
        let open = |supertype| SubType { is_final: false, supertype, ..FuncType::default().into() };
        info.types.push(open(None));
        info.types.extend((first..first + 64).map(|above| open(Some(above))));
    }),
    ("the heap is not the last memory", |info| info.heap = Some(0)),
    ("the heap is not the last memory", |info| info.heap = Some(1)),
    ("the heap's type is another one", |info| {
        info.memories.push(info.memories[0]);
        info.heap = Some(1);
    }),
    ("the heap is exported", |info| {
        add_heap(info);
        info.exports.iter_mut().filter(|export| export.kind == ExportKind::Memory).for_each(|export| export.index = 1);
    }),
    ("a data segment is copied to the heap", |info| {
        add_heap(info);
        info.data[0].mode = SegmentMode::Active { index: 1, offset: vec![ConstOp::I32Const(0)] };
    }),
    ("a global's value is invalid", |info| {
        // The type is one of functions.
        add_heap(info);
        info.global_inits[0] = vec![ConstOp::StructNewDefault(0)];
    }),
    ("a memory type is invalid", |info| info.memories[0].max_pages = Some(0)),
    ("a memory type is invalid", |info| info.memories[0].max_pages = Some(65_537)),
    ("a memory type is invalid", |info| info.memories[0].page_log2 = 12),
    ("a memory type is invalid", |info| info.memories[0].page_log2 = 200),
    ("a memory type is invalid", |info| {
        info.memories[0].min_pages = 65_537;
        info.memories[0].max_pages = None;
    }),
    ("an import is not what its index space says", |info| info.imports[0].ty = ImportType::Function(0)),
    ("an import is not what its index space says", |info| {
        info.imports[0].ty = ImportType::Table(TableType { element: ValType::FuncRef, min: 1, max: None, wide: false });
    }),
    ("the number of imports is wrong", |info| info.imported_functions += 1),
    ("the number of imports is wrong", |info| info.imported_globals = u32::MAX),
    ("the number of imports is wrong", |info| drop(info.imports.pop())),
    ("a global has no value", |info| drop(info.global_inits.pop())),
    ("a global has no value", |info| info.globals.truncate(5)),
    ("a global's value is invalid", |info| info.global_inits[0].clear()),
    ("a global's value is invalid", |info| info.global_inits[0].push(ConstOp::I32Const(1))),
    ("a global's value is invalid", |info| info.global_inits[0].push(ConstOp::I32Add)),
    ("a global's value is invalid", |info| info.global_inits[0] = vec![ConstOp::I64Const(1)]),
    ("a global's value is invalid", |info| info.global_inits[0] = vec![ConstOp::RefNull]),
    ("a global's value is invalid", |info| info.global_inits[0] = vec![ConstOp::GlobalGet(0)]),
    ("a global's value is invalid", |info| info.global_inits[5] = vec![ConstOp::RefFunc(99)]),
    ("an export does not exist", |info| info.exports[0].index = 99),
    ("an export does not exist", |info| (info.exports[1].kind, info.exports[1].index) = (ExportKind::Memory, 1)),
    ("the start function has arguments or results", |info| info.start = Some(3)),
    ("the start function has arguments or results", |info| info.start = Some(99)),
    ("elements are no references", |info| info.elements[2].element = ValType::F64),
    ("an element segment has no table", |info| {
        info.elements[0].mode = SegmentMode::Active { index: 2, offset: vec![ConstOp::I32Const(0)] };
    }),
    ("an element segment has no table", |info| {
        info.elements[0].mode = SegmentMode::Active { index: 1, offset: vec![ConstOp::I32Const(0)] };
    }),
    ("an element segment's offset is invalid", |info| {
        info.elements[0].mode = SegmentMode::Active { index: 0, offset: vec![ConstOp::GlobalGet(1)] };
    }),
    ("an element is invalid", |info| info.elements[0].items = ElementItems::Functions(vec![99])),
    ("an element is invalid", |info| info.elements[1].items = ElementItems::Functions(vec![0])),
    ("an element is invalid", |info| {
        info.elements[2].items = ElementItems::Expressions(vec![vec![ConstOp::I32Const(5)]]);
    }),
    ("a data segment has no memory", |info| {
        info.memories.clear();
        info.exports.retain(|export| export.kind != ExportKind::Memory);
    }),
    ("a data segment's offset is invalid", |info| {
        info.data[0].mode = SegmentMode::Active { index: 0, offset: vec![ConstOp::I64Const(0)] };
    }),
    ("a data segment is only declared", |info| info.data[1].mode = SegmentMode::Declared),
    ("a data segment lies outside the module", |info| info.data[0].bytes.end = usize::MAX),
    ("a data segment lies outside the module", |info| {
        let Range { start, end } = info.data[0].bytes;
        info.data[0].bytes = end..start;
    }),
];

#[test]
fn t62_each_contradiction_in_declarations_is_found() {
    let honest = honest();
    for (index, (what, edit)) in EDITS.iter().enumerate() {
        let mut info = honest.info.clone();
        edit(&mut info);
        assert_eq!(info.check(honest.bytes.len()), Err(Inconsistent(what)), "edit {index}");
    }
}

#[test]
fn t62_each_contradiction_in_code_is_found() {
    let honest = honest();
    let len = honest.bytes.len();
    let refused = |what: &'static str, edit: fn(&mut CodeImage)| {
        let mut image = honest.image.clone();
        edit(&mut image);
        assert_eq!(image.check(&honest.info, &honest.signatures, len), Err(Inconsistent(what)));
    };
    refused("there is another number of functions", |image| image.functions.truncate(2));
    refused("a function lies outside the text", |image| image.functions[2] = CodeRange { start: u32::MAX, len: 2 });
    refused("a function lies outside the text", |image| image.functions[2].len = u32::MAX / 2);
    refused("a function lies outside the text", |image| image.text.truncate(1));
    refused("an entry lies outside the text", |image| image.entries[0].code.start = u32::MAX);
    refused("a signature has two entries", |image| image.entries[1] = image.entries[0]);
    refused("an entry is missing", |image| image.entries.truncate(1));
    refused("an entry is missing", |image| image.entries[0].signature = SignatureId(0));
    refused("the table of traps speaks of what is not in the text", |image| image.traps.push(u32::MAX, 1));
    refused("the table of traps makes no sense", |image| {
        // Behind every other entry there is room: the last function ends with padding or a return.
        let last = u32::try_from(image.text.len()).expect("small") - 1;
        image.traps.push(last, 99);
    });
    refused("the table of positions speaks of what is not in the text", |image| image.sources.push(u32::MAX, 1));
    refused("the table of positions makes no sense", |image| {
        let last = u32::try_from(image.text.len()).expect("small") - 1;
        image.sources.push(last, u32::MAX);
    });
    let fewer = &honest.signatures[1..];
    let found = honest.image.check(&honest.info, fewer, len);
    assert_eq!(found, Err(Inconsistent("there is another number of signatures")));
}
