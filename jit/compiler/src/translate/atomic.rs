// The opcode match: long by nature, one line per operator.

//! Atomic instructions, as the plain loads and stores that they are where a memory has one thread.
//!
//! Nothing that runs beside a guest reads or writes its memories: not another thread, which no guest gets, and not the host,
//! which touches them in hostcalls only. So no other thread could see an access half done, or two in another order: the
//! processor's locked instructions and fences would cost time and change nothing. What is left of an atomic access is the trap
//! on an address that is no multiple of its size.

use super::Translator;
use super::memory::Extend;
use crate::emit::trap_code;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::{MemArg, MemArgTarget, Operator};
use wave_contract::libcall::Libcall;
use wave_contract::trap::TrapCode;

/// What `memory.atomic.wait` gives if the value is not the expected one. After the timeout, it gives 2.
const NOT_EQUAL: i32 = 1;

impl<'b> Translator<'_, 'b> {
    /// Translates an operator of the threads proposal. Whether it is one.
    pub(super) fn atomic(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            // One thread sees its own accesses in order.
            O::AtomicFence { .. } => {}
            O::MemoryAtomicNotify { memarg } => self.notify(memarg),
            O::MemoryAtomicWait32 { memarg } => self.wait(I32, memarg),
            O::MemoryAtomicWait64 { memarg } => self.wait(I64, memarg),

            O::I32AtomicLoad { memarg } => self.atomic_load(I32, I32, memarg),
            O::I64AtomicLoad { memarg } => self.atomic_load(I64, I64, memarg),
            O::I32AtomicLoad8U { memarg } => self.atomic_load(I32, I8, memarg),
            O::I32AtomicLoad16U { memarg } => self.atomic_load(I32, I16, memarg),
            O::I64AtomicLoad8U { memarg } => self.atomic_load(I64, I8, memarg),
            O::I64AtomicLoad16U { memarg } => self.atomic_load(I64, I16, memarg),
            O::I64AtomicLoad32U { memarg } => self.atomic_load(I64, I32, memarg),

            O::I32AtomicStore { memarg } | O::I64AtomicStore32 { memarg } => self.atomic_store(I32, memarg),
            O::I64AtomicStore { memarg } => self.atomic_store(I64, memarg),
            O::I32AtomicStore8 { memarg } | O::I64AtomicStore8 { memarg } => self.atomic_store(I8, memarg),
            O::I32AtomicStore16 { memarg } | O::I64AtomicStore16 { memarg } => self.atomic_store(I16, memarg),

            O::I32AtomicRmwAdd { memarg } => self.rmw(I32, I32, memarg, |ins, x, y| ins.iadd(x, y)),
            O::I64AtomicRmwAdd { memarg } => self.rmw(I64, I64, memarg, |ins, x, y| ins.iadd(x, y)),
            O::I32AtomicRmw8AddU { memarg } => self.rmw(I32, I8, memarg, |ins, x, y| ins.iadd(x, y)),
            O::I32AtomicRmw16AddU { memarg } => self.rmw(I32, I16, memarg, |ins, x, y| ins.iadd(x, y)),
            O::I64AtomicRmw8AddU { memarg } => self.rmw(I64, I8, memarg, |ins, x, y| ins.iadd(x, y)),
            O::I64AtomicRmw16AddU { memarg } => self.rmw(I64, I16, memarg, |ins, x, y| ins.iadd(x, y)),
            O::I64AtomicRmw32AddU { memarg } => self.rmw(I64, I32, memarg, |ins, x, y| ins.iadd(x, y)),

            O::I32AtomicRmwSub { memarg } => self.rmw(I32, I32, memarg, |ins, x, y| ins.isub(x, y)),
            O::I64AtomicRmwSub { memarg } => self.rmw(I64, I64, memarg, |ins, x, y| ins.isub(x, y)),
            O::I32AtomicRmw8SubU { memarg } => self.rmw(I32, I8, memarg, |ins, x, y| ins.isub(x, y)),
            O::I32AtomicRmw16SubU { memarg } => self.rmw(I32, I16, memarg, |ins, x, y| ins.isub(x, y)),
            O::I64AtomicRmw8SubU { memarg } => self.rmw(I64, I8, memarg, |ins, x, y| ins.isub(x, y)),
            O::I64AtomicRmw16SubU { memarg } => self.rmw(I64, I16, memarg, |ins, x, y| ins.isub(x, y)),
            O::I64AtomicRmw32SubU { memarg } => self.rmw(I64, I32, memarg, |ins, x, y| ins.isub(x, y)),

            O::I32AtomicRmwAnd { memarg } => self.rmw(I32, I32, memarg, |ins, x, y| ins.band(x, y)),
            O::I64AtomicRmwAnd { memarg } => self.rmw(I64, I64, memarg, |ins, x, y| ins.band(x, y)),
            O::I32AtomicRmw8AndU { memarg } => self.rmw(I32, I8, memarg, |ins, x, y| ins.band(x, y)),
            O::I32AtomicRmw16AndU { memarg } => self.rmw(I32, I16, memarg, |ins, x, y| ins.band(x, y)),
            O::I64AtomicRmw8AndU { memarg } => self.rmw(I64, I8, memarg, |ins, x, y| ins.band(x, y)),
            O::I64AtomicRmw16AndU { memarg } => self.rmw(I64, I16, memarg, |ins, x, y| ins.band(x, y)),
            O::I64AtomicRmw32AndU { memarg } => self.rmw(I64, I32, memarg, |ins, x, y| ins.band(x, y)),

            O::I32AtomicRmwOr { memarg } => self.rmw(I32, I32, memarg, |ins, x, y| ins.bor(x, y)),
            O::I64AtomicRmwOr { memarg } => self.rmw(I64, I64, memarg, |ins, x, y| ins.bor(x, y)),
            O::I32AtomicRmw8OrU { memarg } => self.rmw(I32, I8, memarg, |ins, x, y| ins.bor(x, y)),
            O::I32AtomicRmw16OrU { memarg } => self.rmw(I32, I16, memarg, |ins, x, y| ins.bor(x, y)),
            O::I64AtomicRmw8OrU { memarg } => self.rmw(I64, I8, memarg, |ins, x, y| ins.bor(x, y)),
            O::I64AtomicRmw16OrU { memarg } => self.rmw(I64, I16, memarg, |ins, x, y| ins.bor(x, y)),
            O::I64AtomicRmw32OrU { memarg } => self.rmw(I64, I32, memarg, |ins, x, y| ins.bor(x, y)),

            O::I32AtomicRmwXor { memarg } => self.rmw(I32, I32, memarg, |ins, x, y| ins.bxor(x, y)),
            O::I64AtomicRmwXor { memarg } => self.rmw(I64, I64, memarg, |ins, x, y| ins.bxor(x, y)),
            O::I32AtomicRmw8XorU { memarg } => self.rmw(I32, I8, memarg, |ins, x, y| ins.bxor(x, y)),
            O::I32AtomicRmw16XorU { memarg } => self.rmw(I32, I16, memarg, |ins, x, y| ins.bxor(x, y)),
            O::I64AtomicRmw8XorU { memarg } => self.rmw(I64, I8, memarg, |ins, x, y| ins.bxor(x, y)),
            O::I64AtomicRmw16XorU { memarg } => self.rmw(I64, I16, memarg, |ins, x, y| ins.bxor(x, y)),
            O::I64AtomicRmw32XorU { memarg } => self.rmw(I64, I32, memarg, |ins, x, y| ins.bxor(x, y)),

            O::I32AtomicRmwXchg { memarg } => self.rmw(I32, I32, memarg, |_, _, y| y),
            O::I64AtomicRmwXchg { memarg } => self.rmw(I64, I64, memarg, |_, _, y| y),
            O::I32AtomicRmw8XchgU { memarg } => self.rmw(I32, I8, memarg, |_, _, y| y),
            O::I32AtomicRmw16XchgU { memarg } => self.rmw(I32, I16, memarg, |_, _, y| y),
            O::I64AtomicRmw8XchgU { memarg } => self.rmw(I64, I8, memarg, |_, _, y| y),
            O::I64AtomicRmw16XchgU { memarg } => self.rmw(I64, I16, memarg, |_, _, y| y),
            O::I64AtomicRmw32XchgU { memarg } => self.rmw(I64, I32, memarg, |_, _, y| y),

            O::I32AtomicRmwCmpxchg { memarg } => self.compare_exchange(I32, I32, memarg),
            O::I64AtomicRmwCmpxchg { memarg } => self.compare_exchange(I64, I64, memarg),
            O::I32AtomicRmw8CmpxchgU { memarg } => self.compare_exchange(I32, I8, memarg),
            O::I32AtomicRmw16CmpxchgU { memarg } => self.compare_exchange(I32, I16, memarg),
            O::I64AtomicRmw8CmpxchgU { memarg } => self.compare_exchange(I64, I8, memarg),
            O::I64AtomicRmw16CmpxchgU { memarg } => self.compare_exchange(I64, I16, memarg),
            O::I64AtomicRmw32CmpxchgU { memarg } => self.compare_exchange(I64, I32, memarg),
            _ => return false,
        }
        true
    }

    /// As [`address`](Self::address), for an access of type `of`. Traps if that is not aligned.
    fn aligned_address(&mut self, of: Type, memarg: &MemArg) -> (Value, i32) {
        let index = self.pop();
        let below = u64::from(of.bytes()) - 1;
        if below > 0 {
            // The lowest bits of the sum are the sum of the lowest bits.
            let low = match (memarg.offset & below).cast_signed() {
                0 => index,
                low => self.ins().iadd_imm_u(index, low),
            };
            let low = self.ins().band_imm_u(low, below.cast_signed());
            self.ins().trapnz(low, trap_code(TrapCode::UnalignedAtomic));
        }
        self.push(index);
        self.address(memarg, of.bytes())
    }

    /// Loads `from` and extends it by zeros to `to`.
    fn load_from(&mut self, to: Type, from: Type, (base, offset): (Value, i32)) -> Value {
        let flags = self.e.heap();
        if to == from {
            return self.ins().load(to, flags, base, offset);
        }
        self.load_extended(to, from, Extend::Unsigned, base, offset)
    }

    fn store_to(&mut self, to: Type, value: Value, (base, offset): (Value, i32)) {
        let flags = self.e.heap();
        let whole = self.type_of(value) == to;
        let ins = self.ins();
        match to {
            _ if whole => ins.store(flags, value, base, offset),
            I8 => ins.istore8(flags, value, base, offset),
            I16 => ins.istore16(flags, value, base, offset),
            _ => ins.istore32(flags, value, base, offset),
        };
    }

    fn atomic_load(&mut self, to: Type, from: Type, memarg: &MemArg) {
        let place = self.aligned_address(from, memarg);
        let value = self.load_from(to, from, place);
        self.push(value);
    }

    fn atomic_store(&mut self, to: Type, memarg: &MemArg) {
        let value = self.pop();
        let place = self.aligned_address(to, memarg);
        self.store_to(to, value, place);
    }

    /// Loads, stores what `operation` makes of that and the operand, and gives what was loaded.
    fn rmw(
        &mut self,
        ty: Type,
        access: Type,
        memarg: &MemArg,
        operation: impl FnOnce(FuncInstBuilder<'_, 'b>, Value, Value) -> Value,
    ) {
        let operand = self.pop();
        let place = self.aligned_address(access, memarg);
        let old = self.load_from(ty, access, place);
        let new = operation(self.ins(), old, operand);
        self.store_to(access, new, place);
        self.push(old);
    }

    /// The expected value is wrapped to the width of the access before it is compared:
    /// <https://github.com/WebAssembly/threads/issues/195>.
    fn compare_exchange(&mut self, ty: Type, access: Type, memarg: &MemArg) {
        let (expected, replacement) = self.pop2();
        let place = self.aligned_address(access, memarg);
        let old = self.load_from(ty, access, place);
        let expected = match access {
            _ if access == ty => expected,
            _ => self.ins().band_imm_u(expected, ((1_u64 << access.bits()) - 1).cast_signed()),
        };
        let equal = self.ins().icmp(IntCC::Equal, old, expected);
        let new = self.ins().select(equal, replacement, old);
        self.store_to(access, new, place);
        self.push(old);
    }

    /// Nobody waits: who did would be another thread. The address must be one of memory all the same.
    fn notify(&mut self, memarg: &MemArg) {
        self.pop();
        let place = self.aligned_address(I32, memarg);
        self.load_from(I32, I32, place);
        let woken = self.i32_constant(0);
        self.push(woken);
    }

    fn wait(&mut self, of: Type, memarg: &MemArg) {
        let (expected, timeout) = self.pop2();
        let place = self.aligned_address(of, memarg);
        let value = self.load_from(of, of, place);
        let memory = match memarg.target {
            MemArgTarget::Memory(memory) => memory,
            _ => 0,
        };
        if !self.e.env.info.memories.get(memory as usize).is_some_and(|memory| memory.shared) {
            self.ins().trap(trap_code(TrapCode::ExpectedSharedMemory));
            self.set_dead();
            self.fuel = None;
            return;
        }
        let (wait, done) = (self.e.b.create_block(), self.e.b.create_block());
        let result = self.e.b.append_block_param(done, I32);
        let differs = self.ins().icmp(IntCC::NotEqual, value, expected);
        let not_equal = self.i32_constant(NOT_EQUAL);
        self.ins().brif(differs, done, &[not_equal.into()], wait, &[]);
        self.e.b.seal_block(wait);

        self.e.b.switch_to_block(wait);
        let low = self.ins().ireduce(I32, timeout);
        let high = self.ins().ushr_imm_u(timeout, 32);
        let high = self.ins().ireduce(I32, high);
        if let Some(timed_out) = self.e.libcall(Libcall::AtomicWait, &[low, high]) {
            self.ins().jump(done, &[timed_out.into()]);
        }
        self.e.b.seal_block(done);
        self.e.b.switch_to_block(done);
        self.push(result);
    }
}
