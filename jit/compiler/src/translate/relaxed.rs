//! Relaxed vector operations. Of the results that the specification allows, each has the one that an instruction of the
//! processor gives. It depends on the operands alone and is the same on every processor that `wave` runs on, with all settings.
//! `docs/choices.md` lists the choices.
//!
//! Source: WebAssembly Core 3.0, relaxed operations.

use super::Translator;
use super::memory::Extend;
use crate::error::CompileError;
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type};
use wasmparser::Operator;

/// Whether a product is added, or subtracted.
#[derive(Clone, Copy)]
enum Product {
    Added,
    Subtracted,
}

impl Translator<'_, '_> {
    /// Translates a relaxed vector operation.
    pub(super) fn relaxed(&mut self, operator: &Operator<'_>) -> Result<(), CompileError> {
        match operator {
            Operator::I8x16RelaxedSwizzle => self.vector_binary(I8X16, |ins, x, lanes| ins.x86_pshufb(x, lanes)),
            Operator::I32x4RelaxedTruncF32x4S => self.vector_unary(F32X4, |ins, x| ins.x86_cvtt2dq(I32X4, x)),
            // The processor has no instruction for these.
            Operator::I32x4RelaxedTruncF32x4U => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_uint_sat(I32X4, x)),
            Operator::I32x4RelaxedTruncF64x2SZero => self.truncate_double(Extend::Signed),
            Operator::I32x4RelaxedTruncF64x2UZero => self.truncate_double(Extend::Unsigned),
            Operator::F32x4RelaxedMadd => self.multiply_add(F32X4, Product::Added),
            Operator::F32x4RelaxedNmadd => self.multiply_add(F32X4, Product::Subtracted),
            Operator::F64x2RelaxedMadd => self.multiply_add(F64X2, Product::Added),
            Operator::F64x2RelaxedNmadd => self.multiply_add(F64X2, Product::Subtracted),
            Operator::I8x16RelaxedLaneselect => self.select_by_sign(I8X16),
            // No instruction selects lanes of 16 bits.
            Operator::I16x8RelaxedLaneselect => self.bit_select(),
            Operator::I32x4RelaxedLaneselect => self.select_by_sign(I32X4),
            Operator::I64x2RelaxedLaneselect => self.select_by_sign(I64X2),
            Operator::F32x4RelaxedMin => self.pseudo_min(F32X4),
            Operator::F32x4RelaxedMax => self.pseudo_max(F32X4),
            Operator::F64x2RelaxedMin => self.pseudo_min(F64X2),
            Operator::F64x2RelaxedMax => self.pseudo_max(F64X2),
            Operator::I16x8RelaxedQ15mulrS => self.vector_binary(I16X8, |ins, x, y| ins.x86_pmulhrsw(x, y)),
            Operator::I16x8RelaxedDotI8x16I7x16S => self.relaxed_dot(),
            Operator::I32x4RelaxedDotI8x16I7x16AddS => {
                let addend = self.pop_vector(I32X4);
                self.relaxed_dot();
                let products = self.pop_vector(I16X8);
                let low = self.ins().swiden_low(products);
                let high = self.ins().swiden_high(products);
                let sums = self.ins().iadd_pairwise(low, high);
                let value = self.ins().iadd(sums, addend);
                self.push(value);
            }
            // The validator's features let nothing else through.
            other => return Err(self.unsupported(format!("operator {other:?}"))),
        }
        Ok(())
    }

    /// `a * b + c` or `-(a * b) + c`, rounded once.
    fn multiply_add(&mut self, ty: Type, product: Product) {
        let addend = self.pop_vector(ty);
        let right = self.pop_vector(ty);
        let mut left = self.pop_vector(ty);
        if matches!(product, Product::Subtracted) {
            left = self.ins().fneg(left);
        }
        let value = self.ins().fma(left, right, addend);
        self.push(value);
    }

    /// Lanes of the first operand where the mask's lane has its highest bit, else of the second.
    fn select_by_sign(&mut self, ty: Type) {
        let mask = self.pop_vector(ty);
        let no = self.pop_vector(ty);
        let yes = self.pop_vector(ty);
        let value = self.ins().blendv(mask, yes, no);
        self.push(value);
    }

    /// Sums of two products each, of bytes with sign and bytes that the processor takes without.
    fn relaxed_dot(&mut self) {
        let right = self.pop_vector(I8X16);
        let left = self.pop_vector(I8X16);
        let value = self.ins().x86_pmaddubsw(left, right);
        self.push(value);
    }
}
