// The opcode match of vectors: long by nature, one line per operator.

//! Vectors: operators to the functions that translate them, and arithmetic.

use super::Translator;
use super::memory::Extend;
use crate::error::CompileError;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator;

/// Half of a vector's lanes.
#[derive(Clone, Copy)]
enum Half {
    Low,
    High,
}

impl<'b> Translator<'_, 'b> {
    /// Translates a reachable vector operator.
    pub(super) fn vector(&mut self, operator: &Operator<'_>) -> Result<(), CompileError> {
        match operator {
            Operator::V128Load { memarg } => self.load(I8X16, memarg),
            Operator::V128Store { memarg } => self.store(memarg),
            Operator::V128Load8x8S { memarg } => {
                self.load_widen(memarg, |ins, flags, base, offset| ins.sload8x8(flags, base, offset))
            }
            Operator::V128Load8x8U { memarg } => {
                self.load_widen(memarg, |ins, flags, base, offset| ins.uload8x8(flags, base, offset))
            }
            Operator::V128Load16x4S { memarg } => {
                self.load_widen(memarg, |ins, flags, base, offset| ins.sload16x4(flags, base, offset))
            }
            Operator::V128Load16x4U { memarg } => {
                self.load_widen(memarg, |ins, flags, base, offset| ins.uload16x4(flags, base, offset))
            }
            Operator::V128Load32x2S { memarg } => {
                self.load_widen(memarg, |ins, flags, base, offset| ins.sload32x2(flags, base, offset))
            }
            Operator::V128Load32x2U { memarg } => {
                self.load_widen(memarg, |ins, flags, base, offset| ins.uload32x2(flags, base, offset))
            }
            Operator::V128Load8Splat { memarg } => self.load_splat(I8X16, memarg),
            Operator::V128Load16Splat { memarg } => self.load_splat(I16X8, memarg),
            Operator::V128Load32Splat { memarg } => self.load_splat(I32X4, memarg),
            Operator::V128Load64Splat { memarg } => self.load_splat(I64X2, memarg),
            Operator::V128Load32Zero { memarg } => self.load_zero(I32X4, memarg),
            Operator::V128Load64Zero { memarg } => self.load_zero(I64X2, memarg),
            Operator::V128Load8Lane { memarg, lane } => self.load_lane(I8X16, memarg, *lane),
            Operator::V128Load16Lane { memarg, lane } => self.load_lane(I16X8, memarg, *lane),
            Operator::V128Load32Lane { memarg, lane } => self.load_lane(I32X4, memarg, *lane),
            Operator::V128Load64Lane { memarg, lane } => self.load_lane(I64X2, memarg, *lane),
            Operator::V128Store8Lane { memarg, lane } => self.store_lane(I8X16, memarg, *lane),
            Operator::V128Store16Lane { memarg, lane } => self.store_lane(I16X8, memarg, *lane),
            Operator::V128Store32Lane { memarg, lane } => self.store_lane(I32X4, memarg, *lane),
            Operator::V128Store64Lane { memarg, lane } => self.store_lane(I64X2, memarg, *lane),

            Operator::V128Const { value } => {
                let value = self.vector_constant(value.bytes());
                self.push(value);
            }
            Operator::I8x16Shuffle { lanes } => {
                let lanes = self.e.b.func.dfg.immediates.push(ConstantData::from(&lanes[..]));
                self.vector_binary(I8X16, |ins, x, y| ins.shuffle(x, y, lanes));
            }
            Operator::I8x16Splat => self.splat_narrow(I8X16),
            Operator::I16x8Splat => self.splat_narrow(I16X8),
            Operator::I32x4Splat => self.splat(I32X4),
            Operator::I64x2Splat => self.splat(I64X2),
            Operator::F32x4Splat => self.splat(F32X4),
            Operator::F64x2Splat => self.splat(F64X2),
            Operator::I8x16ExtractLaneS { lane } => self.extract_lane_extend(I8X16, *lane, Extend::Signed),
            Operator::I8x16ExtractLaneU { lane } => self.extract_lane_extend(I8X16, *lane, Extend::Unsigned),
            Operator::I16x8ExtractLaneS { lane } => self.extract_lane_extend(I16X8, *lane, Extend::Signed),
            Operator::I16x8ExtractLaneU { lane } => self.extract_lane_extend(I16X8, *lane, Extend::Unsigned),
            Operator::I32x4ExtractLane { lane } => self.extract_lane(I32X4, *lane),
            Operator::I64x2ExtractLane { lane } => self.extract_lane(I64X2, *lane),
            Operator::F32x4ExtractLane { lane } => self.extract_lane(F32X4, *lane),
            Operator::F64x2ExtractLane { lane } => self.extract_lane(F64X2, *lane),
            Operator::I8x16ReplaceLane { lane } => self.replace_lane(I8X16, *lane),
            Operator::I16x8ReplaceLane { lane } => self.replace_lane(I16X8, *lane),
            Operator::I32x4ReplaceLane { lane } => self.replace_lane(I32X4, *lane),
            Operator::I64x2ReplaceLane { lane } => self.replace_lane(I64X2, *lane),
            Operator::F32x4ReplaceLane { lane } => self.replace_lane(F32X4, *lane),
            Operator::F64x2ReplaceLane { lane } => self.replace_lane(F64X2, *lane),
            Operator::I8x16Swizzle => self.vector_binary(I8X16, |ins, x, y| ins.swizzle(x, y)),

            Operator::I8x16Eq => self.vector_compare(I8X16, IntCC::Equal),
            Operator::I8x16Ne => self.vector_compare(I8X16, IntCC::NotEqual),
            Operator::I8x16LtS => self.vector_compare(I8X16, IntCC::SignedLessThan),
            Operator::I8x16LtU => self.vector_compare(I8X16, IntCC::UnsignedLessThan),
            Operator::I8x16GtS => self.vector_compare(I8X16, IntCC::SignedGreaterThan),
            Operator::I8x16GtU => self.vector_compare(I8X16, IntCC::UnsignedGreaterThan),
            Operator::I8x16LeS => self.vector_compare(I8X16, IntCC::SignedLessThanOrEqual),
            Operator::I8x16LeU => self.vector_compare(I8X16, IntCC::UnsignedLessThanOrEqual),
            Operator::I8x16GeS => self.vector_compare(I8X16, IntCC::SignedGreaterThanOrEqual),
            Operator::I8x16GeU => self.vector_compare(I8X16, IntCC::UnsignedGreaterThanOrEqual),
            Operator::I16x8Eq => self.vector_compare(I16X8, IntCC::Equal),
            Operator::I16x8Ne => self.vector_compare(I16X8, IntCC::NotEqual),
            Operator::I16x8LtS => self.vector_compare(I16X8, IntCC::SignedLessThan),
            Operator::I16x8LtU => self.vector_compare(I16X8, IntCC::UnsignedLessThan),
            Operator::I16x8GtS => self.vector_compare(I16X8, IntCC::SignedGreaterThan),
            Operator::I16x8GtU => self.vector_compare(I16X8, IntCC::UnsignedGreaterThan),
            Operator::I16x8LeS => self.vector_compare(I16X8, IntCC::SignedLessThanOrEqual),
            Operator::I16x8LeU => self.vector_compare(I16X8, IntCC::UnsignedLessThanOrEqual),
            Operator::I16x8GeS => self.vector_compare(I16X8, IntCC::SignedGreaterThanOrEqual),
            Operator::I16x8GeU => self.vector_compare(I16X8, IntCC::UnsignedGreaterThanOrEqual),
            Operator::I32x4Eq => self.vector_compare(I32X4, IntCC::Equal),
            Operator::I32x4Ne => self.vector_compare(I32X4, IntCC::NotEqual),
            Operator::I32x4LtS => self.vector_compare(I32X4, IntCC::SignedLessThan),
            Operator::I32x4LtU => self.vector_compare(I32X4, IntCC::UnsignedLessThan),
            Operator::I32x4GtS => self.vector_compare(I32X4, IntCC::SignedGreaterThan),
            Operator::I32x4GtU => self.vector_compare(I32X4, IntCC::UnsignedGreaterThan),
            Operator::I32x4LeS => self.vector_compare(I32X4, IntCC::SignedLessThanOrEqual),
            Operator::I32x4LeU => self.vector_compare(I32X4, IntCC::UnsignedLessThanOrEqual),
            Operator::I32x4GeS => self.vector_compare(I32X4, IntCC::SignedGreaterThanOrEqual),
            Operator::I32x4GeU => self.vector_compare(I32X4, IntCC::UnsignedGreaterThanOrEqual),
            Operator::I64x2Eq => self.vector_compare(I64X2, IntCC::Equal),
            Operator::I64x2Ne => self.vector_compare(I64X2, IntCC::NotEqual),
            Operator::I64x2LtS => self.vector_compare(I64X2, IntCC::SignedLessThan),
            Operator::I64x2GtS => self.vector_compare(I64X2, IntCC::SignedGreaterThan),
            Operator::I64x2LeS => self.vector_compare(I64X2, IntCC::SignedLessThanOrEqual),
            Operator::I64x2GeS => self.vector_compare(I64X2, IntCC::SignedGreaterThanOrEqual),
            Operator::F32x4Eq => self.vector_compare_float(F32X4, FloatCC::Equal),
            Operator::F32x4Ne => self.vector_compare_float(F32X4, FloatCC::NotEqual),
            Operator::F32x4Lt => self.vector_compare_float(F32X4, FloatCC::LessThan),
            Operator::F32x4Gt => self.vector_compare_float(F32X4, FloatCC::GreaterThan),
            Operator::F32x4Le => self.vector_compare_float(F32X4, FloatCC::LessThanOrEqual),
            Operator::F32x4Ge => self.vector_compare_float(F32X4, FloatCC::GreaterThanOrEqual),
            Operator::F64x2Eq => self.vector_compare_float(F64X2, FloatCC::Equal),
            Operator::F64x2Ne => self.vector_compare_float(F64X2, FloatCC::NotEqual),
            Operator::F64x2Lt => self.vector_compare_float(F64X2, FloatCC::LessThan),
            Operator::F64x2Gt => self.vector_compare_float(F64X2, FloatCC::GreaterThan),
            Operator::F64x2Le => self.vector_compare_float(F64X2, FloatCC::LessThanOrEqual),
            Operator::F64x2Ge => self.vector_compare_float(F64X2, FloatCC::GreaterThanOrEqual),

            Operator::V128Not => self.vector_unary(I8X16, |ins, x| ins.bnot(x)),
            Operator::V128And => self.vector_binary(I8X16, |ins, x, y| ins.band(x, y)),
            Operator::V128AndNot => self.vector_binary(I8X16, |ins, x, y| ins.band_not(x, y)),
            Operator::V128Or => self.vector_binary(I8X16, |ins, x, y| ins.bor(x, y)),
            Operator::V128Xor => self.vector_binary(I8X16, |ins, x, y| ins.bxor(x, y)),
            Operator::V128Bitselect => self.bit_select(),
            Operator::V128AnyTrue => self.vector_unary(I8X16, |ins, x| ins.vany_true(x)),
            Operator::I8x16AllTrue => self.vector_unary(I8X16, |ins, x| ins.vall_true(x)),
            Operator::I16x8AllTrue => self.vector_unary(I16X8, |ins, x| ins.vall_true(x)),
            Operator::I32x4AllTrue => self.vector_unary(I32X4, |ins, x| ins.vall_true(x)),
            Operator::I64x2AllTrue => self.vector_unary(I64X2, |ins, x| ins.vall_true(x)),
            Operator::I8x16Bitmask => self.vector_unary(I8X16, |ins, x| ins.vhigh_bits(I32, x)),
            Operator::I16x8Bitmask => self.vector_unary(I16X8, |ins, x| ins.vhigh_bits(I32, x)),
            Operator::I32x4Bitmask => self.vector_unary(I32X4, |ins, x| ins.vhigh_bits(I32, x)),
            Operator::I64x2Bitmask => self.vector_unary(I64X2, |ins, x| ins.vhigh_bits(I32, x)),

            Operator::I8x16Abs => self.vector_unary(I8X16, |ins, x| ins.iabs(x)),
            Operator::I8x16Neg => self.vector_unary(I8X16, |ins, x| ins.ineg(x)),
            Operator::I8x16Shl => self.vector_shift(I8X16, |ins, x, y| ins.ishl(x, y)),
            Operator::I8x16ShrS => self.vector_shift(I8X16, |ins, x, y| ins.sshr(x, y)),
            Operator::I8x16ShrU => self.vector_shift(I8X16, |ins, x, y| ins.ushr(x, y)),
            Operator::I8x16Add => self.vector_binary(I8X16, |ins, x, y| ins.iadd(x, y)),
            Operator::I8x16Sub => self.vector_binary(I8X16, |ins, x, y| ins.isub(x, y)),
            Operator::I8x16AddSatS => self.vector_binary(I8X16, |ins, x, y| ins.sadd_sat(x, y)),
            Operator::I8x16AddSatU => self.vector_binary(I8X16, |ins, x, y| ins.uadd_sat(x, y)),
            Operator::I8x16SubSatS => self.vector_binary(I8X16, |ins, x, y| ins.ssub_sat(x, y)),
            Operator::I8x16SubSatU => self.vector_binary(I8X16, |ins, x, y| ins.usub_sat(x, y)),
            Operator::I8x16AvgrU => self.vector_binary(I8X16, |ins, x, y| ins.avg_round(x, y)),
            Operator::I8x16MinS => self.vector_binary(I8X16, |ins, x, y| ins.smin(x, y)),
            Operator::I8x16MinU => self.vector_binary(I8X16, |ins, x, y| ins.umin(x, y)),
            Operator::I8x16MaxS => self.vector_binary(I8X16, |ins, x, y| ins.smax(x, y)),
            Operator::I8x16MaxU => self.vector_binary(I8X16, |ins, x, y| ins.umax(x, y)),
            Operator::I16x8Abs => self.vector_unary(I16X8, |ins, x| ins.iabs(x)),
            Operator::I16x8Neg => self.vector_unary(I16X8, |ins, x| ins.ineg(x)),
            Operator::I16x8Shl => self.vector_shift(I16X8, |ins, x, y| ins.ishl(x, y)),
            Operator::I16x8ShrS => self.vector_shift(I16X8, |ins, x, y| ins.sshr(x, y)),
            Operator::I16x8ShrU => self.vector_shift(I16X8, |ins, x, y| ins.ushr(x, y)),
            Operator::I16x8Add => self.vector_binary(I16X8, |ins, x, y| ins.iadd(x, y)),
            Operator::I16x8Sub => self.vector_binary(I16X8, |ins, x, y| ins.isub(x, y)),
            Operator::I16x8Mul => self.vector_binary(I16X8, |ins, x, y| ins.imul(x, y)),
            Operator::I16x8AddSatS => self.vector_binary(I16X8, |ins, x, y| ins.sadd_sat(x, y)),
            Operator::I16x8AddSatU => self.vector_binary(I16X8, |ins, x, y| ins.uadd_sat(x, y)),
            Operator::I16x8SubSatS => self.vector_binary(I16X8, |ins, x, y| ins.ssub_sat(x, y)),
            Operator::I16x8SubSatU => self.vector_binary(I16X8, |ins, x, y| ins.usub_sat(x, y)),
            Operator::I16x8AvgrU => self.vector_binary(I16X8, |ins, x, y| ins.avg_round(x, y)),
            Operator::I16x8MinS => self.vector_binary(I16X8, |ins, x, y| ins.smin(x, y)),
            Operator::I16x8MinU => self.vector_binary(I16X8, |ins, x, y| ins.umin(x, y)),
            Operator::I16x8MaxS => self.vector_binary(I16X8, |ins, x, y| ins.smax(x, y)),
            Operator::I16x8MaxU => self.vector_binary(I16X8, |ins, x, y| ins.umax(x, y)),
            Operator::I32x4Abs => self.vector_unary(I32X4, |ins, x| ins.iabs(x)),
            Operator::I32x4Neg => self.vector_unary(I32X4, |ins, x| ins.ineg(x)),
            Operator::I32x4Shl => self.vector_shift(I32X4, |ins, x, y| ins.ishl(x, y)),
            Operator::I32x4ShrS => self.vector_shift(I32X4, |ins, x, y| ins.sshr(x, y)),
            Operator::I32x4ShrU => self.vector_shift(I32X4, |ins, x, y| ins.ushr(x, y)),
            Operator::I32x4Add => self.vector_binary(I32X4, |ins, x, y| ins.iadd(x, y)),
            Operator::I32x4Sub => self.vector_binary(I32X4, |ins, x, y| ins.isub(x, y)),
            Operator::I32x4Mul => self.vector_binary(I32X4, |ins, x, y| ins.imul(x, y)),
            Operator::I32x4MinS => self.vector_binary(I32X4, |ins, x, y| ins.smin(x, y)),
            Operator::I32x4MinU => self.vector_binary(I32X4, |ins, x, y| ins.umin(x, y)),
            Operator::I32x4MaxS => self.vector_binary(I32X4, |ins, x, y| ins.smax(x, y)),
            Operator::I32x4MaxU => self.vector_binary(I32X4, |ins, x, y| ins.umax(x, y)),
            Operator::I64x2Abs => self.vector_unary(I64X2, |ins, x| ins.iabs(x)),
            Operator::I64x2Neg => self.vector_unary(I64X2, |ins, x| ins.ineg(x)),
            Operator::I64x2Shl => self.vector_shift(I64X2, |ins, x, y| ins.ishl(x, y)),
            Operator::I64x2ShrS => self.vector_shift(I64X2, |ins, x, y| ins.sshr(x, y)),
            Operator::I64x2ShrU => self.vector_shift(I64X2, |ins, x, y| ins.ushr(x, y)),
            Operator::I64x2Add => self.vector_binary(I64X2, |ins, x, y| ins.iadd(x, y)),
            Operator::I64x2Sub => self.vector_binary(I64X2, |ins, x, y| ins.isub(x, y)),
            Operator::I64x2Mul => self.vector_binary(I64X2, |ins, x, y| ins.imul(x, y)),
            Operator::I8x16Popcnt => self.vector_unary(I8X16, |ins, x| ins.popcnt(x)),
            Operator::I16x8Q15MulrSatS => self.vector_binary(I16X8, |ins, x, y| ins.sqmul_round_sat(x, y)),
            Operator::I32x4DotI16x8S => self.dot(),

            Operator::I8x16NarrowI16x8S => self.vector_binary(I16X8, |ins, x, y| ins.snarrow(x, y)),
            // Signed lanes in, unsigned lanes out.
            Operator::I8x16NarrowI16x8U => self.vector_binary(I16X8, |ins, x, y| ins.unarrow(x, y)),
            Operator::I16x8NarrowI32x4S => self.vector_binary(I32X4, |ins, x, y| ins.snarrow(x, y)),
            // Signed lanes in, unsigned lanes out.
            Operator::I16x8NarrowI32x4U => self.vector_binary(I32X4, |ins, x, y| ins.unarrow(x, y)),
            Operator::I16x8ExtendLowI8x16S => self.vector_unary(I8X16, |ins, x| ins.swiden_low(x)),
            Operator::I16x8ExtendLowI8x16U => self.vector_unary(I8X16, |ins, x| ins.uwiden_low(x)),
            Operator::I16x8ExtendHighI8x16S => self.vector_unary(I8X16, |ins, x| ins.swiden_high(x)),
            Operator::I16x8ExtendHighI8x16U => self.vector_unary(I8X16, |ins, x| ins.uwiden_high(x)),
            Operator::I32x4ExtendLowI16x8S => self.vector_unary(I16X8, |ins, x| ins.swiden_low(x)),
            Operator::I32x4ExtendLowI16x8U => self.vector_unary(I16X8, |ins, x| ins.uwiden_low(x)),
            Operator::I32x4ExtendHighI16x8S => self.vector_unary(I16X8, |ins, x| ins.swiden_high(x)),
            Operator::I32x4ExtendHighI16x8U => self.vector_unary(I16X8, |ins, x| ins.uwiden_high(x)),
            Operator::I64x2ExtendLowI32x4S => self.vector_unary(I32X4, |ins, x| ins.swiden_low(x)),
            Operator::I64x2ExtendLowI32x4U => self.vector_unary(I32X4, |ins, x| ins.uwiden_low(x)),
            Operator::I64x2ExtendHighI32x4S => self.vector_unary(I32X4, |ins, x| ins.swiden_high(x)),
            Operator::I64x2ExtendHighI32x4U => self.vector_unary(I32X4, |ins, x| ins.uwiden_high(x)),
            Operator::I16x8ExtAddPairwiseI8x16S => self.add_pairwise(I8X16, Extend::Signed),
            Operator::I16x8ExtAddPairwiseI8x16U => self.add_pairwise(I8X16, Extend::Unsigned),
            Operator::I32x4ExtAddPairwiseI16x8S => self.add_pairwise(I16X8, Extend::Signed),
            Operator::I32x4ExtAddPairwiseI16x8U => self.add_pairwise(I16X8, Extend::Unsigned),
            Operator::I16x8ExtMulLowI8x16S => self.multiply_half(I8X16, Half::Low, Extend::Signed),
            Operator::I16x8ExtMulLowI8x16U => self.multiply_half(I8X16, Half::Low, Extend::Unsigned),
            Operator::I16x8ExtMulHighI8x16S => self.multiply_half(I8X16, Half::High, Extend::Signed),
            Operator::I16x8ExtMulHighI8x16U => self.multiply_half(I8X16, Half::High, Extend::Unsigned),
            Operator::I32x4ExtMulLowI16x8S => self.multiply_half(I16X8, Half::Low, Extend::Signed),
            Operator::I32x4ExtMulLowI16x8U => self.multiply_half(I16X8, Half::Low, Extend::Unsigned),
            Operator::I32x4ExtMulHighI16x8S => self.multiply_half(I16X8, Half::High, Extend::Signed),
            Operator::I32x4ExtMulHighI16x8U => self.multiply_half(I16X8, Half::High, Extend::Unsigned),
            Operator::I64x2ExtMulLowI32x4S => self.multiply_half(I32X4, Half::Low, Extend::Signed),
            Operator::I64x2ExtMulLowI32x4U => self.multiply_half(I32X4, Half::Low, Extend::Unsigned),
            Operator::I64x2ExtMulHighI32x4S => self.multiply_half(I32X4, Half::High, Extend::Signed),
            Operator::I64x2ExtMulHighI32x4U => self.multiply_half(I32X4, Half::High, Extend::Unsigned),

            Operator::F32x4Abs => self.vector_unary(F32X4, |ins, x| ins.fabs(x)),
            Operator::F32x4Neg => self.vector_unary(F32X4, |ins, x| ins.fneg(x)),
            Operator::F32x4Ceil => self.vector_unary(F32X4, |ins, x| ins.ceil(x)),
            Operator::F32x4Floor => self.vector_unary(F32X4, |ins, x| ins.floor(x)),
            Operator::F32x4Trunc => self.vector_unary(F32X4, |ins, x| ins.trunc(x)),
            Operator::F32x4Nearest => self.vector_unary(F32X4, |ins, x| ins.nearest(x)),
            Operator::F32x4Sqrt => self.vector_unary(F32X4, |ins, x| ins.sqrt(x)),
            Operator::F32x4Add => self.vector_binary(F32X4, |ins, x, y| ins.fadd(x, y)),
            Operator::F32x4Sub => self.vector_binary(F32X4, |ins, x, y| ins.fsub(x, y)),
            Operator::F32x4Mul => self.vector_binary(F32X4, |ins, x, y| ins.fmul(x, y)),
            Operator::F32x4Div => self.vector_binary(F32X4, |ins, x, y| ins.fdiv(x, y)),
            Operator::F32x4Min => self.vector_binary(F32X4, |ins, x, y| ins.fmin(x, y)),
            Operator::F32x4Max => self.vector_binary(F32X4, |ins, x, y| ins.fmax(x, y)),
            Operator::F32x4PMin => self.pseudo_min(F32X4),
            Operator::F32x4PMax => self.pseudo_max(F32X4),
            Operator::F64x2Abs => self.vector_unary(F64X2, |ins, x| ins.fabs(x)),
            Operator::F64x2Neg => self.vector_unary(F64X2, |ins, x| ins.fneg(x)),
            Operator::F64x2Ceil => self.vector_unary(F64X2, |ins, x| ins.ceil(x)),
            Operator::F64x2Floor => self.vector_unary(F64X2, |ins, x| ins.floor(x)),
            Operator::F64x2Trunc => self.vector_unary(F64X2, |ins, x| ins.trunc(x)),
            Operator::F64x2Nearest => self.vector_unary(F64X2, |ins, x| ins.nearest(x)),
            Operator::F64x2Sqrt => self.vector_unary(F64X2, |ins, x| ins.sqrt(x)),
            Operator::F64x2Add => self.vector_binary(F64X2, |ins, x, y| ins.fadd(x, y)),
            Operator::F64x2Sub => self.vector_binary(F64X2, |ins, x, y| ins.fsub(x, y)),
            Operator::F64x2Mul => self.vector_binary(F64X2, |ins, x, y| ins.fmul(x, y)),
            Operator::F64x2Div => self.vector_binary(F64X2, |ins, x, y| ins.fdiv(x, y)),
            Operator::F64x2Min => self.vector_binary(F64X2, |ins, x, y| ins.fmin(x, y)),
            Operator::F64x2Max => self.vector_binary(F64X2, |ins, x, y| ins.fmax(x, y)),
            Operator::F64x2PMin => self.pseudo_min(F64X2),
            Operator::F64x2PMax => self.pseudo_max(F64X2),

            Operator::I32x4TruncSatF32x4S => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_sint_sat(I32X4, x)),
            Operator::I32x4TruncSatF32x4U => self.vector_unary(F32X4, |ins, x| ins.fcvt_to_uint_sat(I32X4, x)),
            Operator::F32x4ConvertI32x4S => self.vector_unary(I32X4, |ins, x| ins.fcvt_from_sint(F32X4, x)),
            Operator::F32x4ConvertI32x4U => self.vector_unary(I32X4, |ins, x| ins.fcvt_from_uint(F32X4, x)),
            Operator::I32x4TruncSatF64x2SZero => self.truncate_double(Extend::Signed),
            Operator::I32x4TruncSatF64x2UZero => self.truncate_double(Extend::Unsigned),
            Operator::F64x2ConvertLowI32x4S => self.convert_low(Extend::Signed),
            Operator::F64x2ConvertLowI32x4U => self.convert_low(Extend::Unsigned),
            Operator::F32x4DemoteF64x2Zero => self.vector_unary(F64X2, |ins, x| ins.fvdemote(x)),
            Operator::F64x2PromoteLowF32x4 => self.vector_unary(F32X4, |ins, x| ins.fvpromote_low(x)),

            other => return self.relaxed(other),
        }
        Ok(())
    }

    pub(super) fn vector_unary(&mut self, ty: Type, operation: impl FnOnce(FuncInstBuilder<'_, 'b>, Value) -> Value) {
        let operand = self.pop_vector(ty);
        let value = operation(self.ins(), operand);
        self.push(value);
    }

    pub(super) fn vector_binary(
        &mut self,
        ty: Type,
        operation: impl FnOnce(FuncInstBuilder<'_, 'b>, Value, Value) -> Value,
    ) {
        let right = self.pop_vector(ty);
        let left = self.pop_vector(ty);
        let value = operation(self.ins(), left, right);
        self.push(value);
    }

    /// Shifts all lanes by an i32, modulo the lane's width.
    fn vector_shift(&mut self, ty: Type, operation: impl FnOnce(FuncInstBuilder<'_, 'b>, Value, Value) -> Value) {
        let amount = self.pop();
        let vector = self.pop_vector(ty);
        let value = operation(self.ins(), vector, amount);
        self.push(value);
    }

    fn vector_compare(&mut self, ty: Type, condition: IntCC) {
        self.vector_binary(ty, |ins, x, y| ins.icmp(condition, x, y));
    }

    fn vector_compare_float(&mut self, ty: Type, condition: FloatCC) {
        self.vector_binary(ty, |ins, x, y| ins.fcmp(condition, x, y));
    }

    fn splat(&mut self, ty: Type) {
        self.unary(|ins, lane| ins.splat(ty, lane));
    }

    /// A splat of an i32's lowest bits.
    fn splat_narrow(&mut self, ty: Type) {
        let lane = self.pop();
        let lane = self.ins().ireduce(ty.lane_type(), lane);
        let value = self.ins().splat(ty, lane);
        self.push(value);
    }

    fn extract_lane(&mut self, ty: Type, lane: u8) {
        self.vector_unary(ty, |ins, x| ins.extractlane(x, lane));
    }

    fn extract_lane_extend(&mut self, ty: Type, lane: u8, extend: Extend) {
        let vector = self.pop_vector(ty);
        let narrow = self.ins().extractlane(vector, lane);
        let value = match extend {
            Extend::Signed => self.ins().sextend(I32, narrow),
            Extend::Unsigned => self.ins().uextend(I32, narrow),
        };
        self.push(value);
    }

    fn replace_lane(&mut self, ty: Type, lane: u8) {
        let mut scalar = self.pop();
        if ty.lane_bits() < 32 {
            scalar = self.ins().ireduce(ty.lane_type(), scalar);
        }
        let vector = self.pop_vector(ty);
        let value = self.ins().insertlane(vector, scalar, lane);
        self.push(value);
    }

    /// `(a & mask) | (b & !mask)`, the mask on top.
    pub(super) fn bit_select(&mut self) {
        let mask = self.pop_vector(I8X16);
        let right = self.pop_vector(I8X16);
        let left = self.pop_vector(I8X16);
        let value = self.ins().bitselect(mask, left, right);
        self.push(value);
    }

    fn widen(&mut self, half: Half, extend: Extend, vector: Value) -> Value {
        let ins = self.ins();
        match (half, extend) {
            (Half::Low, Extend::Signed) => ins.swiden_low(vector),
            (Half::Low, Extend::Unsigned) => ins.uwiden_low(vector),
            (Half::High, Extend::Signed) => ins.swiden_high(vector),
            (Half::High, Extend::Unsigned) => ins.uwiden_high(vector),
        }
    }

    fn add_pairwise(&mut self, ty: Type, extend: Extend) {
        let vector = self.pop_vector(ty);
        let low = self.widen(Half::Low, extend, vector);
        let high = self.widen(Half::High, extend, vector);
        let value = self.ins().iadd_pairwise(low, high);
        self.push(value);
    }

    fn multiply_half(&mut self, ty: Type, half: Half, extend: Extend) {
        let right = self.pop_vector(ty);
        let left = self.pop_vector(ty);
        let left = self.widen(half, extend, left);
        let right = self.widen(half, extend, right);
        let value = self.ins().imul(left, right);
        self.push(value);
    }

    fn dot(&mut self) {
        let right = self.pop_vector(I16X8);
        let left = self.pop_vector(I16X8);
        let [low, high] = [Half::Low, Half::High].map(|half| {
            let left = self.widen(half, Extend::Signed, left);
            let right = self.widen(half, Extend::Signed, right);
            self.ins().imul(left, right)
        });
        let value = self.ins().iadd_pairwise(low, high);
        self.push(value);
    }

    /// `b < a ? b : a` in every lane.
    pub(super) fn pseudo_min(&mut self, ty: Type) {
        let right = self.pop_vector(ty);
        let left = self.pop_vector(ty);
        let less = self.ins().fcmp(FloatCC::LessThan, right, left);
        self.select_lanes(ty, less, right, left);
    }

    /// `a < b ? b : a` in every lane.
    pub(super) fn pseudo_max(&mut self, ty: Type) {
        let right = self.pop_vector(ty);
        let left = self.pop_vector(ty);
        let less = self.ins().fcmp(FloatCC::LessThan, left, right);
        self.select_lanes(ty, less, right, left);
    }

    fn select_lanes(&mut self, ty: Type, mask: Value, yes: Value, no: Value) {
        let mask = self.cast_vector(ty, mask);
        let value = self.ins().bitselect(mask, yes, no);
        self.push(value);
    }

    /// Two doubles to two integers of 32 bits with saturation, and two zeros.
    pub(super) fn truncate_double(&mut self, extend: Extend) {
        let vector = self.pop_vector(F64X2);
        // The code generator knows this pair of instructions, with a constant of just this type.
        let zero = self.e.b.func.dfg.constants.insert(ConstantData::from(&[0; 16][..]));
        let zero = self.ins().vconst(I64X2, zero);
        let value = match extend {
            Extend::Signed => {
                let wide = self.ins().fcvt_to_sint_sat(I64X2, vector);
                self.ins().snarrow(wide, zero)
            }
            Extend::Unsigned => {
                let wide = self.ins().fcvt_to_uint_sat(I64X2, vector);
                self.ins().uunarrow(wide, zero)
            }
        };
        self.push(value);
    }

    /// The two low integers of 32 bits to doubles.
    fn convert_low(&mut self, extend: Extend) {
        let vector = self.pop_vector(I32X4);
        let wide = self.widen(Half::Low, extend, vector);
        let value = match extend {
            Extend::Signed => self.ins().fcvt_from_sint(F64X2, wide),
            Extend::Unsigned => self.ins().fcvt_from_uint(F64X2, wide),
        };
        self.push(value);
    }
}
