//! Calls.

use super::Translator;
use crate::compile::ImportLinkage;
use crate::emit::{Emitter, clif_type, trap_code};
use crate::error::CompileError;
use cranelift_codegen::ir::types::I32;
use cranelift_codegen::ir::{BlockArg, Inst, InstBuilder, SigRef, Value};
use wave_contract::abi::results_in_registers;
use wave_contract::libcall::Libcall;
use wave_contract::trap::TrapCode;
use wave_contract::types::FuncType;

impl Translator<'_, '_> {
    /// Moves the arguments of a call from the stack behind what is in `self.values`.
    fn take_arguments(&mut self, ty: &FuncType) -> Result<(), CompileError> {
        self.charge(ty.params.len() + ty.results.len() + 1)?;
        let height = self.settle_top(ty.params.len());
        self.values.extend(self.stack.drain(height..));
        Ok(())
    }

    /// Pushes the results of a guest call, which may have taken fuel and may have thrown.
    fn push_results(&mut self, call: Inst, ty: &FuncType, throws: bool) {
        if results_in_registers(ty) {
            self.stack.extend_from_slice(self.e.b.inst_results(call));
        } else {
            self.e.load_results(&ty.results, self.stack);
        }
        self.reload_counter();
        if throws {
            self.look_for_exception();
        }
    }

    pub(super) fn call(&mut self, function: u32) -> Result<(), CompileError> {
        let ty = self.e.env.function_type(function);
        self.values.clear();
        match self.e.env.linkage(function) {
            None => {
                self.e.leading_arguments(self.e.context(), self.values);
                self.take_arguments(ty)?;
                let callee = self.e.function(function);
                let call = self.e.b.ins().call(callee, self.values);
                self.push_results(call, ty, self.e.env.throwing.function(function));
            }
            Some(ImportLinkage::Guest) => {
                let (code, context) = self.e.guest_import(function);
                self.e.leading_arguments(context, self.values);
                self.take_arguments(ty)?;
                let signature = self.e.guest(self.e.env.function_type_index(function));
                let call = self.e.b.ins().call_indirect(signature, code, self.values);
                self.push_results(call, ty, self.e.env.throwing.function(function));
            }
            Some(ImportLinkage::Host) => {
                self.values.push(self.e.context());
                self.take_arguments(ty)?;
                self.e.host_call(function, self.values, false, self.stack);
            }
        }
        Ok(())
    }

    pub(super) fn call_indirect(&mut self, ty_index: u32, table: u32) -> Result<(), CompileError> {
        if self.has_subtypes(ty_index) {
            return self.call_subtype(ty_index, table, false);
        }
        let (signature, code) = self.indirect_callee(ty_index, table)?;
        let call = self.e.b.ins().call_indirect(signature, code, self.values);
        self.push_results(call, self.e.env.ty(ty_index), self.may_throw(ty_index));
        Ok(())
    }

    pub(super) fn return_call(&mut self, function: u32) -> Result<(), CompileError> {
        let ty = self.e.env.function_type(function);
        self.values.clear();
        // An import's thunk is a function of this module as well.
        self.e.leading_arguments(self.e.context(), self.values);
        self.take_arguments(ty)?;
        let callee = self.e.function(function);
        self.e.b.ins().return_call(callee, self.values);
        self.set_dead();
        Ok(())
    }

    pub(super) fn return_call_indirect(&mut self, ty_index: u32, table: u32) -> Result<(), CompileError> {
        if self.has_subtypes(ty_index) {
            return self.call_subtype(ty_index, table, true);
        }
        let (signature, code) = self.indirect_callee(ty_index, table)?;
        self.e.b.ins().return_call_indirect(signature, code, self.values);
        self.set_dead();
        Ok(())
    }

    pub(super) fn call_ref(&mut self, ty_index: u32) -> Result<(), CompileError> {
        let (signature, code) = self.referenced_callee(ty_index)?;
        let call = self.e.b.ins().call_indirect(signature, code, self.values);
        self.push_results(call, self.e.env.ty(ty_index), self.may_throw(ty_index));
        Ok(())
    }

    pub(super) fn return_call_ref(&mut self, ty_index: u32) -> Result<(), CompileError> {
        let (signature, code) = self.referenced_callee(ty_index)?;
        self.e.b.ins().return_call_indirect(signature, code, self.values);
        self.set_dead();
        Ok(())
    }

    /// Takes reference and arguments of a call: the callee's signature and code, its arguments in `values`.
    fn referenced_callee(&mut self, ty_index: u32) -> Result<(SigRef, Value), CompileError> {
        let reference = self.pop();
        let (code, context) = self.e.referenced_function(ty_index, reference);
        self.values.clear();
        self.e.leading_arguments(context, self.values);
        self.take_arguments(self.e.env.ty(ty_index))?;
        Ok((self.e.guest(ty_index), code))
    }

    /// Whether a call through a table or reference may throw.
    fn may_throw(&self, ty_index: u32) -> bool {
        let env = self.e.env;
        env.throwing.indirect(env.options.signatures[ty_index as usize].shape)
    }

    fn has_subtypes(&self, ty_index: u32) -> bool {
        self.e.env.info.types.get(ty_index as usize).is_some_and(|ty| !ty.is_final)
    }

    /// An indirect call for which a function of a subtype will do. One of exactly the type is called as ever. For another, the
    /// runtime says whether it will do, and it is called by its reference.
    fn call_subtype(&mut self, ty_index: u32, table: u32, tail: bool) -> Result<(), CompileError> {
        let ty = self.e.env.ty(ty_index);
        let index = self.pop();
        self.values.clear();
        self.take_arguments(ty)?;
        let signature = self.e.guest(ty_index);
        let done = self.e.b.create_block();
        if results_in_registers(ty) {
            for &ty in &ty.results {
                self.e.b.append_block_param(done, clif_type(ty));
            }
        }
        let arguments = std::mem::take(self.values);
        let call = |e: &mut Emitter<'_, '_>, (code, context): (Value, Value)| {
            let mut all = Vec::with_capacity(arguments.len() + 1);
            e.leading_arguments(context, &mut all);
            all.extend_from_slice(&arguments);
            if tail {
                e.b.ins().return_call_indirect(signature, code, &all);
            } else {
                let call = e.b.ins().call_indirect(signature, code, &all);
                let results: Vec<_> = e.b.inst_results(call).iter().map(|&value| BlockArg::Value(value)).collect();
                e.b.ins().jump(done, &results);
            }
        };
        let exact = self.e.table_entry_or(table, ty_index, index, |e, index| {
            let table = e.b.ins().iconst(I32, i64::from(table));
            let reference = e.libcall(Libcall::TableGet, &[table, index]).expect("it gives a reference");
            let wanted = e.b.ins().iconst(I32, i64::from(ty_index));
            let fits = e.libcall(Libcall::FunctionIs, &[reference, wanted]).expect("it gives a number");
            e.b.ins().trapz(fits, trap_code(TrapCode::BadSignature));
            let callee = e.referenced_function(ty_index, reference);
            // Behind the other cold code, so that no jump leads back to it.
            if let Some(block) = e.b.current_block() {
                e.b.set_cold_block(block);
            }
            call(e, callee);
        });
        call(&mut self.e, exact);
        *self.values = arguments;
        self.e.b.seal_block(done);
        if tail {
            self.set_dead();
            return Ok(());
        }
        self.e.b.switch_to_block(done);
        if results_in_registers(ty) {
            self.stack.extend_from_slice(self.e.b.block_params(done));
        } else {
            self.e.load_results(&ty.results, self.stack);
        }
        self.reload_counter();
        if self.may_throw(ty_index) {
            self.look_for_exception();
        }
        Ok(())
    }

    /// Takes index and arguments of an indirect call: the callee's signature and code, its arguments in `values`.
    fn indirect_callee(&mut self, ty_index: u32, table: u32) -> Result<(SigRef, Value), CompileError> {
        let index = self.pop();
        let (code, context) = self.e.table_entry(table, ty_index, index);
        self.values.clear();
        self.e.leading_arguments(context, self.values);
        self.take_arguments(self.e.env.ty(ty_index))?;
        Ok((self.e.guest(ty_index), code))
    }
}
