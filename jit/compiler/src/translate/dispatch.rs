// The opcode match: long by nature, one line per operator.

//! Operators to the functions that translate them.

use super::Translator;
use super::control::Opening;
use super::fuel::ends_block;
use super::memory::Extend;
use crate::emit::trap_code;
use crate::error::CompileError;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, F64, I8, I16, I32, I64};
use wasmparser::Operator;
use wave_contract::libcall::Libcall;
use wave_contract::trap::TrapCode;

impl Translator<'_, '_> {
    /// Translates one operator, reachable or not.
    pub(super) fn operator(&mut self, operator: &Operator<'_>) -> Result<(), CompileError> {
        let Some(depth) = self.dead else {
            self.charge_operator(operator);
            self.reachable(operator)?;
            if ends_block(operator) {
                self.fuel = None;
            }
            return Ok(());
        };
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => self.dead = Some(depth + 1),
            Operator::End | Operator::Delegate { .. } if depth > 0 => self.dead = Some(depth - 1),
            Operator::End => self.end()?,
            Operator::Else if depth == 0 => self.otherwise(),
            Operator::Catch { tag_index } if depth == 0 => self.handler(Some(*tag_index))?,
            Operator::CatchAll if depth == 0 => self.handler(None)?,
            Operator::Delegate { relative_depth } => self.delegate(*relative_depth)?,
            _ => {}
        }
        Ok(())
    }

    fn reachable(&mut self, operator: &Operator<'_>) -> Result<(), CompileError> {
        match operator {
            Operator::Unreachable => {
                self.ins().trap(trap_code(TrapCode::Unreachable));
                self.set_dead();
            }
            Operator::Nop => {}
            Operator::Block { blockty } => self.open(Opening::Block, *blockty)?,
            Operator::Loop { blockty } => self.open(Opening::Loop, *blockty)?,
            Operator::If { blockty } => self.open(Opening::If, *blockty)?,
            Operator::Else => self.otherwise(),
            Operator::End => self.end()?,
            Operator::Br { relative_depth } => self.br(*relative_depth)?,
            Operator::BrIf { relative_depth } => self.br_if(*relative_depth)?,
            Operator::BrTable { targets } => self.br_table(targets)?,
            Operator::Return => self.return_(),
            Operator::Call { function_index } => self.call(*function_index)?,
            Operator::CallIndirect { type_index, table_index } => self.call_indirect(*type_index, *table_index)?,
            Operator::ReturnCall { function_index } => self.return_call(*function_index)?,
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.return_call_indirect(*type_index, *table_index)?
            }
            Operator::CallRef { type_index } => self.call_ref(*type_index)?,
            Operator::ReturnCallRef { type_index } => self.return_call_ref(*type_index)?,
            Operator::BrOnNull { relative_depth } => self.br_on_null(*relative_depth)?,
            Operator::BrOnNonNull { relative_depth } => self.br_on_non_null(*relative_depth)?,
            Operator::RefAsNonNull => self.ref_as_non_null(),

            Operator::TryTable { try_table } => self.open_try_table(try_table)?,
            Operator::Throw { tag_index } => self.throw(*tag_index)?,
            Operator::ThrowRef => self.throw_ref(),
            Operator::Try { blockty } => self.open_try(*blockty)?,
            Operator::Catch { tag_index } => self.handler(Some(*tag_index))?,
            Operator::CatchAll => self.handler(None)?,
            Operator::Rethrow { relative_depth } => self.rethrow(*relative_depth)?,
            Operator::Delegate { relative_depth } => self.delegate(*relative_depth)?,

            Operator::Drop => {
                self.pop_raw();
            }
            Operator::Select | Operator::TypedSelect { .. } => self.select(),
            Operator::LocalGet { local_index } => self.local_get(*local_index),
            Operator::LocalSet { local_index } => self.local_set(*local_index),
            Operator::LocalTee { local_index } => self.local_tee(*local_index),
            Operator::GlobalGet { global_index } => self.global_get(*global_index)?,
            Operator::GlobalSet { global_index } => self.global_set(*global_index),

            Operator::RefNull { .. } => self.ref_null(),
            Operator::RefIsNull => self.ref_is_null(),
            Operator::RefFunc { function_index } => self.libcall(Libcall::RefFunc, &[*function_index], 0),
            Operator::TableSize { table } => self.table_size(*table),
            Operator::TableGet { table } => self.libcall(Libcall::TableGet, &[*table], 1),
            Operator::TableSet { table } => self.libcall(Libcall::TableSet, &[*table], 2),
            Operator::TableGrow { table } => self.table_grow(*table),
            Operator::TableFill { table } => self.libcall(Libcall::TableFill, &[*table], 3),
            Operator::TableCopy { dst_table, src_table } => {
                self.libcall(Libcall::TableCopy, &[*dst_table, *src_table], 3)
            }
            Operator::TableInit { elem_index, table } => self.libcall(Libcall::TableInit, &[*elem_index, *table], 3),
            Operator::ElemDrop { elem_index } => self.libcall(Libcall::ElemDrop, &[*elem_index], 0),

            Operator::MemorySize { mem } => self.memory_size(*mem),
            Operator::MemoryGrow { mem } => self.memory_grow(*mem),
            Operator::MemoryCopy { dst_mem, src_mem } => self.libcall(Libcall::MemoryCopy, &[*dst_mem, *src_mem], 3),
            Operator::MemoryFill { mem } => self.libcall(Libcall::MemoryFill, &[*mem], 3),
            Operator::MemoryInit { data_index, mem } => self.libcall(Libcall::MemoryInit, &[*data_index, *mem], 3),
            Operator::DataDrop { data_index } => self.libcall(Libcall::DataDrop, &[*data_index], 0),
            Operator::I32Load { memarg } => self.load(I32, memarg),
            Operator::I64Load { memarg } => self.load(I64, memarg),
            Operator::F32Load { memarg } => self.load(F32, memarg),
            Operator::F64Load { memarg } => self.load(F64, memarg),
            Operator::I32Load8S { memarg } => self.load_extend(I32, I8, Extend::Signed, memarg),
            Operator::I32Load8U { memarg } => self.load_extend(I32, I8, Extend::Unsigned, memarg),
            Operator::I32Load16S { memarg } => self.load_extend(I32, I16, Extend::Signed, memarg),
            Operator::I32Load16U { memarg } => self.load_extend(I32, I16, Extend::Unsigned, memarg),
            Operator::I64Load8S { memarg } => self.load_extend(I64, I8, Extend::Signed, memarg),
            Operator::I64Load8U { memarg } => self.load_extend(I64, I8, Extend::Unsigned, memarg),
            Operator::I64Load16S { memarg } => self.load_extend(I64, I16, Extend::Signed, memarg),
            Operator::I64Load16U { memarg } => self.load_extend(I64, I16, Extend::Unsigned, memarg),
            Operator::I64Load32S { memarg } => self.load_extend(I64, I32, Extend::Signed, memarg),
            Operator::I64Load32U { memarg } => self.load_extend(I64, I32, Extend::Unsigned, memarg),
            Operator::I32Store { memarg }
            | Operator::I64Store { memarg }
            | Operator::F32Store { memarg }
            | Operator::F64Store { memarg } => self.store(memarg),
            Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => self.store_narrow(I8, memarg),
            Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => self.store_narrow(I16, memarg),
            Operator::I64Store32 { memarg } => self.store_narrow(I32, memarg),

            Operator::I32Const { value } => {
                let value = self.i32_constant(*value);
                self.push(value);
            }
            Operator::I64Const { value } => {
                let value = self.i64_constant(*value);
                self.push(value);
            }
            Operator::F32Const { value } => {
                let value = self.f32_constant(value.bits());
                self.push(value);
            }
            Operator::F64Const { value } => {
                let value = self.f64_constant(value.bits());
                self.push(value);
            }
            Operator::I32Eqz | Operator::I64Eqz => self.is_zero(),
            Operator::I32Eq | Operator::I64Eq => self.compare(IntCC::Equal),
            Operator::I32Ne | Operator::I64Ne => self.compare(IntCC::NotEqual),
            Operator::I32LtS | Operator::I64LtS => self.compare(IntCC::SignedLessThan),
            Operator::I32LtU | Operator::I64LtU => self.compare(IntCC::UnsignedLessThan),
            Operator::I32GtS | Operator::I64GtS => self.compare(IntCC::SignedGreaterThan),
            Operator::I32GtU | Operator::I64GtU => self.compare(IntCC::UnsignedGreaterThan),
            Operator::I32LeS | Operator::I64LeS => self.compare(IntCC::SignedLessThanOrEqual),
            Operator::I32LeU | Operator::I64LeU => self.compare(IntCC::UnsignedLessThanOrEqual),
            Operator::I32GeS | Operator::I64GeS => self.compare(IntCC::SignedGreaterThanOrEqual),
            Operator::I32GeU | Operator::I64GeU => self.compare(IntCC::UnsignedGreaterThanOrEqual),
            Operator::F32Eq | Operator::F64Eq => self.compare_float(FloatCC::Equal),
            Operator::F32Ne | Operator::F64Ne => self.compare_float(FloatCC::NotEqual),
            Operator::F32Lt | Operator::F64Lt => self.compare_float(FloatCC::LessThan),
            Operator::F32Gt | Operator::F64Gt => self.compare_float(FloatCC::GreaterThan),
            Operator::F32Le | Operator::F64Le => self.compare_float(FloatCC::LessThanOrEqual),
            Operator::F32Ge | Operator::F64Ge => self.compare_float(FloatCC::GreaterThanOrEqual),
            Operator::I32Clz | Operator::I64Clz => self.unary(|ins, x| ins.clz(x)),
            Operator::I32Ctz | Operator::I64Ctz => self.unary(|ins, x| ins.ctz(x)),
            Operator::I32Popcnt | Operator::I64Popcnt => self.unary(|ins, x| ins.popcnt(x)),
            Operator::I32Add | Operator::I64Add => self.binary(|ins, x, y| ins.iadd(x, y)),
            Operator::I32Sub | Operator::I64Sub => self.binary(|ins, x, y| ins.isub(x, y)),
            Operator::I32Mul | Operator::I64Mul => self.binary(|ins, x, y| ins.imul(x, y)),
            Operator::I32DivS | Operator::I64DivS => self.binary(|ins, x, y| ins.sdiv(x, y)),
            Operator::I32DivU | Operator::I64DivU => self.binary(|ins, x, y| ins.udiv(x, y)),
            Operator::I32RemS | Operator::I64RemS => self.binary(|ins, x, y| ins.srem(x, y)),
            Operator::I32RemU | Operator::I64RemU => self.binary(|ins, x, y| ins.urem(x, y)),
            Operator::I32And | Operator::I64And => self.binary(|ins, x, y| ins.band(x, y)),
            Operator::I32Or | Operator::I64Or => self.binary(|ins, x, y| ins.bor(x, y)),
            Operator::I32Xor | Operator::I64Xor => self.binary(|ins, x, y| ins.bxor(x, y)),
            Operator::I32Shl | Operator::I64Shl => self.binary(|ins, x, y| ins.ishl(x, y)),
            Operator::I32ShrS | Operator::I64ShrS => self.binary(|ins, x, y| ins.sshr(x, y)),
            Operator::I32ShrU | Operator::I64ShrU => self.binary(|ins, x, y| ins.ushr(x, y)),
            Operator::I32Rotl | Operator::I64Rotl => self.binary(|ins, x, y| ins.rotl(x, y)),
            Operator::I32Rotr | Operator::I64Rotr => self.binary(|ins, x, y| ins.rotr(x, y)),
            Operator::F32Abs | Operator::F64Abs => self.unary(|ins, x| ins.fabs(x)),
            Operator::F32Neg | Operator::F64Neg => self.unary(|ins, x| ins.fneg(x)),
            Operator::F32Ceil | Operator::F64Ceil => self.unary(|ins, x| ins.ceil(x)),
            Operator::F32Floor | Operator::F64Floor => self.unary(|ins, x| ins.floor(x)),
            Operator::F32Trunc | Operator::F64Trunc => self.unary(|ins, x| ins.trunc(x)),
            Operator::F32Nearest | Operator::F64Nearest => self.unary(|ins, x| ins.nearest(x)),
            Operator::F32Sqrt | Operator::F64Sqrt => self.unary(|ins, x| ins.sqrt(x)),
            Operator::F32Add | Operator::F64Add => self.binary(|ins, x, y| ins.fadd(x, y)),
            Operator::F32Sub | Operator::F64Sub => self.binary(|ins, x, y| ins.fsub(x, y)),
            Operator::F32Mul | Operator::F64Mul => self.binary(|ins, x, y| ins.fmul(x, y)),
            Operator::F32Div | Operator::F64Div => self.binary(|ins, x, y| ins.fdiv(x, y)),
            Operator::F32Min | Operator::F64Min => self.binary(|ins, x, y| ins.fmin(x, y)),
            Operator::F32Max | Operator::F64Max => self.binary(|ins, x, y| ins.fmax(x, y)),
            Operator::F32Copysign | Operator::F64Copysign => self.binary(|ins, x, y| ins.fcopysign(x, y)),
            Operator::I32WrapI64 => self.unary(|ins, x| ins.ireduce(I32, x)),
            Operator::I64ExtendI32S => self.unary(|ins, x| ins.sextend(I64, x)),
            Operator::I64ExtendI32U => self.unary(|ins, x| ins.uextend(I64, x)),
            Operator::I32TruncF32S | Operator::I32TruncF64S => self.unary(|ins, x| ins.fcvt_to_sint(I32, x)),
            Operator::I32TruncSatF32S | Operator::I32TruncSatF64S => self.unary(|ins, x| ins.fcvt_to_sint_sat(I32, x)),
            Operator::I32TruncF32U | Operator::I32TruncF64U => self.unary(|ins, x| ins.fcvt_to_uint(I32, x)),
            Operator::I32TruncSatF32U | Operator::I32TruncSatF64U => self.unary(|ins, x| ins.fcvt_to_uint_sat(I32, x)),
            Operator::I64TruncF32S | Operator::I64TruncF64S => self.unary(|ins, x| ins.fcvt_to_sint(I64, x)),
            Operator::I64TruncSatF32S | Operator::I64TruncSatF64S => self.unary(|ins, x| ins.fcvt_to_sint_sat(I64, x)),
            Operator::I64TruncF32U | Operator::I64TruncF64U => self.unary(|ins, x| ins.fcvt_to_uint(I64, x)),
            Operator::I64TruncSatF32U | Operator::I64TruncSatF64U => self.unary(|ins, x| ins.fcvt_to_uint_sat(I64, x)),
            Operator::F32ConvertI32S | Operator::F32ConvertI64S => self.unary(|ins, x| ins.fcvt_from_sint(F32, x)),
            Operator::F32ConvertI32U | Operator::F32ConvertI64U => self.unary(|ins, x| ins.fcvt_from_uint(F32, x)),
            Operator::F64ConvertI32S | Operator::F64ConvertI64S => self.unary(|ins, x| ins.fcvt_from_sint(F64, x)),
            Operator::F64ConvertI32U | Operator::F64ConvertI64U => self.unary(|ins, x| ins.fcvt_from_uint(F64, x)),
            Operator::F32DemoteF64 => self.unary(|ins, x| ins.fdemote(F32, x)),
            Operator::F64PromoteF32 => self.unary(|ins, x| ins.fpromote(F64, x)),
            Operator::I32ReinterpretF32 => self.reinterpret(I32),
            Operator::I64ReinterpretF64 => self.reinterpret(I64),
            Operator::F32ReinterpretI32 => self.reinterpret(F32),
            Operator::F64ReinterpretI64 => self.reinterpret(F64),
            Operator::I32Extend8S => self.extend_low(I8, I32),
            Operator::I32Extend16S => self.extend_low(I16, I32),
            Operator::I64Extend8S => self.extend_low(I8, I64),
            Operator::I64Extend16S => self.extend_low(I16, I64),
            Operator::I64Extend32S => self.extend_low(I32, I64),

            Operator::I64Add128 => self.binary_128(|ins, x, y| ins.iadd(x, y)),
            Operator::I64Sub128 => self.binary_128(|ins, x, y| ins.isub(x, y)),
            Operator::I64MulWideS => self.multiply_wide(Extend::Signed),
            Operator::I64MulWideU => self.multiply_wide(Extend::Unsigned),

            other if self.atomic(other) => {}
            other if self.object(other)? => {}
            other => return self.vector(other),
        }
        Ok(())
    }
}
