//! Fuel: what operators cost, and where it is taken.
//!
//! Fuel is taken per block of operators, before the first of them is executed. A block ends with each operator that
//! transfers control within the function or leaves it, and at `loop`, `else` and `end`; a call does not end it. So where
//! a run ends follows from the module alone, and not from how it is compiled.

use super::{Shape, Translator};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Inst, InstBuilder, InstructionData, Opcode, Value};
use wasmparser::Operator;
use wave_contract::abi::BYTES_PER_FUEL;
use wave_contract::libcall::Libcall;

/// What the current block takes.
pub(super) struct Charge {
    /// The constant that is taken.
    constant: Inst,
    units: i64,
}

impl Translator<'_, '_> {
    /// Whether the function counts fuel. The collector does not: how often it runs and what it finds does not follow from the module
    /// alone.
    pub(super) fn counts_fuel(&self) -> bool {
        self.e.env.options.settings.fuel && !self.collector
    }

    /// Adds an operator that is about to be translated to what its block takes.
    pub(super) fn charge_operator(&mut self, operator: &Operator<'_>) {
        if !self.counts_fuel() || is_free(operator) {
            return;
        }
        if let Some(Charge { constant, units }) = &mut self.fuel {
            *units += 1;
            let imm = (*units).into();
            self.e.b.func.dfg.insts[*constant] = InstructionData::UnaryImm { opcode: Opcode::Iconst, imm };
            return;
        }
        let units = self.ins().iconst(I64, 1);
        let constant = self.e.b.func.dfg.value_def(units).unwrap_inst();
        self.take_fuel(units);
        self.fuel = Some(Charge { constant, units: 1 });
    }

    /// Takes fuel for what a library call with these arguments moves.
    pub(super) fn charge_length(&mut self, libcall: Libcall, arguments: &[Value]) {
        let Some(shift) = shift_of(libcall).filter(|_| self.counts_fuel()) else { return };
        // All of them have the length as their last parameter.
        let Some(&len) = arguments.last() else { return };
        let len = self.ins().uextend(I64, len);
        let units = self.ins().ushr_imm_u(len, shift);
        self.take_fuel(units);
    }

    /// Takes fuel. Besides its place in memory, which is right at every operator, the counter is in a variable: a loop does
    /// not wait for what it has stored itself.
    pub(super) fn take_fuel(&mut self, units: Value) {
        let counter = match self.counter {
            Some(counter) => self.e.b.use_var(counter),
            None => self.e.load_fuel(),
        };
        let counter = self.e.take_fuel(counter, units);
        if let Some(variable) = self.counter {
            self.e.b.def_var(variable, counter);
        }
    }

    /// Gives the counter its variable, if there are variables.
    pub(super) fn define_counter(&mut self) {
        if self.counts_fuel() && self.shape == Shape::Usual {
            self.counter = Some(self.e.b.declare_var(I64));
            self.reload_counter();
        }
    }

    /// Reads the counter again, where a guest function may have changed it.
    pub(super) fn reload_counter(&mut self) {
        if let Some(counter) = self.counter {
            let value = self.e.load_fuel();
            self.e.b.def_var(counter, value);
        }
    }
}

/// Whether an operator costs nothing: these mark places, and do nothing.
const fn is_free(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Nop
            | Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::Else
            | Operator::End
            | Operator::TryTable { .. }
            | Operator::Try { .. }
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Delegate { .. }
    )
}

/// Whether a block of operators ends with this one.
pub(super) const fn ends_block(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::Unreachable
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::Catch { .. }
            | Operator::CatchAll
            | Operator::Rethrow { .. }
            | Operator::Delegate { .. }
    )
}

/// For a library call that moves as much as its last argument says: the units are that argument, shifted right by this.
fn shift_of(libcall: Libcall) -> Option<i64> {
    match libcall {
        Libcall::MemoryCopy | Libcall::MemoryFill | Libcall::MemoryInit => {
            Some(i64::from(BYTES_PER_FUEL.trailing_zeros()))
        }
        Libcall::TableGrow | Libcall::TableFill | Libcall::TableCopy | Libcall::TableInit | Libcall::ArrayInit => {
            Some(0)
        }
        Libcall::MemoryGrow
        | Libcall::DataDrop
        | Libcall::TableGet
        | Libcall::TableSet
        | Libcall::ElemDrop
        | Libcall::RefFunc
        | Libcall::Throw
        | Libcall::Catch
        | Libcall::AtomicWait
        | Libcall::FunctionIs
        | Libcall::Roots => None,
    }
}
