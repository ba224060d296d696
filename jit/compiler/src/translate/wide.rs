//! Wide arithmetic: numbers of 128 bits, as two values of 64, the lower half first.
//!
//! Source: the proposal wide-arithmetic.

use super::Translator;
use super::memory::Extend;
use cranelift_codegen::ir::types::I128;
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::FuncInstBuilder;

impl<'b> Translator<'_, 'b> {
    /// `i64.add128`, `i64.sub128`.
    pub(super) fn binary_128(&mut self, operation: impl FnOnce(FuncInstBuilder<'_, 'b>, Value, Value) -> Value) {
        let right = self.pop_128();
        let left = self.pop_128();
        let value = operation(self.ins(), left, right);
        self.push_128(value);
    }

    /// `i64.mul_wide_s`, `i64.mul_wide_u`.
    pub(super) fn multiply_wide(&mut self, extend: Extend) {
        let (left, right) = self.pop2();
        let [left, right] = [left, right].map(|half| match extend {
            Extend::Signed => self.ins().sextend(I128, half),
            Extend::Unsigned => self.ins().uextend(I128, half),
        });
        let value = self.ins().imul(left, right);
        self.push_128(value);
    }

    fn pop_128(&mut self) -> Value {
        let (low, high) = self.pop2();
        self.ins().iconcat(low, high)
    }

    fn push_128(&mut self, value: Value) {
        let (low, high) = self.ins().isplit(value);
        self.push(low);
        self.push(high);
    }
}
