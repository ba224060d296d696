//! A function of a module, in whose place instructions are asked about.

use crate::json;
use serde_json::{Value as Json, json};
use wave_contract::context::{
    ARENA, ContextLayout, GLOBAL_BYTES, GlobalSlot, IMPORT_CODE, IMPORT_CONTEXT, MAX_FUNCTIONS, MEMORY_BASE,
    MEMORY_DESCRIPTOR, RESULTS, STACK_LIMIT, TABLE_ENTRIES, TABLE_ENTRY_BYTES, TABLE_ENTRY_CODE, TABLE_ENTRY_CONTEXT,
    TABLE_ENTRY_SIGNATURE, TABLE_LEN,
};
use wave_contract::image::CodeRange;
use wave_contract::libcall::Libcall;
use wave_contract::{MEMORY_RESERVATION_BYTES, abi};
use wave_test_imagined::{Compiled, Mode, compiled};
use wave_verifier::rules::{Object, Shared, Value};
use wave_verifier::{Unit, UnitName};

/// The first parameters come in registers, the others on the stack.
const MODULE: &str = r#"(module
  (type $many (func (param i64 i64 i64 i64 i64 i64 i64 i64)))
  (import "host" "call" (func (param i32) (result i32)))
  (import "host" "variable" (global (mut i64)))
  (import "host" "constant" (global i64))
  (memory 1 10)
  (table 4 10 funcref)
  (table 2 2 funcref)
  (global i64 (i64.const 1))
  (global (mut i64) (i64.const 2))
  (func (export "run") (type $many)))"#;

/// Parameters of the function.
const PARAMS: usize = 8;

/// Where the function lies in the text: it begins with the instruction that is asked about.
pub const AT: u32 = 0x1000;
/// How long the function is.
const LEN: u32 = 0x1000;
/// Another instruction, which has made an offset into a table.
pub const MADE: u32 = 0x1040;
/// A jump table.
pub const TABLE_OF_JUMPS: u32 = 0x1800;

/// Linear memory in mode fixed.
pub const MEMORY: u64 = 0x4000_0000;

/// A module, and whether its function or an entry thunk is asked about.
pub struct Bench {
    pub name: &'static str,
    pub compiled: Compiled,
    is_entry: bool,
    is_fixed: bool,
}

impl Bench {
    fn new(name: &'static str, mode: Mode, is_entry: bool) -> Self {
        Self { name, compiled: compiled(mode, MODULE.as_bytes(), 1), is_entry, is_fixed: mode == Mode::Fixed }
    }

    /// A function in both modes, and an entry thunk.
    pub fn all() -> [Self; 3] {
        [
            Self::new("arg", Mode::Arg, false),
            Self::new("fixed", Mode::Fixed, false),
            Self::new("entry", Mode::Arg, true),
        ]
    }

    /// What the function is verified against.
    pub fn shared(&self) -> Shared<'_> {
        let Compiled { info, terms, .. } = &self.compiled;
        Shared::of_functions(info, terms, [AT]).expect("addresses of this module")
    }

    /// A function that begins with these bytes.
    pub fn unit<'a>(&'a self, code: &'a [u8]) -> Unit<'a> {
        let name = if self.is_entry { UnitName::Entry(0) } else { UnitName::Function(1) };
        let ty = self
            .compiled
            .info
            .types
            .iter()
            .filter_map(|ty| ty.function())
            .find(|ty| ty.params.len() == PARAMS)
            .expect("the module has the type");
        Unit { name, range: CodeRange { start: AT, len: LEN }, code, ty, traps: &[], sources: &[] }
    }

    /// What lies where, by the contract.
    pub fn layout(&self) -> Json {
        let info = &self.compiled.info;
        let fixed = self.compiled.terms.addressing.fixed();
        let context = ContextLayout::new(info).expect("a small module");
        let address = |object: Object, at: Option<u64>| {
            json::value(at.map_or(Value::Into { object, low: 0, span: 0 }, Value::exactly))
        };
        let mut fields = vec![
            (STACK_LIMIT, json::value(Value::StackLimit)),
            (RESULTS, address(Object::Results, fixed.map(|fixed| fixed.results))),
            (ARENA, json::value(Value::Arena)),
        ];
        for (index, _) in (0..).zip(&info.memories) {
            let fixed = fixed.map(|fixed| fixed.memories[usize::from(index)]);
            let slot = context.memory(index.into());
            fields.push((slot + MEMORY_BASE, address(Object::Memory(index), fixed.map(|fixed| fixed.base))));
            let descriptor = fixed.map(|fixed| fixed.descriptor);
            fields.push((slot + MEMORY_DESCRIPTOR, address(Object::Descriptor(index), descriptor)));
        }
        for (index, _) in (0_u8..).zip(&info.tables) {
            let fixed = fixed.map(|fixed| fixed.tables[usize::from(index)]);
            fields.push((context.table(index.into()), address(Object::Table(index), fixed)));
        }
        let function_table = u8::try_from(info.tables.len()).expect("few tables");
        let held = address(Object::Table(function_table), fixed.map(|fixed| fixed.functions));
        fields.push((context.function_table(), held));
        for (number, libcall) in (0_u8..).zip(Libcall::ALL) {
            fields.push((context.libcall(libcall), json::value(Value::Libcall(number))));
        }
        for index in 0..info.imported_functions {
            fields.push((context.function(index) + IMPORT_CODE, json::value(Value::Import(index))));
            fields.push((context.function(index) + IMPORT_CONTEXT, json::value(Value::ImportContext(index))));
        }
        let mut cells = Vec::new();
        for (index, global) in (0..).zip(&info.globals) {
            match context.global(index) {
                GlobalSlot::Cell(at) => cells.push(json!([at, global.mutable])),
                GlobalSlot::Pointer(at) => {
                    let fixed = fixed.map(|fixed| fixed.globals[index as usize]);
                    fields.push((at, address(Object::Global { mutable: global.mutable }, fixed)));
                }
            }
        }
        let leading = if self.is_fixed { 0 } else { 1 };
        let on_stack = if self.is_entry { 0 } else { PARAMS + leading - abi::REGISTER_INTEGERS };
        let memories = fixed.map(|fixed| fixed.memories.iter().map(|at| (at.base, at.descriptor)).collect::<Vec<_>>());
        // The function table follows all others. It has an entry for null.
        let bounds = info.tables.iter().map(|table| json!([table.min, table.max]));
        let tables: Vec<_> = bounds.chain([json!([1, MAX_FUNCTIONS + 1])]).collect();
        let addresses = fixed.map(|fixed| [&fixed.tables[..], &[fixed.functions]].concat());
        json!({
            "layout": self.name,
            "text": [AT, LEN],
            "at": AT,
            "arguments": on_stack.next_multiple_of(2) * 8,
            "slots": if self.is_entry { PARAMS as u64 * u64::from(abi::SLOT_BYTES) } else { 0 },
            "reservation": MEMORY_RESERVATION_BYTES,
            "results": abi::RESULT_AREA_BYTES,
            "global": GLOBAL_BYTES,
            "context": context.size(),
            "table": { "length": TABLE_LEN, "entries": TABLE_ENTRIES, "entry": TABLE_ENTRY_BYTES, "code": TABLE_ENTRY_CODE,
                "signature": TABLE_ENTRY_SIGNATURE, "context": TABLE_ENTRY_CONTEXT },
            "tables": tables,
            "globals": info.globals.iter().map(|global| global.mutable).collect::<Vec<_>>(),
            "imported": info.imported_globals,
            "fields": fields,
            "cells": cells,
            "fixed": fixed.map(|fixed| json!({ "context": fixed.context, "results": fixed.results, "memories": memories,
                "tables": addresses, "globals": fixed.globals })),
        })
    }
}
