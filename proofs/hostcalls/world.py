"""What a hostcall finds when a guest calls it: the context, the monitor's table and the host's objects.

All values are symbols, so that a proof holds for every table, every limit and every argument.
"""

import re
from functools import cached_property
from pathlib import Path

from z3 import And, BitVec, BitVecRef, BitVecs, BoolRef, Concat, Extract, Or, Store, UGE, ULE, ULT, ZeroExt

from proofs.hostcalls.layout import Layouts, read
from proofs.prove.state import Record, State, Table

WASI = "wave_wasi::ctx::Wasi"
LINK = "wave_runtime::store::InstanceLink"
STORE = "wave_runtime::store::Inner"
ENTRY = "core::option::Option<wave_monitor::entries::Entry>"
OBJECT = "core::option::Option<wave_wasi::objects::Object>"
LISTING = "wave_wasi::linux::listing::Listing"
POINTER, CAPACITY, LENGTH = "buf.inner.ptr.pointer.pointer", "buf.inner.cap.__0", "len"
CONTRACT = Path("jit/contract/src/context.rs")
# Programs on x86-64 Linux have no address from here on, and none in the first pages.
END_OF_ADDRESSES, FIRST_ADDRESS = 1 << 47, 0x10000
FREE_SIZE = 4
# The buffers that a listing owns. The allocator has no smaller blocks than those of 16 bytes.
LISTING_BLOCKS = ("buffer.data_ptr", f"chunks.{POINTER}")
LEAST_BLOCK = 16


def _contract(name: str) -> int:
    """A constant of the contract with compiled code."""
    text = CONTRACT.read_text(encoding="utf-8")
    return int(re.search(rf"pub const {name}: u32 = (\w+);", text)[1], 0)


def is_address(base: BitVecRef) -> BoolRef:
    """Whether a program can have something there."""
    return And(UGE(base, FIRST_ADDRESS), ULT(base, END_OF_ADDRESSES))


class Slots:
    """A table of `Option`s, one of which a hostcall is about: its layout, and what is in it."""

    def __init__(self, layouts: Layouts, path: str, table: Table, index: BitVecRef):
        self._layouts, self._path, self.table, self.index = layouts, path, table, index
        self.first = table.array()
        self._offset, self._size, variants = layouts.variants(layouts.type(path))
        assert set(variants) == {"None", "Some"} and variants["None"] is not None and variants["Some"] is None
        self._none = variants["None"]

    def name(self, field: str, value: BitVecRef) -> None:
        """Gives what a field holds at first a name."""
        offset, size = self._layouts.offset(self._path, f"Some.__0.{field}"), value.size() // 8
        element = self.first[self.index]
        high = Extract(8 * self.table.stride - 1, 8 * (offset + size), element)
        low = Extract(8 * offset - 1, 0, element)
        self.first = Store(self.first, self.index, Concat(high, value, low))

    def bytes(self, offset: int, size: int, state: State | None = None) -> BitVecRef:
        """Some bytes of the element; with a state, as they are there, otherwise as they are at first."""
        content = self.first if state is None else state.tables[self.table.name]
        return Extract(8 * (offset + size) - 1, 8 * offset, content[self.index])

    def number(self, name: str) -> BitVecRef:
        """A field, as it is at first."""
        found = self._layouts.field(self._path, f"Some.__0.{name}")
        return self.bytes(found.offset, found.type.number("DW_AT_byte_size"))

    def is_there(self, state: State | None = None) -> BoolRef:
        """Whether the table has this element, and it is not `None`."""
        return And(ULT(self.index, self.table.count), self.bytes(self._offset, self._size, state) != self._none)

    def variant(self, name: str) -> tuple[BitVecRef, dict[str, int | None]]:
        """What tells the variants of a field apart, as it is at first, and its value for each."""
        found = self._layouts.field(self._path, f"Some.__0.{name}")
        offset, size, values = self._layouts.variants(found.type)
        return self.bytes(found.offset + offset, size), values


class World:
    """The memory that hostcalls work on, with its layout."""

    def __init__(self):
        self.layouts = read([WASI, LINK, STORE, LISTING])
        self.fd = BitVec("fd", 32)
        self.context, self.link, self.store, self.wasi = BitVecs("context link store wasi", 64)
        self.entry = self._slots(ENTRY, "entries", self.fd)
        self.object = self._slots(OBJECT, "slots", self.entry.number("host"))
        self.listing = Record("listing", BitVec("listing", 64), self.layouts.size(LISTING), True)
        self.object.name("listing", self.listing.base)
        self.free_len = BitVec("free_len", 64)
        self.free = Table("free", BitVec("free", 64), BitVec("free_capacity", 64), FREE_SIZE, True)

    def _slots(self, path: str, name: str, index: BitVecRef) -> Slots:
        size = self.layouts.size(path)
        table = Table(name, BitVec(name, 64), BitVec(f"{name}_len", 64), size, True)
        return Slots(self.layouts, path, table, ZeroExt(32, index))

    @property
    def tables(self) -> tuple[Table, ...]:
        """The buffers of the vectors."""
        return self.entry.table, self.object.table, self.free

    @cached_property
    def object_fd(self) -> BitVecRef:
        """The descriptor in the object."""
        owned, inherited = (self.object.number(f"descriptor.{kind}.__0") for kind in ("Owned", "Inherited"))
        assert owned.eq(inherited), "both kinds of descriptors are at the same place"
        return owned

    @cached_property
    def object_is_owned(self) -> BoolRef:
        """Whether the object's descriptor was opened for the guest."""
        tag, values = self.object.variant("descriptor")
        return tag == values["Owned"]

    def deadline_passed(self, state: State) -> BoolRef:
        """Whether the hostcall has written down that the guest stops since its deadline has passed."""
        found = self.layouts.field(STORE, "pending.Some.__0")
        offset, size, values = self.layouts.variants(found.type)
        return state.field("store", found.offset + offset, size) == values["Deadline"]

    def is_unchanged(self, state: State) -> BoolRef:
        """Whether the tables and the rest of the context are as they were at first."""
        now, first = state.copy(), State(0)
        self._memory(first)
        return And(
            *[now.tables[table.name] == first.tables[table.name] for table in self.tables],
            *[now.record_byte("wasi", at) == first.record_byte("wasi", at) for at in range(self.layouts.size(WASI))],
        )

    def prepare(self, state: State) -> None:
        """The state in which a guest calls a hostcall that takes a descriptor."""
        state["rdi"], state["rsi"] = self.context, ZeroExt(32, self.fd)
        self._memory(state)
        apart = [self.context, self.link, self.store, self.wasi, *[table.base for table in self.tables]]
        state.facts += [is_address(base) for base in apart]
        tag, values = self.object.variant("descriptor")
        state.facts += [
            # A vector has at most 2^63 bytes, and at most one number is free for each slot.
            ULT(self.entry.table.count, 1 << 33),
            ULT(self.object.table.count, 1 << 33),
            ULE(self.free_len, self.free.count),
            ULT(self.free.count, 1 << 34),
            Or(*[tag == value for value in values.values()]),
        ]

    def _memory(self, state: State) -> None:
        memory = _contract("FIRST_MEMORY")
        state.add(Record("context", self.context, memory + _contract("MEMORY_DESCRIPTOR") + 8))
        state.add(Record("link", self.link, self.layouts.size(LINK)))
        state.add(Record("store", self.store, self.layouts.size(STORE), True))
        state.add(Record("wasi", self.wasi, self.layouts.size(WASI), True))
        for table in self.tables:
            state.add(table)
        state.tables[self.object.table.name] = self.object.first
        state.add(self.listing)
        for name in LISTING_BLOCKS:
            block = Record(f"listing.{name}", BitVec(f"listing.{name}", 64), LEAST_BLOCK, True)
            state.add(block)
            state.set_field("listing", self.layouts.offset(LISTING, name), block.base)
        state.set_field("context", _contract("STORE"), self.link)
        state.set_field("link", self.layouts.offset(LINK, "data"), self.wasi)
        state.set_field("link", self.layouts.offset(LINK, "store"), self.store)
        self.set_vector(state, "monitor.entries", self.entry.table.base, LENGTH, self.entry.table.count)
        self.set_vector(state, "objects.slots", self.object.table.base, LENGTH, self.object.table.count)
        self.set_vector(state, "objects.free", self.free.base, CAPACITY, self.free.count)
        self.set_vector(state, "objects.free", self.free.base, LENGTH, self.free_len)

    def set_vector(self, state: State, name: str, pointer: BitVecRef, field: str, value: BitVecRef) -> None:
        """Lets a vector of `Wasi` have this buffer, and this length or capacity."""
        state.set_field("wasi", self.layouts.offset(WASI, f"{name}.{POINTER}"), pointer)
        state.set_field("wasi", self.layouts.offset(WASI, f"{name}.{field}"), value)
