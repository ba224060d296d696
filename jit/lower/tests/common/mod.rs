//! What the tests share: components as text, and a small host that runs what they are lowered to.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::VecDeque;
use wave_compiler::{CompileOptions, ImportLinkage, Module};
use wave_contract::artifact::CodeSettings;
use wave_policy::{Level, Policy};
use wave_runtime::{
    Binding, CallError, Caller, HostFunction, InstanceId, Item, Stop, Stopped, Store, StoreOptions, Stub, Trap, Value,
};
use wave_sandbox::{SealPlan, Sealed};

/// The binary form of a component.
pub fn component(text: &str) -> Vec<u8> {
    let parsed = |buffer: &wast::parser::ParseBuffer<'_>| wast::parser::parse::<wast::Wat<'_>>(buffer)?.encode();
    let bytes = wast::parser::ParseBuffer::new(text).and_then(|buffer| parsed(&buffer));
    bytes.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The module of a component.
pub fn lowered(text: &str) -> Vec<u8> {
    wave_lower::lower(&component(text)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Why a component is refused.
pub fn refused(text: &str) -> String {
    match wave_lower::lower(&component(text)) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

/// A part of a result that takes an allocation.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its alignment.
    pub align: u32,
    /// Its bytes, with zeros where pointers are.
    pub bytes: Vec<u8>,
    /// Where pointers to the pieces before it are: the offset, and how many places before.
    pub pointers: Vec<(usize, usize)>,
}

/// The pieces of a list of strings, and the list itself, as the return area has it.
pub fn strings(all: &[&str]) -> Vec<Piece> {
    let string = |text: &&str| Piece { align: 1, bytes: text.as_bytes().to_vec(), pointers: Vec::new() };
    let mut pieces: Vec<Piece> = all.iter().map(string).collect();
    let mut list = Piece { align: 4, bytes: Vec::new(), pointers: Vec::new() };
    for (index, text) in all.iter().enumerate() {
        list.pointers.push((list.bytes.len(), all.len() - index));
        list.bytes.extend([0; 4]);
        list.bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    }
    pieces.push(list);
    let mut area = vec![0; 4];
    area.extend(u32::try_from(all.len()).unwrap().to_le_bytes());
    pieces.push(Piece { align: 4, bytes: area, pointers: vec![(0, 1)] });
    pieces
}

/// What the host knows.
#[derive(Debug, Default)]
pub struct Host {
    /// What was called.
    pub calls: Vec<String>,
    /// What `texts` returns.
    pub texts: Vec<&'static str>,
    /// What is still to be placed. The last is the return area.
    pub pending: VecDeque<Piece>,
    /// Where the pieces before were placed.
    pub placed: Vec<u32>,
    /// How many things there are.
    pub things: u32,
    /// Where the return area is.
    pub area: u32,
}

type Call<'a, 'b> = &'a mut Caller<'b, Host>;

fn place(memory: &mut [u8], at: u32, piece: &Piece, placed: &[u32]) {
    let at = at as usize;
    let mut bytes = piece.bytes.clone();
    for (offset, back) in &piece.pointers {
        let pointer = placed[placed.len() - back];
        bytes[*offset..offset + 4].copy_from_slice(&pointer.to_le_bytes());
    }
    memory[at..at + bytes.len()].copy_from_slice(&bytes);
}

fn begin(caller: Call<'_, '_>, area: u32, pieces: Vec<Piece>) {
    let (memory, host) = caller.parts();
    host.pending = pieces.into();
    host.placed.clear();
    host.area = area;
    if host.pending.len() == 1 {
        let piece = host.pending.pop_front().unwrap();
        place(memory, area, &piece, &[]);
    }
}

/// A function of the host by its name, if it has it.
fn binding(module: &str, name: &str) -> Option<Binding<Host>> {
    Some(Binding::Host(match (module, name) {
        ("wave:abi/results@1", "next") => HostFunction::new(|caller: Call<'_, '_>| {
            let host = caller.data();
            Ok::<u64, Stop>(match host.pending.front() {
                Some(piece) if host.pending.len() > 1 => u64::from(piece.align) << 32 | piece.bytes.len() as u64,
                _ => u64::MAX,
            })
        }),
        ("wave:abi/results@1", "place") => HostFunction::new(|caller: Call<'_, '_>, at: u32| {
            let (memory, host) = caller.parts();
            let piece = host.pending.pop_front().expect("something is pending");
            place(memory, at, &piece, &host.placed);
            host.placed.push(at);
            if host.pending.len() == 1 {
                let piece = host.pending.pop_front().unwrap();
                place(memory, host.area, &piece, &host.placed);
            }
            Ok::<(), Stop>(())
        }),
        (_, "texts") => HostFunction::new(|caller: Call<'_, '_>, area: u32| {
            caller.data().calls.push("texts".to_owned());
            let pieces = strings(&caller.data().texts.clone());
            begin(caller, area, pieces);
            Ok::<(), Stop>(())
        }),
        // An `option<string>` that is none: nothing is allocated.
        (_, "nothing") => HostFunction::new(|caller: Call<'_, '_>, area: u32| {
            let piece = Piece { align: 4, bytes: vec![0; 12], pointers: Vec::new() };
            begin(caller, area, vec![piece]);
            Ok::<(), Stop>(())
        }),
        (_, "log") => HostFunction::new(|caller: Call<'_, '_>, at: u32, len: u32| {
            let (memory, host) = caller.parts();
            let text = &memory[at as usize..(at + len) as usize];
            host.calls.push(String::from_utf8(text.to_vec()).unwrap());
            Ok::<(), Stop>(())
        }),
        (_, "note") => HostFunction::new(|caller: Call<'_, '_>, value: u32| {
            caller.data().calls.push(format!("note {value}"));
            Ok::<(), Stop>(())
        }),
        (_, "double") => HostFunction::new(|_: Call<'_, '_>, value: u32| Ok::<u32, Stop>(value.wrapping_mul(2))),
        ("wasi:cli/exit@0.2", "exit") => {
            HostFunction::new(|_: Call<'_, '_>, status: u32| Err::<(), Stop>(Stop::Exit(status)))
        }
        (_, "[resource-drop]thing") => HostFunction::new(|caller: Call<'_, '_>, handle: u32| {
            caller.data().calls.push(format!("drop {handle}"));
            Ok::<(), Stop>(())
        }),
        ("host", "[constructor]thing") => HostFunction::new(|caller: Call<'_, '_>| {
            caller.data().things += 1;
            Ok::<u32, Stop>(99 + caller.data().things)
        }),
        (_, "[constructor]thing") => HostFunction::new(|_: Call<'_, '_>| Ok::<u32, Stop>(7)),
        (_, "[method]thing.look") => HostFunction::new(|caller: Call<'_, '_>, handle: u32| {
            caller.data().calls.push(format!("look {handle}"));
            Ok::<u32, Stop>(handle)
        }),
        ("host", "sum") => HostFunction::new(|caller: Call<'_, '_>, at: u32, count: u32| {
            let (memory, _) = caller.parts();
            let (at, count) = (at as usize, count as usize);
            let words = memory[at..at + 4 * count].chunks(4);
            Ok::<u32, Stop>(words.map(|word| u32::from_le_bytes(word.try_into().unwrap())).sum())
        }),
        // A list of so many new things.
        ("host", "many") => HostFunction::new(|caller: Call<'_, '_>, count: u32, area: u32| {
            let first = 100 + caller.data().things;
            caller.data().things += count;
            let bytes = (first..first + count).flat_map(u32::to_le_bytes).collect();
            let list = Piece { align: 4, bytes, pointers: Vec::new() };
            let mut bytes = vec![0; 4];
            bytes.extend(count.to_le_bytes());
            begin(caller, area, vec![list, Piece { align: 4, bytes, pointers: vec![(0, 1)] }]);
            Ok::<(), Stop>(())
        }),
        // Those of the scripts.
        ("host", "return-three") => HostFunction::new(|_: Call<'_, '_>| Ok::<u32, Stop>(3)),
        ("host", "return-four") => HostFunction::new(|_: Call<'_, '_>| Ok::<u32, Stop>(4)),
        _ => return None,
    }))
}

/// An instance of a lowered module.
pub struct Running {
    pub store: Store<Host>,
    pub instance: InstanceId,
    sealed: Sealed,
}

impl Running {
    /// Compiles, verifies and starts a module.
    pub fn start(bytes: &[u8], host: Host) -> Result<Self, Stopped> {
        // A script asks for a memory of 4 GiB, of which it uses little.
        let options = StoreOptions { stack_bytes: 1 << 20, memory_limit_bytes: 1 << 33, ..StoreOptions::default() };
        let mut store = Store::new(options, host).expect("a store");
        let module = Module::parse(bytes).expect("the module is valid");
        let find = |import: &wave_contract::module::Import| {
            binding(&import.module, &import.name)
                .unwrap_or_else(|| panic!("the host has no {} {}", import.module, import.name))
        };
        let bindings: Vec<_> = module.info().imports.iter().map(find).collect();
        let placement = store.place(module.info(), &bindings).expect("it can be placed");
        let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
        let imports: Vec<_> = placement.host_imports.iter().map(linkage).collect();
        let options = CompileOptions {
            addressing: placement.addressing.clone(),
            signatures: &placement.signatures,
            imports: &imports,
            threads: 1,
            verify_ir: true,
            settings: CodeSettings::default(),
        };
        let image = module.compile(&options).expect("the module compiles");
        let (image, _) = wave_verifier::verify(image, bytes, placement.terms(), 1).expect("the code is in order");
        let instance = store.load(placement, module.into_info(), image, bytes.to_vec()).expect("it can be loaded");
        let policy = Policy { level: Level::Off, ..Policy::default() };
        let sealed = wave_sandbox::seal(&SealPlan::new(&policy)).expect("nothing is asked for");
        store.initialize(&sealed, instance)?;
        Ok(Self { store, instance, sealed })
    }

    /// The module of a component.
    pub fn of(text: &str) -> Self {
        Self::with(text, Host::default())
    }

    /// The module of a component, with this host.
    pub fn with(text: &str, host: Host) -> Self {
        Self::start(&lowered(text), host).expect("it starts")
    }

    /// Calls an export.
    pub fn call(&mut self, name: &str, arguments: &[Value]) -> Result<Vec<Value>, Stop> {
        let Some(Item::Function(function)) = self.store.export(self.instance, name) else { panic!("no export {name}") };
        match self.store.call(&self.sealed, function, arguments) {
            Ok(values) => Ok(values),
            Err(CallError::Stopped(stopped)) => Err(stopped.stop),
            Err(other) => panic!("{name}: {other:?}"),
        }
    }

    /// Calls an export that returns an `i32`.
    pub fn number(&mut self, name: &str, arguments: &[i32]) -> i32 {
        let arguments: Vec<Value> = arguments.iter().map(|value| Value::I32(*value)).collect();
        match self.call(name, &arguments).as_deref() {
            Ok([Value::I32(value)]) => *value,
            other => panic!("{name} gave {other:?}"),
        }
    }

    /// Calls an export that must trap so.
    pub fn traps(&mut self, name: &str, arguments: &[i32]) -> Trap {
        let arguments: Vec<Value> = arguments.iter().map(|value| Value::I32(*value)).collect();
        match self.call(name, &arguments) {
            Err(Stop::Trap(trap)) => trap,
            other => panic!("{name} gave {other:?}"),
        }
    }
}

/// Compiles a module and verifies its code, with nothing for its imports.
pub fn verify(bytes: &[u8]) {
    let options = StoreOptions { memory_limit_bytes: 1 << 30, ..StoreOptions::default() };
    let mut store = Store::new(options, ()).expect("a store");
    let module = Module::parse(bytes).expect("the module is valid");
    let bindings: Vec<Binding<()>> = module.info().imports.iter().map(|_| Binding::Stub(Stub::Trap)).collect();
    let placement = store.place(module.info(), &bindings).expect("it can be placed");
    let linkage = |host: &bool| if *host { ImportLinkage::Host } else { ImportLinkage::Guest };
    let imports: Vec<_> = placement.host_imports.iter().map(linkage).collect();
    let options = CompileOptions {
        addressing: placement.addressing.clone(),
        signatures: &placement.signatures,
        imports: &imports,
        threads: 2,
        verify_ir: false,
        settings: CodeSettings::default(),
    };
    let image = module.compile(&options).expect("the module compiles");
    wave_verifier::verify(image, bytes, placement.terms(), 2).expect("the code is in order");
}

/// Why this host cannot run a module, if it cannot.
pub fn hindrance(bytes: &[u8]) -> Option<&'static str> {
    let Ok(module) = Module::parse(bytes) else { return Some("what the compiler does not support") };
    let has = |import: &wave_contract::module::Import| binding(&import.module, &import.name).is_some();
    (!module.info().imports.iter().all(has)).then_some("functions of a host that this test does not have")
}

/// Imports of a module, each as `interface function: type`.
pub fn imports(bytes: &[u8]) -> Vec<String> {
    let module = Module::parse(bytes).expect("the module is valid");
    let info = module.info();
    let name = |import: &wave_contract::module::Import| match import.ty {
        wave_contract::module::ImportType::Function(ty) => {
            format!("{} {}: {}", import.module, import.name, info.types[ty as usize])
        }
        _ => format!("{} {}", import.module, import.name),
    };
    info.imports.iter().map(name).collect()
}

/// Names of the exports of a module.
pub fn exports(bytes: &[u8]) -> Vec<String> {
    let module = Module::parse(bytes).expect("the module is valid");
    module.info().exports.iter().map(|export| export.name.clone()).collect()
}
