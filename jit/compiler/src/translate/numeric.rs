//! Numbers: constants, arithmetic, comparisons, conversions.

use super::Translator;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::FuncInstBuilder;

impl<'b> Translator<'_, 'b> {
    pub(super) fn i32_constant(&mut self, value: i32) -> Value {
        // Cranelift wants the bits above the type's width to be 0.
        self.ins().iconst(I32, i64::from(value.cast_unsigned()))
    }

    pub(super) fn f32_constant(&mut self, bits: u32) -> Value {
        self.ins().f32const(Ieee32::with_bits(bits))
    }

    pub(super) fn f64_constant(&mut self, bits: u64) -> Value {
        self.ins().f64const(Ieee64::with_bits(bits))
    }

    pub(super) fn unary(&mut self, operation: impl FnOnce(FuncInstBuilder<'_, 'b>, Value) -> Value) {
        let operand = self.pop();
        let value = operation(self.ins(), operand);
        self.push(value);
    }

    pub(super) fn binary(&mut self, operation: impl FnOnce(FuncInstBuilder<'_, 'b>, Value, Value) -> Value) {
        let (left, right) = self.pop2();
        let value = operation(self.ins(), left, right);
        self.push(value);
    }

    pub(super) fn compare(&mut self, condition: IntCC) {
        self.binary(|ins, left, right| ins.icmp(condition, left, right));
    }

    pub(super) fn compare_float(&mut self, condition: FloatCC) {
        self.binary(|ins, left, right| ins.fcmp(condition, left, right));
    }

    /// `eqz`, also of a comparison's result.
    pub(super) fn is_zero(&mut self) {
        let operand = self.pop_raw();
        let value = self.ins().icmp_imm_u(IntCC::Equal, operand, 0);
        self.push(value);
    }

    /// Sign extension from the lowest bits of an integer.
    pub(super) fn extend_low(&mut self, from: Type, to: Type) {
        let operand = self.pop();
        let low = self.ins().ireduce(from, operand);
        let value = self.ins().sextend(to, low);
        self.push(value);
    }

    pub(super) fn reinterpret(&mut self, to: Type) {
        self.unary(|ins, operand| ins.bitcast(to, MemFlagsData::new(), operand));
    }

    pub(super) fn select(&mut self) {
        let condition = self.pop_raw();
        let (left, right) = self.pop2();
        let value = self.ins().select(condition, left, right);
        self.push(value);
    }

    pub(super) fn i64_constant(&mut self, value: i64) -> Value {
        self.ins().iconst(I64, value)
    }
}
