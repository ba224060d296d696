//! Scripts of others, run from where they lie: `COMPONENT_MODEL` is a checkout of WebAssembly/component-model,
//! `WASMTIME_MISC_TESTSUITE` the folder `tests/misc_testsuite` of Wasmtime.
//!
//! Everything that is not judged is counted with its reason: components that are refused, values that this test cannot pass.

mod common;
#[path = "common/linked.rs"]
mod linked;
#[path = "common/values.rs"]
mod values;

use common::{Host, Running, exports, hindrance};
use linked::Named;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use values::{Functions, Memory};
use wast::component::WastVal;
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};
use wave_runtime::{Item, Stop, Trap, Value};
use wave_test_support::cannot_run;

/// What came of the directives.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    /// Why directives were not judged, and how many.
    open: BTreeMap<String, usize>,
}

/// What a script has so far.
#[derive(Default)]
struct Script {
    /// Components that it defines and instantiates later.
    definitions: Named,
    /// Components that have instances with names, which others import.
    named: Named,
    /// What runs. The one without a name is the empty name.
    running: BTreeMap<String, Current>,
    /// The one that an invocation without a name is for.
    latest: String,
}

impl Script {
    fn current(&mut self, name: Option<&str>) -> &mut Current {
        let name = name.unwrap_or(&self.latest).to_owned();
        self.running.entry(name).or_insert_with(|| Current::Not("no component".to_owned()))
    }
}

/// Why some assertions are not judged.
const NESTED: &str = "calls between a component and those in it, which trap for now";

/// The component that invocations are for.
enum Current {
    Running(Box<Running>, Vec<String>, Functions),
    Not(String),
}

#[test]
fn scripts_of_the_component_model_pass() {
    run("COMPONENT_MODEL", "test", "a checkout of WebAssembly/component-model", 1030);
}

#[test]
fn scripts_of_wasmtime_pass() {
    run("WASMTIME_MISC_TESTSUITE", "component-model", "a checkout's tests/misc_testsuite for Wasmtime's scripts", 427);
}

fn run(variable: &str, folder: &str, what: &str, least: usize) {
    let Some(root) = std::env::var_os(variable) else {
        cannot_run(&format!("set {variable} to {what}"));
        return;
    };
    let mut scripts = Vec::new();
    collect(&Path::new(&root).join(folder), &mut scripts);
    scripts.sort();
    let mut tally = Tally::default();
    for script in &scripts {
        play(script, &mut tally);
    }
    let open: usize = tally.open.values().sum();
    cannot_run(&format!("{open} directives of {} scripts in {variable}: {:#?}", scripts.len(), tally.open));
    assert!(tally.open.get(NESTED).is_none_or(|count| *count <= 2), "{:?}", tally.open.get(NESTED));
    assert!(tally.failed.is_empty(), "{} failed:\n{}", tally.failed.len(), tally.failed.join("\n"));
    assert!(tally.passed >= least, "only {} passed", tally.passed);
    println!("{} passed", tally.passed);
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "wast") {
            found.push(path);
        }
    }
}

fn play(path: &Path, tally: &mut Tally) {
    let text = std::fs::read_to_string(path).expect("a script");
    let buffer = ParseBuffer::new(&text);
    let script = buffer
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|buffer| parser::parse::<Wast<'_>>(buffer).map_err(|e| e.message()));
    let script = match script {
        Ok(script) => script,
        Err(_) => {
            *tally.open.entry("scripts that this parser of text does not read".to_owned()).or_default() += 1;
            return;
        }
    };
    let mut state = Script::default();
    let host = ParseBuffer::new(include_str!("common/host.wat")).expect("text");
    let host = parser::parse::<wast::Wat<'_>>(&host).and_then(|mut host| host.encode()).expect("a component");
    state.named.insert(linked::HOST.to_owned(), host);
    for directive in script.directives {
        let (line, _) = directive.span().linecol_in(&text);
        let place = format!("{}:{}", path.display(), line + 1);
        match judge(directive, &mut state) {
            Ok(true) => tally.passed += 1,
            Ok(false) => {}
            Err(Verdict::Failed(why)) => tally.failed.push(format!("{place}: {why}")),
            Err(Verdict::Open(why)) => *tally.open.entry(why).or_default() += 1,
        }
    }
}

/// Why a directive did not pass.
enum Verdict {
    Failed(String),
    Open(String),
}

fn failed<T>(why: impl Into<String>) -> Result<T, Verdict> {
    Err(Verdict::Failed(why.into()))
}

fn open<T>(why: impl Into<String>) -> Result<T, Verdict> {
    Err(Verdict::Open(why.into()))
}

/// Whether a directive passed. `Ok(false)`: there is nothing to judge.
fn judge(directive: WastDirective<'_>, script: &mut Script) -> Result<bool, Verdict> {
    match directive {
        WastDirective::Module(component) => {
            let name = component.name().map(|name| name.name().to_owned());
            instantiate(encode(component)?, name.unwrap_or_default(), script)
        }
        WastDirective::ModuleDefinition(component) => {
            let name = component.name().map(|name| name.name().to_owned()).unwrap_or_default();
            let bytes = encode(component)?;
            let lowered = lower(&linked(script, &bytes));
            script.definitions.insert(name, bytes);
            lowered.map(|_| true)
        }
        WastDirective::ModuleInstance { instance, module, .. } => {
            let name = module.map(|name| name.name().to_owned()).unwrap_or_default();
            match script.definitions.get(&name) {
                Some(bytes) => {
                    let name = instance.map(|name| name.name().to_owned()).unwrap_or_default();
                    instantiate(bytes.clone(), name, script)
                }
                None => open("core modules"),
            }
        }
        WastDirective::AssertInvalid { mut module, .. } | WastDirective::AssertMalformed { mut module, .. } => {
            let Ok(bytes) = module.encode() else { return Ok(true) };
            match wave_lower::lower(&bytes) {
                // The features that are still proposals are not asked for, and this parser knows other ones.
                Ok(_) => failed("invalid, and accepted"),
                Err(wave_lower::LowerError::Mistake(mistake)) => failed(mistake),
                Err(_) => Ok(true),
            }
        }
        WastDirective::Invoke(invoke) => {
            call(current_of(script, &invoke), &invoke)?.0.map(|_| true).or_else(|stop| failed(format!("{stop:?}")))
        }
        WastDirective::AssertReturn { exec: WastExecute::Invoke(invoke), results, .. } => {
            let current = current_of(script, &invoke);
            let (answer, export) = call(current, &invoke)?;
            match answer {
                Ok(values) => compare(current, &export, &values, &results),
                Err(stop) => failed(format!("{stop:?}")),
            }
        }
        WastDirective::AssertTrap { exec: WastExecute::Invoke(invoke), message, .. } => {
            let current = current_of(script, &invoke);
            let (answer, export) = call(current, &invoke)?;
            match answer {
                Err(Stop::Trap(_)) => {
                    *current = Current::Not("a component after a trap".to_owned());
                    Ok(true)
                }
                // The text of the canonical ABI allows calls between a component and those in it; scripts say that they trap for now.
                Ok(_) if message.contains("cannot enter component instance") => open(NESTED),
                // A result that the host cannot read is a trap of the host.
                Ok(values) if is_about_text(message) => {
                    let Current::Running(running, ..) = current else { return open("nothing that runs") };
                    match string(running, &export, &values) {
                        None => Ok(true),
                        Some(text) => failed(format!("{text}, and {message} is expected")),
                    }
                }
                Ok(_) if message.contains("discriminant") => open("results of types that this test does not read"),
                other => failed(format!("{other:?}, and {message} is expected")),
            }
        }
        WastDirective::AssertTrap { exec: WastExecute::Wat(mut component), message, .. } => {
            let bytes = component.encode().map_err(|error| Verdict::Open(format!("text: {}", error.message())))?;
            match lower(&linked(script, &bytes))? {
                module if hindrance(&module).is_some() => open(hindrance(&module).unwrap_or_default()),
                module => match Running::start(&module, Host::default()) {
                    Ok(_) if message.contains("cannot enter component instance") => open(NESTED),
                    Ok(_) => failed("it started, and a trap is expected"),
                    Err(_) => Ok(true),
                },
            }
        }
        WastDirective::AssertUnlinkable { mut module, .. } => {
            let bytes = module.encode().map_err(|error| Verdict::Open(format!("text: {}", error.message())))?;
            let Some(linked) = linked::compose(&script.named, &bytes) else {
                return open("components that cannot be linked with a host that this test does not have");
            };
            match wave_lower::lower(&linked) {
                Err(wave_lower::LowerError::Invalid(_)) => Ok(true),
                other => failed(format!("{other:?}, and it cannot be linked")),
            }
        }
        _ => open("other directives"),
    }
}

fn lower(bytes: &[u8]) -> Result<Vec<u8>, Verdict> {
    match wave_lower::lower(bytes) {
        Ok(module) => Ok(module),
        Err(wave_lower::LowerError::Mistake(mistake)) => failed(mistake),
        Err(wave_lower::LowerError::NoComponent) => open("core modules"),
        // Names of imports and exports are not what matters.
        Err(error) => {
            let text = error.to_string();
            let parts: Vec<&str> = text.split('`').collect();
            let is_type = |part: &str| {
                part.starts_with("the type")
                    || part.contains("built-in")
                    || part.starts_with("the component uses the type")
            };
            open(match parts[..] {
                [first, name, rest] if is_type(first) || first.contains("built-in") => format!("{first}`{name}`{rest}"),
                [first, _, rest] => format!("{first}…{rest}"),
                _ => text,
            })
        }
    }
}

fn encode(mut component: QuoteWat<'_>) -> Result<Vec<u8>, Verdict> {
    component.encode().map_err(|error| Verdict::Open(format!("text: {}", error.message())))
}

fn instantiate(bytes: Vec<u8>, name: String, script: &mut Script) -> Result<bool, Verdict> {
    script.latest.clone_from(&name);
    *script.current(None) = Current::Not("a component that does not start".to_owned());
    *script.current(None) = start(&linked(script, &bytes))?;
    if !name.is_empty() {
        script.named.insert(name, bytes);
    }
    match script.current(None) {
        Current::Running(..) => Ok(true),
        Current::Not(why) => open(why.clone()),
    }
}

/// A component with what it imports of the script, if it can be linked; otherwise as it is.
fn linked<'a>(script: &Script, bytes: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
    match linked::compose(&script.named, bytes) {
        Some(whole) if !matches!(wave_lower::lower(&whole), Err(wave_lower::LowerError::Invalid(_))) => whole.into(),
        _ => bytes.into(),
    }
}

/// What an invocation is for.
fn current_of<'s>(script: &'s mut Script, invoke: &WastInvoke<'_>) -> &'s mut Current {
    script.current(invoke.module.map(|name| name.name()))
}

fn start(bytes: &[u8]) -> Result<Current, Verdict> {
    let module = match lower(bytes) {
        Ok(module) => module,
        Err(Verdict::Open(why)) => return Ok(Current::Not(why)),
        Err(other) => return Err(other),
    };
    if let Some(why) = hindrance(&module) {
        return Ok(Current::Not(why.to_owned()));
    }
    match Running::start(&module, Host::default()) {
        Ok(running) => Ok(Current::Running(Box::new(running), exports(&module), values::functions(bytes))),
        Err(stopped) => failed(format!("it does not start: {:?}", stopped.stop)),
    }
}

/// Whether a trap is about a string that the host reads.
fn is_about_text(message: &str) -> bool {
    ["out of bounds of memory", "utf-8", "unpaired surrogate", "utf16", "unaligned", "not aligned"]
        .iter()
        .any(|part| message.contains(part))
}

/// The text that a result points to, if there is one: the pointer, the contents and the text are right.
fn string(running: &mut Running, export: &str, values: &[Value]) -> Option<String> {
    let [Value::I32(pointer)] = values else { return None };
    let bytes = memory(running, export);
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let pointer = pointer.cast_unsigned() as usize;
    if !pointer.is_multiple_of(4) {
        return None;
    }
    let (at, len) = (word(pointer)? as usize, word(pointer + 4)?);
    let contents = |len: usize| bytes.get(at..at.checked_add(len)?);
    let units = len & 0x7fff_ffff;
    if !export.ends_with("utf16") {
        return String::from_utf8(contents(len as usize)?.to_vec()).ok();
    }
    if !at.is_multiple_of(2) {
        return None;
    }
    if export.ends_with("|latin1+utf16") && units == len {
        return Some(contents(len as usize)?.iter().map(|byte| char::from(*byte)).collect());
    }
    let pairs = contents(units as usize * 2)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    String::from_utf16(&pairs.collect::<Vec<u16>>()).ok()
}

type Answer = Result<Vec<Value>, Stop>;

/// Calls an export; returns the name that it was found under.
fn call(current: &mut Current, invoke: &WastInvoke<'_>) -> Result<(Answer, String), Verdict> {
    let (running, names, functions) = match current {
        Current::Running(running, names, functions) => (running, names, functions),
        Current::Not(why) => return open(why.clone()),
    };
    let is_it = |name: &&String| {
        let mut parts = name.split('|');
        let is_function = |part: &str| part.starts_with("memory=") || part.ends_with("utf16");
        parts.next() == Some(invoke.name) && parts.all(is_function)
    };
    let Some(export) = names.iter().find(is_it).cloned() else { return open("exports under another name") };
    let types = functions.get(invoke.name).cloned().unwrap_or_default();
    if types.iter().map(|ty| ty.flat().len()).sum::<usize>() > 16 || types.len() != invoke.args.len() {
        return open("arguments of types that this test does not pass");
    }
    let mut flat = Vec::new();
    for (argument, ty) in invoke.args.iter().zip(&types) {
        let WastArg::Component(value) = argument else { return open("arguments of core functions") };
        let mut guest = Guest { running, export: &export, stopped: None };
        match values::lower(&mut guest, ty, value) {
            Some(values) => flat.extend(values),
            None => match guest.stopped {
                Some(stop) => return Ok((Err(stop), export)),
                None => return open("arguments of types that this test does not pass"),
            },
        }
    }
    Ok((running.call(&export, &flat), export))
}

fn memory<'r>(running: &'r mut Running, export: &str) -> &'r mut [u8] {
    let number = export.split('|').find_map(|part| part.strip_prefix("memory="));
    let name = number.map_or_else(|| "memory".to_owned(), |number| format!("memory|{number}"));
    let Some(Item::Memory(memory)) = running.store.export(running.instance, &name) else { panic!("no {name}") };
    running.store.memory_mut(memory).expect("a memory")
}

/// The memory of what runs, for the arguments of an export. Keeps why it could not be allocated.
struct Guest<'r> {
    running: &'r mut Running,
    export: &'r str,
    stopped: Option<Stop>,
}

impl Memory for Guest<'_> {
    fn allocate(&mut self, align: usize, bytes: usize) -> Option<usize> {
        let plain = self.export.split('|').next().unwrap_or(self.export);
        let [align_i32, bytes_i32] = [align, bytes].map(|number| i32::try_from(number).expect("it is small"));
        match self.running.call(&format!("{plain}|realloc"), &[0, 0, align_i32, bytes_i32].map(Value::I32)) {
            Ok(values) => {
                let [Value::I32(at)] = values[..] else { return None };
                let at = at.cast_unsigned() as usize;
                // What the host checks of an allocation.
                if !at.is_multiple_of(align) || at + bytes > memory(self.running, self.export).len() {
                    self.stopped = Some(Stop::Trap(Trap::Unreachable));
                    return None;
                }
                Some(at)
            }
            Err(stop) => {
                self.stopped = Some(stop);
                None
            }
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        memory(self.running, self.export).get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    fn encode(&self, text: &str) -> (Vec<u8>, usize, u32) {
        let len = |count: usize| u32::try_from(count).expect("it is short");
        if !self.export.ends_with("utf16") {
            return (text.as_bytes().to_vec(), 1, len(text.len()));
        }
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // Whatever it is, it can be passed as UTF-16.
        let tag = if self.export.ends_with("|latin1+utf16") { 1 << 31 } else { 0 };
        let units = len(bytes.len() / 2) | tag;
        (bytes, 2, units)
    }
}

/// Compares results with those that are expected.
fn compare(current: &mut Current, export: &str, values: &[Value], expected: &[WastRet<'_>]) -> Result<bool, Verdict> {
    let Current::Running(running, names, _) = current else { return Ok(false) };
    let [WastRet::Component(expected)] = expected else {
        return if values.is_empty() && expected.is_empty() { Ok(true) } else { failed(format!("{values:?}")) };
    };
    let [value] = values else { return failed(format!("{values:?}")) };
    let is_right = match (expected, value) {
        (WastVal::Bool(expected), Value::I32(value)) => (*value != 0) == *expected,
        (WastVal::U8(expected), Value::I32(value)) => value & 0xff == i32::from(*expected),
        (WastVal::S8(expected), Value::I32(value)) => *value << 24 >> 24 == i32::from(*expected),
        (WastVal::U16(expected), Value::I32(value)) => value & 0xffff == i32::from(*expected),
        (WastVal::S16(expected), Value::I32(value)) => *value << 16 >> 16 == i32::from(*expected),
        (WastVal::U32(expected), Value::I32(value)) => value.cast_unsigned() == *expected,
        (WastVal::S32(expected), Value::I32(value)) => value == expected,
        (WastVal::U64(expected), Value::I64(value)) => value.cast_unsigned() == *expected,
        (WastVal::S64(expected), Value::I64(value)) => value == expected,
        (WastVal::F32(expected), Value::F32(value)) => *value == expected.bits,
        (WastVal::F64(expected), Value::F64(value)) => *value == expected.bits,
        (WastVal::Char(expected), Value::I32(value)) => value.cast_unsigned() == u32::from(*expected),
        (WastVal::Result(Ok(None)), Value::I32(value)) => *value == 0,
        (WastVal::Result(Err(None)), Value::I32(value)) => *value == 1,
        (WastVal::String(expected), Value::I32(_)) => {
            let is_right = string(running, export, values).is_some_and(|text| text == **expected);
            let clean = format!("{}|post-return", export.split('|').next().unwrap_or(export));
            if names.contains(&clean) {
                running.call(&clean, &[*value]).or_else(|stop| failed(format!("post-return: {stop:?}")))?;
            }
            is_right
        }
        _ => return open("results of types that this test does not read"),
    };
    if is_right { Ok(true) } else { failed(format!("{value:?}, and {expected:?} is expected")) }
}
