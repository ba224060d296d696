//! `wave wast`: runs WebAssembly specification scripts.
//!
//! Format: <https://github.com/WebAssembly/spec/tree/main/interpreter#scripts>. Every directive is carried out; one that this
//! program does not know is a failure, never a skip.

mod values;

use crate::args::{Mode, Wast as Arguments};
use crate::text::{chain, clean, out};
use std::collections::HashMap;
use values::{argument, matches};
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, Wat};
use wave_compiler::{CompileOptions, Edition, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_contract::types::{MemoryType, TableType, ValType};
use wave_engine::Failure;
use wave_engine::compile::default_threads;
use wave_engine::input::{self, Bounds};
use wave_engine::program::first_refusal;
use wave_policy::limits::COMPILE_TIMEOUT;
use wave_policy::{Level, Policy};
use wave_runtime::{Binding, CallError, HostFunction, InstanceId, Item, Stop, Store, StoreOptions, Trap, Value};
use wave_sandbox::{SealPlan, Sealed};

/// Larger scripts are refused; the largest of the specification has one.
const MAX_SCRIPT_BYTES: u64 = 64 << 20;

/// Runs scripts and prints one line for each.
///
/// # Errors
/// When a script cannot be read. Failed assertions give exit code 1.
pub fn wast(arguments: &Arguments) -> Result<u8, Failure> {
    // Scripts are ours to trust, and several modules are compiled while others have run already.
    let policy = Policy { level: Level::Off, ..Policy::default() };
    let plan = SealPlan::new(&policy);
    let sealed = wave_sandbox::seal(&plan).map_err(|error| Failure::refused(chain(&error)))?;

    let (mut passed, mut failed) = (0, 0);
    for file in &arguments.files {
        let place = file.display().to_string();
        let bounds = Bounds { bytes: MAX_SCRIPT_BYTES, size: "64 MiB", time: COMPILE_TIMEOUT };
        let bytes = input::read_bounded(file, &bounds)
            .map_err(|unread| unread.failure(Failure::not_found, "script", &place))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Failure::not_found(format!("cannot read the script: {error}")).at(&place))?;
        let script = Script::new(arguments, &sealed)?;
        let (good, bad) = script.run(&place, &text);
        out(&format!("{}: {good} passed, {bad} failed\n", clean(&place)));
        passed += good;
        failed += bad;
    }
    out(&format!("{passed} passed, {failed} failed\n"));
    Ok(u8::from(failed > 0))
}

/// What Wasmtime's scripts import from `wasmtime`: `gc` collects garbage. As nothing asks the collector to, it makes so much garbage that it
/// must.
const COLLECT: &str = r#"(module
    (type $bytes (array i8))
    (func $make (drop (array.new_default $bytes (i32.const 0x50_0000))))
    (func (export "gc") (call $make) (call $make)))"#;

/// The state of one script.
struct Script<'a> {
    sealed: &'a Sealed,
    fuel: bool,
    lenient: bool,
    edition: Option<Edition>,
    store: Store<()>,
    /// What scripts call `spectest`, and what they register themselves.
    registered: HashMap<String, Namespace>,
    named: HashMap<String, InstanceId>,
    definitions: HashMap<String, Vec<u8>>,
    latest: Option<InstanceId>,
}

enum Namespace {
    Instance(InstanceId),
    Host(HashMap<&'static str, Export>),
}

#[derive(Clone)]
enum Export {
    Function(HostFunction<()>),
    Item(Item),
}

/// Why a directive failed.
type Complaint = String;

/// How instantiation or a call can end without a result.
enum Ending {
    /// The module is not valid, or its encoding is not.
    Invalid(String),
    /// An import is missing or of another type.
    Unlinkable(String),
    /// The guest trapped.
    Trap(String),
    /// The script asks for something that is not there.
    Broken(String),
}

impl Ending {
    fn describe(&self) -> String {
        match self {
            Self::Invalid(why) => format!("invalid: {why}"),
            Self::Unlinkable(why) => format!("unlinkable: {why}"),
            Self::Trap(why) => format!("trap: {why}"),
            Self::Broken(why) => why.clone(),
        }
    }
}

impl<'a> Script<'a> {
    fn new(arguments: &Arguments, sealed: &'a Sealed) -> Result<Self, Failure> {
        let mut options =
            StoreOptions { fixed: arguments.mode == Mode::Fixed, stack_bytes: 1 << 20, ..StoreOptions::default() };
        // Scripts instantiate many modules in one store, and their memories are hardly used.
        options.memory_limit_bytes = 1 << 40;
        let mut store = Store::new(options, ()).map_err(|error| Failure::refused(error.to_string()))?;
        let spectest = spectest(&mut store).map_err(|error| Failure::refused(chain(&error)))?;
        let mut script = Self {
            sealed,
            fuel: arguments.fuel,
            lenient: arguments.lenient,
            edition: arguments.edition,
            store,
            registered: HashMap::from([("spectest".to_owned(), Namespace::Host(spectest))]),
            named: HashMap::new(),
            definitions: HashMap::new(),
            latest: None,
        };
        if script.lenient {
            let failure = |why: String| Failure::refused(format!("the module `wasmtime` of scripts: {why}"));
            let instance = assemble(COLLECT).and_then(|bytes| script.instantiate(bytes));
            let instance = instance.map_err(|ending| failure(ending.describe()))?;
            script.registered.insert("wasmtime".to_owned(), Namespace::Instance(instance));
        }
        Ok(script)
    }

    /// Executes all directives. Returns how many passed, and how many failed.
    fn run(mut self, place: &str, text: &str) -> (u32, u32) {
        let mut lexer = wast::lexer::Lexer::new(text);
        // The scripts test that identifiers may hold characters that look like others.
        lexer.allow_confusing_unicode(true);
        let parsed = ParseBuffer::new_with_lexer(lexer);
        let parsed = parsed.as_ref().map_err(ToString::to_string);
        let script = parsed.and_then(|buffer| parser::parse::<Wast>(buffer).map_err(|error| error.to_string()));
        let script = match script {
            Ok(script) => script,
            Err(error) => {
                out(&format!("{}: cannot parse: {}\n", clean(place), clean(&error)));
                return (0, 1);
            }
        };
        let (mut passed, mut failed) = (0, 0);
        for directive in script.directives {
            let (line, column) = directive.span().linecol_in(text);
            match self.directive(directive) {
                Ok(()) => passed += 1,
                Err(complaint) => {
                    failed += 1;
                    out(&format!("{}:{}:{}: {}\n", clean(place), line + 1, column + 1, clean(&complaint)));
                }
            }
        }
        (passed, failed)
    }

    fn directive(&mut self, directive: WastDirective) -> Result<(), Complaint> {
        match directive {
            WastDirective::Module(mut module) => {
                let id = module.name();
                let instance = self.instantiate_quoted(&mut module).map_err(|ending| ending.describe())?;
                self.adopt(id, instance);
                Ok(())
            }
            WastDirective::ModuleDefinition(mut module) => {
                let id = module.name();
                let bytes = encode(&mut module).map_err(|ending| ending.describe())?;
                self.definitions.insert(key(id), bytes);
                Ok(())
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let bytes = self.definitions.get(&key(module)).cloned().ok_or("no such module definition")?;
                let id = self.instantiate(bytes).map_err(|ending| ending.describe())?;
                self.adopt(instance, id);
                Ok(())
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module)?;
                self.registered.insert(name.to_owned(), Namespace::Instance(instance));
                Ok(())
            }
            WastDirective::Invoke(invoke) => self.invoke(&invoke).map(drop).map_err(|ending| ending.describe()),
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec).map_err(|ending| ending.describe())?;
                let fits = values.len() == results.len()
                    && values
                        .iter()
                        .zip(&results)
                        .all(|(value, want)| matches(*value, self.store.object_kind(*value), want));
                if fits { Ok(()) } else { Err(format!("returned {values:x?}, expected {results:x?}")) }
            }
            WastDirective::AssertTrap { exec, message, .. } => expect_trap(self.execute(exec), message, self.lenient),
            WastDirective::AssertExhaustion { call, message, .. } => {
                expect_trap(self.invoke(&call), message, self.lenient)
            }
            WastDirective::AssertMalformed { mut module, .. }
            | WastDirective::AssertInvalid { mut module, .. }
            | WastDirective::AssertMalformedCustom { mut module, .. }
            | WastDirective::AssertInvalidCustom { mut module, .. } => {
                let bytes = match encode(&mut module) {
                    Ok(bytes) => bytes,
                    Err(_) => return Ok(()),
                };
                match self.validate(&bytes) {
                    Err(_) => Ok(()),
                    Ok(()) => Err("the module was accepted".to_owned()),
                }
            }
            WastDirective::AssertUnlinkable { mut module, message, .. } => {
                let bytes = module.encode().map_err(|error| error.to_string())?;
                match self.instantiate(bytes) {
                    Err(Ending::Unlinkable(why)) if self.lenient || why.starts_with(message) => Ok(()),
                    Err(Ending::Trap(why)) if self.lenient && message.starts_with(&why) => Ok(()),
                    Err(other) => Err(format!("expected unlinkable `{message}`, got {}", other.describe())),
                    Ok(_) => Err("the module was linked".to_owned()),
                }
            }
            WastDirective::AssertException { exec, .. } => {
                expect_trap(self.execute(exec), &Trap::UncaughtException.to_string(), self.lenient)
            }
            // A thread of a script that is over before the next directive: one of the orders that there may be. It has its own names.
            WastDirective::Thread(thread) => {
                let (named, latest) = (std::mem::take(&mut self.named), self.latest.take());
                self.named
                    .extend(thread.shared_module.and_then(|id| Some((id.name().to_owned(), *named.get(id.name())?))));
                let done = thread.directives.into_iter().try_for_each(|directive| self.directive(directive));
                (self.named, self.latest) = (named, latest);
                done
            }
            WastDirective::Wait { .. } => Ok(()),
            other @ WastDirective::AssertSuspension { .. } => {
                Err(format!("directive of a proposal that is not supported: {other:?}"))
            }
        }
    }

    fn adopt(&mut self, id: Option<Id>, instance: InstanceId) {
        if let Some(id) = id {
            self.named.insert(id.name().to_owned(), instance);
            if self.lenient {
                self.registered.insert(id.name().to_owned(), Namespace::Instance(instance));
            }
        }
        self.latest = Some(instance);
    }

    fn instance(&self, id: Option<Id>) -> Result<InstanceId, Complaint> {
        let found = match id {
            Some(id) => self.named.get(id.name()).copied(),
            None => self.latest,
        };
        found.ok_or_else(|| "no such instance".to_owned())
    }

    fn validate(&self, bytes: &[u8]) -> Result<(), String> {
        let module = self.parse(bytes).map_err(|ending| ending.describe())?;
        module.validate(default_threads()).map_err(|error| chain(&error))
    }

    fn parse<'b>(&self, bytes: &'b [u8]) -> Result<Module<'b>, Ending> {
        let accepted = self.edition.map_or(Ok(()), |edition| edition.validate(bytes));
        accepted.and_then(|()| Module::parse(bytes)).map_err(|error| Ending::Invalid(chain(&error)))
    }

    fn instantiate_quoted(&mut self, module: &mut QuoteWat) -> Result<InstanceId, Ending> {
        let bytes = encode(module)?;
        self.instantiate(bytes)
    }

    fn instantiate(&mut self, bytes: Vec<u8>) -> Result<InstanceId, Ending> {
        let module = self.parse(&bytes)?.linked();
        let info = module.info();
        let bindings = info.imports.iter().map(|import| self.resolve(&import.module, &import.name));
        let bindings = bindings.collect::<Result<Vec<_>, _>>()?;
        let placement = self.store.place(info, &bindings).map_err(|error| Ending::Unlinkable(error.to_string()))?;
        let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
        let imports: Vec<_> = placement.host_imports.iter().map(linkage).collect();
        let image = module
            .compile(&CompileOptions {
                addressing: placement.addressing.clone(),
                signatures: &placement.signatures,
                imports: &imports,
                threads: default_threads(),
                verify_ir: true,
                settings: CodeSettings { fuel: self.fuel, ..CodeSettings::default() },
            })
            .map_err(|error| Ending::Invalid(chain(&error)))?;
        let info = module.into_info();
        // Valid modules only, so a refusal is a failure of the script.
        let (image, _) = wave_verifier::verify(image, &bytes, placement.terms(), default_threads())
            .map_err(|error| Ending::Broken(first_refusal(&error)))?;
        let instance = self.store.load(placement, info, image, bytes).map_err(|error| Ending::Broken(chain(&error)))?;
        match self.store.initialize(self.sealed, instance) {
            Ok(()) => Ok(instance),
            Err(stopped) => Err(trapped(stopped.stop)),
        }
    }

    fn resolve(&self, module: &str, name: &str) -> Result<Binding<()>, Ending> {
        let found = match self.registered.get(module) {
            Some(Namespace::Instance(instance)) => self.store.export(*instance, name).map(Binding::Item),
            Some(Namespace::Host(exports)) => exports.get(name).cloned().map(|export| match export {
                Export::Function(function) => Binding::Host(function),
                Export::Item(item) => Binding::Item(item),
            }),
            None => None,
        };
        found.ok_or_else(|| Ending::Unlinkable(format!("unknown import `{module}` `{name}`")))
    }

    fn execute(&mut self, exec: WastExecute) -> Result<Vec<Value>, Ending> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(mut module) => {
                let bytes = module.encode().map_err(|error| Ending::Invalid(error.to_string()))?;
                self.instantiate(bytes).map(|_| Vec::new())
            }
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module).map_err(Ending::Broken)?;
                match self.store.export(instance, global) {
                    Some(Item::Global(global)) => Ok(self.store.global(global).into_iter().collect()),
                    _ => Err(Ending::Broken(format!("no global `{global}`"))),
                }
            }
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke) -> Result<Vec<Value>, Ending> {
        let instance = self.instance(invoke.module).map_err(Ending::Broken)?;
        let Some(Item::Function(function)) = self.store.export(instance, invoke.name) else {
            return Err(Ending::Broken(format!("no function `{}`", invoke.name)));
        };
        let args = invoke.args.iter().map(argument).collect::<Result<Vec<_>, _>>().map_err(Ending::Broken)?;
        self.store.call(self.sealed, function, &args).map_err(|error| match error {
            CallError::Stopped(stopped) => trapped(stopped.stop),
            other => Ending::Broken(chain(&other)),
        })
    }
}

fn key(id: Option<Id>) -> String {
    id.map_or_else(String::new, |id| id.name().to_owned())
}

fn encode(module: &mut QuoteWat) -> Result<Vec<u8>, Ending> {
    module.encode().map_err(|error| Ending::Invalid(error.to_string()))
}

fn trapped(stop: Stop) -> Ending {
    match stop {
        Stop::Trap(trap) => Ending::Trap(trap.to_string()),
        other => Ending::Broken(format!("{other:?}")),
    }
}

/// The binary form of a module's text.
fn assemble(text: &str) -> Result<Vec<u8>, Ending> {
    let broken = |error: wast::Error| Ending::Broken(error.to_string());
    let buffer = ParseBuffer::new(text).map_err(broken)?;
    parser::parse::<Wat>(&buffer).and_then(|mut module| module.encode()).map_err(broken)
}

/// Traps, and what scripts may call them as well, if they are read leniently.
const ALSO_CALLED: &[(&str, &str)] =
    &[("undefined element", "out of bounds"), ("null array reference", "null reference")];

/// A trap must be the one the script names; scripts sometimes add details (`uninitialized element 2`). Lenient, they may also leave
/// out the type (`divide by zero`).
fn expect_trap<T: std::fmt::Debug>(result: Result<T, Ending>, message: &str, lenient: bool) -> Result<(), Complaint> {
    match result {
        Err(Ending::Trap(trap)) if message.starts_with(&trap) || trap.starts_with(message) => Ok(()),
        Err(Ending::Trap(trap)) if lenient && trap.ends_with(message) => Ok(()),
        Err(Ending::Trap(trap)) if lenient && ALSO_CALLED.contains(&(&trap, message)) => Ok(()),
        Err(other) => Err(format!("expected trap `{message}`, got {}", other.describe())),
        Ok(values) => Err(format!("expected trap `{message}`, returned {values:?}")),
    }
}

/// The module that scripts import from: <https://github.com/WebAssembly/spec/blob/main/interpreter/host/spectest.ml>.
fn spectest(store: &mut Store<()>) -> Result<HashMap<&'static str, Export>, wave_runtime::LinkError> {
    type Caller<'a> = wave_runtime::Caller<'a, ()>;
    let table = TableType { element: ValType::FuncRef, min: 10, max: Some(20), wide: false };
    let memory = MemoryType::new(1, Some(2));
    let shared = MemoryType { shared: true, ..memory };
    let mut global = |value| store.new_global(value, false).map(|global| Export::Item(Item::Global(global)));
    let mut exports = HashMap::from([
        ("global_i32", global(Value::I32(666))?),
        ("global_i64", global(Value::I64(666))?),
        ("global_f32", global(Value::F32(666.6f32.to_bits()))?),
        ("global_f64", global(Value::F64(666.6f64.to_bits()))?),
    ]);
    exports.insert("table", Export::Item(Item::Table(store.new_table(table)?)));
    exports.insert("memory", Export::Item(Item::Memory(store.new_memory(memory)?)));
    exports.insert("shared_memory", Export::Item(Item::Memory(store.new_memory(shared)?)));
    let functions = [
        ("print", HostFunction::new(|_: &mut Caller| Ok::<(), Stop>(()))),
        ("print_i32", HostFunction::new(|_: &mut Caller, _: i32| Ok::<(), Stop>(()))),
        ("print_i64", HostFunction::new(|_: &mut Caller, _: i64| Ok::<(), Stop>(()))),
        ("print_f32", HostFunction::new(|_: &mut Caller, _: f32| Ok::<(), Stop>(()))),
        ("print_f64", HostFunction::new(|_: &mut Caller, _: f64| Ok::<(), Stop>(()))),
        ("print_i32_f32", HostFunction::new(|_: &mut Caller, _: i32, _: f32| Ok::<(), Stop>(()))),
        ("print_f64_f64", HostFunction::new(|_: &mut Caller, _: f64, _: f64| Ok::<(), Stop>(()))),
    ];
    exports.extend(functions.into_iter().map(|(name, function)| (name, Export::Function(function))));
    Ok(exports)
}
