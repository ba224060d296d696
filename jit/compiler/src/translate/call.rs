//! Calls.

use super::Translator;
use crate::compile::ImportLinkage;
use crate::error::CompileError;
use cranelift_codegen::ir::{Inst, InstBuilder, SigRef, Value};
use wave_contract::abi::results_in_registers;
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
        let (signature, code) = self.indirect_callee(ty_index, table)?;
        let call = self.e.b.ins().call_indirect(signature, code, self.values);
        let env = self.e.env;
        let throws = env.throwing.indirect(env.options.signatures[ty_index as usize]);
        self.push_results(call, env.ty(ty_index), throws);
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
        let (signature, code) = self.indirect_callee(ty_index, table)?;
        self.e.b.ins().return_call_indirect(signature, code, self.values);
        self.set_dead();
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
