//! `wasmi`: interprets a module.

use crate::{Bits, Ending, Instance, Trap};
use wasmi::errors::{ErrorKind, InstantiationError, TableError};
use wasmi::{Config, Engine, Error, Extern, F32, F64, Module, Ref, Store, TrapCode, V128, Val};
use wave_contract::types::Hierarchy;

pub struct There {
    store: Store<()>,
    instance: wasmi::Instance,
}

/// An instance, or the trap of its start function or segments.
pub fn instantiate(bytes: &[u8]) -> Result<Result<There, Trap>, String> {
    let mut config = Config::default();
    config.set_max_recursion_depth(100_000).set_max_stack_height(256 << 20);
    config.wasm_custom_page_sizes(true).wasm_wide_arithmetic(true);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, bytes).map_err(|error| error.to_string())?;
    let mut store = Store::new(&engine, ());
    match wasmi::Instance::new(&mut store, &module, &[]) {
        Ok(instance) => Ok(Ok(There { store, instance })),
        Err(error) => trap(&error).map(Err),
    }
}

impl Instance for There {
    fn call(&mut self, name: &str, arguments: &[Bits]) -> Result<Ending, String> {
        let function = self.instance.get_func(&self.store, name).ok_or("no such function")?;
        let ty = function.ty(&self.store);
        let arguments: Vec<_> =
            arguments.iter().map(|bits| value(*bits)).collect::<Option<_>>().ok_or("a reference")?;
        let mut results: Vec<_> = ty.results().iter().map(|ty| Val::default(*ty)).collect();
        match function.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => Ok(Ending::Returned(results.iter().map(bits).collect())),
            Err(error) => trap(&error).map(Ending::Trapped),
        }
    }

    fn global(&mut self, name: &str) -> Result<Bits, String> {
        match self.instance.get_export(&self.store, name) {
            Some(Extern::Global(global)) => Ok(bits(&global.get(&self.store))),
            _ => Err(format!("no global {name}")),
        }
    }

    fn memory(&mut self, name: &str) -> Result<Vec<u8>, String> {
        match self.instance.get_export(&self.store, name) {
            Some(Extern::Memory(memory)) => Ok(memory.data(&self.store).to_vec()),
            _ => Err(format!("no memory {name}")),
        }
    }
}

fn value(bits: Bits) -> Option<Val> {
    Some(match bits {
        Bits::I32(bits) => Val::I32(bits.cast_signed()),
        Bits::I64(bits) => Val::I64(bits.cast_signed()),
        Bits::F32(bits) => Val::F32(F32::from_bits(bits)),
        Bits::F64(bits) => Val::F64(F64::from_bits(bits)),
        Bits::V128(bits) => Val::V128(V128::from(bits)),
        Bits::Null(Hierarchy::Func) => Val::FuncRef(Ref::Null),
        Bits::Null(Hierarchy::Extern) => Val::ExternRef(Ref::Null),
        Bits::Null(Hierarchy::Any | Hierarchy::Exn) | Bits::NotNull => return None,
    })
}

fn bits(value: &Val) -> Bits {
    match value {
        Val::I32(value) => Bits::I32(value.cast_unsigned()),
        Val::I64(value) => Bits::I64(value.cast_unsigned()),
        Val::F32(value) => Bits::F32(value.to_bits()),
        Val::F64(value) => Bits::F64(value.to_bits()),
        Val::V128(value) => Bits::V128(value.as_u128()),
        Val::FuncRef(Ref::Null) => Bits::Null(Hierarchy::Func),
        Val::ExternRef(Ref::Null) => Bits::Null(Hierarchy::Extern),
        Val::FuncRef(_) | Val::ExternRef(_) => Bits::NotNull,
    }
}

fn trap(error: &Error) -> Result<Trap, String> {
    // Of these the interpreter says more than that they are traps.
    match error.kind() {
        ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. })
        | ErrorKind::Table(TableError::CopyOutOfBounds) => return Ok(Trap::Table),
        _ => {}
    }
    Ok(match error.as_trap_code() {
        Some(TrapCode::UnreachableCodeReached) => Trap::Unreachable,
        Some(TrapCode::MemoryOutOfBounds) => Trap::Memory,
        Some(TrapCode::TableOutOfBounds) => Trap::Table,
        Some(TrapCode::IndirectCallToNull) => Trap::NullCall,
        Some(TrapCode::BadSignature) => Trap::Signature,
        Some(TrapCode::IntegerDivisionByZero) => Trap::DivisionByZero,
        Some(TrapCode::IntegerOverflow) => Trap::Overflow,
        Some(TrapCode::BadConversionToInteger) => Trap::Conversion,
        Some(TrapCode::StackOverflow) => Trap::Limit,
        _ => return Err(format!("there: {error}")),
    })
}
