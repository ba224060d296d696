//! Generated calls from one component to another: values are copied from one memory to the other, and checked.
//!
//! Source: the component model's `CanonicalABI.md`, "Loading", "Storing", "Lifting Flat Values" and "Lowering Flat Values": what a
//! value is lifted from and lowered to is done in one step, since both are known.

use crate::error::{LowerError, Result};
use crate::graph::{ComponentId, Resource};
use crate::handles::{self, Table};
use crate::types::{Kind, ResourceId, TypeId, Types, discriminant_bytes};
use wasm_encoder::{BlockType, Catch, Function, InstructionSink, MemArg, MemArgTarget, ValType};

/// The most bytes of a string or list.
pub const MAX_CONTENTS_BYTES: i64 = (1 << 28) - 1;

/// One side of a call.
#[derive(Clone, Copy, Debug)]
pub struct Party {
    /// Its memory, and the size of a page as a power of two.
    pub memory: Option<(u32, u32)>,
    /// Allocates it.
    pub realloc: Option<u32>,
    /// The global that says whether it may call out.
    pub flag: Option<u32>,
    /// The function that traps unless bytes of its memory are UTF-8.
    pub utf8: Option<u32>,
    /// The component.
    pub component: ComponentId,
    /// Its table of handles.
    pub table: Option<Table>,
    /// Whether it is the host, whose own resources have no handles but what they are.
    pub is_host: bool,
}

/// What remembers handles that are lent to a callee.
#[derive(Clone, Copy, Debug)]
pub struct Lending {
    /// Remembers one.
    pub lend: u32,
    /// Gives back those of the caller.
    pub give_back: u32,
    /// The global that says how many there are.
    pub height: u32,
}

/// A call, with the numbers of all that it needs.
#[derive(Debug)]
pub struct Call<'t> {
    /// Types of the parameters.
    pub params: &'t [TypeId],
    /// Type of the result.
    pub result: Option<TypeId>,
    /// The caller.
    pub caller: Party,
    /// The callee.
    pub callee: Party,
    /// The functions that copy strings to the callee and to the caller, if they are not UTF-8 on both sides.
    pub texts: (Option<u32>, Option<u32>),
    /// The core function that is called.
    pub function: u32,
    /// Called once the result was copied.
    pub post_return: Option<u32>,
    /// Types of the caller's side.
    pub caller_type: wasm_encoder::FuncType,
    /// Types of the callee's side.
    pub callee_type: wasm_encoder::FuncType,
    /// Whether parameters are passed in memory.
    pub params_in_memory: bool,
    /// Whether the result is.
    pub result_in_memory: bool,
    /// Globals that say of components whether one of their functions runs. These begin to.
    pub enters: Vec<u32>,
    /// Whether functions may throw: what they throw is a trap here.
    pub throws: bool,
    /// The resource types.
    pub resources: &'t [Resource],
    /// Whether a type has handles that are lent.
    pub lends: bool,
    /// For handles that the caller lends, if it has any.
    pub lending: Option<Lending>,
    /// Whether the callee is told where to put its result, as the host is.
    pub takes_area: bool,
}

/// Where a value is.
#[derive(Clone, Debug)]
enum Place {
    /// In locals of these types, which may be wider than its own.
    Flat(Vec<(u32, ValType)>),
    /// In memory, so far from an address in a local.
    Memory { memory: u32, base: u32, offset: u32 },
}

/// Writes one function.
struct Writer<'t, 'b> {
    types: &'t Types,
    code: Vec<u8>,
    params: u32,
    locals: Vec<ValType>,
    free: Vec<(u32, ValType)>,
    /// Whether functions may throw.
    throws: bool,
    /// How many more values may be copied by code of their own.
    budget: &'b mut usize,
}

/// The code of a call. `budget` bounds the values that are copied by code of their own, in all calls.
///
/// # Errors
/// If the types are too large.
pub fn call(types: &Types, call: &Call<'_>, budget: &mut usize) -> Result<Function> {
    let params = crate::rewrite::number(call.caller_type.params().len());
    let throws = call.throws;
    let mut writer = Writer { types, code: Vec::new(), params, locals: Vec::new(), free: Vec::new(), throws, budget };
    writer.call(call)?;
    writer.sink().end();
    let mut function = Function::new_with_locals_types(writer.locals);
    function.raw(writer.code);
    Ok(function)
}

impl Writer<'_, '_> {
    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    fn local(&mut self, ty: ValType) -> u32 {
        if let Some(at) = self.free.iter().position(|(_, free)| *free == ty) {
            return self.free.swap_remove(at).0;
        }
        self.locals.push(ty);
        self.params + crate::rewrite::number(self.locals.len() - 1)
    }

    fn release(&mut self, local: u32, ty: ValType) {
        self.free.push((local, ty));
    }

    /// Traps if the number on the stack is not zero.
    fn trap_if(&mut self) {
        self.sink().if_(BlockType::Empty).unreachable().end();
    }

    fn call(&mut self, call: &Call<'_>) -> Result<()> {
        if let Some(flag) = call.caller.flag {
            self.sink().global_get(flag).i32_eqz();
            self.trap_if();
        }
        for running in &call.enters {
            self.sink().global_get(*running);
            self.trap_if();
        }
        for running in &call.enters {
            self.sink().i32_const(1).global_set(*running);
        }
        let lent = call.lending.map(|lending| (lending, self.local(ValType::I32)));
        if let Some((lending, height)) = lent {
            self.sink().global_get(lending.height).local_set(height);
        }
        if let Some((memory, _)) = call.callee.memory.filter(|_| call.callee.is_host) {
            handles::reset(&mut self.sink(), memory);
        }
        let mut arguments = self.arguments(call)?;
        let mut results: Vec<u32> = call.callee_type.results().iter().map(|ty| self.local(*ty)).collect();
        if let Some(result) = call.result.filter(|_| call.takes_area) {
            let area = self.area(call, result, &mut arguments)?;
            results.push(area);
        }
        let returned = if call.takes_area { &[][..] } else { &results[..] };
        self.invoke(call.function, &arguments, returned);
        let returned = match call.result {
            Some(result) => self.result(call, result, &results)?,
            None => None,
        };
        if let Some(table) = call.callee.table.filter(|_| call.lends) {
            // The callee has dropped what was lent to it.
            self.sink().global_get(table.borrows);
            self.trap_if();
        }
        if let Some((lending, height)) = lent {
            self.sink().local_get(height).call(lending.give_back);
        }
        if let Some(post_return) = call.post_return {
            self.set_flag(call.callee.flag, false);
            self.invoke(post_return, &results, &[]);
            self.set_flag(call.callee.flag, true);
        }
        for running in &call.enters {
            self.sink().i32_const(0).global_set(*running);
        }
        if let Some(returned) = returned {
            self.sink().local_get(returned);
        }
        Ok(())
    }

    /// Copies the parameters and returns the locals to pass.
    fn arguments(&mut self, call: &Call<'_>) -> Result<Vec<u32>> {
        if call.params_in_memory {
            let (size, align) = self.types.record(call.params)?;
            let (from, _) = memory(call.caller)?;
            self.check_range(call.caller, 0, size, align)?;
            let at = self.local(ValType::I32);
            self.allocate(
                call.callee,
                align,
                |sink| {
                    sink.i32_const(size.cast_signed());
                },
                at,
            )?;
            let source = Place::Memory { memory: from, base: 0, offset: 0 };
            let target = Place::Memory { memory: memory(call.callee)?.0, base: at, offset: 0 };
            self.fields(call, call.params, &source, &target, true)?;
            return Ok(vec![at]);
        }
        let source = Place::Flat(
            call.caller_type.params().iter().enumerate().map(|(at, ty)| (crate::rewrite::number(at), *ty)).collect(),
        );
        let slots: Vec<(u32, ValType)> = call.callee_type.params().iter().map(|ty| (self.local(*ty), *ty)).collect();
        self.fields(call, call.params, &source, &Place::Flat(slots.clone()), true)?;
        Ok(slots.into_iter().map(|(local, _)| local).collect())
    }

    /// Allocates memory of the callee for its result, which is its last argument.
    fn area(&mut self, call: &Call<'_>, result: TypeId, arguments: &mut Vec<u32>) -> Result<u32> {
        let (size, align) = (self.types.get(result).size, self.types.get(result).align);
        let area = match arguments.last() {
            Some(last) if !call.params_in_memory => *last,
            _ => {
                let area = self.local(ValType::I32);
                arguments.push(area);
                area
            }
        };
        let bytes = |sink: &mut InstructionSink<'_>| {
            sink.i32_const(size.cast_signed());
        };
        self.allocate(call.callee, align, bytes, area)?;
        Ok(area)
    }

    /// Copies the result. If it is flat, returns the local that has it.
    fn result(&mut self, call: &Call<'_>, result: TypeId, results: &[u32]) -> Result<Option<u32>> {
        let first = results.first().copied().unwrap_or_default();
        if call.result_in_memory {
            let ty = self.types.get(result);
            let (size, align) = (ty.size, ty.align);
            let to = self.params - 1;
            self.check_range(call.callee, first, size, align)?;
            self.check_range(call.caller, to, size, align)?;
            let source = Place::Memory { memory: memory(call.callee)?.0, base: first, offset: 0 };
            let target = Place::Memory { memory: memory(call.caller)?.0, base: to, offset: 0 };
            self.copy(call, result, &source, &target, false)?;
            return Ok(None);
        }
        let Some(ty) = call.callee_type.results().first().copied() else { return Ok(None) };
        let to = self.local(ty);
        self.copy(call, result, &Place::Flat(vec![(first, ty)]), &Place::Flat(vec![(to, ty)]), false)?;
        Ok(Some(to))
    }

    /// Calls a function with these locals.
    fn invoke(&mut self, function: u32, arguments: &[u32], results: &[u32]) {
        self.begin_try();
        for argument in arguments {
            self.sink().local_get(*argument);
        }
        self.sink().call(function);
        for result in results.iter().rev() {
            self.sink().local_set(*result);
        }
        self.end_try();
    }

    /// What is thrown before the end ends in the inner block, whose end is a trap.
    fn begin_try(&mut self) {
        if self.throws {
            self.sink().block(BlockType::Empty).block(BlockType::Empty);
            self.sink().try_table(BlockType::Empty, [Catch::All { label: 0 }]);
        }
    }

    fn end_try(&mut self) {
        if self.throws {
            self.sink().br(2).end().end().unreachable().end();
        }
    }

    fn set_flag(&mut self, flag: Option<u32>, may: bool) {
        if let Some(flag) = flag {
            self.sink().i32_const(i32::from(may)).global_set(flag);
        }
    }

    /// Traps unless the address in this local is aligned, and so many bytes from there are in memory.
    fn check_range(&mut self, party: Party, at: u32, size: u32, align: u32) -> Result<()> {
        self.check_aligned(at, align);
        let bytes = self.local(ValType::I64);
        self.sink().i64_const(i64::from(size)).local_set(bytes);
        self.check_bounds(party, at, bytes)?;
        self.release(bytes, ValType::I64);
        Ok(())
    }

    fn check_aligned(&mut self, at: u32, align: u32) {
        if align > 1 {
            self.sink().local_get(at).i32_const((align - 1).cast_signed()).i32_and();
            self.trap_if();
        }
    }

    /// As [`check_range`](Self::check_range), for the number of bytes in a local.
    fn check_bounds(&mut self, party: Party, at: u32, bytes: u32) -> Result<()> {
        let (memory, page_log2) = memory(party)?;
        self.sink().local_get(at).i64_extend_i32_u().local_get(bytes).i64_add();
        self.sink().memory_size(memory).i64_extend_i32_u().i64_const(i64::from(page_log2)).i64_shl();
        self.sink().i64_gt_u();
        self.trap_if();
        Ok(())
    }

    /// Allocates in a memory; `bytes` pushes how much. The address is in this local afterwards, checked.
    fn allocate(&mut self, party: Party, align: u32, bytes: impl Fn(&mut InstructionSink<'_>), at: u32) -> Result<()> {
        let realloc = party.realloc.ok_or_else(|| LowerError::Mistake("there is no `realloc`".to_owned()))?;
        self.set_flag(party.flag, false);
        self.begin_try();
        let mut sink = self.sink();
        sink.i32_const(0).i32_const(0).i32_const(align.cast_signed());
        bytes(&mut sink);
        sink.call(realloc).local_set(at);
        self.end_try();
        self.set_flag(party.flag, true);
        self.check_aligned(at, align);
        let wide = self.local(ValType::I64);
        let mut sink = self.sink();
        bytes(&mut sink);
        sink.i64_extend_i32_u().local_set(wide);
        self.check_bounds(party, at, wide)?;
        self.release(wide, ValType::I64);
        Ok(())
    }

    /// Copies fields, one after the other. `down` is from the caller to the callee.
    fn fields(&mut self, call: &Call<'_>, fields: &[TypeId], source: &Place, target: &Place, down: bool) -> Result<()> {
        let (mut slot, mut offset) = (0, 0);
        for field in fields {
            let ty = self.types.get(*field);
            let slots = ty.flat.as_ref().map_or(0, Vec::len);
            offset = crate::types::align_to(offset, ty.align)?;
            let size = ty.size;
            self.copy(call, *field, &source.part(slot, slots, offset)?, &target.part(slot, slots, offset)?, down)?;
            slot += slots;
            offset += size;
        }
        Ok(())
    }

    /// Copies a value, and checks it.
    fn copy(&mut self, call: &Call<'_>, id: TypeId, source: &Place, target: &Place, down: bool) -> Result<()> {
        *self.budget = self
            .budget
            .checked_sub(1)
            .ok_or(LowerError::TooLarge("values between its components take too much code"))?;
        let types = self.types;
        match &types.get(id).kind {
            Kind::Record(fields) => self.fields(call, fields, source, target, down),
            Kind::Variant(cases) => self.variant(call, cases, source, target, down),
            Kind::String => self.string(call, source, target, down),
            Kind::List(element) => self.list(call, *element, source, target, down),
            Kind::Own(resource) => self.handle(call, *resource, true, source, target, down),
            Kind::Borrow(resource) => self.handle(call, *resource, false, source, target, down),
            Kind::Integer { bytes: 8, .. } => self.plain(8, ValType::I64, source, target, |_| {}),
            Kind::Float { bytes } => {
                let ty = if *bytes == 4 { ValType::F32 } else { ValType::F64 };
                self.plain(*bytes, ty, source, target, |_| {})
            }
            Kind::Bool => self.plain(1, ValType::I32, source, target, |writer| {
                writer.sink().i32_const(0).i32_ne();
            }),
            Kind::Integer { bytes, signed } => self.plain(*bytes, ValType::I32, source, target, |writer| {
                let mut sink = writer.sink();
                match (bytes, signed) {
                    (1, true) => drop(sink.i32_extend8_s()),
                    (1, false) => drop(sink.i32_const(0xff).i32_and()),
                    (2, true) => drop(sink.i32_extend16_s()),
                    (2, false) => drop(sink.i32_const(0xffff).i32_and()),
                    _ => {}
                }
            }),
            Kind::Flags(count) => {
                let (bytes, mask) = (types.get(id).size, 1_u32.checked_shl(*count).map_or(u32::MAX, |bit| bit - 1));
                self.plain(bytes, ValType::I32, source, target, |writer| {
                    writer.sink().i32_const(mask.cast_signed()).i32_and();
                })
            }
            Kind::Char => self.plain(4, ValType::I32, source, target, |writer| {
                let value = writer.local(ValType::I32);
                let mut sink = writer.sink();
                sink.local_tee(value).i32_const(0x11_0000).i32_ge_u();
                sink.local_get(value).i32_const(0xd800).i32_sub().i32_const(0x800).i32_lt_u().i32_or();
                writer.trap_if();
                writer.sink().local_get(value);
                writer.release(value, ValType::I32);
            }),
        }
    }

    /// Copies a value of one core type, with what `check` does to it.
    fn plain(
        &mut self,
        bytes: u32,
        ty: ValType,
        source: &Place,
        target: &Place,
        check: impl Fn(&mut Self),
    ) -> Result<()> {
        if let Place::Memory { base, .. } = target {
            self.sink().local_get(*base);
        }
        self.load(bytes, ty, source)?;
        check(self);
        self.store(bytes, ty, target)
    }

    /// Pushes a value of one core type.
    fn load(&mut self, bytes: u32, ty: ValType, source: &Place) -> Result<()> {
        match source {
            Place::Flat(slots) => {
                let (local, wide) = slots.first().copied().ok_or_else(no_slot)?;
                let mut sink = self.sink();
                sink.local_get(local);
                match (wide, ty) {
                    (ValType::I64, ValType::I32) => drop(sink.i32_wrap_i64()),
                    (ValType::I64, ValType::F32) => drop(sink.i32_wrap_i64().f32_reinterpret_i32()),
                    (ValType::I64, ValType::F64) => drop(sink.f64_reinterpret_i64()),
                    (ValType::I32, ValType::F32) => drop(sink.f32_reinterpret_i32()),
                    _ => {}
                }
            }
            Place::Memory { memory, base, offset } => {
                let at = access(*memory, *offset, bytes);
                let mut sink = self.sink();
                sink.local_get(*base);
                match (bytes, ty) {
                    (_, ValType::F32) => drop(sink.f32_load(at)),
                    (_, ValType::F64) => drop(sink.f64_load(at)),
                    (8, _) => drop(sink.i64_load(at)),
                    (4, _) => drop(sink.i32_load(at)),
                    (2, _) => drop(sink.i32_load16_u(at)),
                    _ => drop(sink.i32_load8_u(at)),
                }
            }
        }
        Ok(())
    }

    /// Pops a value of one core type. In memory, its address is under it.
    fn store(&mut self, bytes: u32, ty: ValType, target: &Place) -> Result<()> {
        match target {
            Place::Flat(slots) => {
                let (local, wide) = slots.first().copied().ok_or_else(no_slot)?;
                let mut sink = self.sink();
                match (ty, wide) {
                    (ValType::I32, ValType::I64) => drop(sink.i64_extend_i32_u()),
                    (ValType::F32, ValType::I64) => drop(sink.i32_reinterpret_f32().i64_extend_i32_u()),
                    (ValType::F64, ValType::I64) => drop(sink.i64_reinterpret_f64()),
                    (ValType::F32, ValType::I32) => drop(sink.i32_reinterpret_f32()),
                    _ => {}
                }
                sink.local_set(local);
            }
            Place::Memory { memory, offset, .. } => {
                let at = access(*memory, *offset, bytes);
                let mut sink = self.sink();
                match (bytes, ty) {
                    (_, ValType::F32) => drop(sink.f32_store(at)),
                    (_, ValType::F64) => drop(sink.f64_store(at)),
                    (8, _) => drop(sink.i64_store(at)),
                    (4, _) => drop(sink.i32_store(at)),
                    (2, _) => drop(sink.i32_store16(at)),
                    _ => drop(sink.i32_store8(at)),
                }
            }
        }
        Ok(())
    }

    /// Moves a handle from one table to the other, or lends it.
    fn handle(
        &mut self,
        call: &Call<'_>,
        id: ResourceId,
        own: bool,
        source: &Place,
        target: &Place,
        down: bool,
    ) -> Result<()> {
        let (from, to) = call.parties(down);
        let resource = call.resources.get(id.number).copied().unwrap_or_default();
        if id.is_host && !resource.is_shared {
            return self.plain(4, ValType::I32, source, target, |_| {});
        }
        let is_rep = |party: Party| id.is_host && party.is_host;
        let ty = handle_type(id);
        let [handle, entry, rep] = [(); 3].map(|()| self.local(ValType::I32));
        self.load(4, ValType::I32, source)?;
        self.sink().local_set(handle);
        if is_rep(from) {
            self.sink().local_get(handle);
        } else if own {
            handles::lift_own(&mut self.sink(), table(from)?, ty, handle, entry);
        } else {
            let lend = call.lending.ok_or_else(|| LowerError::Mistake("nothing can be lent".to_owned()))?.lend;
            handles::lift_borrow(&mut self.sink(), table(from)?, ty, handle, entry, lend);
        }
        self.sink().local_set(rep);
        if let Place::Memory { base, .. } = target {
            self.sink().local_get(*base);
        }
        if is_rep(to) || !own && resource.owner == Some(to.component) {
            // Who defines a resource gets what it stands for.
            self.sink().local_get(rep);
        } else {
            handles::lower_handle(&mut self.sink(), table(to)?, ty, rep, own);
        }
        self.store(4, ValType::I32, target)?;
        for local in [handle, entry, rep] {
            self.release(local, ValType::I32);
        }
        Ok(())
    }

    fn variant(
        &mut self,
        call: &Call<'_>,
        cases: &[Option<TypeId>],
        source: &Place,
        target: &Place,
        down: bool,
    ) -> Result<()> {
        let bytes = discriminant_bytes(cases.len());
        let (payload, _) = self.types.payload(cases)?;
        let case = self.local(ValType::I32);
        self.load(bytes, ValType::I32, source)?;
        self.sink().local_tee(case).i32_const(crate::rewrite::number(cases.len()).cast_signed()).i32_ge_u();
        self.trap_if();
        if let Place::Memory { base, .. } = target {
            self.sink().local_get(*base);
        }
        self.sink().local_get(case);
        self.store(bytes, ValType::I32, target)?;
        for (number, ty) in cases.iter().enumerate() {
            let Some(ty) = ty else { continue };
            let slots = self.types.get(*ty).flat.as_ref().map_or(0, Vec::len);
            self.sink()
                .local_get(case)
                .i32_const(crate::rewrite::number(number).cast_signed())
                .i32_eq()
                .if_(BlockType::Empty);
            self.copy(call, *ty, &source.part(1, slots, payload)?, &target.part(1, slots, payload)?, down)?;
            self.sink().end();
        }
        self.release(case, ValType::I32);
        Ok(())
    }

    /// Loads the address and the number of elements of a string or list.
    fn contents(&mut self, source: &Place) -> Result<(u32, u32)> {
        let (at, count) = (self.local(ValType::I32), self.local(ValType::I32));
        self.load(4, ValType::I32, &source.part(0, 1, 0)?)?;
        self.sink().local_set(at);
        self.load(4, ValType::I32, &source.part(1, 1, 4)?)?;
        self.sink().local_set(count);
        Ok((at, count))
    }

    fn store_contents(&mut self, at: u32, count: u32, target: &Place) -> Result<()> {
        for (slot, local, offset) in [(0, at, 0), (1, count, 4)] {
            if let Place::Memory { base, .. } = target {
                self.sink().local_get(*base);
            }
            self.sink().local_get(local);
            self.store(4, ValType::I32, &target.part(slot, 1, offset)?)?;
        }
        Ok(())
    }

    /// Checks the contents of a list and allocates as much on the other side. Returns where, and how many bytes.
    fn transfer(&mut self, from: Party, to: Party, at: u32, count: u32, size: u32, align: u32) -> Result<(u32, u32)> {
        let wide = self.local(ValType::I64);
        self.sink().local_get(count).i64_extend_i32_u().i64_const(i64::from(size)).i64_mul();
        self.sink().local_tee(wide).i64_const(MAX_CONTENTS_BYTES).i64_gt_u();
        self.trap_if();
        self.check_aligned(at, align);
        self.check_bounds(from, at, wide)?;
        let (new, bytes) = (self.local(ValType::I32), self.local(ValType::I32));
        self.sink().local_get(wide).i32_wrap_i64().local_set(bytes);
        self.release(wide, ValType::I64);
        self.allocate_bytes(to, align, bytes, new)?;
        Ok((new, bytes))
    }

    fn allocate_bytes(&mut self, party: Party, align: u32, bytes: u32, at: u32) -> Result<()> {
        let push = |sink: &mut InstructionSink<'_>| {
            sink.local_get(bytes);
        };
        self.allocate(party, align, push, at)
    }

    fn string(&mut self, call: &Call<'_>, source: &Place, target: &Place, down: bool) -> Result<()> {
        let (from, to) = call.parties(down);
        let (at, bytes) = self.contents(source)?;
        if let Some(text) = if down { call.texts.0 } else { call.texts.1 } {
            self.sink().local_get(at).local_get(bytes).call(text).local_set(bytes).local_set(at);
            self.store_contents(at, bytes, target)?;
            self.release(at, ValType::I32);
            self.release(bytes, ValType::I32);
            return Ok(());
        }
        let wide = self.local(ValType::I64);
        self.sink().local_get(bytes).i64_extend_i32_u().local_tee(wide).i64_const(MAX_CONTENTS_BYTES).i64_gt_u();
        self.trap_if();
        self.check_bounds(from, at, wide)?;
        self.release(wide, ValType::I64);
        let utf8 = from.utf8.ok_or_else(|| LowerError::Mistake("no check of strings".to_owned()))?;
        self.sink().local_get(at).local_get(bytes).call(utf8);
        let new = self.local(ValType::I32);
        self.allocate_bytes(to, 1, bytes, new)?;
        self.sink().local_get(new).local_get(at).local_get(bytes).memory_copy(memory(to)?.0, memory(from)?.0);
        self.store_contents(new, bytes, target)?;
        for local in [at, bytes, new] {
            self.release(local, ValType::I32);
        }
        Ok(())
    }

    fn list(&mut self, call: &Call<'_>, element: TypeId, source: &Place, target: &Place, down: bool) -> Result<()> {
        let (from, to) = call.parties(down);
        let (size, align) = (self.types.get(element).size, self.types.get(element).align);
        let (at, count) = self.contents(source)?;
        let (new, bytes) = self.transfer(from, to, at, count, size, align)?;
        self.store_contents(new, count, target)?;
        if self.types.is_plain(element) {
            self.sink().local_get(new).local_get(at).local_get(bytes).memory_copy(memory(to)?.0, memory(from)?.0);
        } else if size > 0 {
            let (read, write) = (self.local(ValType::I32), self.local(ValType::I32));
            self.sink().local_get(at).local_set(read).local_get(new).local_set(write);
            self.sink().block(BlockType::Empty).loop_(BlockType::Empty);
            self.sink().local_get(count).i32_eqz().br_if(1);
            let source = Place::Memory { memory: memory(from)?.0, base: read, offset: 0 };
            let target = Place::Memory { memory: memory(to)?.0, base: write, offset: 0 };
            self.copy(call, element, &source, &target, down)?;
            for cursor in [read, write] {
                self.sink().local_get(cursor).i32_const(size.cast_signed()).i32_add().local_set(cursor);
            }
            self.sink().local_get(count).i32_const(1).i32_sub().local_set(count).br(0).end().end();
            self.release(read, ValType::I32);
            self.release(write, ValType::I32);
        }
        for local in [at, count, new, bytes] {
            self.release(local, ValType::I32);
        }
        Ok(())
    }
}

impl Call<'_> {
    /// From where to where values go.
    fn parties(&self, down: bool) -> (Party, Party) {
        if down { (self.caller, self.callee) } else { (self.callee, self.caller) }
    }
}

impl Place {
    /// A part: so many slots from one on, or what is so far behind its beginning.
    fn part(&self, slot: usize, slots: usize, more: u32) -> Result<Self> {
        Ok(match self {
            Self::Flat(all) => Self::Flat(all.get(slot..slot + slots).ok_or_else(no_slot)?.to_vec()),
            Self::Memory { memory, base, offset } => {
                Self::Memory { memory: *memory, base: *base, offset: offset + more }
            }
        })
    }
}

/// The number of a resource type in tables of handles, where 0 is a free entry.
pub fn handle_type(id: ResourceId) -> i32 {
    crate::rewrite::number(id.number + 1).cast_signed()
}

fn table(party: Party) -> Result<Table> {
    party.table.ok_or_else(|| LowerError::Mistake("there is no table of handles".to_owned()))
}

fn memory(party: Party) -> Result<(u32, u32)> {
    party.memory.ok_or_else(|| LowerError::Mistake("there is no memory".to_owned()))
}

/// An access to so many bytes, aligned.
pub fn access(memory: u32, offset: u32, bytes: u32) -> MemArg {
    MemArg {
        offset: u64::from(offset),
        align: bytes.trailing_zeros(),
        target: MemArgTarget::Memory(memory),
        ordering: None,
    }
}

fn no_slot() -> LowerError {
    LowerError::Mistake("a value has fewer parts than its type".to_owned())
}

/// The function that traps unless so many bytes from an address are UTF-8. They are in bounds.
///
/// Source: the Unicode standard, table 3-7, "Well-Formed UTF-8 Byte Sequences".
pub fn utf8(memory: u32) -> Function {
    let byte = access(memory, 0, 1);
    let (at, len, lead, low, high, more) = (0, 1, 2, 3, 4, 5);
    let mut body = Function::new([(4, ValType::I32)]);
    let mut sink = body.instructions();
    let trap = |sink: &mut InstructionSink<'_>| {
        sink.if_(BlockType::Empty).unreachable().end();
    };
    sink.loop_(BlockType::Empty);
    sink.local_get(len).i32_eqz().if_(BlockType::Empty).return_().end();
    // Eight bytes of ASCII at once.
    sink.local_get(len).i32_const(8).i32_ge_u().if_(BlockType::Empty);
    sink.local_get(at)
        .i64_load(byte)
        .i64_const(0x8080_8080_8080_8080_u64.cast_signed())
        .i64_and()
        .i64_eqz()
        .if_(BlockType::Empty);
    sink.local_get(at).i32_const(8).i32_add().local_set(at).local_get(len).i32_const(8).i32_sub().local_set(len).br(2);
    sink.end().end();
    sink.local_get(at).i32_load8_u(byte).local_set(lead);
    sink.local_get(at).i32_const(1).i32_add().local_set(at).local_get(len).i32_const(1).i32_sub().local_set(len);
    sink.local_get(lead).i32_const(0x80).i32_lt_u().br_if(0);
    sink.local_get(lead).i32_const(0xc2).i32_sub().i32_const(0xf4 - 0xc2).i32_gt_u();
    trap(&mut sink);
    // How many bytes follow, and what the first of them may be.
    sink.local_get(lead).i32_const(0xe0).i32_ge_u().local_get(lead).i32_const(0xf0).i32_ge_u();
    sink.i32_add().i32_const(1).i32_add().local_tee(more).local_get(len).i32_gt_u();
    trap(&mut sink);
    sink.i32_const(0x80).local_set(low).i32_const(0xbf).local_set(high);
    for (first, bound, value) in [(0xe0, low, 0xa0), (0xed, high, 0x9f), (0xf0, low, 0x90), (0xf4, high, 0x8f)] {
        sink.local_get(lead).i32_const(first).i32_eq().if_(BlockType::Empty).i32_const(value).local_set(bound).end();
    }
    sink.loop_(BlockType::Empty);
    sink.local_get(at).i32_load8_u(byte).local_tee(lead).local_get(low).i32_lt_u();
    sink.local_get(lead).local_get(high).i32_gt_u().i32_or();
    trap(&mut sink);
    sink.i32_const(0x80).local_set(low).i32_const(0xbf).local_set(high);
    sink.local_get(at).i32_const(1).i32_add().local_set(at).local_get(len).i32_const(1).i32_sub().local_set(len);
    sink.local_get(more).i32_const(1).i32_sub().local_tee(more).br_if(0).end();
    sink.br(0).end().end();
    body
}

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

#[cfg(test)]
mod tests {
    use super::common::{Host, Running};
    use super::*;
    use wasm_encoder as w;
    use wave_runtime::Value;

    /// A module with the check, and a function that sets 16 bytes.
    fn checker() -> Vec<u8> {
        let mut types = w::TypeSection::new();
        types.ty().function([ValType::I32, ValType::I32], []);
        types.ty().function([ValType::I64, ValType::I64], []);
        let mut functions = w::FunctionSection::new();
        functions.function(0).function(1);
        let mut memories = w::MemorySection::new();
        memories.memory(w::MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut exports = w::ExportSection::new();
        exports.export("check", w::ExportKind::Func, 0).export("set", w::ExportKind::Func, 1);
        let mut set = Function::new([]);
        for local in [0, 1] {
            let at = i32::try_from(local * 8).expect("it is small");
            set.instructions().i32_const(at).local_get(local).i64_store(access(0, 0, 8));
        }
        set.instructions().end();
        let mut code = w::CodeSection::new();
        code.function(&utf8(0)).function(&set);
        let mut module = w::Module::new();
        module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
        module.finish()
    }

    /// Every text that the decoder of Rust accepts, and none that it refuses.
    #[test]
    fn only_utf8_is_text() {
        let mut running = Running::start(&checker(), Host::default()).expect("it starts");
        let leads = [
            0x00, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3,
            0xf4, 0xf5, 0xff,
        ];
        let next = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
        let (mut valid, mut invalid) = (0, 0);
        let mut check = |start: usize, bytes: &[u8]| {
            let mut memory = [b'.'; 16];
            memory[start..start + bytes.len()].copy_from_slice(bytes);
            let [low, high] =
                [0, 8].map(|at| Value::I64(i64::from_le_bytes(memory[at..at + 8].try_into().expect("8 bytes"))));
            running.call("set", &[low, high]).expect("memory is there");
            let len = start + bytes.len();
            let answer = running.call("check", &[Value::I32(0), Value::I32(i32::try_from(len).expect("it is small"))]);
            let is_text = std::str::from_utf8(&memory[..len]).is_ok();
            assert_eq!(answer.is_ok(), is_text, "{start} {bytes:x?}");
            *(if is_text { &mut valid } else { &mut invalid }) += 1;
        };
        for lead in leads {
            for start in [0, 1, 7, 8, 9] {
                check(start, &[lead]);
                next.iter().for_each(|second| check(start, &[lead, *second]));
            }
            for (second, third) in next.iter().flat_map(|second| next.map(|third| (*second, third))) {
                check(3, &[lead, second, third]);
                for fourth in [0x7f, 0x80, 0xbf, 0xc0] {
                    check(8, &[lead, second, third, fourth]);
                    check(9, &[lead, second, third, fourth, b'.']);
                }
            }
        }
        assert!(valid > 500 && invalid > 10_000, "{valid} {invalid}");
    }
}
