//! Generated code for handles of resources that components define: a table for each component, in a memory that no module has.
//!
//! An entry has 16 bytes: the resource type (0: free), what the handle stands for (free: the next free entry), whether it is owned, and how
//! often it is lent. The first entry has the first free entry and the number of entries instead.
//!
//! Source: the component model's `CanonicalABI.md`, "Table State" and "Resource State"; `canon resource.new`, `.drop` and `.rep`.

use crate::fuse::access;
use wasm_encoder::{BlockType, Catch, Function, InstructionSink, ValType};

const ENTRY_LOG2: i32 = 4;
const TYPE: u32 = 0;
const REP: u32 = 4;
const OWN: u32 = 8;
const LENDS: u32 = 12;
const FIRST_FREE: u32 = 0;
const LENGTH: u32 = 4;
/// The most handles of one component.
const MAX_HANDLES: i32 = (1 << 28) - 1;
const PAGE_LOG2: i64 = 16;

/// The numbers of a component's table and of the functions on it.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The memory.
    pub memory: u32,
    /// `(type, rep, own) -> handle`.
    pub add: u32,
    /// `(type, handle) -> address`: traps unless there is such a handle.
    pub get: u32,
    /// `(handle)`: the entry is free afterwards.
    pub free: u32,
    /// The global that counts what is lent to the function that runs.
    pub borrows: u32,
}

/// The stack of entries that are lent.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    /// Its memory.
    pub memory: u32,
    /// The global that has its height in bytes.
    pub height: u32,
}

fn trap(sink: &mut InstructionSink<'_>) {
    sink.if_(BlockType::Empty).unreachable().end();
}

/// Grows a memory by a page if this local is not below its length.
fn make_room(sink: &mut InstructionSink<'_>, memory: u32, end: u32) {
    sink.local_get(end).i64_extend_i32_u().memory_size(memory).i64_extend_i32_u().i64_const(PAGE_LOG2).i64_shl();
    sink.i64_gt_u().if_(BlockType::Empty).i32_const(1).memory_grow(memory).i32_const(-1).i32_eq();
    trap(sink);
    sink.end();
}

/// The function [`Table::add`].
pub fn add(memory: u32) -> Function {
    let mut body = Function::new([(2, ValType::I32)]);
    let (ty, rep, own, handle, end) = (0, 1, 2, 3, 4);
    let mut sink = body.instructions();
    let at = |offset| access(memory, offset, 4);
    sink.i32_const(0).i32_load(at(FIRST_FREE)).local_tee(handle).if_(BlockType::Empty);
    sink.i32_const(0).local_get(handle).i32_const(ENTRY_LOG2).i32_shl().i32_load(at(REP)).i32_store(at(FIRST_FREE));
    sink.else_();
    sink.i32_const(0).i32_load(at(LENGTH)).i32_const(1).i32_add().local_tee(handle).i32_const(MAX_HANDLES).i32_gt_u();
    trap(&mut sink);
    sink.local_get(handle).i32_const(1).i32_add().i32_const(ENTRY_LOG2).i32_shl().local_set(end);
    make_room(&mut sink, memory, end);
    sink.i32_const(0).local_get(handle).i32_store(at(LENGTH)).end();
    sink.local_get(handle).i32_const(ENTRY_LOG2).i32_shl().local_set(end);
    for (offset, value) in [(TYPE, ty), (REP, rep), (OWN, own)] {
        sink.local_get(end).local_get(value).i32_store(at(offset));
    }
    sink.local_get(end).i32_const(0).i32_store(at(LENDS));
    sink.local_get(handle).end();
    body
}

/// The function [`Table::get`].
pub fn get(memory: u32) -> Function {
    let mut body = Function::new([]);
    let (ty, handle) = (0, 1);
    let mut sink = body.instructions();
    // Handle 0 is none; 0 - 1 is above every length.
    sink.local_get(handle).i32_const(1).i32_sub().i32_const(0).i32_load(access(memory, LENGTH, 4)).i32_ge_u();
    trap(&mut sink);
    sink.local_get(handle).i32_const(ENTRY_LOG2).i32_shl().local_tee(handle).i32_load(access(memory, TYPE, 4));
    sink.local_get(ty).i32_ne();
    trap(&mut sink);
    sink.local_get(handle).end();
    body
}

/// The function [`Table::free`].
pub fn free(memory: u32) -> Function {
    let mut body = Function::new([(1, ValType::I32)]);
    let (handle, entry) = (0, 1);
    let mut sink = body.instructions();
    let at = |offset| access(memory, offset, 4);
    sink.local_get(handle).i32_const(ENTRY_LOG2).i32_shl().local_tee(entry).i32_const(0).i32_store(at(TYPE));
    sink.local_get(entry).i32_const(0).i32_load(at(FIRST_FREE)).i32_store(at(REP));
    sink.i32_const(0).local_get(handle).i32_store(at(FIRST_FREE)).end();
    body
}

/// Pushes an entry on the stack of those that are lent: `(address)`.
pub fn lend(lent: Lent) -> Function {
    let mut body = Function::new([(1, ValType::I32)]);
    let (entry, end) = (0, 1);
    let mut sink = body.instructions();
    sink.global_get(lent.height).i32_const(4).i32_add().local_set(end);
    make_room(&mut sink, lent.memory, end);
    sink.global_get(lent.height).local_get(entry).i32_store(access(lent.memory, 0, 4));
    sink.local_get(end).global_set(lent.height).end();
    body
}

/// Takes entries from that stack until it has this height, and gives them back: `(height)`. They are in the table of one component.
pub fn give_back(lent: Lent, memory: u32) -> Function {
    let mut body = Function::new([(1, ValType::I32)]);
    let (height, entry) = (0, 1);
    let mut sink = body.instructions();
    sink.block(BlockType::Empty).loop_(BlockType::Empty);
    sink.global_get(lent.height).local_get(height).i32_eq().br_if(1);
    sink.global_get(lent.height).i32_const(4).i32_sub().global_set(lent.height);
    sink.global_get(lent.height).i32_load(access(lent.memory, 0, 4)).local_tee(entry);
    sink.local_get(entry).i32_load(access(memory, LENDS, 4)).i32_const(1).i32_sub().i32_store(access(memory, LENDS, 4));
    sink.br(0).end().end().end();
    body
}

/// Where memory for values between the host and components begins. Before it is the address of what is free.
const FIRST: i32 = 16;

/// All of such a memory is free again.
pub fn reset(sink: &mut InstructionSink<'_>, memory: u32) {
    sink.i32_const(0).i32_const(0).i32_store(access(memory, 0, 4));
}

/// Allocates such a memory: `(address, bytes, alignment, bytes) -> address`, as `realloc` of a component does.
pub fn bump(memory: u32) -> Function {
    let mut body = Function::new([(1, ValType::I32), (1, ValType::I64)]);
    let (old, size, align, bytes, at, end) = (0, 1, 2, 3, 4, 5);
    let mut sink = body.instructions();
    sink.local_get(bytes).local_get(size).i32_le_u().if_(BlockType::Empty).local_get(old).return_().end();
    sink.i32_const(0).i32_load(access(memory, 0, 4)).local_tee(at).i32_eqz();
    sink.if_(BlockType::Empty).i32_const(FIRST).local_set(at).end();
    // (at + align - 1) & -align, in 64 bits.
    sink.local_get(at).i64_extend_i32_u().local_get(align).i64_extend_i32_u().i64_add().i64_const(1).i64_sub();
    sink.i64_const(0).local_get(align).i64_extend_i32_u().i64_sub().i64_and();
    sink.local_tee(end).i32_wrap_i64().local_set(at);
    sink.local_get(end).local_get(bytes).i64_extend_i32_u().i64_add().local_tee(end);
    sink.i64_const(0xffff_0000).i64_gt_u();
    trap(&mut sink);
    sink.local_get(end).memory_size(memory).i64_extend_i32_u().i64_const(PAGE_LOG2).i64_shl().i64_gt_u();
    sink.if_(BlockType::Empty);
    sink.local_get(end).i64_const(0xffff).i64_add().i64_const(PAGE_LOG2).i64_shr_u().i32_wrap_i64();
    sink.memory_size(memory).i32_sub().memory_grow(memory).i32_const(-1).i32_eq();
    trap(&mut sink);
    sink.end();
    sink.i32_const(0).local_get(end).i32_wrap_i64().i32_store(access(memory, 0, 4));
    sink.local_get(at).local_get(old).local_get(size).memory_copy(memory, memory);
    sink.local_get(at).end();
    body
}

/// Traps if this component may not call out.
fn check_may_leave(sink: &mut InstructionSink<'_>, flag: Option<u32>) {
    if let Some(flag) = flag {
        sink.global_get(flag).i32_eqz();
        trap(sink);
    }
}

/// `canon resource.new`.
pub fn new(table: Table, ty: i32, flag: Option<u32>) -> Function {
    let mut body = Function::new([]);
    let mut sink = body.instructions();
    check_may_leave(&mut sink, flag);
    sink.i32_const(ty).local_get(0).i32_const(1).call(table.add).end();
    body
}

/// `canon resource.rep`.
pub fn rep(table: Table, ty: i32) -> Function {
    let mut body = Function::new([]);
    body.instructions().i32_const(ty).local_get(0).call(table.get).i32_load(access(table.memory, REP, 4)).end();
    body
}

/// `canon resource.drop`. The destructor is called if the handle was owned; `enters` are the globals that say of components whether one of
/// their functions runs, and `throws` whether it might throw.
pub fn drop(
    table: Table,
    ty: i32,
    flag: Option<u32>,
    destructor: Option<u32>,
    enters: &[u32],
    throws: bool,
) -> Function {
    let mut body = Function::new([(3, ValType::I32)]);
    let (handle, entry, rep, own) = (0, 1, 2, 3);
    let mut sink = body.instructions();
    check_may_leave(&mut sink, flag);
    sink.i32_const(ty).local_get(handle).call(table.get).local_tee(entry).i32_load(access(table.memory, LENDS, 4));
    trap(&mut sink);
    sink.local_get(entry).i32_load(access(table.memory, REP, 4)).local_set(rep);
    sink.local_get(entry).i32_load(access(table.memory, OWN, 4)).local_set(own);
    sink.local_get(handle).call(table.free);
    sink.local_get(own).if_(BlockType::Empty);
    for running in enters {
        sink.global_get(*running);
        trap(&mut sink);
        sink.i32_const(1).global_set(*running);
    }
    if let Some(destructor) = destructor {
        if throws {
            // What it throws ends in the inner block, whose end is a trap.
            sink.block(BlockType::Empty).block(BlockType::Empty).try_table(BlockType::Empty, [Catch::All { label: 0 }]);
        }
        sink.local_get(rep).call(destructor);
        if throws {
            sink.br(2).end().end().unreachable().end();
        }
    }
    for running in enters {
        sink.i32_const(0).global_set(*running);
    }
    sink.else_();
    sink.global_get(table.borrows).i32_const(1).i32_sub().global_set(table.borrows);
    sink.end().end();
    body
}

/// Takes an owned handle from a table: `handle` is its local; pushes what it stands for.
pub fn lift_own(sink: &mut InstructionSink<'_>, table: Table, ty: i32, handle: u32, entry: u32) {
    sink.i32_const(ty).local_get(handle).call(table.get).local_tee(entry).i32_load(access(table.memory, LENDS, 4));
    trap(sink);
    sink.local_get(entry).i32_load(access(table.memory, OWN, 4)).i32_eqz();
    trap(sink);
    sink.local_get(entry).i32_load(access(table.memory, REP, 4));
    sink.local_get(handle).call(table.free);
}

/// Lends a handle of a table: `handle` is its local; pushes what it stands for. `lend` is the function that remembers.
pub fn lift_borrow(sink: &mut InstructionSink<'_>, table: Table, ty: i32, handle: u32, entry: u32, lend: u32) {
    let lends = access(table.memory, LENDS, 4);
    sink.i32_const(ty).local_get(handle).call(table.get).local_tee(entry);
    sink.local_get(entry).i32_load(lends).i32_const(1).i32_add().i32_store(lends);
    sink.local_get(entry).call(lend);
    sink.local_get(entry).i32_load(access(table.memory, REP, 4));
}

/// Adds a handle for what the local `rep` stands for, and pushes it.
pub fn lower_handle(sink: &mut InstructionSink<'_>, table: Table, ty: i32, rep: u32, own: bool) {
    if !own {
        sink.global_get(table.borrows).i32_const(1).i32_add().global_set(table.borrows);
    }
    sink.i32_const(ty).local_get(rep).i32_const(i32::from(own)).call(table.add);
}
