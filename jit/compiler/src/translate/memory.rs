//! Linear memory, scalars.

use super::Translator;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::{MemArg, MemArgTarget};
use wave_contract::libcall::Libcall;
use wave_contract::types::MemoryType;

/// How a narrow load fills the upper bits.
#[derive(Clone, Copy)]
pub(super) enum Extend {
    Signed,
    Unsigned,
}

impl Translator<'_, '_> {
    /// Takes the index and gives the address and offset of an access of so many bytes.
    pub(super) fn address(&mut self, memarg: &MemArg, bytes: u32) -> (Value, i32) {
        let index = self.pop();
        let memory = match memarg.target {
            MemArgTarget::Memory(memory) => memory,
            // Validation refuses every other target: they belong to proposals that are off.
            _ => 0,
        };
        self.e.heap_address(memory, index, memarg.offset, bytes)
    }

    /// A load of a whole value.
    pub(super) fn load(&mut self, ty: Type, memarg: &MemArg) {
        let value = self.load_value(ty, memarg);
        self.push(value);
    }

    pub(super) fn load_value(&mut self, ty: Type, memarg: &MemArg) -> Value {
        let (base, offset) = self.address(memarg, ty.bytes());
        let flags = self.e.heap();
        self.ins().load(ty, flags, base, offset)
    }

    /// A load of `from` that is extended to the integer `to`.
    pub(super) fn load_extend(&mut self, to: Type, from: Type, extend: Extend, memarg: &MemArg) {
        let (base, offset) = self.address(memarg, from.bytes());
        let value = self.load_extended(to, from, extend, base, offset);
        self.push(value);
    }

    pub(super) fn load_extended(&mut self, to: Type, from: Type, extend: Extend, base: Value, offset: i32) -> Value {
        let flags = self.e.heap();
        let ins = self.ins();
        match (from, extend) {
            (I8, Extend::Signed) => ins.sload8(to, flags, base, offset),
            (I8, Extend::Unsigned) => ins.uload8(to, flags, base, offset),
            (I16, Extend::Signed) => ins.sload16(to, flags, base, offset),
            (I16, Extend::Unsigned) => ins.uload16(to, flags, base, offset),
            (_, Extend::Signed) => ins.sload32(flags, base, offset),
            (_, Extend::Unsigned) => ins.uload32(flags, base, offset),
        }
    }

    /// A store of a whole value.
    pub(super) fn store(&mut self, memarg: &MemArg) {
        let value = self.pop();
        self.store_value(value, memarg);
    }

    pub(super) fn store_value(&mut self, value: Value, memarg: &MemArg) {
        let (base, offset) = self.address(memarg, self.type_of(value).bytes());
        let flags = self.e.heap();
        self.ins().store(flags, value, base, offset);
    }

    /// A store of an integer's lowest bits.
    pub(super) fn store_narrow(&mut self, to: Type, memarg: &MemArg) {
        let value = self.pop();
        let (base, offset) = self.address(memarg, to.bytes());
        let flags = self.e.heap();
        let ins = self.ins();
        match to {
            I8 => ins.istore8(flags, value, base, offset),
            I16 => ins.istore16(flags, value, base, offset),
            _ => ins.istore32(flags, value, base, offset),
        };
    }

    pub(super) fn memory_size(&mut self, memory: u32) {
        let MemoryType { page_log2, wide, .. } = self.e.env.info.memories[memory as usize];
        let bytes = self.e.memory_bytes(memory);
        let pages = self.ins().ushr_imm_u(bytes, i64::from(page_log2));
        let pages = if wide { pages } else { self.ins().ireduce(I32, pages) };
        self.push(pages);
    }

    pub(super) fn memory_grow(&mut self, memory: u32) {
        self.libcall(Libcall::MemoryGrow, &[memory], 1);
        if self.e.env.info.memories[memory as usize].wide {
            self.widen_size();
        }
    }

    /// The result of growing something with 64-bit indexes: -1 stays -1.
    pub(super) fn widen_size(&mut self) {
        let old = self.pop();
        let failed = self.ins().icmp_imm_u(IntCC::Equal, old, i64::from(u32::MAX));
        let minus_one = self.ins().iconst(I64, -1);
        let old = self.ins().uextend(I64, old);
        let old = self.ins().select(failed, minus_one, old);
        self.push(old);
    }

    /// A library call whose last `count` arguments are operands; `leading` are its immediates.
    pub(super) fn libcall(&mut self, libcall: Libcall, leading: &[u32], count: usize) {
        let mut arguments = [Value::from_u32(0); 5];
        let arguments = &mut arguments[..leading.len() + count];
        for (argument, &immediate) in arguments.iter_mut().zip(leading) {
            *argument = self.ins().iconst(I32, i64::from(immediate));
        }
        let height = self.settle_top(count);
        arguments[leading.len()..].copy_from_slice(&self.stack[height..]);
        self.stack.truncate(height);
        for operand in &mut arguments[leading.len()..] {
            // Only indexes and lengths can have 64 bits.
            if self.type_of(*operand) == I64 {
                *operand = self.e.clamp(*operand);
            }
        }
        self.charge_length(libcall, arguments);
        if let Some(result) = self.e.libcall(libcall, arguments) {
            self.push(result);
        }
    }
}
