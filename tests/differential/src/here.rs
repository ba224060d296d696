//! `wave`: compiles, verifies and runs a module.

use crate::generate::Setup;
use crate::{Bits, Ending, Instance, Trap};
use std::sync::OnceLock;
use wave_compiler::{CompileOptions, Module};
use wave_contract::artifact::CodeSettings;
use wave_contract::module::ModuleInfo;
use wave_contract::types::Hierarchy;
use wave_policy::{Level, Policy};
use wave_runtime::{CallError, InstanceId, Item, Stop, Store, StoreOptions, Value};
use wave_sandbox::{SealPlan, Sealed};

/// As deep as the generator's counter lets a module call.
const STACK_BYTES: u64 = 64 << 20;

pub struct Here {
    store: Store<()>,
    instance: InstanceId,
}

fn sealed() -> &'static Sealed {
    static SEALED: OnceLock<Sealed> = OnceLock::new();
    SEALED.get_or_init(|| {
        let policy = Policy { level: Level::Off, ..Policy::default() };
        wave_sandbox::seal(&SealPlan::new(&policy)).expect("nothing is asked for")
    })
}

/// An instance, or the trap of its start function or segments.
pub fn instantiate(bytes: Vec<u8>, setup: Setup) -> Result<(ModuleInfo, Result<Here, Trap>), String> {
    let module = Module::parse(&bytes).map_err(chain)?;
    let options = StoreOptions {
        fixed: setup.fixed,
        stack_bytes: STACK_BYTES,
        fuel: setup.fuel.then_some(u64::MAX >> 2),
        ..StoreOptions::default()
    };
    let mut store = Store::new(options, ()).map_err(chain)?;
    let placement = store.place(module.info(), &[]).map_err(chain)?;
    let image = module
        .compile(&CompileOptions {
            addressing: placement.addressing.clone(),
            signatures: &placement.signatures,
            imports: &[],
            threads: 1,
            verify_ir: false,
            settings: CodeSettings { fuel: setup.fuel, canonical_nans: setup.canonical_nans },
        })
        .map_err(chain)?;
    let info = module.info().clone();
    let (image, _) =
        wave_verifier::verify(image, &bytes, placement.terms(), 1).map_err(|error| format!("{error:?}"))?;
    let instance = store.load(placement, info.clone(), image, bytes).map_err(chain)?;
    let started = match store.initialize(sealed(), instance) {
        Ok(()) => Ok(Here { store, instance }),
        Err(stopped) => Err(trap(stopped.stop)?),
    };
    Ok((info, started))
}

impl Instance for Here {
    fn call(&mut self, name: &str, arguments: &[Bits]) -> Result<Ending, String> {
        let Some(Item::Function(function)) = self.store.export(self.instance, name) else {
            return Err(format!("no function {name}"));
        };
        let arguments: Vec<_> =
            arguments.iter().map(|bits| value(*bits)).collect::<Option<_>>().ok_or("a reference")?;
        match self.store.call(sealed(), function, &arguments) {
            Ok(results) => Ok(Ending::Returned(results.into_iter().map(bits).collect())),
            Err(CallError::Stopped(stopped)) => Ok(Ending::Trapped(trap(stopped.stop)?)),
            Err(other) => Err(chain(other)),
        }
    }

    fn global(&mut self, name: &str) -> Result<Bits, String> {
        match self.store.export(self.instance, name) {
            Some(Item::Global(global)) => {
                self.store.global(global).map(bits).ok_or("a global without a value".to_owned())
            }
            other => Err(format!("{name} is {other:?}")),
        }
    }

    fn memory(&mut self, name: &str) -> Result<Vec<u8>, String> {
        match self.store.export(self.instance, name) {
            Some(Item::Memory(memory)) => {
                self.store.memory_mut(memory).map(|bytes| bytes.to_vec()).ok_or("a memory without bytes".to_owned())
            }
            other => Err(format!("{name} is {other:?}")),
        }
    }
}

fn value(bits: Bits) -> Option<Value> {
    Some(match bits {
        Bits::I32(bits) => Value::I32(bits.cast_signed()),
        Bits::I64(bits) => Value::I64(bits.cast_signed()),
        Bits::F32(bits) => Value::F32(bits),
        Bits::F64(bits) => Value::F64(bits),
        Bits::V128(bits) => Value::V128(bits),
        Bits::Null(Hierarchy::Func) => Value::FuncRef(None),
        Bits::Null(Hierarchy::Extern) => Value::ExternRef(None),
        Bits::Null(Hierarchy::Any) => Value::AnyRef(0),
        Bits::Null(Hierarchy::Exn) => Value::ExnRef(None),
        Bits::NotNull => return None,
    })
}

fn bits(value: Value) -> Bits {
    match value {
        Value::I32(value) => Bits::I32(value.cast_unsigned()),
        Value::I64(value) => Bits::I64(value.cast_unsigned()),
        Value::F32(bits) => Bits::F32(bits),
        Value::F64(bits) => Bits::F64(bits),
        Value::V128(bits) => Bits::V128(bits),
        Value::FuncRef(None) => Bits::Null(Hierarchy::Func),
        Value::ExternRef(None) => Bits::Null(Hierarchy::Extern),
        Value::AnyRef(0) => Bits::Null(Hierarchy::Any),
        Value::ExnRef(None) => Bits::Null(Hierarchy::Exn),
        Value::FuncRef(Some(_)) | Value::ExternRef(Some(_)) | Value::AnyRef(_) | Value::ExnRef(Some(_)) => {
            Bits::NotNull
        }
    }
}

fn trap(stop: Stop) -> Result<Trap, String> {
    use wave_runtime::Trap as Wave;
    let Stop::Trap(trap) = stop else { return Err(format!("it stopped: {stop:?}")) };
    Ok(match trap {
        Wave::Unreachable => Trap::Unreachable,
        Wave::MemoryOutOfBounds => Trap::Memory,
        // The other engines have one for both.
        Wave::TableOutOfBounds | Wave::UndefinedElement => Trap::Table,
        Wave::UninitializedElement => Trap::NullCall,
        Wave::IndirectCallTypeMismatch => Trap::Signature,
        Wave::IntegerDivideByZero => Trap::DivisionByZero,
        Wave::IntegerOverflow => Trap::Overflow,
        Wave::InvalidConversionToInteger => Trap::Conversion,
        // Wasmtime has one for all of these.
        Wave::NullFunction
        | Wave::NullReference
        | Wave::NullStruct
        | Wave::NullArray
        | Wave::NullI31
        | Wave::NullException => Trap::NullReference,
        Wave::CastFailure => Trap::Cast,
        Wave::ArrayOutOfBounds => Trap::Array,
        Wave::UncaughtException => Trap::Exception,
        Wave::StackExhausted | Wave::HeapFull | Wave::ObjectTooLarge | Wave::TooManyExceptions => Trap::Limit,
        other => return Err(format!("a trap that the generator cannot cause: {other:?}")),
    })
}

fn chain(error: impl std::error::Error) -> String {
    wave_policy::chain(&error)
}
