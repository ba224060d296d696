//! The store: it owns every runtime object, and enters guest code.

use crate::arena::{Arena, SharedFunction};
use crate::code::{CodeRegion, Location};
use crate::enter::{Activation, ActivationCell, FaultKind, enter_with};
use crate::exception::{Exceptions, Tag, calls};
use crate::function::{Function, FunctionEntry};
use crate::host::HostFunction;
use crate::instance::Instance;
use crate::link::LinkError;
use crate::low_addresses::LowAddresses;
use crate::mapping::random_u64;
use crate::memory::{Base, LinearMemory};
use crate::object::{Heap, ObjectKind};
use crate::platform::pages;
use crate::signal;
use crate::stack::GuestStack;
use crate::table::Table;
use crate::trap::{Frame, Stop, Stopped, Trap};
use crate::value::Value;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use wave_contract::abi::{FUEL, HostReturn, RESULT_AREA_BYTES, counter_of, fuel_of};
use wave_contract::collector::Word;
use wave_contract::context::{MEMORY_DESCRIPTOR_BYTES, MEMORY_LEN, STORE};
use wave_contract::libcall::Libcall;
use wave_contract::module::ImportType;
use wave_contract::trap::TrapCode;
use wave_contract::types::{
    FuncType, GlobalType, HeapType, Hierarchy, MemoryType, RefType, SignatureRegistry, TableType, ValType,
};
use wave_sandbox::Sealed;

/// How instances reach their contexts, and how much they may use.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Mode fixed: code contains addresses as constants. Otherwise mode arg: code gets its context as an argument. macOS has no addresses
    /// for mode fixed.
    pub fixed: bool,
    /// The seed that the addresses of mode fixed follow from, for code that was compiled for them. `None`: a random one.
    pub seed: Option<u64>,
    /// Size of the guest's stack, in bytes.
    pub stack_bytes: u64,
    /// Maximum size of all linear memories together, in bytes.
    pub memory_limit_bytes: u64,
    /// The fuel for all calls together, in units; code that was compiled to count it stops when it is used up. `None`: the
    /// most there can be.
    pub fuel: Option<u64>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            fixed: pages::HAS_LOW_ADDRESSES,
            seed: None,
            stack_bytes: 8 << 20,
            memory_limit_bytes: 4 << 30,
            fuel: None,
        }
    }
}

/// Number of an instance in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(pub(crate) usize);

/// Number of a table in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableId(pub(crate) usize);

/// Number of a linear memory in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryId(pub(crate) usize);

/// Number of a global in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlobalId(pub(crate) usize);

/// Number of a tag in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagId(pub(crate) usize);

/// A global: its type and where its cell lies in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    pub ty: GlobalType,
    pub cell: u32,
}

/// Why a call did not happen or did not return.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The arguments do not fit the function.
    #[error("function has type {expected}, but was called with ({found})")]
    Arguments {
        /// The function's type.
        expected: FuncType,
        /// Types of the arguments.
        found: String,
    },
    /// The store has no such function, or no entry thunk for it.
    #[error("function does not belong to this store")]
    Foreign,
    /// The guest stopped.
    #[error("guest stopped: {:?}", .0.stop)]
    Stopped(Stopped),
}

/// Owns instances, everything they share, and the embedder's data for host functions.
pub struct Store<T> {
    inner: NonNull<Inner>,
    data: NonNull<T>,
}

/// The part of a store that does not depend on its data.
pub struct Inner {
    /// No other store of the process has this number, not even one that was dropped.
    id: u64,
    pub options: StoreOptions,
    seed: u64,
    low_addresses: Option<LowAddresses>,
    pub signatures: SignatureRegistry,
    pub arena: Arena,
    pub results: u32,
    /// Offset in the arena of a memory descriptor of length 0, for instances without memory.
    pub no_memory: u32,
    pub functions: Vec<FunctionEntry>,
    pub tables: Vec<Table>,
    pub memories: Vec<(LinearMemory, u32)>,
    pub memory_ranges: Vec<Range<usize>>,
    pub globals: Vec<Global>,
    pub tags: Vec<Tag>,
    pub exceptions: Exceptions,
    /// The heap, once a module has objects.
    pub heap: Option<Heap>,
    pub instances: Vec<Instance>,
    pub code: CodeRegion,
    pub stack: GuestStack,
    #[expect(clippy::vec_box, reason = "contexts hold the links' addresses")]
    links: Vec<Box<InstanceLink>>,
    activation: ActivationCell,
    pending: Option<Stop>,
    /// Code of the embedder's [`Store::set_wait`].
    pub wait: Option<u64>,
}

/// What the first slot of a context points to: the way from guest code to its store.
pub struct InstanceLink {
    pub store: *mut Inner,
    pub data: *mut (),
    pub instance: usize,
}

impl InstanceLink {
    /// The link in the first slot of a context.
    ///
    /// # Safety
    /// `context` is the address of a context in the arena of a store that lives as long as `'a`.
    #[inline(always)]
    pub unsafe fn of_context<'a>(context: *const u8) -> &'a Self {
        // SAFETY: `Store::load` filled the slot. A context holds addresses, whose provenance `Store::link` and the
        // arena have exposed. A link lives in a box of its own until its store is dropped, and nobody makes a mutable
        // reference to it.
        unsafe {
            let address = context.add(STORE as usize).cast::<usize>().read();
            &*std::ptr::with_exposed_provenance(address)
        }
    }

    /// Records why the guest must stop. The result makes code leave the guest.
    pub fn stop(&self, stop: Stop) -> HostReturn {
        // SAFETY: a host function or library call is running, so `Store::enter` uses no reference to the store, and the
        // library call is done with its own. The store outlives its links.
        unsafe { (*self.store).pending = Some(stop) };
        HostReturn { value: 0, status: 1 }
    }
}

impl<T> Store<T> {
    /// Creates an empty store. Installs the fault handlers.
    ///
    /// # Errors
    /// The kernel's error when address space, signal handlers or random bits cannot be had. [`io::ErrorKind::Unsupported`] for mode fixed
    /// on macOS.
    pub fn new(options: StoreOptions, data: T) -> io::Result<Self> {
        if options.fixed && !pages::HAS_LOW_ADDRESSES {
            return Err(io::ErrorKind::Unsupported.into());
        }
        signal::install()?;
        let inner = NonNull::from(Box::leak(Box::new(Inner::new(options)?)));
        // SAFETY: nothing refers to the store yet. The pointer to the code is made from the one pointer that this
        // store, its links and library calls make their references from. So none of these references, which are all
        // used up before guest code goes on, invalidates it; a pointer made from one of them would be invalid once
        // another one is made.
        unsafe { (*inner.as_ref().activation.as_ptr()).code = &raw const (*inner.as_ptr()).code };
        Ok(Self { inner, data: NonNull::from(Box::leak(Box::new(data))) })
    }

    pub(crate) fn inner(&self) -> &Inner {
        // SAFETY: made from a box in `new` and freed only on drop; guest code, which has its own pointer, does not run while
        // `&self` is held.
        unsafe { self.inner.as_ref() }
    }

    pub(crate) fn inner_mut(&mut self) -> &mut Inner {
        // SAFETY: as in `inner`, and `&mut self` is unique.
        unsafe { self.inner.as_mut() }
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        // SAFETY: as in `inner_mut`.
        unsafe { self.data.as_mut() }
    }

    /// Creates the link of a new instance and returns its address, with its provenance exposed.
    pub(crate) fn link(&mut self, instance: usize) -> u64 {
        let link = InstanceLink { store: self.inner.as_ptr(), data: self.data.as_ptr().cast(), instance };
        let links = &mut self.inner_mut().links;
        links.push(Box::new(link));
        // The box stays where it is, also when the list grows or the store moves.
        links.last().map_or(0, |link| std::ptr::from_ref::<InstanceLink>(link).expose_provenance() as u64)
    }

    /// Sets what `memory.atomic.wait` does in instances that are loaded from now on, when it has found the expected value in a
    /// shared memory. It is passed the two halves of the timeout in nanoseconds, which is signed, the lower one first. A
    /// negative one is none. It must return [`TIMED_OUT`] once that has passed: nothing wakes it before, because the guest has no
    /// other thread. Without this, time passes at once, and to wait without a timeout is [`Trap::Deadlock`].
    ///
    /// # Errors
    /// [`LinkError::Import`] if it is not a function of that type.
    pub fn set_wait(&mut self, wait: &HostFunction<T>) -> Result<(), LinkError> {
        let expected = FuncType::new(Libcall::AtomicWait.params(), [ValType::I32]);
        if wait.ty != expected {
            let reason = format!("expected a function {expected}, found {}", wait.ty);
            return Err(LinkError::Import { module: "memory".to_owned(), name: "atomic.wait".to_owned(), reason });
        }
        self.inner_mut().wait = Some(wait.code as u64);
        Ok(())
    }

    /// Creates a table of nulls.
    ///
    /// # Errors
    /// [`LinkError::Table`] when it cannot be reserved.
    pub fn new_table(&mut self, ty: TableType) -> Result<TableId, LinkError> {
        self.inner_mut().new_table(ty).map(TableId)
    }

    /// Creates a linear memory of zeroes.
    ///
    /// # Errors
    /// [`LinkError::Memory`] when it cannot be reserved or exceeds the limit.
    pub fn new_memory(&mut self, ty: MemoryType) -> Result<MemoryId, LinkError> {
        self.inner_mut().new_memory(ty, Base::Low).map(MemoryId)
    }

    /// Creates a global with the value `value`.
    ///
    /// # Errors
    /// [`LinkError::ArenaFull`].
    pub fn new_global(&mut self, value: Value, mutable: bool) -> Result<GlobalId, LinkError> {
        let inner = self.inner_mut();
        let cell = inner.arena.take(wave_contract::context::GLOBAL_BYTES).ok_or(LinkError::ArenaFull)?;
        inner.share_value(value);
        inner.arena.write_slot(cell, value.to_bits());
        inner.globals.push(Global { ty: GlobalType { content: value.ty(), mutable }, cell });
        Ok(GlobalId(inner.globals.len() - 1))
    }

    /// Current value of a global.
    #[must_use]
    pub fn global(&self, global: GlobalId) -> Option<Value> {
        let inner = self.inner();
        let global = inner.globals.get(global.0)?;
        Some(Value::from_bits(&inner.signatures, global.ty.content, inner.arena.read_slot(global.cell)))
    }

    /// The type of a memory, with its current size as the minimum.
    #[must_use]
    pub fn memory_type(&self, memory: MemoryId) -> Option<MemoryType> {
        Some(self.inner().memories.get(memory.0)?.0.current_type())
    }

    /// The memories of an instance, in the order of its indices.
    #[must_use]
    pub fn memories(&self, instance: InstanceId) -> Vec<MemoryId> {
        let numbers = self.inner().instances.get(instance.0).map(|instance| &*instance.memories);
        numbers.unwrap_or_default().iter().copied().map(MemoryId).collect()
    }

    /// The globals of an instance, in the order of its indices.
    #[must_use]
    pub fn globals(&self, instance: InstanceId) -> Vec<GlobalId> {
        let numbers = self.inner().instances.get(instance.0).map(|instance| &*instance.globals);
        numbers.unwrap_or_default().iter().copied().map(GlobalId).collect()
    }

    /// The accessible bytes of a memory.
    pub fn memory_mut(&mut self, memory: MemoryId) -> Option<&mut [u8]> {
        Some(self.inner_mut().memories.get_mut(memory.0)?.0.bytes_mut())
    }

    /// Address ranges that `memory.grow` may make accessible: base and length in bytes. Nothing else in the address
    /// space changes once instances are loaded.
    #[must_use]
    pub fn growable(&self) -> Vec<(u64, u64)> {
        let room = self.inner().memory_room_bytes();
        let memories = self.inner().memories.iter();
        memories.map(|(memory, _)| (memory.base(), memory.growable_bytes(room))).filter(|(_, len)| *len > 0).collect()
    }

    /// Current size of all linear memories together, in bytes. It never shrinks.
    #[must_use]
    pub fn memory_len_bytes(&self) -> u64 {
        self.inner().memory_len_bytes()
    }

    /// How much of [`StoreOptions::fuel`] is used, in units; `None` if there is no limit. Faulty code can make this any
    /// number up to the limit.
    #[must_use]
    pub fn fuel_used(&self) -> Option<u64> {
        let inner = self.inner();
        let left = fuel_of(inner.arena.read_u64(inner.results + FUEL));
        Some(inner.options.fuel?.saturating_sub(left))
    }

    /// The seed that the addresses of mode fixed follow from, see [`StoreOptions::seed`].
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner().seed
    }

    /// The addresses that can hold guest code.
    #[must_use]
    pub fn code_range(&self) -> Range<usize> {
        self.inner().code.range()
    }

    /// Where the code of each function of an instance is, by its index.
    #[must_use]
    pub fn function_code(&self, instance: InstanceId) -> Vec<Range<usize>> {
        let inner = self.inner();
        let image = inner.instances.get(instance.0).and_then(|instance| inner.code.image(instance.image));
        image.map(|image| image.functions().collect()).unwrap_or_default()
    }

    /// Signature of a function.
    #[must_use]
    pub fn function_type(&self, function: Function) -> Option<&FuncType> {
        let inner = self.inner();
        inner.signatures.get(inner.functions.get(function.index())?.signature)
    }

    /// Calls a guest function.
    ///
    /// The process must be sealed: only the sandbox can create the `Sealed` that this needs.
    ///
    /// # Errors
    /// [`CallError::Stopped`] if the guest trapped, exited or reached the deadline. The others if nothing ran.
    pub fn call(&mut self, sealed: &Sealed, function: Function, arguments: &[Value]) -> Result<Vec<Value>, CallError> {
        let entry = self.prepare_call(function)?;
        let ty = self.function_type(function).ok_or(CallError::Foreign)?.clone();
        let inner = self.inner_mut();
        let fits = |(argument, ty): (&Value, &ValType)| inner.signatures.matches(inner.type_of(*argument), *ty);
        if arguments.len() != ty.params.len() || !arguments.iter().zip(&ty.params).all(fits) {
            let found = arguments.iter().map(|argument| argument.ty().to_string()).collect::<Vec<_>>().join(", ");
            return Err(CallError::Arguments { expected: ty, found });
        }
        let mut slots = vec![0u128; arguments.len().max(ty.results.len())];
        for (slot, argument) in slots.iter_mut().zip(arguments) {
            *slot = argument.to_bits();
            inner.share_value(*argument);
        }
        self.enter(sealed, &entry, &mut slots).map_err(CallError::Stopped)?;
        let types = &self.inner().signatures;
        Ok(ty.results.iter().zip(&slots).map(|(ty, bits)| Value::from_bits(types, *ty, *bits)).collect())
    }

    /// Prepares many calls of a function that has no parameters and no results.
    ///
    /// # Errors
    /// [`CallError::Foreign`], [`CallError::Arguments`].
    pub fn prepare(&self, function: Function) -> Result<PreparedCall, CallError> {
        let ty = self.function_type(function).ok_or(CallError::Foreign)?;
        if *ty != FuncType::default() {
            return Err(CallError::Arguments { expected: ty.clone(), found: String::new() });
        }
        Ok(PreparedCall { entry: self.prepare_call(function)?, store: self.inner().id })
    }

    /// Calls a prepared function.
    ///
    /// # Errors
    /// [`CallError::Foreign`] if another store prepared it, [`CallError::Stopped`] as for [`Store::call`].
    pub fn call_prepared(&mut self, sealed: &Sealed, call: &PreparedCall) -> Result<(), CallError> {
        // Its addresses mean nothing in another store.
        if call.store != self.inner().id {
            return Err(CallError::Foreign);
        }
        self.enter(sealed, &call.entry, &mut []).map_err(CallError::Stopped)
    }

    fn prepare_call(&self, function: Function) -> Result<EntryPoint, CallError> {
        let inner = self.inner();
        let function = inner.functions.get(function.index()).ok_or(CallError::Foreign)?;
        let image = inner.code.image(function.image as usize).ok_or(CallError::Foreign)?;
        let thunk = image.entry(function.signature).ok_or(CallError::Foreign)?;
        Ok(EntryPoint { thunk, code: function.code, context: inner.arena.address(function.context) })
    }

    /// Enters guest code. `slots` has room for the arguments and results of the entry's signature.
    fn enter(&mut self, _sealed: &Sealed, entry: &EntryPoint, slots: &mut [u128]) -> Result<(), Stopped> {
        let (activation, top) = (self.inner().activation.as_ptr(), self.inner().stack.top());
        // SAFETY: the thunk belongs to the function's signature (`prepare_call`) and `slots` fits it (our callers); the
        // stack is this store's own and nobody is on it, because host functions cannot call back into their store. No
        // reference to the store is used while guest code runs.
        let status = unsafe { enter_with(activation, entry.thunk, slots.as_mut_ptr(), entry.code, entry.context, top) };
        let inner = self.inner_mut();
        // Taken in any case, so that it is not found when code is entered again.
        let uncaught = inner.take_uncaught();
        match (status, uncaught) {
            (0, None) => Ok(()),
            (0, Some((tag, calls))) => Err(Stopped {
                stop: Stop::Trap(Trap::UncaughtException),
                backtrace: inner.frames(calls.into_iter()),
                tag,
            }),
            _ => Err(inner.stopped()),
        }
    }
}

impl<T> Drop for Store<T> {
    fn drop(&mut self) {
        // SAFETY: both came from boxes in `new`, and nothing else owns them.
        unsafe {
            drop(Box::from_raw(self.inner.as_ptr()));
            drop(Box::from_raw(self.data.as_ptr()));
        }
    }
}

/// A function without parameters and results, ready to be entered.
#[derive(Clone, Copy, Debug)]
pub struct PreparedCall {
    entry: EntryPoint,
    /// [`Inner::id`] of the store that it belongs to.
    store: u64,
}

#[derive(Clone, Copy, Debug)]
struct EntryPoint {
    thunk: u64,
    code: u64,
    context: u64,
}

impl Inner {
    fn new(options: StoreOptions) -> io::Result<Self> {
        let seed = options.seed.map_or_else(random_u64, Ok)?;
        let mut low_addresses = options.fixed.then_some(LowAddresses::new(seed));
        let mut arena = Arena::new(low_addresses.as_mut())?;
        let full = || io::Error::from_raw_os_error(libc::ENOMEM);
        let results = arena.take(RESULT_AREA_BYTES).ok_or_else(full)?;
        // Fresh memory says that there is the most fuel; a run without a limit does not touch the page.
        if let Some(fuel) = options.fuel {
            arena.write_u64(results + FUEL, counter_of(fuel));
        }
        let no_memory = arena.take(MEMORY_DESCRIPTOR_BYTES).ok_or_else(full)?;
        let code = CodeRegion::new()?;
        let stack = GuestStack::new(options.stack_bytes)?;
        let activation = Activation {
            host_sp: 0,
            fault: None,
            code: std::ptr::null(),
            code_range: code.range(),
            stack_guard: stack.guard(),
            memories: std::ptr::from_ref(&[]),
        };
        static STORES: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            id: STORES.fetch_add(1, Ordering::Relaxed),
            options,
            seed,
            low_addresses,
            signatures: SignatureRegistry::default(),
            arena,
            results,
            no_memory,
            functions: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            memory_ranges: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            exceptions: Exceptions::default(),
            heap: None,
            instances: Vec::new(),
            code,
            stack,
            links: Vec::new(),
            activation: ActivationCell::new(activation),
            pending: None,
            wait: None,
        })
    }

    /// What changes when code is entered and left.
    pub fn changing_fields(&self) -> [Range<usize>; 3] {
        use crate::inspect::{of, of_raw};
        let activation = self.activation.as_ptr();
        // SAFETY: the fields' addresses are taken and nothing is read.
        let (host_sp, fault) = unsafe { (&raw const (*activation).host_sp, &raw const (*activation).fault) };
        [of_raw(host_sp), of_raw(fault), of(&self.pending)]
    }

    /// Current size of all memories together, in bytes.
    pub fn memory_len_bytes(&self) -> u64 {
        self.memories.iter().map(|(memory, _)| memory.len_bytes()).sum()
    }

    /// By how much all memories together may still grow, in bytes.
    pub fn memory_room_bytes(&self) -> u64 {
        self.options.memory_limit_bytes.saturating_sub(self.memory_len_bytes())
    }

    pub fn new_table(&mut self, ty: TableType) -> Result<usize, LinkError> {
        let hierarchy = ty.element.as_reference().and_then(|ty| self.signatures.hierarchy(ty.heap));
        let has_functions = hierarchy == Some(Hierarchy::Func);
        self.tables.push(Table::new(ty, has_functions, self.low_addresses.as_mut()).map_err(LinkError::Table)?);
        Ok(self.tables.len() - 1)
    }

    /// The function behind a reference. `None` for null and for what the runtime never gave away.
    fn function(&self, reference: u32) -> Option<&FunctionEntry> {
        self.functions.get((reference as usize).checked_sub(1)?)
    }

    /// Enters the function behind a reference that code is about to have in the function table, so that code can call it.
    pub fn share(&mut self, reference: u32) {
        if let Some(&FunctionEntry { code, shape, context, .. }) = self.function(reference) {
            let function = SharedFunction { code, shape: shape.0, context };
            self.arena.share_function(reference, &function, self.functions.len() + 1);
        }
    }

    /// As [`Inner::share`], if a value is a reference to a function.
    pub fn share_value(&mut self, value: Value) {
        if let Value::FuncRef(Some(function)) = value {
            self.share(function.handle());
        }
    }

    /// The most precise type of a value.
    fn type_of(&self, value: Value) -> ValType {
        let heap = match value {
            Value::FuncRef(None) => return ValType::Ref(RefType { nullable: true, heap: HeapType::NoFunc }),
            Value::ExternRef(None) => return ValType::Ref(RefType { nullable: true, heap: HeapType::NoExtern }),
            Value::FuncRef(Some(function)) => match self.function(function.handle()) {
                Some(function) => HeapType::Concrete(function.signature.0),
                None => HeapType::Func,
            },
            Value::ExternRef(Some(number)) if number <= Word::MOST_HANDLE => HeapType::Extern,
            // Of no type: no call takes it.
            Value::ExternRef(Some(_)) => return ValType::I32,
            Value::AnyRef(word) => match self.object_kind(value) {
                None => return ValType::Ref(RefType { nullable: true, heap: HeapType::None }),
                Some(ObjectKind::I31) => HeapType::I31,
                Some(ObjectKind::Host) => HeapType::Any,
                Some(_) => self.object_type(word).map_or(HeapType::Any, |id| HeapType::Concrete(id.0)),
            },
            other => return other.ty(),
        };
        ValType::Ref(RefType { nullable: false, heap })
    }

    /// Whether a reference is to a function of one of an instance's types, or of a subtype.
    pub fn function_is(&self, instance: usize, reference: u32, ty: u32) -> bool {
        let ty = self.instances[instance].types.get(ty as usize);
        self.function(reference)
            .zip(ty)
            .is_some_and(|(function, ty)| self.signatures.is_subtype(function.signature, ty.exact))
    }

    pub fn new_memory(&mut self, ty: MemoryType, base: Base) -> Result<usize, LinkError> {
        let descriptor = self.arena.take(MEMORY_DESCRIPTOR_BYTES).ok_or(LinkError::ArenaFull)?;
        let used = self.memory_len_bytes();
        let memory = LinearMemory::new(ty, self.options.memory_limit_bytes, used, base, self.low_addresses.as_mut())?;
        self.arena.write_u64(descriptor + MEMORY_LEN, memory.len_bytes());
        self.memory_ranges.push(memory.reservation());
        self.activation.set_memories(&raw const *self.memory_ranges);
        self.memories.push((memory, descriptor));
        Ok(self.memories.len() - 1)
    }

    pub fn instance_mut(&mut self, instance: usize) -> &mut Instance {
        &mut self.instances[instance]
    }

    /// The number in the store of an instance's table. Faulty code can ask for one that the instance does not have.
    pub fn table_number(&self, instance: usize, table: u32) -> Result<usize, Trap> {
        self.instances[instance].tables.get(table as usize).copied().ok_or(Trap::TableOutOfBounds)
    }

    /// As [`Inner::table_number`].
    pub fn memory_number(&self, instance: usize, memory: u32) -> Result<usize, Trap> {
        self.instances[instance].memories.get(memory as usize).copied().ok_or(Trap::MemoryOutOfBounds)
    }

    /// A table of an instance.
    pub fn table(&self, instance: usize, table: u32) -> Result<&Table, Trap> {
        Ok(&self.tables[self.table_number(instance, table)?])
    }

    /// As [`Inner::table`], with the functions that its references stand for.
    pub fn table_mut(&mut self, instance: usize, table: u32) -> Result<(&mut Table, &[FunctionEntry]), Trap> {
        let table = self.table_number(instance, table)?;
        Ok((&mut self.tables[table], &self.functions))
    }

    /// The accessible bytes of an instance's memory.
    pub fn memory_bytes(&mut self, instance: usize, memory: u32) -> Result<&mut [u8], Trap> {
        let memory = self.memory_number(instance, memory)?;
        Ok(self.memories[memory].0.bytes_mut())
    }

    pub fn grow_memory(&mut self, instance: usize, memory: u32, delta: u32) -> Option<u32> {
        let memory = self.memory_number(instance, memory).ok()?;
        let room = self.memory_room_bytes();
        let (memory, descriptor) = &mut self.memories[memory];
        let old = memory.grow(delta, room)?;
        self.arena.write_u64(*descriptor + MEMORY_LEN, memory.len_bytes());
        Some(old)
    }

    /// Why guest code was left early.
    fn stopped(&mut self) -> Stopped {
        let pending = self.pending.take();
        let Some(fault) = self.activation.take_fault() else {
            // Only a handler resumes at the landing, and it records a fault.
            return Stopped {
                stop: pending.unwrap_or(Stop::Trap(Trap::Unreachable)),
                backtrace: Vec::new(),
                tag: None,
            };
        };
        let stop = match fault.kind {
            FaultKind::StackGuard => Stop::Trap(Trap::StackExhausted),
            FaultKind::Deadline => Stop::Deadline,
            FaultKind::Code(code) => match TrapCode::from_u8(code).and_then(Trap::from_code) {
                Some(trap) => Stop::Trap(trap),
                // Code that nobody asked to count fuel cannot have used it up.
                None if code == TrapCode::OutOfFuel as u8 && self.options.fuel.is_some() => Stop::OutOfFuel,
                None => pending.unwrap_or(Stop::Trap(Trap::Unreachable)),
            },
        };
        let mut backtrace = self.frames(calls(&self.stack, fault.pc, fault.fp));
        if let Stop::Trap(Trap::UnknownImport(number)) = stop {
            let caller = self.code.locate(fault.pc).map(|location| location.image);
            backtrace.splice(..0, caller.and_then(|image| self.stub_frame(image, number)));
        }
        Stopped { stop, backtrace, tag: None }
    }

    /// A frame for an import that nobody has, with this number. `None` past the last that is told apart.
    fn stub_frame(&self, image: usize, number: u8) -> Option<Frame> {
        let Instance { info, stubs, .. } = self.instances.iter().find(|instance| instance.image == image)?;
        let function = *stubs.get(usize::from(number)).filter(|_| number < u8::MAX || stubs.len() == 256)?;
        let mut imports = info.imports.iter().filter(|import| matches!(import.ty, ImportType::Function(_)));
        let import = imports.nth(function as usize)?;
        let name = format!("{}.{}", shortened(&import.module), shortened(&import.name));
        Some(Frame { function: Some(function), name: Some(name), position: None, line: None })
    }

    /// What lies at code addresses. Ends at the first that is not code.
    fn frames(&self, addresses: impl Iterator<Item = usize>) -> Vec<Frame> {
        const MAX_FRAMES: usize = 64;
        let located = addresses.map_while(|address| self.code.locate(address));
        let frame = |location: Location| {
            let function = location.function?;
            let info = self.instances.iter().find(|instance| instance.image == location.image).map(|of| &of.info);
            let name = info.and_then(|info| info.names.get(function)).map(shortened);
            Some(Frame { function: Some(function), name, position: location.position, line: None })
        };
        located.filter_map(frame).take(MAX_FRAMES).collect()
    }
}

/// The first kilobyte of a name. A module's names have any length, and they are copied here.
pub fn shortened(name: &str) -> String {
    const MAX_BYTES: usize = 1024;
    name.get(..name.floor_char_boundary(MAX_BYTES)).unwrap_or_default().to_owned()
}
