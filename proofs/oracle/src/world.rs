//! What surrounds code while it runs: the objects that a context names, the stack, tables and callees. Its contents are known, so
//! that it can be told what code has changed and what values mean.

use crate::module::{self, FUNCTION_TABLE, IMPORTS, INTEGERS, TEXT_BYTES};
use crate::native::{FILLER, Memory, Registers};
use crate::random::Random;
use std::collections::HashMap;
use wave_contract::MEMORY_RESERVATION_BYTES;
use wave_contract::abi::RESULT_AREA_BYTES;
use wave_contract::context::{
    ARENA, ContextLayout, FIRST_MEMORY, FixedAddresses, GLOBAL_BYTES, GlobalSlot, MEMORY_BASE, MEMORY_DESCRIPTOR,
    RESULTS, STACK_LIMIT, STORE, TABLE_ENTRIES, TABLE_ENTRY_BYTES, TABLE_ENTRY_CODE, TABLE_ENTRY_CONTEXT,
    TABLE_ENTRY_SIGNATURE,
};
use wave_contract::libcall::Libcall;
use wave_contract::module::ModuleInfo;
use wave_verifier::rules::{Entry, Object};

/// Bytes of the stack, and where in it a function is entered: far enough from both ends for what a path does.
const STACK_BYTES: u64 = 1 << 20;
const FRAME_BELOW_TOP: u64 = 0x3000 - 8;

/// A path ends when the stack pointer is farther down, or above the frame.
const DEEPEST: u64 = 0x4_0000;

/// What contexts of other instances are counted from.
pub const ARENA_BASE: u64 = 0x1000_0000;

/// Code that a thunk enters, and the instance that it belongs to.
pub const ENTERED_CODE: u64 = 0x4fff_e000_0040;

/// Bytes of slots for a thunk: sixteen for each of eight.
pub const SLOTS_BYTES: u64 = 8 * 16;

/// How many entries of the first two tables are looked at: more than either ever has.
const ENTRIES_LOOKED_AT: u32 = 12;

/// Whoever may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callee {
    pub code: u64,
    /// The context that it relies on.
    pub context: u64,
    pub is_host: bool,
    /// Bytes of arguments on the stack.
    pub arguments: u64,
    /// Whether the context it relies on is in a register in both modes.
    pub needs_context: bool,
}

/// Everything around the code.
pub struct World {
    pub memory: Memory,
    pub info: ModuleInfo,
    pub layout: ContextLayout,
    pub addresses: FixedAddresses,
    pub is_fixed: bool,
    /// Address of the text.
    pub text: u64,
    pub slots: u64,
    /// Address of the return address.
    pub frame: u64,
    pub return_address: u64,
    /// Bytes of the function's own arguments on the stack.
    pub arguments: u64,
    /// Registers as they were at entry.
    pub entry: Registers,
    pub limit: u64,
    /// How many entries the tables have.
    pub lengths: [u32; 4],
    /// Which entry a name means: the one that the instruction at that offset made last.
    pub named: HashMap<u32, (u8, u32)>,
    /// Status of the last call of the host.
    pub status: u64,
    /// The lowest address of the stack that was touched.
    pub touched: u64,
    /// The last comparison: both operands, and how many bytes of them.
    pub compared: (u64, u64, u8),
    /// Bytes that code must not change: address and content.
    guarded: Vec<(u64, Vec<u8>)>,
}

/// Bytes of arguments on the stack, by the conventions in `wave_contract::abi`: six integers are in registers.
#[must_use]
pub fn stack_arguments(integers: usize) -> u64 {
    (8 * integers.saturating_sub(6) as u64).next_multiple_of(16)
}

impl World {
    /// Maps everything.
    #[must_use]
    pub fn new(is_fixed: bool) -> Self {
        let info = module::declarations();
        let layout = ContextLayout::new(&info).expect("a small module");
        let addresses = FixedAddresses::imagined(&info).expect("a small module");
        let mut memory = Memory::default();
        for at in [addresses.context, addresses.memories[0].descriptor, addresses.globals[0]] {
            memory.map(at, 0x1000, false);
        }
        for table in addresses.tables.iter().chain([&addresses.functions]) {
            memory.map(*table, 0x1000, false);
        }
        memory.map(addresses.results, 0x5000, false);
        for place in &addresses.memories {
            memory.map(place.base, MEMORY_RESERVATION_BYTES, false);
        }
        let text = memory.map(0, TEXT_BYTES.into(), true);
        memory.write(text, &[FILLER; TEXT_BYTES as usize]);
        let stack = memory.map(0, STACK_BYTES, false);
        let slots = memory.map(0, 0x1000, false);
        let mut world = Self {
            memory,
            info,
            layout,
            addresses,
            is_fixed,
            text,
            slots,
            frame: stack + STACK_BYTES - FRAME_BELOW_TOP,
            return_address: 0,
            arguments: 0,
            entry: Registers::default(),
            limit: 0,
            lengths: [4, 2, 1, 3],
            named: HashMap::new(),
            status: 0,
            touched: 0,
            compared: (0, 0, 0),
            guarded: Vec::new(),
        };
        world.fill_context();
        world
    }

    /// Writes a number of 64 bits.
    fn put(&mut self, at: u64, number: u64) {
        self.memory.write(at, &number.to_le_bytes());
    }

    fn put32(&mut self, at: u64, number: u32) {
        self.memory.write(at, &number.to_le_bytes());
    }

    /// The constant fields.
    fn fill_context(&mut self) {
        let context = self.addresses.context;
        let field = |offset: u32| context + u64::from(offset);
        self.put(field(STORE), 0x5707_0000_1234);
        self.put(field(RESULTS), self.addresses.results);
        self.put(field(ARENA), ARENA_BASE);
        for (index, place) in (0..).zip(self.addresses.memories.clone()) {
            let slot = if index == 0 { FIRST_MEMORY } else { self.layout.memory(index) };
            self.put(field(slot + MEMORY_BASE), place.base);
            self.put(field(slot + MEMORY_DESCRIPTOR), place.descriptor);
            self.put(place.descriptor, 65536);
        }
        for number in 0..Libcall::ALL.len() as u32 {
            self.put(field(self.layout.libcall(Libcall::ALL[number as usize])), libcall_code(number));
        }
        for (index, table) in (0..).zip(self.addresses.tables.clone()) {
            self.put(field(self.layout.table(index)), table);
        }
        self.put(field(self.layout.function_table()), self.addresses.functions);
        for global in 0..self.info.imported_globals {
            if let GlobalSlot::Pointer(at) = self.layout.global(global) {
                self.put(field(at), self.addresses.globals[global as usize]);
            }
        }
        for import in 0..IMPORTS.len() as u32 {
            let slot = field(self.layout.function(import));
            self.put(slot, import_code(import));
            self.put(slot + 8, import_context(import));
        }
    }

    /// A fresh entry into a function with so many bytes of arguments: registers, stack and tables of random contents.
    pub fn enter(&mut self, random: &mut Random, arguments: u64, entered: Option<usize>) -> Registers {
        self.arguments = arguments;
        self.lengths = [4 + random.below(3) as u32, 2, 1, 3 + random.below(3) as u32];
        self.named.clear();
        self.status = 0;
        self.touched = self.frame;
        self.compared = (0, 0, 0);
        self.limit = self.frame - 8 * random.below(0x600);
        self.put(self.addresses.context + u64::from(STACK_LIMIT), self.limit);
        self.return_address = 0x4fff_9999_0000 + random.below(0x1000);
        for at in (self.frame - 0x400..self.frame + 0x100).step_by(8) {
            self.put(at, random.bits());
        }
        self.put(self.frame, self.return_address);
        let mut registers = Registers { general: [0; 16], flags: random.next() & crate::native::FLAGS };
        registers.general.fill_with(|| random.bits());
        registers.general[4] = self.frame;
        if entered.is_some() {
            registers.general[7] = self.slots;
            registers.general[6] = ENTERED_CODE;
            registers.general[2] = self.addresses.context;
        } else if !self.is_fixed {
            registers.general[7] = self.addresses.context;
        }
        self.entry = registers;
        self.change_tables(random);
        registers
    }

    /// Whoever may change tables has done so. None got shorter.
    pub fn change_tables(&mut self, random: &mut Random) {
        if random.one_in(3) && self.lengths[0] < 10 {
            self.lengths[0] += 1;
        }
        if random.one_in(6) && self.lengths[1] < 3 {
            self.lengths[1] += 1;
        }
        if random.one_in(6) && self.lengths[FUNCTION_TABLE] < 10 {
            self.lengths[FUNCTION_TABLE] += 1;
        }
        for table in module::WITH_ENTRIES {
            let len = self.lengths[usize::from(table)];
            self.put32(self.header_at(table), len);
            for index in 0..ENTRIES_LOOKED_AT {
                let at = self.entry_at(table, index);
                if index >= len {
                    // Behind the end lies nothing that code could make use of.
                    self.put(at, 0x4141_4141_4141);
                    self.put(at + 8, 0);
                    continue;
                }
                let ty = (random.below(4) as usize).checked_sub(1);
                let signature = ty.map_or(0, |ty| module::id_in(table, ty).0);
                // No two entries have the same code, so that whoever is called is known by it.
                let number = u64::from(index) | u64::from(table) << 8 | random.below(1 << 20) << 12;
                let code = if signature == 0 { 0 } else { 0x4ff0_0000_0000 + (number << 4) };
                self.put(at + u64::from(TABLE_ENTRY_CODE), code);
                self.put32(at + u64::from(TABLE_ENTRY_SIGNATURE), signature);
                self.put32(at + u64::from(TABLE_ENTRY_CONTEXT), random.below(1 << 26) as u32 & !63);
            }
        }
        self.put32(self.addresses.tables[2], self.lengths[2]);
        self.guard();
    }

    /// Notes what code must not change, as it is now.
    fn guard(&mut self) {
        let context = self.addresses.context;
        let GlobalSlot::Cell(cells) = self.layout.global(self.info.imported_globals) else { unreachable!("it is own") };
        let cell = context + u64::from(cells);
        let own_end = self.frame + 8 + self.arguments;
        let mut ranges = vec![
            (context, u64::from(cells)),
            // The second of the own globals is constant, and so is the fourth, the offset of a descriptor in the heap.
            (cell + 16, 16),
            (cell + 48, 64),
            (self.addresses.memories[0].descriptor, 64),
            (self.addresses.globals[1], 64),
            (self.slots + SLOTS_BYTES, 64),
            (own_end, 128),
        ];
        for table in self.headers() {
            ranges.push((table, u64::from(TABLE_ENTRIES + ENTRIES_LOOKED_AT * TABLE_ENTRY_BYTES)));
        }
        self.guarded.clear();
        for (at, len) in ranges {
            let mut bytes = vec![0; len as usize];
            self.memory.read(at, &mut bytes);
            self.guarded.push((at, bytes));
        }
    }

    /// Whether nothing has changed that code must not change.
    pub fn is_intact(&self) -> Result<(), String> {
        match self.guarded.iter().find(|(at, bytes)| !self.memory.is(*at, bytes)) {
            Some((at, bytes)) => Err(format!("some of {} bytes at {at:#x} have changed", bytes.len())),
            None => Ok(()),
        }
    }

    /// Whether the stack pointer is where a path can go on.
    #[must_use]
    pub const fn has_room(&self, stack_pointer: u64) -> bool {
        stack_pointer <= self.frame + 8 + self.arguments && stack_pointer >= self.frame - DEEPEST
    }

    /// Writes below an address of the stack, as signals and callees do.
    pub fn disturb_below(&mut self, end: u64, random: &mut Random) {
        let mut bytes = [0; 0x180];
        for word in bytes.as_chunks_mut::<8>().0 {
            *word = random.next().to_le_bytes();
        }
        self.memory.write(end - bytes.len() as u64, &bytes);
    }

    /// Where an entry of a table lies.
    #[must_use]
    pub fn entry_at(&self, table: u8, index: u32) -> u64 {
        self.header_at(table) + u64::from(TABLE_ENTRIES) + u64::from(TABLE_ENTRY_BYTES) * u64::from(index)
    }

    /// Where the header of a table lies.
    #[must_use]
    pub fn header_at(&self, table: u8) -> u64 {
        self.addresses.tables.get(usize::from(table)).copied().unwrap_or(self.addresses.functions)
    }

    /// Where a context has the address of a table's header.
    #[must_use]
    pub fn header_slot(&self, table: u8) -> u32 {
        let is_function_table = usize::from(table) == FUNCTION_TABLE;
        if is_function_table { self.layout.function_table() } else { self.layout.table(table.into()) }
    }

    /// Where the headers of all tables lie.
    fn headers(&self) -> impl Iterator<Item = u64> {
        self.addresses.tables.iter().copied().chain([self.addresses.functions])
    }

    /// The table and index that a name means, if it is an entry that can be read.
    #[must_use]
    pub fn meaning(&self, entry: Entry) -> Option<(u8, u32)> {
        let (table, index) = match entry {
            Entry::Made(at) => *self.named.get(&at)?,
            Entry::Constant { table, index } => (table, index),
        };
        self.is_index(table, index.into()).then_some((table, index))
    }

    /// Whether an entry of a table can be read: entry 0 always can.
    #[must_use]
    pub fn is_index(&self, table: u8, index: u64) -> bool {
        index == 0 || index < u64::from(self.lengths[usize::from(table)])
    }

    /// The address of an object.
    #[must_use]
    pub fn object(&self, object: Object) -> u64 {
        match object {
            Object::Memory(index) => self.addresses.memories[usize::from(index)].base,
            Object::Descriptor(index) => self.addresses.memories[usize::from(index)].descriptor,
            Object::Table(index) => self.header_at(index),
            Object::Global { mutable } => self.addresses.globals[usize::from(!mutable)],
            Object::Results => self.addresses.results,
            Object::Slots => self.slots,
            Object::Context => self.addresses.context,
        }
    }

    /// Whether an address lies in the heap of objects.
    #[must_use]
    pub fn is_in_heap(&self, at: u64) -> bool {
        at.wrapping_sub(self.addresses.memories[self.heap() as usize].base) < MEMORY_RESERVATION_BYTES
    }

    /// Which memory is the heap.
    #[must_use]
    pub fn heap(&self) -> u32 {
        self.info.heap.expect("the module has objects")
    }

    /// A constant field of the context.
    #[must_use]
    pub fn field(&self, offset: u32) -> u64 {
        self.memory.u64(self.addresses.context + u64::from(offset))
    }

    /// Whether all bytes of an access lie where code may reach them, by the addresses alone. `stack_pointer`: where its part of
    /// the stack begins.
    #[must_use]
    pub fn may_access(&self, at: u64, len: u64, is_write: bool, stack_pointer: u64, is_thunk: bool) -> bool {
        let inside = |start: u64, size: u64| at >= start && at.wrapping_sub(start).saturating_add(len) <= size;
        let context = self.addresses.context;
        let cell = |index: u32, mutable: bool| match self.layout.global(index) {
            GlobalSlot::Cell(offset) => mutable && inside(context + u64::from(offset), GLOBAL_BYTES.into()),
            GlobalSlot::Pointer(_) => mutable && inside(self.addresses.globals[index as usize], GLOBAL_BYTES.into()),
        };
        let globals = || (0..).zip(&self.info.globals);
        let written = self.addresses.memories.iter().any(|place| inside(place.base, MEMORY_RESERVATION_BYTES))
            || inside(self.addresses.results, RESULT_AREA_BYTES.into())
            || (is_thunk && inside(self.slots, SLOTS_BYTES))
            || inside(stack_pointer, (self.frame + 8 + self.arguments).saturating_sub(stack_pointer))
            || globals().any(|(index, global)| cell(index, global.mutable));
        if written || is_write {
            return written;
        }
        inside(context + u64::from(STACK_LIMIT), u64::from(self.layout.size() - STACK_LIMIT))
            || globals().any(|(index, _)| cell(index, true))
            || self.addresses.memories.iter().any(|place| inside(place.descriptor, 8))
            || inside(self.text, TEXT_BYTES.into())
            || module::WITH_ENTRIES.into_iter().any(|table| {
                let index = at.wrapping_sub(self.entry_at(table, 0)) / u64::from(TABLE_ENTRY_BYTES);
                let entry = self.entry_at(table, u32::try_from(index).unwrap_or(0));
                self.is_index(table, index) && inside(entry, TABLE_ENTRY_BYTES.into())
            })
            || self.headers().any(|table| inside(table, 4))
    }

    /// Everyone who may be called now.
    #[must_use]
    pub fn callees(&self, is_thunk: Option<usize>) -> Vec<Callee> {
        let leading = usize::from(!self.is_fixed);
        let own = self.addresses.context;
        let guest = |code, context, integers: usize| Callee {
            code,
            context,
            is_host: false,
            arguments: stack_arguments(leading + integers),
            needs_context: !self.is_fixed,
        };
        let host = |code, integers| Callee {
            code,
            context: own,
            is_host: true,
            arguments: stack_arguments(1 + integers),
            needs_context: true,
        };
        let mut all = Vec::new();
        for (index, start) in (0..).zip(module::starts()) {
            let integers = self.info.function_type(index).map_or(0, |ty| ty.params.len());
            all.push(guest(self.text + u64::from(start), own, integers));
        }
        for (import, (is_host, ty)) in (0..).zip(IMPORTS) {
            let code = import_code(import);
            all.push(if is_host {
                host(code, INTEGERS[ty])
            } else {
                guest(code, import_context(import), INTEGERS[ty])
            });
        }
        for (number, libcall) in (0..).zip(Libcall::ALL) {
            all.push(host(libcall_code(number), libcall.params().len()));
        }
        for table in module::WITH_ENTRIES {
            for index in 0..self.lengths[usize::from(table)] {
                let at = self.entry_at(table, index);
                let signature = self.memory.u32(at + u64::from(TABLE_ENTRY_SIGNATURE));
                if let Some(ty) = module::type_of(signature) {
                    let context = ARENA_BASE + u64::from(self.memory.u32(at + u64::from(TABLE_ENTRY_CONTEXT)));
                    all.push(guest(self.memory.u64(at), context, INTEGERS[ty]));
                }
            }
        }
        if let Some(ty) = is_thunk {
            all.push(guest(ENTERED_CODE, own, INTEGERS[ty]));
        }
        all
    }
}

/// Code of a library call.
fn libcall_code(number: u32) -> u64 {
    0x4fff_1000_0000 + u64::from(number) * 0x1010
}

/// Code of an import.
fn import_code(import: u32) -> u64 {
    0x4fff_2000_0000 + u64::from(import) * 0x40
}

/// Context of an import.
fn import_context(import: u32) -> u64 {
    ARENA_BASE + 0x4440 + u64::from(import) * 0x1000
}
