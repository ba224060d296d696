//! The collector on an engine that is not ours, with a heap of its own.

use wasmi::{
    Caller, Config, Engine, Extern, Instance, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc,
};
use wave_collector::{COLLECTIONS, Class, NEXT_FREE, PAGE_BYTES};

/// What went wrong, in words.
pub type Fault = String;

/// What the import `roots` gives away.
struct Host {
    candidates: Vec<u32>,
    given: usize,
    limits: StoreLimits,
}

/// The collector, instantiated.
pub struct Machine {
    store: Store<Host>,
    memory: Memory,
    allocate: TypedFunc<(u32, u32), u32>,
    collect: TypedFunc<(), ()>,
}

impl Machine {
    /// With a heap that may grow to `most_pages`. It may use `fuel` if there is any.
    pub fn new(module: &[u8], most_pages: u32, fuel: Option<u64>) -> Result<Self, Fault> {
        let mut config = Config::default();
        config.consume_fuel(fuel.is_some());
        let engine = Engine::new(&config);
        let module = Module::new(&engine, module).map_err(text)?;
        let limits = StoreLimitsBuilder::new().memory_size(most_pages as usize * PAGE_BYTES as usize).build();
        let mut store = Store::new(&engine, Host { candidates: Vec::new(), given: 0, limits });
        store.limiter(|host| &mut host.limits);
        if let Some(fuel) = fuel {
            store.set_fuel(fuel).map_err(text)?;
        }
        let mut linker = Linker::new(&engine);
        linker.func_wrap("wave", "roots", roots).map_err(text)?;
        let instance: Instance = linker.instantiate_and_start(&mut store, &module).map_err(text)?;
        let memory = instance.get_memory(&store, "heap").ok_or("no memory `heap`")?;
        let allocate = instance.get_typed_func(&store, "allocate").map_err(text)?;
        let collect = instance.get_typed_func(&store, "collect").map_err(text)?;
        Ok(Self { store, memory, allocate, collect })
    }

    /// Says what a collection gets as candidates for roots from now on.
    pub fn set_candidates(&mut self, candidates: Vec<u32>) {
        self.store.data_mut().candidates = candidates;
    }

    pub fn candidates(&self) -> &[u32] {
        &self.store.data().candidates
    }

    pub fn allocate(&mut self, descriptor: u32, bytes: u32) -> Result<u32, Fault> {
        self.allocate.call(&mut self.store, (descriptor, bytes)).map_err(text)
    }

    pub fn collect(&mut self) -> Result<(), Fault> {
        self.collect.call(&mut self.store, ()).map_err(text)
    }

    /// Takes a cell from a free list, as compiled code does.
    pub fn take(&mut self, class: Class, descriptor: u32) -> Result<Option<u32>, Fault> {
        let cell = self.word(class.free_list());
        if cell == 0 {
            return Ok(None);
        }
        if cell >= self.pages() * PAGE_BYTES {
            return Err(format!("the list of {} bytes begins with {cell:#x}", class.bytes));
        }
        let next = self.word(cell + NEXT_FREE);
        self.set_word(class.free_list(), next);
        self.set_word(cell, descriptor);
        Ok(Some(cell))
    }

    /// What is left of the fuel.
    pub fn fuel(&self) -> u64 {
        self.store.get_fuel().unwrap_or(0)
    }

    /// Adds pages as the runtime does, and returns the first.
    pub fn grow(&mut self, pages: u32) -> Option<u32> {
        self.memory.grow(&mut self.store, u64::from(pages)).ok().and_then(|page| u32::try_from(page).ok())
    }

    pub fn pages(&self) -> u32 {
        u32::try_from(self.memory.size(&self.store)).unwrap_or(u32::MAX)
    }

    pub fn collections(&self) -> u32 {
        self.word(COLLECTIONS)
    }

    pub fn word(&self, at: u32) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.bytes(at, 4));
        u32::from_le_bytes(bytes)
    }

    pub fn set_word(&mut self, at: u32, word: u32) {
        self.set_bytes(at, &word.to_le_bytes());
    }

    pub fn bytes(&self, at: u32, len: usize) -> &[u8] {
        &self.memory.data(&self.store)[at as usize..][..len]
    }

    pub fn set_bytes(&mut self, at: u32, bytes: &[u8]) {
        self.memory.data_mut(&mut self.store)[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }
}

/// The import.
fn roots(mut caller: Caller<'_, Host>, restart: u32, buffer: u32, words: u32) -> u32 {
    let memory = caller.get_export("heap").and_then(Extern::into_memory);
    let Some(memory) = memory else { return 0 };
    let (data, host) = memory.data_and_store_mut(&mut caller);
    if restart == 1 {
        host.given = 0;
    }
    let part = &host.candidates[host.given..];
    let part = &part[..part.len().min(words as usize)];
    for (place, word) in data[buffer as usize..].chunks_exact_mut(4).zip(part) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    host.given += part.len();
    u32::try_from(part.len()).unwrap_or(0)
}

fn text(error: impl std::fmt::Display) -> Fault {
    error.to_string()
}
