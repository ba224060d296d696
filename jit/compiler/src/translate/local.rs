//! Locals and globals.

use super::{MAX_VARIABLE_BLOCKS, Shape, Translator};
use crate::error::CompileError;
use cranelift_codegen::ir::types::{F32, F64, I8X16, I64};
use cranelift_codegen::ir::{Block, ConstantData, InstBuilder, StackSlotData, StackSlotKind, Type, Value};
use cranelift_frontend::Variable;
use wave_contract::module::ConstOp;

/// Room for one local in the frame.
const SPILLED_BYTES: usize = 16;

impl Translator<'_, '_> {
    /// Gives every local its place and its first value. `params` of them come from the entry block.
    pub(super) fn define_locals(&mut self, entry: Block, params: usize, body_bytes: usize) {
        // A block takes three bytes at least, but few functions are all blocks.
        let blocks = body_bytes / 4 + 1;
        self.variables = match self.shape {
            Shape::Usual => self.locals.len().min((MAX_VARIABLE_BLOCKS / blocks).max(64)),
            Shape::Deep => 0,
        };
        for at in 0..self.variables {
            self.e.b.declare_var(self.locals[at]);
        }
        if self.variables < self.locals.len() {
            // At most 50,000 locals: below 1 MB.
            let size = u32::try_from((self.locals.len() - self.variables) * SPILLED_BYTES)
                .expect("a bounded number of locals");
            self.spilled =
                Some(self.e.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 4)));
        }
        let first = usize::from(self.e.env.passes_context());
        for at in 0..params {
            let value = self.e.b.block_params(entry)[first + at];
            self.write_local(at, value);
        }
        let mut zero: Option<(Type, Value)> = None;
        for at in params..self.locals.len() {
            let ty = self.locals[at];
            let value = match zero {
                Some((zero_ty, value)) if zero_ty == ty => value,
                _ => self.zero(ty),
            };
            zero = Some((ty, value));
            self.write_local(at, value);
        }
    }

    pub(super) fn zero(&mut self, ty: Type) -> Value {
        match ty {
            F32 => self.ins().f32const(0.0),
            F64 => self.ins().f64const(0.0),
            I8X16 => self.vector_constant(&[0; 16]),
            _ => self.ins().iconst(ty, 0),
        }
    }

    /// A constant vector.
    pub(super) fn vector_constant(&mut self, bytes: &[u8; 16]) -> Value {
        let constant = self.e.b.func.dfg.constants.insert(ConstantData::from(&bytes[..]));
        self.ins().vconst(I8X16, constant)
    }

    fn variable(&self, local: usize) -> Option<Variable> {
        (local < self.variables).then(|| Variable::from_u32(u32::try_from(local).expect("a bounded number of locals")))
    }

    fn spilled_offset(&self, local: usize) -> i32 {
        i32::try_from((local - self.variables) * SPILLED_BYTES).expect("a bounded number of locals")
    }

    fn write_local(&mut self, local: usize, value: Value) {
        if let Some(variable) = self.variable(local) {
            self.e.b.def_var(variable, value);
        } else if let Some(slot) = self.spilled {
            let offset = self.spilled_offset(local);
            self.ins().stack_store(I64, value, slot, offset);
        }
    }

    pub(super) fn local_get(&mut self, local: u32) {
        let local = local as usize;
        let value = match (self.variable(local), self.spilled) {
            (Some(variable), _) => self.e.b.use_var(variable),
            (None, Some(slot)) => {
                let (ty, offset) = (self.locals[local], self.spilled_offset(local));
                self.ins().stack_load(I64, ty, slot, offset)
            }
            (None, None) => unreachable!("validated: the local exists"),
        };
        self.push(value);
    }

    pub(super) fn local_set(&mut self, local: u32) {
        let value = self.pop();
        self.write_local(local as usize, value);
    }

    pub(super) fn local_tee(&mut self, local: u32) {
        let value = self.pop();
        self.push(value);
        self.write_local(local as usize, value);
    }

    pub(super) fn global_get(&mut self, global: u32) -> Result<(), CompileError> {
        let ty = self.e.env.info.globals[global as usize];
        let value = match self.constant_global(global) {
            Some(constant) if !ty.mutable => self.constant(constant)?,
            _ => self.e.load_global(global, ty.content),
        };
        self.push(value);
        Ok(())
    }

    /// The initial value of one of the module's own globals, if it is a plain number.
    fn constant_global(&self, global: u32) -> Option<ConstOp> {
        let info = self.e.env.info;
        match *info.global_inits.get(global.checked_sub(info.imported_globals)? as usize)?.as_slice() {
            [number @ (ConstOp::I32Const(_) | ConstOp::I64Const(_) | ConstOp::F32Const(_) | ConstOp::F64Const(_))] => {
                Some(number)
            }
            _ => None,
        }
    }

    fn constant(&mut self, number: ConstOp) -> Result<Value, CompileError> {
        Ok(match number {
            ConstOp::I32Const(value) => self.i32_constant(value),
            ConstOp::I64Const(value) => self.ins().iconst(I64, value),
            ConstOp::F32Const(bits) => self.f32_constant(bits),
            ConstOp::F64Const(bits) => self.f64_constant(bits),
            other => return Err(self.unsupported(format!("constant {other:?}"))),
        })
    }

    pub(super) fn global_set(&mut self, global: u32) {
        let value = self.pop();
        self.e.store_global(global, value);
    }
}
