//! Where code finds memory, tables, globals, imports and library calls.
//!
//! Each instance has one *context*, a block of memory. Only the runtime writes it, except for the cells of mutable
//! globals. Code finds it at a constant address (mode *fixed*) or through its first argument (mode *arg*). The layout
//! is the same in both. In mode fixed, code also contains as constants the addresses that it would otherwise read from
//! the context.
//!
//! Contexts, cells of globals, descriptors and the result area are aligned to 16.

use crate::libcall::Libcall;
use crate::module::ModuleInfo;

/// Offset of the runtime's own pointer. Code never touches it.
pub const STORE: u32 = 0x00;
/// Lowest stack pointer (u64) at which code may call the host. Read only, constant.
pub const STACK_LIMIT: u32 = 0x08;
/// Address (u64) of the shared result area, see [`crate::abi`]. Read only, constant.
pub const RESULTS: u32 = 0x10;
/// Slot of the first memory, the one that hostcalls see: [`MEMORY_BASE`], [`MEMORY_DESCRIPTOR`].
pub const FIRST_MEMORY: u32 = 0x18;
/// Address (u64) to which [`TableEntry`](TABLE_ENTRY_CONTEXT) contexts are relative. Read only, constant.
pub const ARENA: u32 = 0x28;
/// First of the library calls' addresses (u64 each, in [`Libcall::ALL`] order). Read only, constant.
pub const LIBCALLS: u32 = 0x30;
/// How many library calls have their addresses there. Those of the others follow the globals, so that code that uses none of
/// them is the same with and without them.
pub const FIRST_LIBCALLS: u32 = 13;

/// Offset in a memory slot of the address (u64) of byte 0. Read only, constant.
pub const MEMORY_BASE: u32 = 0;
/// Offset in a memory slot of the address (u64) of the memory's descriptor: [`MEMORY_LEN`]. Read only, constant.
pub const MEMORY_DESCRIPTOR: u32 = 8;
/// Size of a memory slot.
pub const MEMORY_BYTES: u32 = 16;

/// Offset in a memory descriptor of the current length in bytes (u64).
pub const MEMORY_LEN: u32 = 0;
/// Size of a memory descriptor.
pub const MEMORY_DESCRIPTOR_BYTES: u32 = 16;

/// Offset in a table of the current number of entries (u32). A table's address is that of its header.
pub const TABLE_LEN: u32 = 0;
/// Offset in a table of its first entry. Only function tables have entries that code reads. Entry 0 can be read even if the
/// table is empty: it is null then.
pub const TABLE_ENTRIES: u32 = 64;
/// Size of a table entry.
pub const TABLE_ENTRY_BYTES: u32 = 16;
/// Offset in an entry of the code address (u64).
pub const TABLE_ENTRY_CODE: u32 = 0;
/// Offset in an entry of the signature id (u32); 0 is null.
pub const TABLE_ENTRY_SIGNATURE: u32 = 8;
/// Offset in an entry of the callee's context, relative to the arena (u32). Used in mode arg.
pub const TABLE_ENTRY_CONTEXT: u32 = 12;

/// Most functions of all instances together: entries of the **function table**, which has the layout of a table. A function
/// reference is an index in it. Its entries hold the ids of [shapes](crate::types::FuncType::shape), so that a
/// function of any subtype can be called. They are null until code can have the reference.
pub const MAX_FUNCTIONS: u32 = (1 << 21) - 1;

/// Offset in a function import slot of the code address (u64).
pub const IMPORT_CODE: u32 = 0;
/// Offset in a function import slot of the callee's context (u64). Used in mode arg by imports from other instances.
pub const IMPORT_CONTEXT: u32 = 8;
/// Size of a function import slot.
pub const IMPORT_BYTES: u32 = 16;

/// Size of a global's cell: any value, aligned for vectors.
pub const GLOBAL_BYTES: u32 = 16;

/// Offsets within one module's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextLayout {
    tables: u32,
    imported_globals: u32,
    imported_global_count: u32,
    functions: u32,
    memories: u32,
    globals: u32,
    function_table: u32,
    libcalls: u32,
    size: u32,
}

impl ContextLayout {
    /// The layout of a module's context. `None` if it would exceed 2 GiB, which validated modules cannot.
    #[must_use]
    pub fn new(module: &ModuleInfo) -> Option<Self> {
        let count = |n: usize| u32::try_from(n).ok();
        let tables = LIBCALLS + 8 * FIRST_LIBCALLS;
        let imported_globals = tables.checked_add(count(module.tables.len())?.checked_mul(8)?)?;
        let functions =
            imported_globals.checked_add(module.imported_globals.checked_mul(8)?)?.checked_next_multiple_of(16)?;
        let memories = functions.checked_add(module.imported_functions.checked_mul(IMPORT_BYTES)?)?;
        let more_memories = count(module.memories.len().saturating_sub(1))?;
        let globals = memories.checked_add(more_memories.checked_mul(MEMORY_BYTES)?)?;
        let defined = count(module.globals.len())?.checked_sub(module.imported_globals)?;
        let function_table = globals.checked_add(defined.checked_mul(GLOBAL_BYTES)?)?;
        let libcalls = function_table.checked_add(8)?;
        let size = libcalls.checked_add(8 * count(Libcall::ALL.len())?.checked_sub(FIRST_LIBCALLS)?)?;
        let imported_global_count = module.imported_globals;
        (size <= i32::MAX as u32).then_some(Self {
            tables,
            imported_globals,
            imported_global_count,
            functions,
            memories,
            globals,
            function_table,
            libcalls,
            size,
        })
    }

    /// Size of the context in bytes; its alignment is 16.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Slot with the address of a library call. Read only, constant.
    #[must_use]
    pub const fn libcall(&self, libcall: Libcall) -> u32 {
        match (libcall as u32).checked_sub(FIRST_LIBCALLS) {
            None => LIBCALLS + 8 * libcall as u32,
            Some(further) => self.further_libcalls() + 8 * further,
        }
    }

    /// First slot of the library calls after the first [`FIRST_LIBCALLS`].
    #[must_use]
    pub const fn further_libcalls(&self) -> u32 {
        self.libcalls
    }

    /// Slot with the address of the function table's header. Read only, constant.
    #[must_use]
    pub const fn function_table(&self) -> u32 {
        self.function_table
    }

    /// Slot of a memory: [`MEMORY_BASE`], [`MEMORY_DESCRIPTOR`]. Read only, constant.
    #[must_use]
    pub const fn memory(&self, memory: u32) -> u32 {
        match memory.checked_sub(1) {
            None => FIRST_MEMORY,
            Some(further) => self.memories + MEMORY_BYTES * further,
        }
    }

    /// Slot with the address of a table's header. Read only, constant.
    #[must_use]
    pub const fn table(&self, table: u32) -> u32 {
        self.tables + 8 * table
    }

    /// Where a global is: in this context, or behind a pointer if it is imported.
    #[must_use]
    pub const fn global(&self, global: u32) -> GlobalSlot {
        match global.checked_sub(self.imported_global_count) {
            None => GlobalSlot::Pointer(self.imported_globals + 8 * global),
            Some(defined) => GlobalSlot::Cell(self.globals + GLOBAL_BYTES * defined),
        }
    }

    /// Slot of an imported function: [`IMPORT_CODE`], [`IMPORT_CONTEXT`]. Read only, constant.
    #[must_use]
    pub const fn function(&self, function: u32) -> u32 {
        self.functions + IMPORT_BYTES * function
    }
}

/// Where a context holds a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalSlot {
    /// The cell itself is at this offset.
    Cell(u32),
    /// The address (u64) of the cell is at this offset. Read only, constant.
    Pointer(u32),
}

/// The addresses that are constants in code of mode fixed.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct FixedAddresses {
    /// The context.
    pub context: u64,
    /// The shared result area.
    pub results: u64,
    /// Byte 0 and descriptor of every memory.
    pub memories: Vec<MemoryAddresses>,
    /// Header of every table.
    pub tables: Vec<u64>,
    /// Cell of every global.
    pub globals: Vec<u64>,
    /// Header of the function table.
    pub functions: u64,
}

impl FixedAddresses {
    /// Plausible addresses, for code that will not run. `None` for a module whose context would be too large.
    #[must_use]
    pub fn imagined(module: &ModuleInfo) -> Option<Self> {
        const CONTEXT: u64 = 0x1000_0000;
        const RESULTS: u64 = 0x1800_0000;
        const DESCRIPTORS: u64 = 0x1900_0000;
        const CELLS: u64 = 0x1a00_0000;
        const FUNCTIONS: u64 = 0x1c00_0000;
        const TABLES: u64 = 0x2000_0000;
        const MEMORY: u64 = 0x4000_0000;
        /// Distance between the bases of two memories.
        const MEMORY_STEP: u64 = 16 << 30;

        let layout = ContextLayout::new(module)?;
        let mut table = TABLES;
        let tables = module.tables.iter().map(|ty| {
            let len = u64::from(TABLE_ENTRIES) + u64::from(ty.min.max(1)) * u64::from(TABLE_ENTRY_BYTES);
            let at = table;
            table += len.next_multiple_of(0x0010_0000);
            at
        });
        let tables = tables.collect();
        let memory = |n: u64| MemoryAddresses {
            base: MEMORY + n * MEMORY_STEP,
            descriptor: DESCRIPTORS + n * u64::from(MEMORY_DESCRIPTOR_BYTES),
        };
        let global = |index: u32| match layout.global(index) {
            GlobalSlot::Cell(offset) => CONTEXT + u64::from(offset),
            GlobalSlot::Pointer(_) => CELLS + u64::from(GLOBAL_BYTES) * u64::from(index),
        };
        Some(Self {
            context: CONTEXT,
            results: RESULTS,
            memories: (0..).take(module.memories.len()).map(memory).collect(),
            tables,
            globals: (0..).take(module.globals.len()).map(global).collect(),
            functions: FUNCTIONS,
        })
    }
}

/// Addresses of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct MemoryAddresses {
    /// Byte 0.
    pub base: u64,
    /// The descriptor.
    pub descriptor: u64,
}

/// How code reaches its context.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Addressing {
    /// By constants. The code belongs to one instance, at these addresses.
    Fixed(FixedAddresses),
    /// By its first argument. The code works for any instance.
    Arg,
}

impl Addressing {
    /// The constants of mode fixed.
    #[must_use]
    pub const fn fixed(&self) -> Option<&FixedAddresses> {
        match self {
            Self::Fixed(addresses) => Some(addresses),
            Self::Arg => None,
        }
    }
}
