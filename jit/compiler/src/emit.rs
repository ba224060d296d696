//! Instructions that depend on the contract: where code finds things, and how it calls the host.

use crate::compile::{CompileOptions, ImportLinkage};
use crate::objects::Objects;
use crate::throwing::Throwing;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64};
use cranelift_codegen::ir::{
    AbiParam, AliasRegionData, Endianness, ExtFuncData, ExternalName, FuncRef, InstBuilder, MemFlagsData, SigRef,
    Signature, SourceLoc, TrapCode, Type, UserExternalName, Value,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use std::collections::HashMap;
use wave_contract::abi::{
    EXCEPTION, FUEL, REGISTER_INTEGERS, SLOT_BYTES, host_result_in_register, results_in_registers,
};
use wave_contract::context::{self, Addressing, ContextLayout, FixedAddresses, GlobalSlot};
use wave_contract::libcall::Libcall;
use wave_contract::module::ModuleInfo;
use wave_contract::trap;
use wave_contract::types::{FuncType, MemoryType, SignatureId, ValType};

/// Namespace of the module's functions in external names, by function index.
pub(crate) const FUNCTIONS: u32 = 0;
/// Namespace of entry thunks, by their number.
pub(crate) const ENTRIES: u32 = 1;

/// What all functions of one compilation share.
pub(crate) struct Environment<'a> {
    pub(crate) info: &'a ModuleInfo,
    pub(crate) layout: ContextLayout,
    pub(crate) options: &'a CompileOptions<'a>,
    pub(crate) throwing: Throwing,
    pub(crate) objects: Option<&'a Objects>,
}

impl<'a> Environment<'a> {
    pub(crate) fn fixed(&self) -> Option<&'a FixedAddresses> {
        self.options.addressing.fixed()
    }

    /// Whether guest functions take the context as first argument.
    pub(crate) fn passes_context(&self) -> bool {
        matches!(self.options.addressing, Addressing::Arg)
    }

    /// How an imported function is linked; `None` for the module's own.
    pub(crate) fn linkage(&self, function: u32) -> Option<ImportLinkage> {
        self.options.imports.get(function as usize).copied()
    }

    pub(crate) fn function_type(&self, function: u32) -> &'a FuncType {
        self.info.function_type(function).expect("validated: the function exists and has a type")
    }

    pub(crate) fn function_type_index(&self, function: u32) -> u32 {
        self.info.functions[function as usize]
    }

    pub(crate) fn ty(&self, index: u32) -> &'a FuncType {
        self.info.signature(index).expect("validated: it is a type of functions")
    }

    /// Signature of a guest function.
    pub(crate) fn guest_signature(&self, ty: &FuncType) -> Signature {
        let mut signature = Signature::new(CallConv::Tail);
        if self.passes_context() {
            signature.params.push(AbiParam::new(I64));
        }
        let mut integers = signature.params.len();
        signature.params.extend(ty.params.iter().map(|&ty| {
            let param = AbiParam::new(clif_type(ty));
            if ty.is_vector_class() {
                return param;
            }
            integers += 1;
            // The callee loads 64 bits from the stack; after a store of 32 that load would wait for the store to retire.
            if integers > REGISTER_INTEGERS { param.uext() } else { param }
        }));
        if results_in_registers(ty) {
            signature.returns.extend(ty.results.iter().map(|&ty| AbiParam::new(clif_type(ty))));
        }
        signature
    }
}

/// How a value lies in registers and memory.
pub(crate) const fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 | ValType::FuncRef | ValType::ExternRef | ValType::Ref(_) => I32,
        ValType::I64 => I64,
        ValType::F32 => F32,
        ValType::F64 => F64,
        ValType::V128 => I8X16,
    }
}

/// Cranelift's name for one of our trap codes.
pub(crate) const fn trap_code(code: trap::TrapCode) -> TrapCode {
    TrapCode::unwrap_user(code as u8)
}

/// Signature of host imports and library calls.
fn host_signature(params: &[ValType]) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(I64));
    signature.params.extend(params.iter().map(|&ty| AbiParam::new(clif_type(ty))));
    signature.returns.extend([AbiParam::new(I64), AbiParam::new(I64)]);
    signature
}

/// Source position of returns. Modules are shorter, so it is never that of an operator.
pub(crate) const RETURN: u32 = u32::MAX - 1;

/// The kinds of signatures that a function declares.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum SignatureKey {
    Guest(u32),
    Host(u32),
    Libcall(Libcall),
}

/// Where there are entries with functions.
#[derive(Clone, Copy)]
enum Entries {
    /// In a table of the module.
    Table(u32),
    /// In the function table, whose indexes are references.
    Functions,
}

/// Memory kinds: two accesses alias only within one kind.
struct Regions {
    heap: MemFlagsData,
    descriptor: MemFlagsData,
    table: MemFlagsData,
    global: MemFlagsData,
    results: MemFlagsData,
    fuel: MemFlagsData,
    exception: MemFlagsData,
    slots: MemFlagsData,
    /// Context fields that never change while code runs: not memory at all for the optimizer.
    constant: MemFlagsData,
}

impl Regions {
    fn new(builder: &mut FunctionBuilder<'_>) -> Self {
        let mut region = |user_id, name: &'static str| {
            let region = builder.func.dfg.alias_regions.insert(AliasRegionData { user_id, description: name.into() });
            MemFlagsData::new().with_endianness(Endianness::Little).with_alias_region(Some(region))
        };
        Self {
            // Any index and any offset stay inside the reservation, so the fault is the bounds check (T48, T49).
            heap: region(0, "heap").with_trap_code(Some(TrapCode::HEAP_OUT_OF_BOUNDS)),
            descriptor: region(1, "descriptor").with_notrap().with_aligned(),
            table: region(2, "table").with_notrap().with_aligned(),
            global: region(3, "global").with_notrap().with_aligned(),
            results: region(4, "results").with_notrap().with_aligned(),
            slots: region(5, "slots").with_notrap(),
            fuel: region(6, "fuel").with_notrap().with_aligned(),
            exception: region(7, "exception").with_notrap().with_aligned(),
            constant: MemFlagsData::trusted().with_endianness(Endianness::Little).with_readonly().with_can_move(),
        }
    }
}

/// Caches that outlive one function, so that their memory is used again.
#[derive(Default)]
pub(crate) struct EmitScratch {
    signatures: HashMap<SignatureKey, SigRef>,
    functions: HashMap<u32, FuncRef>,
}

/// Emits what the contract prescribes into one function.
pub(crate) struct Emitter<'e, 'b> {
    pub(crate) env: &'e Environment<'e>,
    pub(crate) b: FunctionBuilder<'b>,
    context: Value,
    /// Byte 0 of the first memory; only used when there is one.
    memory: Value,
    regions: Regions,
    scratch: &'b mut EmitScratch,
}

impl<'e, 'b> Emitter<'e, 'b> {
    /// Starts a function whose builder stands in its entry block. `context` is the argument, if there is one.
    pub(crate) fn new(
        env: &'e Environment<'e>,
        mut b: FunctionBuilder<'b>,
        context: Option<Value>,
        scratch: &'b mut EmitScratch,
    ) -> Self {
        scratch.signatures.clear();
        scratch.functions.clear();
        let regions = Regions::new(&mut b);
        let context = match env.fixed() {
            Some(fixed) => address(&mut b, fixed.context),
            None => context.expect("mode arg: functions have a context argument"),
        };
        // One instruction for all accesses; it vanishes when there are none.
        let memory = match (env.fixed(), env.info.memories.is_empty()) {
            (_, true) => context,
            (Some(fixed), false) => address(&mut b, fixed.memories[0].base),
            (None, false) => {
                b.ins().load(I64, regions.constant, context, offset(context::FIRST_MEMORY + context::MEMORY_BASE))
            }
        };
        Self { env, b, context, memory, regions, scratch }
    }

    pub(crate) const fn context(&self) -> Value {
        self.context
    }

    /// A constant field of the context.
    fn constant(&mut self, slot: u32) -> Value {
        self.b.ins().load(I64, self.regions.constant, self.context, offset(slot))
    }

    /// Flags of linear memory accesses.
    pub(crate) const fn heap(&self) -> MemFlagsData {
        self.regions.heap
    }

    /// Byte 0 of a memory.
    fn memory_base(&mut self, memory: u32) -> Value {
        match self.env.fixed() {
            _ if memory == 0 => self.memory,
            Some(fixed) => address(&mut self.b, fixed.memories[memory as usize].base),
            None => self.constant(self.env.layout.memory(memory) + context::MEMORY_BASE),
        }
    }

    /// Returns from a guest function, marked so that the linker finds the epilogue.
    pub(crate) fn return_(&mut self, values: &[Value]) {
        self.b.set_srcloc(SourceLoc::new(RETURN));
        self.b.ins().return_(values);
    }

    /// Address and offset of an access of so many bytes to linear memory. Index and offset are as in the instruction.
    ///
    /// All end in a 32-bit index plus a 32-bit offset, which do not leave the reservation. What else is checked here is only
    /// what the module may notice.
    pub(crate) fn heap_address(&mut self, memory: u32, index: Value, offset: u64, bytes: u32) -> (Value, i32) {
        let MemoryType { wide, page_log2, .. } = self.env.info.memories[memory as usize];
        let base = self.memory_base(memory);
        let mut offset = offset;
        let index = if wide {
            if offset > u64::from(u32::MAX) {
                // No memory is so large.
                let always = self.b.ins().iconst(I64, 1);
                self.b.ins().trapnz(always, trap_code(trap::TrapCode::MemoryOutOfBounds));
                offset = 0;
            }
            self.low_half(index, trap::TrapCode::MemoryOutOfBounds)
        } else {
            index
        };
        let index = self.b.ins().uextend(I64, index);
        if page_log2 == 0 {
            // The end need not be that of a page of the host. The sum cannot wrap.
            let len = self.memory_bytes(memory);
            let end = self.b.ins().iconst(I64, (offset + u64::from(bytes)).cast_signed());
            let end = self.b.ins().iadd(index, end);
            let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThan, end, len);
            self.b.ins().trapnz(outside, trap_code(trap::TrapCode::MemoryOutOfBounds));
        }
        match i32::try_from(offset) {
            Ok(offset) => (self.b.ins().iadd(base, index), offset),
            Err(_) => {
                let offset = self.b.ins().iconst(I64, offset.cast_signed());
                let index = self.b.ins().iadd(index, offset);
                (self.b.ins().iadd(base, index), 0)
            }
        }
    }

    /// The lower half of a 64-bit index. Traps if the upper half is not zero: memories and tables are not so large.
    fn low_half(&mut self, index: Value, code: trap::TrapCode) -> Value {
        let high = self.b.ins().ushr_imm_u(index, 32);
        self.b.ins().trapnz(high, trap_code(code));
        self.b.ins().ireduce(I32, index)
    }

    /// A 64-bit operand of a library call in 32 bits: what these do not hold becomes the highest number, which every memory and
    /// table refuses as all numbers above it.
    pub(crate) fn clamp(&mut self, operand: Value) -> Value {
        let high = self.b.ins().ushr_imm_u(operand, 32);
        let low = self.b.ins().ireduce(I32, operand);
        let highest = self.b.ins().iconst(I32, -1);
        self.b.ins().select(high, highest, low)
    }

    /// Current length of a memory in bytes (I64).
    pub(crate) fn memory_bytes(&mut self, memory: u32) -> Value {
        let descriptor = match self.env.fixed() {
            Some(fixed) => address(&mut self.b, fixed.memories[memory as usize].descriptor),
            None => self.constant(self.env.layout.memory(memory) + context::MEMORY_DESCRIPTOR),
        };
        self.b.ins().load(I64, self.regions.descriptor, descriptor, offset(context::MEMORY_LEN))
    }

    fn table(&mut self, table: u32) -> Value {
        match self.env.fixed() {
            Some(fixed) => address(&mut self.b, fixed.tables[table as usize]),
            None => self.constant(self.env.layout.table(table)),
        }
    }

    /// Current number of entries of a table (I32).
    pub(crate) fn table_len(&mut self, table: u32) -> Value {
        let table = self.table(table);
        self.b.ins().load(I32, self.regions.table, table, offset(context::TABLE_LEN))
    }

    fn global(&mut self, global: u32) -> (Value, i32) {
        if let Some(fixed) = self.env.fixed() {
            return (address(&mut self.b, fixed.globals[global as usize]), 0);
        }
        match self.env.layout.global(global) {
            GlobalSlot::Cell(cell) => (self.context, offset(cell)),
            GlobalSlot::Pointer(slot) => (self.constant(slot), 0),
        }
    }

    pub(crate) fn load_global(&mut self, global: u32, ty: ValType) -> Value {
        let (base, offset) = self.global(global);
        self.b.ins().load(clif_type(ty), self.regions.global, base, offset)
    }

    pub(crate) fn store_global(&mut self, global: u32, value: Value) {
        let (base, offset) = self.global(global);
        self.b.ins().store(self.regions.global, value, base, offset);
    }

    fn results(&mut self) -> Value {
        match self.env.fixed() {
            Some(fixed) => address(&mut self.b, fixed.results),
            None => self.constant(context::RESULTS),
        }
    }

    /// Reads results from the result area.
    pub(crate) fn load_results(&mut self, types: &[ValType], out: &mut Vec<Value>) {
        let area = self.results();
        for (slot, &ty) in (0..).step_by(SLOT_BYTES as usize).zip(types) {
            out.push(self.b.ins().load(clif_type(ty), self.regions.results, area, slot));
        }
    }

    /// Writes results to the result area.
    pub(crate) fn store_results(&mut self, values: &[Value]) {
        let area = self.results();
        for (slot, &value) in (0..).step_by(SLOT_BYTES as usize).zip(values) {
            self.b.ins().store(self.regions.results, value, area, slot);
        }
    }

    /// The fuel counter (I64).
    pub(crate) fn load_fuel(&mut self) -> Value {
        let area = self.results();
        self.b.ins().load(I64, self.regions.fuel, area, offset(FUEL))
    }

    /// Takes `units` (I64) from the fuel, or traps and takes nothing. Gives the new counter.
    pub(crate) fn take_fuel(&mut self, counter: Value, units: Value) -> Value {
        let counter = self.b.ins().uadd_overflow_trap(counter, units, trap_code(trap::TrapCode::OutOfFuel));
        let area = self.results();
        self.b.ins().store(self.regions.fuel, counter, area, offset(FUEL));
        counter
    }

    /// The handle of the exception that is being thrown (I32), or 0.
    pub(crate) fn load_exception(&mut self) -> Value {
        let area = self.results();
        self.b.ins().load(I32, self.regions.exception, area, offset(EXCEPTION))
    }

    /// Says which exception is being thrown, or with 0, none.
    pub(crate) fn store_exception(&mut self, exception: Value) {
        let area = self.results();
        self.b.ins().store(self.regions.exception, exception, area, offset(EXCEPTION));
    }

    /// Reads an entry thunk's arguments.
    pub(crate) fn load_slots(&mut self, slots: Value, types: &[ValType], out: &mut Vec<Value>) {
        for (slot, &ty) in (0..).step_by(SLOT_BYTES as usize).zip(types) {
            out.push(self.b.ins().load(clif_type(ty), self.regions.slots, slots, slot));
        }
    }

    /// Writes an entry thunk's results.
    pub(crate) fn store_slots(&mut self, slots: Value, values: &[Value]) {
        for (slot, &value) in (0..).step_by(SLOT_BYTES as usize).zip(values) {
            self.b.ins().store(self.regions.slots, value, slots, slot);
        }
    }

    fn signature(&mut self, key: SignatureKey) -> SigRef {
        if let Some(&signature) = self.scratch.signatures.get(&key) {
            return signature;
        }
        let signature = match key {
            SignatureKey::Guest(ty) => self.env.guest_signature(self.env.ty(ty)),
            SignatureKey::Host(ty) => host_signature(&self.env.ty(ty).params),
            SignatureKey::Libcall(libcall) => host_signature(libcall.params()),
        };
        let signature = self.b.import_signature(signature);
        self.scratch.signatures.insert(key, signature);
        signature
    }

    /// Signature of guest functions of a type.
    pub(crate) fn guest(&mut self, ty: u32) -> SigRef {
        self.signature(SignatureKey::Guest(ty))
    }

    /// A function of this module for a direct call: of an import, its thunk.
    pub(crate) fn function(&mut self, function: u32) -> FuncRef {
        if let Some(&reference) = self.scratch.functions.get(&function) {
            return reference;
        }
        let signature = self.guest(self.env.function_type_index(function));
        let name = self.b.func.declare_imported_user_function(UserExternalName::new(FUNCTIONS, function));
        let reference = self.b.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated: true,
            patchable: false,
        });
        self.scratch.functions.insert(function, reference);
        reference
    }

    /// The arguments that precede a guest function's own.
    pub(crate) fn leading_arguments(&self, context: Value, out: &mut Vec<Value>) {
        if self.env.passes_context() {
            out.push(context);
        }
    }

    /// Code address of an imported guest function and its context.
    pub(crate) fn guest_import(&mut self, function: u32) -> (Value, Value) {
        let slot = self.env.layout.function(function);
        let code = self.constant(slot + context::IMPORT_CODE);
        let context =
            if self.env.passes_context() { self.constant(slot + context::IMPORT_CONTEXT) } else { self.context };
        (code, context)
    }

    /// Checks a table's entry and gives its code address and context. Traps when it is out of bounds, null or of another type.
    pub(crate) fn table_entry(&mut self, table: u32, ty: u32, index: Value) -> (Value, Value) {
        let index = self.table_index(table, index);
        let table = Entries::Table(table);
        let expected = self.env.options.signatures[ty as usize].exact;
        self.entry(table, expected, index, |e, signature| {
            e.b.ins().trapz(signature, trap_code(trap::TrapCode::IndirectCallToNull));
            e.b.ins().trap(trap_code(trap::TrapCode::BadSignature));
        })
    }

    /// As [`Self::table_entry`]. An entry of another type does not trap: `otherwise` is given its index, and leaves the block.
    pub(crate) fn table_entry_or(
        &mut self,
        table: u32,
        ty: u32,
        index: Value,
        otherwise: impl FnOnce(&mut Self, Value),
    ) -> (Value, Value) {
        let index = self.table_index(table, index);
        let table = Entries::Table(table);
        let expected = self.env.options.signatures[ty as usize].exact;
        self.entry(table, expected, index, |e, signature| {
            e.b.ins().trapz(signature, trap_code(trap::TrapCode::IndirectCallToNull));
            otherwise(e, index);
        })
    }

    /// The index of an indirect call, as 32 bits.
    fn table_index(&mut self, table: u32, index: Value) -> Value {
        let wide = self.env.info.tables[table as usize].wide;
        if wide { self.low_half(index, trap::TrapCode::TableOutOfBounds) } else { index }
    }

    /// Code address and context of the function that a reference stands for. Traps when it is null.
    ///
    /// That the entry exists and has the shape of the type follows from validation. The verifier does not rely on that.
    pub(crate) fn referenced_function(&mut self, ty: u32, reference: Value) -> (Value, Value) {
        let expected = self.env.options.signatures[ty as usize].shape;
        self.entry(Entries::Functions, expected, reference, |e, signature| {
            e.b.ins().trapz(signature, trap_code(trap::TrapCode::NullFunction));
            e.b.ins().trap(trap_code(trap::TrapCode::BadSignature));
        })
    }

    /// Code address and context of an entry with an expected signature. `otherwise` leaves the block for others.
    fn entry(
        &mut self,
        entries: Entries,
        expected: SignatureId,
        index: Value,
        otherwise: impl FnOnce(&mut Self, Value),
    ) -> (Value, Value) {
        let flags = self.regions.table;
        let table = self.entries(entries);
        let len = self.b.ins().load(I32, flags, table, offset(context::TABLE_LEN));
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        let code = match entries {
            Entries::Table(_) => trap::TrapCode::TableOutOfBounds,
            // Null is in bounds as soon as there is one reference to a function.
            Entries::Functions => trap::TrapCode::NullFunction,
        };
        self.b.ins().trapnz(outside, trap_code(code));

        // Behind a mispredicted check an index could reach linear memory, where the guest can lay out entries as it likes (T104).
        let zero = self.b.ins().iconst(I32, 0);
        let index = self.b.ins().select_spectre_guard(outside, zero, index);
        let index = self.b.ins().uextend(I64, index);
        let index = self.b.ins().ishl_imm_u(index, i64::from(context::TABLE_ENTRY_BYTES.trailing_zeros()));
        let table = self.entries(entries);
        let entry = self.b.ins().iadd(table, index);
        let field = |field: u32| offset(context::TABLE_ENTRIES + field);
        let signature = self.b.ins().load(I32, flags, entry, field(context::TABLE_ENTRY_SIGNATURE));
        let mismatch = self.b.ins().icmp_imm_u(IntCC::NotEqual, signature, i64::from(expected.0));
        let (bad, good) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(mismatch, bad, &[], good, &[]);
        self.b.seal_block(bad);
        self.b.seal_block(good);

        self.b.set_cold_block(bad);
        self.b.switch_to_block(bad);
        otherwise(self, signature);

        self.b.switch_to_block(good);
        let code = self.b.ins().load(I64, flags, entry, field(context::TABLE_ENTRY_CODE));
        let context = if self.env.passes_context() {
            let relative = self.b.ins().load(I32, flags, entry, field(context::TABLE_ENTRY_CONTEXT));
            let relative = self.b.ins().uextend(I64, relative);
            let arena = self.constant(context::ARENA);
            self.b.ins().iadd(arena, relative)
        } else {
            self.context
        };
        (code, context)
    }

    fn entries(&mut self, entries: Entries) -> Value {
        match (entries, self.env.fixed()) {
            (Entries::Table(table), _) => self.table(table),
            (Entries::Functions, Some(fixed)) => address(&mut self.b, fixed.functions),
            (Entries::Functions, None) => self.constant(self.env.layout.function_table()),
        }
    }

    /// Calls code of the host with the context and `arguments`; gives the raw value.
    fn host(&mut self, slot: u32, signature: SigRef, arguments: &[Value]) -> Value {
        // The host runs on this stack: it needs room (T55).
        let limit = self.constant(context::STACK_LIMIT);
        let stack = self.b.ins().get_stack_pointer(I64);
        let low = self.b.ins().icmp(IntCC::UnsignedLessThan, stack, limit);
        self.b.ins().trapnz(low, TrapCode::STACK_OVERFLOW);

        let code = self.constant(slot);
        let call = self.b.ins().call_indirect(signature, code, arguments);
        let &[value, status] = self.b.inst_results(call) else { unreachable!("host signatures have two results") };
        self.b.ins().trapnz(status, trap_code(trap::TrapCode::Host));
        value
    }

    /// Calls an imported host function with `arguments`, whose first is the context; appends its results to `out` unless
    /// they stay in the result area because `leave` says so.
    pub(crate) fn host_call(&mut self, function: u32, arguments: &[Value], leave: bool, out: &mut Vec<Value>) {
        let ty = self.env.function_type(function);
        let signature = self.signature(SignatureKey::Host(self.env.function_type_index(function)));
        let value = self.host(self.env.layout.function(function) + context::IMPORT_CODE, signature, arguments);
        if !host_result_in_register(ty) {
            if !leave {
                self.load_results(&ty.results, out);
            }
            return;
        }
        let Some(&result) = ty.results.first() else { return };
        let ty = clif_type(result);
        // Only the bits of the type count, whatever the host left above them (T60).
        let bits = if ty.bits() == 32 { self.b.ins().ireduce(I32, value) } else { value };
        out.push(if ty.is_float() { self.b.ins().bitcast(ty, MemFlagsData::new(), bits) } else { bits });
    }

    /// Makes a library call and gives its 32-bit result, if it has one.
    pub(crate) fn libcall(&mut self, libcall: Libcall, arguments: &[Value]) -> Option<Value> {
        debug_assert_eq!(arguments.len(), libcall.params().len());
        let signature = self.signature(SignatureKey::Libcall(libcall));
        let mut all = [self.context; 6];
        let all = &mut all[..=arguments.len()];
        all[1..].copy_from_slice(arguments);
        let value = self.host(self.env.layout.libcall(libcall), signature, all);
        libcall.has_result().then(|| self.b.ins().ireduce(I32, value))
    }
}

/// A constant address.
fn address(b: &mut FunctionBuilder<'_>, address: u64) -> Value {
    b.ins().iconst(I64, address.cast_signed())
}

/// An offset within a context, table or entry: below 2 GiB, as [`ContextLayout::new`] ensures.
const fn offset(offset: u32) -> i32 {
    offset.cast_signed()
}
