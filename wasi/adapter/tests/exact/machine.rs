//! The adapter on an engine that is not ours, with a guest's memory and a preview 1 that says what a test wants.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use wasmi::{Engine, Error, ExternType, Instance, Linker, Memory, MemoryType, Module, Store, Val, ValType};

/// What a function of preview 1 does: it gets the adapter's memory and its arguments, and returns an errno.
pub type Answer = Box<dyn FnMut(&mut [u8], &[u64]) -> u32 + Send + Sync>;

/// Where the guest gives memory away.
pub const HEAP: u32 = 0x1_0000;
/// The pages of the guest.
pub const PAGES: u32 = 8;

pub struct Host {
    own: Memory,
    answers: BTreeMap<String, Answer>,
    calls: Vec<String>,
    heap: u32,
    realloc: Option<u32>,
}

pub struct Machine {
    store: Store<Host>,
    instance: Instance,
    guest: Memory,
}

impl Machine {
    pub fn new() -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, module()).unwrap_or_else(|error| panic!("{error}"));
        // The memory is that of another store until there is one.
        let mut first = Store::new(&engine, ());
        let own = Memory::new(&mut first, MemoryType::new(0, None)).unwrap_or_else(|error| panic!("{error}"));
        let host = Host { own, answers: BTreeMap::new(), calls: Vec::new(), heap: HEAP, realloc: None };
        let mut store = Store::new(&engine, host);
        let mut memory = |pages, most| {
            Memory::new(&mut store, MemoryType::new(pages, Some(most))).unwrap_or_else(|error| panic!("{error}"))
        };
        let (own, guest) = (memory(16, 4096), memory(PAGES, PAGES));
        store.data_mut().own = own;

        let mut linker = <Linker<Host>>::new(&engine);
        for import in module.imports() {
            let name = import.name().to_owned();
            let linked = match (import.module(), import.ty()) {
                ("own", _) => linker.define("own", &name, own),
                ("guest", ExternType::Memory(_)) => linker.define("guest", &name, guest),
                ("guest", ExternType::Func(ty)) => {
                    linker.func_new("guest", &name.clone(), ty.clone(), move |mut caller, arguments, results| {
                        results[0] = Val::I32(caller.data_mut().realloc(&numbers(arguments)).cast_signed());
                        Ok(())
                    })
                }
                ("trap", ExternType::Func(ty)) => {
                    linker.func_new("trap", &name.clone(), ty.clone(), move |_, _, _| Err(Error::new(name.clone())))
                }
                (from, ExternType::Func(ty)) => {
                    let from = from.to_owned();
                    linker.func_new(&from, &name.clone(), ty.clone(), move |mut caller, arguments, results| {
                        let own = caller.data().own;
                        let (bytes, host) = own.data_and_store_mut(&mut caller);
                        let errno = host.call(&name, bytes, &numbers(arguments));
                        match results {
                            [result] => *result = Val::I32(errno.cast_signed()),
                            _ => return Err(Error::new(format!("{name} ended the program"))),
                        }
                        Ok(())
                    })
                }
                (from, ty) => panic!("{from} {name}: {ty:?}"),
            };
            linked.map(drop).unwrap_or_else(|error| panic!("{error}"));
        }
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap_or_else(|error| panic!("{error}"));
        Self { store, instance, guest }
    }

    /// Says what a function of preview 1 does from now on. Without, it answers `nosys` (52).
    pub fn on(&mut self, name: &str, answer: impl FnMut(&mut [u8], &[u64]) -> u32 + Send + Sync + 'static) {
        self.store.data_mut().answers.insert(name.to_owned(), Box::new(answer));
    }

    /// Calls an export. `interface#function` is enough: `io/poll#poll`. The error is the name of the trap.
    pub fn call(&mut self, name: &str, arguments: &[u64]) -> Result<u64, String> {
        let (interface, function) = name.split_once('#').unwrap_or_else(|| panic!("{name}"));
        let name = format!("wasi:{interface}@0.2#{function}");
        let function = self.instance.get_func(&self.store, &name).unwrap_or_else(|| panic!("no {name}"));
        let ty = function.ty(&self.store);
        assert_eq!(ty.params().len(), arguments.len(), "{name}");
        let arguments: Vec<_> = ty
            .params()
            .iter()
            .zip(arguments)
            .map(|(ty, number)| match ty {
                ValType::I32 => {
                    Val::I32(u32::try_from(*number).unwrap_or_else(|_| panic!("{number:#x}")).cast_signed())
                }
                ValType::I64 => Val::I64(number.cast_signed()),
                _ => panic!("{name} takes {ty:?}"),
            })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        function.call(&mut self.store, &arguments, &mut results).map_err(|error| error.to_string())?;
        Ok(numbers(&results).first().copied().unwrap_or(0))
    }

    /// The calls of preview 1 and of `realloc` since the last time.
    pub fn calls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.store.data_mut().calls)
    }

    /// What `realloc` answers from now on, in place of memory.
    pub fn set_realloc(&mut self, answer: Option<u32>) {
        self.store.data_mut().realloc = answer;
    }

    pub fn guest(&self, at: u32, len: u32) -> Vec<u8> {
        self.guest.data(&self.store)[at as usize..][..len as usize].to_vec()
    }

    pub fn set_guest(&mut self, at: u32, bytes: &[u8]) {
        self.guest.data_mut(&mut self.store)[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn word(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.guest(at, 4).try_into().unwrap_or_default())
    }

    pub fn long(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.guest(at, 8).try_into().unwrap_or_default())
    }

    /// The bytes of a list whose pointer and length lie at `at`.
    pub fn list(&self, at: u32) -> Vec<u8> {
        self.guest(self.word(at), self.word(at + 4))
    }

    pub fn text(&self, at: u32) -> String {
        String::from_utf8(self.list(at)).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Host {
    fn call(&mut self, name: &str, own: &mut [u8], arguments: &[u64]) -> u32 {
        let mut line = name.to_owned();
        for argument in arguments {
            write!(line, " {argument:#x}").unwrap_or_else(|error| panic!("{error}"));
        }
        self.calls.push(line);
        self.answers.get_mut(name).map_or(52, |answer| answer(own, arguments))
    }

    fn realloc(&mut self, arguments: &[u64]) -> u32 {
        let [0, 0, align, bytes] = *arguments else { panic!("{arguments:x?}") };
        self.calls.push(format!("realloc {align} {bytes}"));
        let ptr = self.heap.next_multiple_of(u32::try_from(align).unwrap_or(1));
        self.heap = ptr + u32::try_from(bytes).unwrap_or(0).min(PAGES << 16);
        self.realloc.unwrap_or(ptr)
    }
}

fn numbers(values: &[Val]) -> Vec<u64> {
    let number = |value: &Val| match value {
        Val::I32(number) => u64::from(number.cast_unsigned()),
        Val::I64(number) => number.cast_unsigned(),
        other => panic!("{other:?}"),
    };
    values.iter().map(number).collect()
}

/// The adapter with its traps as imports, so that a test sees which one it was. `assembled.rs` says that the binary is the same text.
fn module() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    MODULE.get_or_init(assemble)
}

fn assemble() -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = String::new();
    let mut fields = String::new();
    for name in ["imports", "abi", "handles", "cli", "clocks", "random", "io", "filesystem", "sockets"] {
        let path = source.join(name).with_extension("wat");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for line in text.lines() {
            match line.strip_prefix("(func $trap:").and_then(|rest| rest.strip_suffix(" unreachable)")) {
                Some(trap) => {
                    writeln!(imports, "(import \"trap\" \"{}\" (func $trap:{trap}))", trap.replace('_', " "))
                }
                None => writeln!(fields, "{line}"),
            }
            .unwrap_or_else(|error| panic!("{error}"));
        }
    }
    wat::parse_str(format!("(module {imports} {fields})")).unwrap_or_else(|error| panic!("{error}"))
}

// ---- answers that tests share ----

pub fn put(own: &mut [u8], at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    own[at..][..bytes.len()].copy_from_slice(bytes);
}

pub fn get(own: &[u8], at: u64, len: u64) -> Vec<u8> {
    let (at, len) = (usize::try_from(at).unwrap_or(usize::MAX), usize::try_from(len).unwrap_or(usize::MAX));
    own[at..][..len].to_vec()
}

pub fn word(own: &[u8], at: u64) -> u64 {
    u64::from(u32::from_le_bytes(get(own, at, 4).try_into().unwrap_or_default()))
}

pub fn long(own: &[u8], at: u64) -> u64 {
    u64::from_le_bytes(get(own, at, 8).try_into().unwrap_or_default())
}

/// `fd_fdstat_get` with this type and these rights.
pub fn fdstat(kind: u8, rights: u64) -> impl FnMut(&mut [u8], &[u64]) -> u32 {
    move |own, arguments| {
        put(own, arguments[1], &[kind, 0, 0, 0, 0, 0, 0, 0]);
        put(own, arguments[1] + 8, &rights.to_le_bytes());
        0
    }
}

/// `clock_time_get` or `clock_res_get`, which write to their last argument.
pub fn clock(nanoseconds: u64) -> impl FnMut(&mut [u8], &[u64]) -> u32 {
    move |own, arguments| {
        put(own, arguments[arguments.len() - 1], &nanoseconds.to_le_bytes());
        0
    }
}

/// A subscription of `poll_oneoff`: its userdata, its type and descriptor, or 0, the clock, time and flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    Clock(u64, u64, u64),
    Fd(u64, u64),
}

/// `poll_oneoff`: what a test says of each subscription is whether it occurs.
pub fn poll(mut occurs: impl FnMut(&Subscription) -> bool) -> impl FnMut(&mut [u8], &[u64]) -> u32 {
    move |own, arguments| {
        let (mut out, mut count) = (arguments[1], 0_u32);
        for index in 0..arguments[2] {
            let at = arguments[0] + 48 * index;
            let subscription = match own[usize::try_from(at).unwrap_or(0) + 8] {
                0 => Subscription::Clock(word(own, at + 16), long(own, at + 24), long(own, at + 40)),
                kind => Subscription::Fd(u64::from(kind), word(own, at + 16)),
            };
            if occurs(&subscription) {
                let userdata = long(own, at);
                put(own, out, &[0; 32]);
                put(own, out, &userdata.to_le_bytes());
                out += 32;
                count += 1;
            }
        }
        put(own, arguments[3], &count.to_le_bytes());
        0
    }
}

/// `fd_read` or `fd_pread`: each call gives the next of these, as far as there is room; then the end.
pub fn read(parts: &[&[u8]]) -> impl FnMut(&mut [u8], &[u64]) -> u32 + use<> {
    let mut parts: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
    move |own, arguments| {
        let (at, room) = (word(own, arguments[1]), word(own, arguments[1] + 4));
        let mut part = parts.pop().unwrap_or_default();
        let rest = part.split_off(part.len().min(usize::try_from(room).unwrap_or(0)));
        if !rest.is_empty() {
            parts.push(rest);
        }
        put(own, at, &part);
        put(own, arguments[arguments.len() - 1], &u32::try_from(part.len()).unwrap_or(0).to_le_bytes());
        0
    }
}

/// `fd_write` or `fd_pwrite`: takes at most `most` bytes at once.
pub fn write(most: u64, sink: Sink) -> impl FnMut(&mut [u8], &[u64]) -> u32 {
    move |own, arguments| {
        let (at, len) = (word(own, arguments[1]), word(own, arguments[1] + 4).min(most));
        sink.lock().unwrap_or_else(|error| panic!("{error}")).extend(get(own, at, len));
        put(own, arguments[arguments.len() - 1], &u32::try_from(len).unwrap_or(0).to_le_bytes());
        0
    }
}

/// Where what was written is.
pub type Sink = Arc<Mutex<Vec<u8>>>;

pub fn taken(sink: &Sink) -> Vec<u8> {
    std::mem::take(&mut *sink.lock().unwrap_or_else(|error| panic!("{error}")))
}
