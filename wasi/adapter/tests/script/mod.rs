//! The adapter on a host that follows a script: which functions of preview 1 are called, with what, in which order, and what each answers.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::VecDeque;

use wasmi::{
    Caller, Engine, ExternType, Func, FuncType, Instance, Linker, Memory, MemoryType, Module, Store, TrapCode, Val,
    ValType,
};

/// Where the adapter has iovecs and results of preview 1, and its two buffers.
pub const RESULTS: u64 = 0x100;
pub const BUFFER: u64 = 0x1000;
pub const PATH: u64 = 0x11000;
pub const PATH2: u64 = 0x19000;

/// Memory of the guest is full of this.
pub const FILL: u8 = 0xa5;
const GUEST_PAGES: u32 = 4;
/// What the guest's `realloc` gives out begins here.
pub const HEAP: u64 = 0x2_0000;

/// A call of preview 1, and its answer.
pub struct Step {
    function: &'static str,
    arguments: Vec<u64>,
    sees: Vec<(u64, Vec<u8>)>,
    writes: Vec<(u64, Vec<u8>)>,
    errno: u16,
}

impl Step {
    /// What lies in the adapter's memory at the call.
    pub fn sees(mut self, at: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.sees.push((at, bytes.into()));
        self
    }

    /// What the host writes to the adapter's memory.
    pub fn writes(mut self, at: u64, bytes: impl Into<Vec<u8>>) -> Self {
        self.writes.push((at, bytes.into()));
        self
    }

    /// What it answers, instead of 0.
    pub fn answers(mut self, errno: u16) -> Self {
        self.errno = errno;
        self
    }
}

/// A call that is expected.
pub fn step(function: &'static str, arguments: impl Into<Vec<u64>>) -> Step {
    Step { function, arguments: arguments.into(), sees: Vec::new(), writes: Vec::new(), errno: 0 }
}

/// An iovec.
pub fn iovec(at: u64, len: u64) -> Vec<u8> {
    [word(at), word(len)].concat()
}

/// Four bytes.
pub fn word(value: u64) -> Vec<u8> {
    u32::try_from(value).expect("32 bits").to_le_bytes().to_vec()
}

/// Eight bytes.
pub fn long(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

struct Host {
    own: Option<Memory>,
    steps: VecDeque<Step>,
    /// What `realloc` gives out next, and what it is asked to answer instead.
    heap: u64,
    realloc: Option<u64>,
}

/// An instance of the adapter, its memory, and that of a guest.
pub struct Rig {
    store: Store<Host>,
    instance: Instance,
    own: Memory,
    guest: Memory,
}

impl Rig {
    pub fn new() -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, wave_adapter::MODULE).unwrap_or_else(|error| panic!("{error}"));
        let host = Host { own: None, steps: VecDeque::new(), heap: HEAP, realloc: None };
        let mut store = Store::new(&engine, host);
        let own = Memory::new(&mut store, MemoryType::new(16, Some(4096))).expect("a memory");
        let guest = Memory::new(&mut store, MemoryType::new(GUEST_PAGES, Some(GUEST_PAGES))).expect("a memory");
        store.data_mut().own = Some(own);
        guest.data_mut(&mut store).fill(FILL);

        let mut linker = Linker::new(&engine);
        linker.define("own", "memory", own).expect("defined once");
        linker.define("guest", "memory", guest).expect("defined once");
        for import in module.imports() {
            if let ExternType::Func(ty) = import.ty() {
                let func = match import.module() {
                    "guest" => Func::new(&mut store, ty.clone(), realloc),
                    _ => preview_1(&mut store, ty.clone(), import.name()),
                };
                linker.define(import.module(), import.name(), func).expect("defined once");
            }
        }
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap_or_else(|error| panic!("{error}"));
        Self { store, instance, own, guest }
    }

    /// Adds calls that are expected after those that are expected already.
    pub fn expect(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.store.data_mut().steps.extend(steps);
    }

    /// Calls an exported function.
    pub fn try_call(&mut self, name: &str, arguments: &[u64]) -> Result<Vec<u64>, TrapCode> {
        let func = self.instance.get_func(&self.store, name).unwrap_or_else(|| panic!("no function {name}"));
        let ty = func.ty(&self.store);
        assert_eq!(ty.params().len(), arguments.len(), "{name}");
        let params: Vec<_> = ty.params().iter().zip(arguments).map(|(ty, value)| to_val(*ty, *value)).collect();
        let mut results: Vec<_> = ty.results().iter().map(|ty| Val::default(*ty)).collect();
        match func.call(&mut self.store, &params, &mut results) {
            Ok(()) => {
                let left = self.store.data().steps.front().map(|step| step.function);
                assert_eq!(left, None, "{name} did not call it");
                Ok(results.iter().map(from_val).collect())
            }
            Err(error) => Err(error.as_trap_code().unwrap_or_else(|| panic!("{name}: {error}"))),
        }
    }

    /// Calls a function that does not trap and has no flat result.
    pub fn call(&mut self, name: &str, arguments: &[u64]) {
        assert_eq!(self.try_call(name, arguments), Ok(Vec::new()), "{name}");
    }

    /// Calls a function that does not trap and has one flat result.
    pub fn get(&mut self, name: &str, arguments: &[u64]) -> u64 {
        let results = self.try_call(name, arguments).unwrap_or_else(|trap| panic!("{name}: {trap}"));
        results[0]
    }

    /// Calls a function that traps by a decision of the adapter, after the steps that are expected. The instance cannot be used further.
    pub fn traps(&mut self, name: &str, arguments: &[u64]) {
        self.traps_by(name, arguments, TrapCode::UnreachableCodeReached);
    }

    /// Calls a function that traps.
    pub fn traps_by(&mut self, name: &str, arguments: &[u64], trap: TrapCode) {
        assert_eq!(self.try_call(name, arguments), Err(trap), "{name} {arguments:x?}");
        assert!(self.store.data().steps.is_empty(), "{name}");
    }

    /// Lets `realloc` answer this from now on.
    pub fn realloc_answers(&mut self, ptr: u64) {
        self.store.data_mut().realloc = Some(ptr);
    }

    /// Bytes of the guest's memory.
    pub fn guest(&self, at: u64, len: usize) -> Vec<u8> {
        read(self.guest.data(&self.store), at, len)
    }

    /// A word of the guest's memory.
    pub fn guest_word(&self, at: u64) -> u64 {
        u32::from_le_bytes(self.guest(at, 4).try_into().expect("4 bytes")).into()
    }

    pub fn guest_long(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.guest(at, 8).try_into().expect("8 bytes"))
    }

    pub fn set_guest(&mut self, at: u64, bytes: &[u8]) {
        write(self.guest.data_mut(&mut self.store), at, bytes);
    }

    /// Puts a string into the guest's memory and returns its length.
    pub fn put(&mut self, at: u64, text: impl AsRef<[u8]>) -> u64 {
        self.set_guest(at, text.as_ref());
        text.as_ref().len() as u64
    }

    /// Bytes of the adapter's memory.
    pub fn own(&self, at: u64, len: usize) -> Vec<u8> {
        read(self.own.data(&self.store), at, len)
    }

    pub fn set_own(&mut self, at: u64, bytes: &[u8]) {
        write(self.own.data_mut(&mut self.store), at, bytes);
    }
}

fn realloc(mut caller: Caller<'_, Host>, params: &[Val], results: &mut [Val]) -> Result<(), wasmi::Error> {
    let [old, old_bytes, align, bytes] = [0, 1, 2, 3].map(|index: usize| from_val(&params[index]));
    assert_eq!((old, old_bytes), (0, 0), "an allocation is a new one");
    let host = caller.data_mut();
    // Aligned to no more than is asked for.
    let ptr = host.realloc.unwrap_or_else(|| host.heap.next_multiple_of(2 * align) + align);
    host.heap = ptr + bytes;
    results[0] = to_val(ValType::I32, ptr);
    Ok(())
}

fn preview_1(store: &mut Store<Host>, ty: FuncType, name: &str) -> Func {
    let name = name.to_owned();
    Func::new(store, ty, move |mut caller: Caller<'_, Host>, params: &[Val], results: &mut [Val]| {
        let arguments: Vec<_> = params.iter().map(from_val).collect();
        let step = caller.data_mut().steps.pop_front();
        let step = step.unwrap_or_else(|| panic!("not expected: {name} {arguments:x?}"));
        assert_eq!((step.function, &step.arguments), (&*name, &arguments), "{name} {arguments:x?}");
        let own = caller.data().own.expect("set at the start");
        let bytes = own.data_mut(&mut caller);
        for (at, expected) in &step.sees {
            assert_eq!(&read(bytes, *at, expected.len()), expected, "{name} at {at:#x}");
        }
        for (at, written) in &step.writes {
            write(bytes, *at, written);
        }
        results[0] = Val::I32(step.errno.into());
        Ok(())
    })
}

fn to_val(ty: ValType, value: u64) -> Val {
    match ty {
        ValType::I32 => Val::I32(u32::try_from(value).expect("32 bits").cast_signed()),
        ValType::I64 => Val::I64(value.cast_signed()),
        other => panic!("{other:?}"),
    }
}

fn from_val(value: &Val) -> u64 {
    match value {
        Val::I32(value) => value.cast_unsigned().into(),
        Val::I64(value) => value.cast_unsigned(),
        other => panic!("{other:?}"),
    }
}

fn read(memory: &[u8], at: u64, len: usize) -> Vec<u8> {
    let at = usize::try_from(at).expect("an address");
    memory[at..at + len].to_vec()
}

fn write(memory: &mut [u8], at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).expect("an address");
    memory[at..at + bytes.len()].copy_from_slice(bytes);
}

/// That the adapter has these functions of interfaces that begin with `prefix`, and no others. Types: `i` is i32, `l` is i64.
pub fn check_functions(prefix: &str, functions: &[(&str, &str, &str)]) {
    let module = Module::new(&Engine::default(), wave_adapter::MODULE).unwrap_or_else(|error| panic!("{error}"));
    let letters = |types: &[ValType]| -> String {
        let letter = |ty: &ValType| match ty {
            ValType::I32 => 'i',
            ValType::I64 => 'l',
            other => panic!("{other:?}"),
        };
        types.iter().map(letter).collect()
    };
    let mut found = Vec::new();
    for export in module.exports().filter(|export| export.name().starts_with(prefix)) {
        let ExternType::Func(ty) = export.ty() else { panic!("{}", export.name()) };
        found.push((export.name().to_owned(), letters(ty.params()), letters(ty.results())));
    }
    let mut expected: Vec<_> = functions
        .iter()
        .map(|(name, params, results)| ((*name).to_owned(), (*params).to_owned(), (*results).to_owned()))
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
