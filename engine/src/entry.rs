//! The entry of a run: the start function, then `_start` or the requested export.

use crate::failure::Failure;
use crate::plan::Plan;
use crate::program::Program;
use std::ffi::OsString;
use std::path::Path;
use wave_contract::module::{ExportKind, ModuleInfo};
use wave_contract::types::{FuncType, ValType};
use wave_policy::short;
use wave_runtime::{CallError, Function, Item, Stop, Stopped, Value};
use wave_sandbox::Sealed;

/// The functions that a run calls. They are looked up before the seal, so that a missing export is an early error.
pub enum EntryPoint {
    Start { start: Function },
    Invoke { initialize: Option<Function>, function: Function, args: Vec<Value> },
}

impl EntryPoint {
    /// Finds the entry of a program.
    ///
    /// # Errors
    /// 126 if the module does not export it, 2 if the arguments do not match its type.
    pub fn find(program: &Program, module: &Path, plan: &Plan) -> Result<Self, Failure> {
        let info = program.info()?;
        let function = |name: &str| match program.store.export(program.instance, name) {
            Some(Item::Function(function)) => Some(function),
            _ => None,
        };
        let Some((name, words)) = &plan.invoke else {
            let start = function("_start").ok_or_else(|| no_entry("_start", module, info))?;
            takes_nothing(program, "_start", start, module)?;
            return Ok(Self::Start { start });
        };
        let initialize = function("_initialize");
        if let Some(initialize) = initialize {
            takes_nothing(program, "_initialize", initialize, module)?;
        }
        let called = function(name).ok_or_else(|| no_entry(name, module, info))?;
        let ty = program.store.function_type(called);
        let params = ty.map_or(&[][..], |ty| &ty.params);
        if params.len() != words.len() {
            return Err(Failure::usage(format!(
                "`{name}` takes {} arguments, {} are given",
                params.len(),
                words.len()
            ))
            .at(format!("--invoke {name}")));
        }
        let args = params.iter().zip(words).map(|(ty, word)| parse_value(*ty, word)).collect::<Result<_, _>>()?;
        Ok(Self::Invoke { initialize, function: called, args })
    }

    /// Runs the start function and the entry. Returns the results if the guest returned.
    pub fn enter(self, program: &mut Program, sealed: &Sealed) -> Result<Vec<Value>, Stopped> {
        program.store.initialize(sealed, program.instance)?;
        let (initialize, function, args) = match self {
            Self::Start { start } => (None, start, Vec::new()),
            Self::Invoke { initialize, function, args } => (initialize, function, args),
        };
        if let Some(initialize) = initialize {
            call(program, sealed, initialize, &[])?;
        }
        call(program, sealed, function, &args)
    }
}

fn call(program: &mut Program, sealed: &Sealed, function: Function, args: &[Value]) -> Result<Vec<Value>, Stopped> {
    program.store.call(sealed, function, args).map_err(|error| match error {
        CallError::Stopped(stopped) => stopped,
        // `EntryPoint::find` has found and checked every function that is called.
        CallError::Arguments { .. } | CallError::Foreign => {
            Stopped { stop: Stop::Trap(wave_runtime::Trap::IndirectCallTypeMismatch), backtrace: Vec::new(), tag: None }
        }
    })
}

/// Checks that an entry which the host calls by itself has no parameters and no results.
fn takes_nothing(program: &Program, name: &str, function: Function, module: &Path) -> Result<(), Failure> {
    match program.store.function_type(function) {
        Some(ty) if *ty == FuncType::default() => Ok(()),
        ty => {
            let found = ty.map_or_else(String::new, ToString::to_string);
            let what = format!("`{name}` has type {found}, and must be () -> ()");
            Err(Failure::not_runnable(what).at(module.display().to_string()).fix("call it with --invoke"))
        }
    }
}

fn no_entry(name: &str, module: &Path, info: &ModuleInfo) -> Failure {
    let functions = info.exports.iter().filter(|export| export.kind == ExportKind::Function);
    let names: Vec<_> = functions.map(|export| format!("`{}`", short(&export.name))).take(20).collect();
    let failure =
        Failure::not_runnable(format!("the module exports no function `{name}`")).at(module.display().to_string());
    match names.as_slice() {
        [] => failure.fix("it exports no function at all; build a command, not a library"),
        names => failure.fix(format!("choose one with --invoke: {}", names.join(", "))),
    }
}

fn parse_value(ty: ValType, word: &OsString) -> Result<Value, Failure> {
    let text = word.to_string_lossy();
    let integer = |bits: u32| -> Option<u64> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, &*text), |digits| (true, digits));
        let value = match digits.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        let max = u64::MAX >> (64 - bits);
        match negative {
            true => (value <= max / 2 + 1).then(|| value.wrapping_neg() & max),
            false => (value <= max).then_some(value),
        }
    };
    let value = match ty {
        ValType::I32 => {
            integer(32).and_then(|bits| u32::try_from(bits).ok()).map(|bits| Value::I32(bits.cast_signed()))
        }
        ValType::I64 => integer(64).map(|bits| Value::I64(bits.cast_signed())),
        ValType::F32 => text.parse().ok().map(|value: f32| Value::F32(value.to_bits())),
        ValType::F64 => text.parse().ok().map(|value: f64| Value::F64(value.to_bits())),
        ValType::V128 | ValType::FuncRef | ValType::ExternRef | ValType::Ref(_) => None,
    };
    value.ok_or_else(|| Failure::usage(format!("`{text}` is not a valid {ty}")).at("arguments of --invoke"))
}
