//! The addresses of a store's objects, and who may write there while guest code runs. For programs that check that nobody else
//! does. Nothing is read or changed here.

use crate::enter::CURRENT;
use crate::signal;
use crate::store::{InstanceId, Store};
use std::ops::Range;
use wave_contract::abi::RESULT_AREA_BYTES;
use wave_contract::context::{GLOBAL_BYTES, MEMORY_DESCRIPTOR_BYTES, TABLE_ENTRY_BYTES};
use wave_contract::types::SignatureId;

/// Who may change the bytes of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Code of the instance, without restriction.
    Guest,
    /// Code of the instance, where the range is accessible: a linear memory with its guard.
    Memory,
    /// The runtime alone, and only the first word: the length of the memory before it in the list.
    Length,
    /// The same of a memory with pages of one byte: its last host page may be accessible beyond its length.
    LengthInBytes,
    /// The runtime alone: the length of a table, then entries, each of which is null or one of [`entries`]. The range
    /// before it in the list holds the length, too.
    Table,
    /// The runtime alone, when it is called, or when a fault or the deadline ends a call.
    Runtime,
    /// Nobody.
    Nobody,
}

/// A range of the address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub what: &'static str,
    /// Its addresses.
    pub range: Range<usize>,
    /// Who may write there.
    pub writer: Writer,
}

/// All ranges that belong to an instance, and all that the runtime writes for it. Some lie inside others.
pub fn places<T>(store: &Store<T>, instance: InstanceId) -> Vec<Place> {
    let inner = store.inner();
    let Some(instance) = inner.instances.get(instance.0) else { return Vec::new() };
    let mut places = Vec::new();
    let mut add = |what, range, writer| places.push(Place { what, range, writer });

    for number in &instance.memories {
        let (memory, descriptor) = &inner.memories[*number];
        add("linear memory", memory.reservation(), Writer::Memory);
        let writer = if memory.current_type().page_log2 == 0 { Writer::LengthInBytes } else { Writer::Length };
        add("descriptor of a memory", cell(inner.arena.address(*descriptor), MEMORY_DESCRIPTOR_BYTES), writer);
        memory.size_fields().into_iter().for_each(|field| add("size of a memory", field, Writer::Runtime));
    }
    for number in &instance.tables {
        let table = &inner.tables[*number];
        let [list, references] = table.reference_fields();
        add("references of a table", references, Writer::Runtime);
        add("list of a table", list, Writer::Runtime);
        add("table", table.range(), Writer::Table);
    }
    for number in &instance.globals {
        let global = &inner.globals[*number];
        let writer = if global.ty.mutable { Writer::Guest } else { Writer::Nobody };
        add("global", cell(inner.arena.address(global.cell), GLOBAL_BYTES), writer);
    }
    add("results", cell(inner.arena.address(inner.results), RESULT_AREA_BYTES), Writer::Guest);
    add("guard of the stack", inner.stack.guard(), Writer::Nobody);
    add("stack", inner.stack.guard().end..inner.stack.top(), Writer::Guest);
    add("segments of data", of_slice(&instance.data), Writer::Runtime);
    add("segments of elements", of_slice(&instance.elements), Writer::Runtime);
    for field in inner.changing_fields() {
        add("state of the store", field, Writer::Runtime);
    }
    for field in inner.exception_fields() {
        add("exceptions", field, Writer::Runtime);
    }
    for field in inner.heap_fields() {
        add("roots of objects", field, Writer::Runtime);
    }
    CURRENT.with(|current| add("current activation", of(current), Writer::Runtime));
    for (what, range) in signal::changing() {
        add(what, range, Writer::Runtime);
    }
    // Each function of the store can be entered there when somebody takes a reference to it.
    let [len, function_table] = inner.arena.function_places(inner.functions.len() + 1);
    add("length of the function table", len, Writer::Runtime);
    add("function table", function_table, Writer::Table);
    add("code and what is known of it", inner.code.range(), Writer::Nobody);
    add("contexts and cells", inner.arena.range(), Writer::Nobody);
    places
}

/// Each entry that a table can have except null, as code reads it.
pub fn entries<T>(store: &Store<T>) -> Vec<[u8; TABLE_ENTRY_BYTES as usize]> {
    let entry = |function: &crate::function::FunctionEntry, signature: SignatureId| {
        let mut bytes = [0; TABLE_ENTRY_BYTES as usize];
        bytes[..8].copy_from_slice(&function.code.to_le_bytes());
        bytes[8..12].copy_from_slice(&signature.0.to_le_bytes());
        bytes[12..].copy_from_slice(&function.context.to_le_bytes());
        bytes
    };
    let functions = store.inner().functions.iter();
    functions.flat_map(|function| [entry(function, function.signature), entry(function, function.shape)]).collect()
}

/// The context of an instance.
pub fn context<T>(store: &Store<T>, instance: InstanceId) -> Option<usize> {
    let inner = store.inner();
    let function = inner.instances.get(instance.0)?.functions.first()?;
    Some(inner.arena.address(inner.functions.get(function.index())?.context) as usize)
}

/// Bytes of an instance's data segments, and the tables of traps of its code.
pub fn constants<T>(store: &Store<T>, instance: InstanceId) -> Option<[Range<usize>; 2]> {
    let inner = store.inner();
    let instance = inner.instances.get(instance.0)?;
    Some([of_slice(&instance.bytes), inner.code.image(instance.image)?.trap_bytes()])
}

fn cell(address: u64, len: u32) -> Range<usize> {
    address as usize..address as usize + len as usize
}

/// The bytes of a value.
pub fn of<T>(value: &T) -> Range<usize> {
    of_slice(std::slice::from_ref(value))
}

/// The bytes of a value behind a pointer, which is not followed.
pub fn of_raw<T>(value: *const T) -> Range<usize> {
    value.addr()..value.addr() + size_of::<T>()
}

/// The bytes of a list.
pub fn of_slice<T>(list: &[T]) -> Range<usize> {
    let Range { start, end } = list.as_ptr_range();
    start as usize..end as usize
}
