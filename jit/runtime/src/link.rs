//! From a module's declarations to an instance: check the imports, create the objects, load the code, initialize.
//!
//! There are three steps, because code in mode fixed contains addresses: [`Store::place`] creates the objects, the compiler
//! generates an image for their addresses, and [`Store::load`] creates the instance. [`Store::initialize`] copies the active
//! segments and runs the start function. It needs the seal, like every other entry into guest code (T98).

use crate::code::CodeError;
use crate::debug::{Debug, DebugFile, DebugInfo, DebugSections};
use crate::exception::Tag;
use crate::function::{Function, FunctionEntry};
use crate::host::{HostFunction, Stub};
use crate::instance::Instance;
use crate::libcalls;
use crate::mapping::LARGE_PAGE_BYTES;
use crate::memory::{Base, MemoryError};
use crate::object::Types;
use crate::store::{CallError, Global, GlobalId, Inner, InstanceId, MemoryId, Store, TableId, TagId, shortened};
use crate::trap::{Stop, Stopped, Trap};
use crate::value::Value;
use std::cmp::Reverse;
use std::io;
use std::mem;
use std::ops::Range;
use wave_contract::context::{
    self, Addressing, ContextLayout, FixedAddresses, GLOBAL_BYTES, GlobalSlot, MAX_FUNCTIONS, MemoryAddresses,
};
use wave_contract::image::CodeImage;
use wave_contract::libcall::Libcall;
use wave_contract::module::{
    ConstOp, DataSegment, ElementItems, ElementSegment, ExportKind, Import, ImportType, ModuleInfo, SegmentMode,
};
use wave_contract::types::{GlobalType, MemoryType, SignatureRegistry, TableType, TypeIds, ValType};
use wave_sandbox::Sealed;
use wave_verifier::{Terms, Verified};

/// What is provided for an import.
pub enum Binding<T> {
    /// A host function.
    Host(HostFunction<T>),
    /// An item of the store.
    Item(Item),
    /// Nothing: a stub of the function's type.
    Stub(Stub),
}

/// Something an instance exports or imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A function.
    Function(Function),
    /// A table.
    Table(TableId),
    /// A linear memory.
    Memory(MemoryId),
    /// A global.
    Global(GlobalId),
    /// A tag.
    Tag(TagId),
}

/// Why a module could not be instantiated. No guest code has run.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// An import is bound to something of another type.
    #[error("incompatible import type: `{module}` `{name}`: {reason}")]
    Import {
        /// Module part of the import.
        module: String,
        /// Name part of the import.
        name: String,
        /// What differs.
        reason: String,
    },
    /// The bindings do not correspond to the imports.
    #[error("{found} bindings for {expected} imports")]
    Bindings {
        /// Number of imports.
        expected: usize,
        /// Number of bindings.
        found: usize,
    },
    /// The module declares more globals, tables or imports than fit.
    #[error("contexts of all instances exceed 64 MiB")]
    ArenaFull,
    /// There are too many functions.
    #[error("all instances together have more than {MAX_FUNCTIONS} functions")]
    Functions,
    /// The heap has no room for the objects that constants are, or for what describes their types.
    #[error("the limit of memory leaves no room for the module's objects")]
    HeapFull,
    /// A table could not be reserved.
    #[error("cannot reserve a table (at most {} entries)", crate::table::MAX_ENTRIES)]
    Table(#[source] io::Error),
    /// A memory could not be reserved.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Code could not be loaded.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The image was compiled for other addresses or another module.
    #[error("code image does not fit the module: {0}")]
    Image(&'static str),
}

/// A module's objects, which exist. Code can be compiled for them.
pub struct Placement {
    /// How the code must reach its context.
    pub addressing: Addressing,
    /// The ids of every type of the module.
    pub signatures: Vec<TypeIds>,
    /// For every imported function, whether the host implements it.
    pub host_imports: Vec<bool>,
    layout: ContextLayout,
    context: u32,
    imports: Vec<FunctionImport>,
    /// Functions that nobody has, by their indices.
    stubs: Vec<u32>,
    tables: Vec<usize>,
    memories: Vec<usize>,
    globals: Vec<usize>,
    tags: Vec<usize>,
}

#[derive(Clone, Copy)]
enum FunctionImport {
    Host { code: u64 },
    Guest(Function),
}

impl<T> Store<T> {
    /// Checks `bindings` against the module's imports and creates the objects that it declares.
    ///
    /// # Errors
    /// [`LinkError`]. Objects created before the error stay in the store, unused.
    pub fn place(&mut self, info: &ModuleInfo, bindings: &[Binding<T>]) -> Result<Placement, LinkError> {
        if bindings.len() != info.imports.len() {
            return Err(LinkError::Bindings { expected: info.imports.len(), found: bindings.len() });
        }
        let inner = self.inner_mut();
        let layout = ContextLayout::new(info).ok_or(LinkError::ArenaFull)?;
        let context = inner.arena.take(layout.size()).ok_or(LinkError::ArenaFull)?;
        let mut placement = Placement {
            addressing: Addressing::Arg,
            signatures: inner.signatures.intern_module(info),
            host_imports: Vec::new(),
            layout,
            context,
            imports: Vec::new(),
            stubs: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
        };
        for (import, binding) in info.imports.iter().zip(bindings) {
            placement.bind(inner, info, import, binding)?;
        }
        placement.declare(inner, info)?;
        if inner.options.fixed {
            placement.addressing = Addressing::Fixed(placement.addresses(inner));
        }
        Ok(placement)
    }

    /// Creates an instance from placed objects and compiled code. Runs no code and copies no segment. Of the module's
    /// bytes, only the data segments and the source lines stay in memory (T105).
    ///
    /// # Errors
    /// [`LinkError::Image`], [`LinkError::Code`].
    pub fn load(
        &mut self,
        placement: Placement,
        info: ModuleInfo,
        image: Verified<CodeImage>,
        bytes: Vec<u8>,
    ) -> Result<InstanceId, LinkError> {
        let debug = Debug::Module(DebugSections::find(&bytes));
        self.load_from(placement, info, image, bytes, debug)
    }

    /// As [`load`](Self::load), for declarations that refer to other bytes than the module's. `debug` is what a cache has of the module.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_cached(
        &mut self,
        placement: Placement,
        info: ModuleInfo,
        image: Verified<CodeImage>,
        bytes: Vec<u8>,
        debug: Option<DebugFile>,
    ) -> Result<InstanceId, LinkError> {
        self.load_from(placement, info, image, bytes, debug.map_or(Debug::Nowhere, Debug::File))
    }

    fn load_from(
        &mut self,
        placement: Placement,
        info: ModuleInfo,
        image: Verified<CodeImage>,
        mut bytes: Vec<u8>,
        debug: Debug,
    ) -> Result<InstanceId, LinkError> {
        if *image.terms() != placement.terms() {
            return Err(LinkError::Image("it was verified for another place"));
        }
        if image.is_of(&info).is_err() {
            return Err(LinkError::Image("it was verified for other declarations"));
        }
        if image.code().functions.len() != info.functions.len() {
            return Err(LinkError::Image("another number of functions"));
        }
        let number = self.inner().instances.len();
        let link = self.link(number);
        let inner = self.inner_mut();
        let image = inner.code.load(image)?;
        let functions = inner.new_functions(&placement, &info, image)?;
        inner.fill_context(&placement, link);

        let constants = Constants {
            functions: &functions,
            globals: &placement.globals,
            types: Types { info: &info, ids: &placement.signatures },
        };
        for (init, global) in info.global_inits.iter().zip(&placement.globals[info.imported_globals as usize..]) {
            let bits = inner.evaluate(init, constants)?;
            let Global { cell, ty } = inner.globals[*global];
            inner.arena.write_slot(cell, bits);
            inner.share_value(Value::from_bits(&inner.signatures, ty.content, bits));
        }
        for (init, table) in info.table_inits.iter().zip(&placement.tables[info.imported_tables as usize..]) {
            if let Some(init) = init {
                let reference = low_u32(inner.evaluate(init, constants)?);
                let table = &mut inner.tables[*table];
                // All of the table, so nothing is out of bounds.
                let filled = table.fill(0, reference, table.len(), &inner.functions);
                debug_assert_eq!(filled, Ok(()), "a table holds its own entries");
            }
        }
        let elements = info.elements.iter().map(|segment| inner.elements(&segment.items, constants));
        let elements = elements.collect::<Result<_, _>>()?;
        for segment in info.data.iter().filter(|segment| segment.bytes.len() >= LARGE_PAGE_BYTES) {
            if let SegmentMode::Active { index, offset } = &segment.mode {
                let start = inner.evaluate(offset, constants)?;
                let memory = placement.memories[*index as usize];
                if let Some(start) = index_u32(start, info.memories[*index as usize].wide) {
                    let start = start as usize;
                    inner.memories[memory].0.prefer_large_pages(start..start + segment.bytes.len());
                }
            }
        }
        let data: Vec<_> = info.data.iter().map(|segment| segment.bytes.clone()).collect();
        let kept: Vec<_> = data.iter().cloned().chain(debug.ranges()).collect();
        wipe_all_but(&mut bytes, &kept);
        let Placement { signatures: types, tables, memories, globals, tags, stubs, .. } = placement;
        inner.instances.push(Instance {
            info,
            image,
            bytes,
            types,
            functions,
            tables,
            memories,
            globals,
            tags,
            elements,
            data,
            stubs,
            debug,
        });
        Ok(InstanceId(number))
    }

    /// Copies the active segments, in order, and runs the start function.
    ///
    /// # Errors
    /// A segment that leaves its memory or table traps like the corresponding instruction. Segments copied before stay.
    pub fn initialize(&mut self, sealed: &Sealed, instance: InstanceId) -> Result<(), Stopped> {
        let trapped = |trap| Stopped { stop: Stop::Trap(trap), backtrace: Vec::new(), tag: None };
        let start = self.inner_mut().copy_segments(instance.0).map_err(trapped)?;
        let Some(start) = start else { return Ok(()) };
        match self.call(sealed, start, &[]) {
            Ok(_) => Ok(()),
            Err(CallError::Stopped(stopped)) => Err(stopped),
            // Validation gave the start function the empty type, and it belongs to this instance.
            Err(CallError::Arguments { .. } | CallError::Foreign) => Err(trapped(Trap::Unreachable)),
        }
    }

    /// An export by its name.
    #[must_use]
    pub fn export(&self, instance: InstanceId, name: &str) -> Option<Item> {
        let instance = self.inner().instances.get(instance.0)?;
        let export = instance.info.export(name)?;
        let index = export.index as usize;
        Some(match export.kind {
            ExportKind::Function => Item::Function(*instance.functions.get(index)?),
            ExportKind::Table => Item::Table(TableId(*instance.tables.get(index)?)),
            ExportKind::Memory => Item::Memory(MemoryId(*instance.memories.get(index)?)),
            ExportKind::Global => Item::Global(GlobalId(*instance.globals.get(index)?)),
            ExportKind::Tag => Item::Tag(TagId(*instance.tags.get(index)?)),
        })
    }

    /// Where the functions of an instance's module begin, and its source lines. It may have to be read from a file.
    #[must_use]
    pub fn debug_info(&self, instance: InstanceId) -> Option<DebugInfo<'_>> {
        let instance = self.inner().instances.get(instance.0)?;
        instance.debug.read(&instance.bytes)
    }

    /// An instance's declarations.
    #[must_use]
    pub fn info(&self, instance: InstanceId) -> Option<&ModuleInfo> {
        Some(&self.inner().instances.get(instance.0)?.info)
    }
}

impl Placement {
    /// What code for these objects must be verified against.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let Self { addressing, signatures, host_imports, .. } = self;
        Terms { addressing: addressing.clone(), signatures: signatures.clone(), host_imports: host_imports.clone() }
    }

    fn bind<T>(
        &mut self,
        inner: &Inner,
        info: &ModuleInfo,
        import: &Import,
        binding: &Binding<T>,
    ) -> Result<(), LinkError> {
        let types = &inner.signatures;
        let reason = match (import.ty, binding) {
            (ImportType::Function(ty), Binding::Host(host)) => {
                let expected = self.signatures[ty as usize].exact;
                self.imports.push(FunctionImport::Host { code: host.code as u64 });
                self.host_imports.push(true);
                // It has no subtypes and no supertypes.
                (types.find(&host.ty) != Some(expected))
                    .then(|| format!("expected a function {}, found {}", info.types[ty as usize], host.ty))
            }
            (ImportType::Function(ty), Binding::Stub(stub)) => {
                let Some(expected) = info.signature(ty) else {
                    return Err(LinkError::Image("an import is no function"));
                };
                let code = stub.code(self.stubs.len(), expected);
                self.stubs.extend(u32::try_from(self.imports.len()));
                self.imports.push(FunctionImport::Host { code });
                self.host_imports.push(true);
                None
            }
            (ImportType::Function(ty), Binding::Item(Item::Function(function))) => {
                let expected = self.signatures[ty as usize].exact;
                let found = inner.functions.get(function.index()).map(|function| function.signature);
                self.imports.push(FunctionImport::Guest(*function));
                self.host_imports.push(false);
                found.is_none_or(|found| !types.is_subtype(found, expected)).then(|| {
                    let found = found.and_then(|id| types.get(id));
                    let found = found.map_or_else(|| "a foreign function".to_owned(), ToString::to_string);
                    format!("expected a function {}, found {found}", info.types[ty as usize])
                })
            }
            (ImportType::Table(expected), Binding::Item(Item::Table(table))) => {
                let expected = self.table(expected);
                self.tables.push(table.0);
                let found = inner.tables.get(table.0).map(crate::table::Table::current_type);
                found
                    .is_none_or(|found| !table_matches(expected, found))
                    .then(|| format!("expected {expected:?}, found {found:?}"))
            }
            (ImportType::Memory(expected), Binding::Item(Item::Memory(memory))) => {
                self.memories.push(memory.0);
                let found = inner.memories.get(memory.0).map(|(memory, _)| memory.current_type());
                found
                    .is_none_or(|found| !memory_matches(expected, found))
                    .then(|| format!("expected {expected:?}, found {found:?}"))
            }
            (ImportType::Global(expected), Binding::Item(Item::Global(global))) => {
                self.globals.push(global.0);
                let expected = GlobalType { content: self.value(expected.content), ..expected };
                let found = inner.globals.get(global.0).map(|global| global.ty);
                found
                    .is_none_or(|found| !global_matches(types, expected, found))
                    .then(|| format!("expected {expected:?}, found {found:?}"))
            }
            (ImportType::Tag(ty), Binding::Item(Item::Tag(tag))) => {
                self.tags.push(tag.0);
                let expected = self.signatures[ty as usize].exact;
                let found = inner.tags.get(tag.0).map(|tag| tag.signature);
                (found != Some(expected)).then(|| {
                    let found = found.and_then(|id| inner.signatures.get(id));
                    let found = found.map_or_else(|| "a foreign tag".to_owned(), ToString::to_string);
                    let expected = info.signature(ty).map_or_else(String::new, ToString::to_string);
                    format!("expected a tag {expected}, found {found}")
                })
            }
            _ => Some("an item of another kind".to_owned()),
        };
        match reason {
            None => Ok(()),
            Some(reason) => Err(LinkError::Import { module: import.module.clone(), name: import.name.clone(), reason }),
        }
    }

    /// One of the module's value types in the store's terms.
    fn value(&self, ty: ValType) -> ValType {
        ty.renumbered(&|index| self.signatures.get(index as usize).map_or(0, |ids| ids.exact.0))
    }

    fn table(&self, ty: TableType) -> TableType {
        TableType { element: self.value(ty.element), ..ty }
    }

    /// Creates the objects that the module declares itself.
    fn declare(&mut self, inner: &mut Inner, info: &ModuleInfo) -> Result<(), LinkError> {
        for ty in info.tables.iter().skip(info.imported_tables as usize) {
            self.tables.push(inner.new_table(self.table(*ty))?);
        }
        let own = || (0u32..).zip(&info.memories).skip(info.imported_memories as usize);
        // Code that uses the low one is shorter. Most of the data will be where there is the most room; the first of equals is the guest's.
        let low = own().min_by_key(|(_, ty)| Reverse(ty.most_pages() << ty.page_log2)).map(|(index, _)| index);
        for (index, ty) in own() {
            let base = if low == Some(index) { Base::Low } else { Base::High };
            let is_heap = info.heap == Some(index);
            self.memories.push(if is_heap { inner.heap_memory(base)? } else { inner.new_memory(*ty, base)? });
        }
        for (index, ty) in (0u32..).zip(&info.globals).skip(info.imported_globals as usize) {
            if let GlobalSlot::Cell(offset) = self.layout.global(index) {
                let ty = GlobalType { content: self.value(ty.content), ..*ty };
                inner.globals.push(Global { ty, cell: self.context + offset });
                self.globals.push(inner.globals.len() - 1);
            }
        }
        for (index, ty) in (0u32..).zip(&info.tags).skip(info.imported_tags as usize) {
            let values = info.signature(*ty).map_or_else(Box::default, |ty| ty.params.clone());
            inner.tags.push(Tag {
                signature: self.signatures[*ty as usize].exact,
                values,
                name: tag_name(info, index),
            });
            self.tags.push(inner.tags.len() - 1);
        }
        Ok(())
    }

    fn addresses(&self, inner: &Inner) -> FixedAddresses {
        let memory = |memory: &usize| {
            let (memory, descriptor) = &inner.memories[*memory];
            MemoryAddresses { base: memory.base(), descriptor: inner.arena.address(*descriptor) }
        };
        FixedAddresses {
            context: inner.arena.address(self.context),
            results: inner.arena.address(inner.results),
            memories: self.memories.iter().map(memory).collect(),
            tables: self.tables.iter().map(|table| inner.tables[*table].address()).collect(),
            globals: self.globals.iter().map(|global| inner.arena.address(inner.globals[*global].cell)).collect(),
            functions: inner.arena.function_table(),
        }
    }
}

impl Inner {
    /// Handles for a module's functions. Imported guest functions keep theirs.
    fn new_functions(
        &mut self,
        placement: &Placement,
        info: &ModuleInfo,
        image: usize,
    ) -> Result<Vec<Function>, LinkError> {
        let loaded = self.code.image(image).ok_or(LinkError::Image("not loaded"))?;
        let image = u32::try_from(image).map_err(|_| LinkError::Image("too many images"))?;
        if self.functions.len() + info.functions.len() > MAX_FUNCTIONS as usize {
            return Err(LinkError::Functions);
        }
        let mut functions = Vec::with_capacity(info.functions.len());
        for (index, ty) in (0u32..).zip(&info.functions) {
            if let Some(FunctionImport::Guest(function)) = placement.imports.get(index as usize) {
                functions.push(*function);
                continue;
            }
            self.functions.push(FunctionEntry {
                code: loaded.function(index).ok_or(LinkError::Image("a function is missing"))?,
                signature: placement.signatures[*ty as usize].exact,
                shape: placement.signatures[*ty as usize].shape,
                context: placement.context,
                image,
            });
            let handle = u32::try_from(self.functions.len()).map_err(|_| LinkError::ArenaFull)?;
            functions.extend(Function::from_handle(handle));
        }
        Ok(functions)
    }

    fn fill_context(&mut self, placement: &Placement, link: u64) {
        /// Base of the empty slice that an instance without memory has. Not null, never accessed.
        const DANGLING: u64 = 64;
        let header = [
            (context::STORE, link),
            (context::STACK_LIMIT, self.stack.host_limit()),
            (context::RESULTS, self.arena.address(self.results)),
            (context::FIRST_MEMORY + context::MEMORY_BASE, DANGLING),
            (context::FIRST_MEMORY + context::MEMORY_DESCRIPTOR, self.arena.address(self.no_memory)),
            (context::ARENA, self.arena.address(0)),
            (placement.layout.function_table(), self.arena.function_table()),
        ];
        let start = placement.context;
        for (slot, value) in header {
            self.arena.write_u64(start + slot, value);
        }
        for libcall in Libcall::ALL {
            self.arena.write_u64(start + placement.layout.libcall(libcall), libcalls::address(libcall));
        }
        if let Some(code) = self.wait {
            self.arena.write_u64(start + placement.layout.libcall(Libcall::AtomicWait), code);
        }
        for (index, memory) in (0u32..).zip(&placement.memories) {
            let (memory, descriptor) = &self.memories[*memory];
            let slot = start + placement.layout.memory(index);
            self.arena.write_u64(slot + context::MEMORY_BASE, memory.base());
            self.arena.write_u64(slot + context::MEMORY_DESCRIPTOR, self.arena.address(*descriptor));
        }
        for (index, table) in (0u32..).zip(&placement.tables) {
            self.arena.write_u64(start + placement.layout.table(index), self.tables[*table].address());
        }
        for (index, global) in (0u32..).zip(&placement.globals) {
            if let GlobalSlot::Pointer(slot) = placement.layout.global(index) {
                self.arena.write_u64(start + slot, self.arena.address(self.globals[*global].cell));
            }
        }
        for (index, import) in (0u32..).zip(&placement.imports) {
            let (code, context) = match import {
                FunctionImport::Host { code } => (*code, 0),
                FunctionImport::Guest(function) => {
                    let function = &self.functions[function.index()];
                    (function.code, self.arena.address(function.context))
                }
            };
            let slot = start + placement.layout.function(index);
            self.arena.write_u64(slot + context::IMPORT_CODE, code);
            self.arena.write_u64(slot + context::IMPORT_CONTEXT, context);
        }
    }

    /// Value of a validated constant expression, as a slot's bits.
    fn evaluate(&mut self, expression: &[ConstOp], of: Constants<'_>) -> Result<u128, LinkError> {
        let mut stack = Vec::new();
        for op in expression {
            if !self.constant_number(*op, of.functions, of.globals, &mut stack) {
                self.constant_object(*op, &mut stack, of.types)?;
            }
        }
        Ok(stack.pop().unwrap_or(0))
    }

    /// Executes an instruction of a constant expression. False if it is about objects.
    fn constant_number(&self, op: ConstOp, functions: &[Function], globals: &[usize], stack: &mut Vec<u128>) -> bool {
        let value = match op {
            ConstOp::I32Const(value) => Value::I32(value).to_bits(),
            ConstOp::I64Const(value) => Value::I64(value).to_bits(),
            ConstOp::F32Const(bits) => Value::F32(bits).to_bits(),
            ConstOp::F64Const(bits) => Value::F64(bits).to_bits(),
            ConstOp::V128Const(bits) => bits,
            ConstOp::GlobalGet(index) => {
                globals.get(index as usize).map_or(0, |global| self.arena.read_slot(self.globals[*global].cell))
            }
            ConstOp::RefNull => 0,
            ConstOp::RefFunc(index) => Value::FuncRef(functions.get(index as usize).copied()).to_bits(),
            ConstOp::I32Add
            | ConstOp::I32Sub
            | ConstOp::I32Mul
            | ConstOp::I64Add
            | ConstOp::I64Sub
            | ConstOp::I64Mul => {
                // Validated: two operands are there.
                let right = stack.pop().unwrap_or(0);
                let left = stack.pop().unwrap_or(0);
                arithmetic(op, left, right)
            }
            ConstOp::RefI31
            | ConstOp::StructNew(_)
            | ConstOp::StructNewDefault(_)
            | ConstOp::ArrayNew(_)
            | ConstOp::ArrayNewDefault(_)
            | ConstOp::ArrayNewFixed(..)
            | ConstOp::Descriptor(_) => return false,
        };
        stack.push(value);
        true
    }

    fn elements(&mut self, items: &ElementItems, of: Constants<'_>) -> Result<Vec<u32>, LinkError> {
        match items {
            ElementItems::Functions(indexes) => Ok(indexes
                .iter()
                .map(|index| of.functions.get(*index as usize).map_or(0, |function| function.handle()))
                .collect()),
            ElementItems::Expressions(expressions) => {
                expressions.iter().map(|expression| self.evaluate(expression, of).map(low_u32)).collect()
            }
        }
    }

    /// Copies the active segments and drops them; returns the start function.
    fn copy_segments(&mut self, instance: usize) -> Result<Option<Function>, Trap> {
        // Large programs have tens of thousands of segments, so they are not cloned.
        let info = &mut self.instances[instance].info;
        let (elements, data) = (mem::take(&mut info.elements), mem::take(&mut info.data));
        let copied = self.copy_all(instance, &elements, &data);
        let of = &mut self.instances[instance];
        (of.info.elements, of.info.data) = (elements, data);
        copied?;
        Ok(of.info.start.and_then(|start| of.function(start)))
    }

    fn copy_all(&mut self, instance: usize, elements: &[ElementSegment], data: &[DataSegment]) -> Result<(), Trap> {
        for (index, segment) in (0u32..).zip(elements) {
            match &segment.mode {
                SegmentMode::Active { index: table, offset } => {
                    let wide = self.instances[instance].info.tables[*table as usize].wide;
                    let offset = index_u32(self.evaluate_in(instance, offset), wide).ok_or(Trap::TableOutOfBounds)?;
                    let len = self.instances[instance].elements[index as usize].len();
                    let len = u32::try_from(len).map_err(|_| Trap::TableOutOfBounds)?;
                    self.table_init(instance, index, *table, offset, 0, len)?;
                    self.instances[instance].elements[index as usize] = Vec::new();
                }
                SegmentMode::Declared => self.instances[instance].elements[index as usize] = Vec::new(),
                SegmentMode::Passive => {}
            }
        }
        for (index, segment) in (0u32..).zip(data) {
            if let SegmentMode::Active { index: memory, offset } = &segment.mode {
                let wide = self.instances[instance].info.memories[*memory as usize].wide;
                let offset = index_u32(self.evaluate_in(instance, offset), wide).ok_or(Trap::MemoryOutOfBounds)?;
                let len = u32::try_from(segment.bytes.len()).map_err(|_| Trap::MemoryOutOfBounds)?;
                self.memory_init(instance, index, *memory, offset, 0, len)?;
                self.instances[instance].data[index as usize] = 0..0;
            }
        }
        Ok(())
    }

    /// Value of an offset: a number.
    fn evaluate_in(&self, instance: usize, expression: &[ConstOp]) -> u128 {
        let of = &self.instances[instance];
        let mut stack = Vec::new();
        for op in expression {
            self.constant_number(*op, &of.functions, &of.globals, &mut stack);
        }
        stack.pop().unwrap_or(0)
    }
}

/// What constant expressions of a module refer to.
#[derive(Clone, Copy)]
struct Constants<'a> {
    functions: &'a [Function],
    globals: &'a [usize],
    types: Types<'a>,
}

/// What messages call a tag: its own name, else what it is exported as, else its number.
fn tag_name(info: &ModuleInfo, tag: u32) -> String {
    let exported = || info.exports.iter().find(|export| export.kind == ExportKind::Tag && export.index == tag);
    let name = info.tag_names.get(tag).or_else(|| Some(&exported()?.name));
    name.map_or_else(|| tag.to_string(), shortened)
}

const fn low_u32(bits: u128) -> u32 {
    bits as u32
}

/// An index into a memory or table; `None` for one of 64 bits that is past the end of each.
fn index_u32(bits: u128, wide: bool) -> Option<u32> {
    if wide { u32::try_from(bits as u64).ok() } else { Some(low_u32(bits)) }
}

fn arithmetic(op: ConstOp, left: u128, right: u128) -> u128 {
    let (left32, right32) = (low_u32(left), low_u32(right));
    let (left64, right64) = (left as u64, right as u64);
    match op {
        ConstOp::I32Add => u128::from(left32.wrapping_add(right32)),
        ConstOp::I32Sub => u128::from(left32.wrapping_sub(right32)),
        ConstOp::I32Mul => u128::from(left32.wrapping_mul(right32)),
        ConstOp::I64Add => u128::from(left64.wrapping_add(right64)),
        ConstOp::I64Sub => u128::from(left64.wrapping_sub(right64)),
        _ => u128::from(left64.wrapping_mul(right64)),
    }
}

/// Whether limits match those of an import: at least its minimum, and a maximum that is no larger.
///
/// Source: WebAssembly Core 2.0, import matching.
fn limits_match(min: u64, max: Option<u64>, found_min: u64, found_max: Option<u64>) -> bool {
    found_min >= min && max.is_none_or(|max| found_max.is_some_and(|found| found <= max))
}

/// Whether a global can be imported as another: with the same type if it can change, or else with one that has its values.
///
/// Source: WebAssembly Core 3.0, import matching.
fn global_matches(types: &SignatureRegistry, expected: GlobalType, found: GlobalType) -> bool {
    expected == found || !expected.mutable && !found.mutable && types.matches(found.content, expected.content)
}

fn table_matches(expected: TableType, found: TableType) -> bool {
    expected.element == found.element
        && expected.wide == found.wide
        && limits_match(expected.min.into(), expected.max, found.min.into(), found.max)
}

fn memory_matches(expected: MemoryType, found: MemoryType) -> bool {
    (expected.page_log2, expected.wide, expected.shared) == (found.page_log2, found.wide, found.shared)
        && limits_match(expected.min_pages, expected.max_pages, found.min_pages, found.max_pages)
}

const _: () = assert!(GLOBAL_BYTES as usize == size_of::<u128>());

/// Overwrites the bytes outside of the ranges with zeroes.
fn wipe_all_but(bytes: &mut [u8], kept: &[Range<usize>]) {
    let mut kept: Vec<_> = kept.iter().collect();
    kept.sort_unstable_by_key(|range| range.start);
    let mut wiped = 0;
    for range in kept {
        if let Some(gap) = bytes.get_mut(wiped..range.start) {
            gap.fill(0);
        }
        wiped = wiped.max(range.end);
    }
    if let Some(rest) = bytes.get_mut(wiped..) {
        rest.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t105_of_a_module_only_its_data_stays() {
        let wiped = |kept: &[Range<usize>]| {
            let mut bytes = *b"0123456789";
            wipe_all_but(&mut bytes, kept);
            bytes.map(|byte| if byte == 0 { '.' } else { byte as char }).iter().collect::<String>()
        };
        assert_eq!(wiped(&[]), "..........");
        assert_eq!(wiped(&[2..4, 6..7]), "..23..6...");
        assert_eq!(wiped(&[6..7, 2..4, 3..3, 9..10]), "..23..6..9");
        assert_eq!(wiped(&[0..8, 2..4, 5..9]), "012345678.");
        assert_eq!(wiped(&[0..5, 5..10]), "0123456789");
    }
}
