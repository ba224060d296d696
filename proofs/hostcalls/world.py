"""What a hostcall finds when a guest calls it: the context, linear memory, the monitor's table and the host's objects.

All values are symbols, so that a proof holds for every table, every limit, every memory and every argument. Only one
entry of the
table can be reached, the one with the guest's number, and only one object, the one that this entry names. To reach
them, the
code has to show that the number is below the length of the table.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from z3 import And, BitVec, BitVecRef, BitVecVal, BoolRef, Extract, Or, UGE, ULE, ULT, ZeroExt

from proofs.hostcalls.layout import Layouts, read
from proofs.hostcalls.machine import Block, Bytes
from proofs.prove.elf import Function
from proofs.prove.memory import symbols
from proofs.prove.state import State, called, initial_field

WASI = "wave_wasi::ctx::Wasi"
LINK = "wave_runtime::store::InstanceLink"
BUFFERS = "wave_monitor::range::Buffers"
ENTRY = "core::option::Option<wave_monitor::entries::Entry>"
OBJECT = "core::option::Option<wave_wasi::objects::Object>"
POINTER, CAPACITY, LENGTH = "buf.inner.ptr.pointer.pointer", "buf.inner.cap.__0", "len"
CONTRACT = "jit/contract/src/context.rs"

# Rights, by their bits in the documents of WASI preview 1.
FD_READ, FD_WRITE, PATH_CREATE_FILE, PATH_OPEN, PATH_FILESTAT_SET_SIZE, SOCK_ACCEPT = 1, 6, 10, 13, 19, 29
PARAMETERS = ("rsi", "rdx", "rcx", "r8", "r9")
# Addresses of programs on x86-64 Linux are below it.
END_OF_ADDRESSES = 1 << 47


def _contract(name: str) -> int:
    """A constant of the contract with compiled code."""
    text = Path(CONTRACT).read_text(encoding="utf-8")
    return int(re.search(rf"pub const {name}: u32 = (\w+);", text)[1], 0)


@dataclass(frozen=True)
class Member:
    """A field of one of the records of the world."""

    record: str
    offset: int
    size: int

    def now(self, state: State) -> BitVecRef:
        """Its value."""
        return state.field(self.record, self.offset, self.size)

    @property
    def first(self) -> BitVecRef:
        """Its value when the hostcall begins."""
        return initial_field(self.record, self.offset, self.size)


class World:
    """The memory that hostcalls work on, with its layout."""

    def __init__(self):
        self.layouts: Layouts = read([WASI, LINK, BUFFERS])
        self.context, self.memory = BitVec("context", 64), BitVec("memory", 64)
        self.descriptor, self.memory_len = BitVec("descriptor", 64), BitVec("memory_len", 64)
        self.link, self.wasi, self.store = BitVec("link", 64), BitVec("wasi", 64), BitVec("store", 64)
        self.entries, self.entries_len = BitVec("entries", 64), BitVec("entries_len", 64)
        self.slots, self.slots_len = BitVec("slots", 64), BitVec("slots_len", 64)
        self.free, self.free_capacity = BitVec("free", 64), BitVec("free_capacity", 64)
        self.free_len = BitVec("free_len", 64)
        self.fd = BitVec("fd", 32)

    # Fields

    def _member(self, record: str, path: str, names: str, size: int | None = None) -> Member:
        found = self.layouts.field(path, names)
        return Member(record, found.offset, size or found.type.number("DW_AT_byte_size"))

    def of_wasi(self, names: str, size: int | None = None) -> Member:
        """A field of `Wasi`."""
        return self._member("wasi", WASI, names, size)

    def of_entry(self, name: str, size: int | None = None) -> Member:
        """A field of the entry that the guest's number names."""
        return self._member("entry", ENTRY, f"Some.__0.{name}", size)

    def of_object(self, names: str, size: int | None = None) -> Member:
        """A field of the object that this entry names."""
        return self._member("object", OBJECT, f"Some.__0.{names}", size)

    @cached_property
    def base_rights(self) -> BitVecRef:
        """The rights of the entry."""
        return self.of_entry("base").first

    @cached_property
    def host(self) -> BitVecRef:
        """The number of the host object in the entry."""
        return self.of_entry("host").first

    @cached_property
    def host_fd(self) -> BitVecRef:
        """The descriptor in the object."""
        places = [f"Some.__0.descriptor.{kind}.__0" for kind in ("Owned", "Inherited")]
        owned, inherited = (self.layouts.offset(OBJECT, place) for place in places)
        assert owned == inherited, "both kinds of descriptors are at the same place"
        return initial_field("object", owned, 4)

    @cached_property
    def uninteresting(self) -> frozenset[str]:
        """What no specification speaks of: the address of a directory's listing."""
        listing = self.of_object("listing", 8)
        return frozenset(symbols(listing.first))

    def _tag(self, record: str, path: str) -> tuple[Member, int]:
        """What tells an `Option` that is `None`, and its value."""
        offset, size, values = self.layouts.variants(self.layouts.type(path))
        assert set(values) == {"None", "Some"} and values["None"] is not None and values["Some"] is None
        return Member(record, offset, size), values["None"]

    def entry_is_open(self, state: State | None = None) -> BoolRef:
        """Whether the table has an entry at the guest's number; with a state, whether it still has."""
        tag, none = self._tag("entry", ENTRY)
        value = tag.first if state is None else tag.now(state)
        return And(ULT(ZeroExt(32, self.fd), self.entries_len), value != none)

    def object_is_there(self, state: State | None = None) -> BoolRef:
        """Whether the object that the entry names is there."""
        tag, none = self._tag("object", OBJECT)
        value = tag.first if state is None else tag.now(state)
        return And(ULT(ZeroExt(32, self.host), self.slots_len), value != none)

    @cached_property
    def object_is_owned(self) -> BoolRef:
        """Whether the object's descriptor was opened for the guest."""
        found = self.layouts.field(OBJECT, "Some.__0.descriptor")
        offset, size, values = self.layouts.variants(found.type)
        return initial_field("object", found.offset + offset, size) == values["Owned"]

    def kind_is(self, *names: str) -> BoolRef:
        """Whether the entry is of one of these kinds."""
        found = self.layouts.field(ENTRY, "Some.__0.kind")
        _, size, values = self.layouts.variants(found.type)
        kind = initial_field("entry", found.offset, size)
        return Or(*[kind == values[name] for name in names])

    def origin_is(self, *names: str) -> BoolRef:
        """Whether the entry is of one of these origins."""
        found = self.layouts.field(ENTRY, "Some.__0.origin")
        offset, size, values = self.layouts.variants(found.type)
        origin = initial_field("entry", found.offset + offset, size)
        return Or(*[origin == values[name] for name in names])

    def has_rights(self, *bits: int) -> BoolRef:
        """Whether the entry has these rights."""
        return And(*[Extract(bit, bit, self.base_rights) == 1 for bit in bits])

    def in_memory(self, pointer: BitVecRef, size: BitVecRef) -> BoolRef:
        """Whether `size` bytes at a host address lie inside linear memory."""
        start = pointer - self.memory
        return And(ULE(start, self.memory_len), ULE(size, self.memory_len - start))

    # The first state

    def start(self, function: Function, parameters: list[int]) -> State:
        """The state in which a guest calls a hostcall with parameters of these widths, after the context. The first
        is `fd`."""
        state = called(function.address)
        state["rdi"] = self.context
        for number, bits in enumerate(parameters):
            value = self.parameter(number, bits)
            if number < len(PARAMETERS):
                state[PARAMETERS[number]] = value if bits == 64 else ZeroExt(32, value)
            else:
                at = state["rsp"].as_long() + 8 + 8 * (number - len(PARAMETERS))
                wide = value if bits == 64 else ZeroExt(32, value)
                for index in range(8):
                    state.stack[at + index] = Extract(8 * index + 7, 8 * index, wide)
        self._regions(state)
        self._values(state)
        return state

    def parameter(self, number: int, bits: int) -> BitVecRef:
        """A parameter of the hostcall."""
        return self.fd if number == 0 else BitVec(f"parameter_{number}", bits)

    def _regions(self, state: State) -> None:
        first_memory = _contract("FIRST_MEMORY")
        state.add(Block("context", self.context, first_memory + 16))
        state.add(Block("descriptor", self.descriptor, 8))
        state.add(Block("link", self.link, self.layouts.size(LINK)))
        state.add(Block("wasi", self.wasi, self.layouts.size(WASI), True))
        size = self.layouts.size(ENTRY)
        at = self.entries + size * ZeroExt(32, self.fd)
        state.add(Block("entry", at, size, True, ULT(ZeroExt(32, self.fd), self.entries_len)))
        size = self.layouts.size(OBJECT)
        at = self.slots + size * ZeroExt(32, self.host)
        state.add(Block("object", at, size, True, ULT(ZeroExt(32, self.host), self.slots_len)))
        listing = self.of_object("listing", 8)
        for region in (
            Bytes("guest", self.memory, self.memory_len),
            Bytes("free", self.free, 4 * self.free_capacity),
            Bytes("store", self.store, BitVecVal(1 << 16, 64)),
            Bytes("listing", listing.first, BitVecVal(1 << 16, 64), owns=True),
        ):
            state.regions[region.name] = region

    def _values(self, state: State) -> None:
        memory = _contract("FIRST_MEMORY")
        state.set_field("context", _contract("STORE"), self.link)
        state.set_field("context", memory + _contract("MEMORY_BASE"), self.memory)
        state.set_field("context", memory + _contract("MEMORY_DESCRIPTOR"), self.descriptor)
        state.set_field("descriptor", _contract("MEMORY_LEN"), self.memory_len)
        state.set_field("link", self.layouts.offset(LINK, "data"), self.wasi)
        state.set_field("link", self.layouts.offset(LINK, "store"), self.store)
        for vector, pointer, length in (
            ("monitor.entries", self.entries, self.entries_len),
            ("objects.slots", self.slots, self.slots_len),
            ("objects.free", self.free, self.free_len),
        ):
            state.set_field("wasi", self.layouts.offset(WASI, f"{vector}.{POINTER}"), pointer)
            state.set_field("wasi", self.layouts.offset(WASI, f"{vector}.{LENGTH}"), length)
        state.set_field("wasi", self.layouts.offset(WASI, f"objects.free.{CAPACITY}"), self.free_capacity)
        for base in (
            self.context, self.memory, self.descriptor, self.link, self.wasi, self.store, self.entries, self.slots,
            self.free,
        ):  # fmt: skip
            state.facts += [UGE(base, 0x10000), ULT(base, END_OF_ADDRESSES)]
        state.facts += [
            ULT(self.memory_len, END_OF_ADDRESSES),
            ULE(self.memory + self.memory_len, END_OF_ADDRESSES),
            # The lengths of vectors: a vector has at most 2^63 bytes, a free number at most one place for each slot.
            ULT(self.entries_len, 1 << 33),
            ULT(self.slots_len, 1 << 33),
            ULE(self.free_len, self.free_capacity),
            ULT(self.free_capacity, 1 << 34),
        ]
        state.facts += self._valid()

    def _valid(self) -> list[BoolRef]:
        """The variants of enumerations are those that they have."""
        facts = []
        for record, path, names in (
            ("entry", ENTRY, "Some.__0.kind"),
            ("entry", ENTRY, "Some.__0.origin"),
            ("entry", ENTRY, "Some.__0.access"),
            ("object", OBJECT, "Some.__0.descriptor"),
        ):
            found = self.layouts.field(path, names)
            offset, size, values = self.layouts.variants(found.type)
            tag, none = self._tag(record, path)
            value = initial_field(record, found.offset + offset, size)
            facts.append(Or(tag.first == none, *[value == number for number in values.values()]))
        return facts
