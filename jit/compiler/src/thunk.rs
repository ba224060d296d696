//! Small functions around the module's own: imports in guest convention, entries from the host.

use crate::compile::ImportLinkage;
use crate::emit::{ENTRIES, EmitScratch, Emitter, Environment, FUNCTIONS};
use crate::error::CompileError;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, Function, InstBuilder, Signature, UserFuncName};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use wave_contract::abi::results_in_registers;
use wave_contract::types::ValType;

/// Builds the guest function that stands for an import: in tables, exports and tail calls.
pub(crate) fn import<'a>(
    env: &'a Environment<'a>,
    function: u32,
    linkage: ImportLinkage,
    func: &'a mut Function,
    builders: &'a mut FunctionBuilderContext,
    scratch: &'a mut EmitScratch,
    config: TargetFrontendConfig,
) -> Result<(), CompileError> {
    let ty = env.function_type(function);
    if linkage == ImportLinkage::Host && ty.params.contains(&ValType::V128) {
        return Err(CompileError::Unsupported {
            what: format!("host function with a vector parameter: {ty}"),
            offset: 0,
        });
    }
    func.name = UserFuncName::user(FUNCTIONS, function);
    func.signature = env.guest_signature(ty);
    let mut b = FunctionBuilder::new(func, builders);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let params = b.block_params(entry).to_vec();
    let own = &params[usize::from(env.passes_context())..];
    let mut emit = Emitter::new(env, b, params.first().copied(), scratch);

    let mut arguments = Vec::with_capacity(params.len() + 1);
    match linkage {
        ImportLinkage::Guest => {
            let (code, context) = emit.guest_import(function);
            emit.leading_arguments(context, &mut arguments);
            arguments.extend_from_slice(own);
            let signature = emit.guest(env.function_type_index(function));
            emit.b.ins().return_call_indirect(signature, code, &arguments);
        }
        ImportLinkage::Host => {
            arguments.push(emit.context());
            arguments.extend_from_slice(own);
            let mut results = Vec::new();
            // When the thunk's own results belong there as well, they stay.
            let leave = !results_in_registers(ty);
            emit.host_call(function, &arguments, leave, &mut results);
            emit.b.ins().return_(&results);
        }
    }
    emit.b.finalize(config);
    Ok(())
}

/// Builds the entry thunk for guest functions of a type.
pub(crate) fn entry<'a>(
    env: &'a Environment<'a>,
    number: u32,
    ty_index: u32,
    func: &'a mut Function,
    builders: &'a mut FunctionBuilderContext,
    scratch: &'a mut EmitScratch,
    config: TargetFrontendConfig,
) {
    let ty = env.ty(ty_index);
    func.name = UserFuncName::user(ENTRIES, number);
    func.signature = Signature::new(CallConv::SystemV);
    func.signature.params.extend([AbiParam::new(I64); 3]);
    let mut b = FunctionBuilder::new(func, builders);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let &[slots, code, context] = b.block_params(entry) else { unreachable!("entry thunks have three parameters") };
    let mut emit = Emitter::new(env, b, Some(context), scratch);

    let mut arguments = Vec::with_capacity(ty.params.len() + 1);
    emit.leading_arguments(context, &mut arguments);
    emit.load_slots(slots, &ty.params, &mut arguments);
    let signature = emit.guest(ty_index);
    let call = emit.b.ins().call_indirect(signature, code, &arguments);
    let mut results = Vec::with_capacity(ty.results.len());
    if results_in_registers(ty) {
        results.extend_from_slice(emit.b.inst_results(call));
    } else {
        emit.load_results(&ty.results, &mut results);
    }
    emit.store_slots(slots, &results);
    emit.b.ins().return_(&[]);
    emit.b.finalize(config);
}
