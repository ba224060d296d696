"""Registers, stack, records and tables at one point of one path.

Memory is typed. The stack and *records* (one structure, at an address that is a symbol) are bytes at known places. A
*table* is any number of elements of one size; it is one array from index to element. Records and tables lie apart from
each other, which is what the language says of what they are made for: a structure, the buffer of a vector, a slice.
"""

from dataclasses import dataclass, field

from z3 import Array, BitVec, BitVecRef, BitVecSort, BitVecVal, BoolRef, Concat, Extract, FreshConst, Select, simplify

from proofs.prove.code import CALLEE_SAVED, FLAGS, REGISTERS

STACK_LOW, STACK_TOP = 0x7FFE_F000_0000, 0x7FFF_0000_0000
# No address of a function is this one: a path that arrives here has returned.
RETURN = 0xDEAD_0000


@dataclass(frozen=True)
class Record:
    """One structure of `size` bytes at the address `base`."""

    name: str
    base: BitVecRef
    size: int
    writable: bool = False


@dataclass(frozen=True)
class Table:
    """`count` elements of `stride` bytes each, from the address `base` on."""

    name: str
    base: BitVecRef
    count: BitVecRef
    stride: int
    writable: bool = False

    def array(self):
        """Its content before the function runs."""
        return Array(f"{self.name}[]", BitVecSort(64), BitVecSort(8 * self.stride))


def joined(pieces: list[BitVecRef]) -> BitVecRef:
    """Bytes, the lowest one first, as one value."""
    return simplify(Concat(*reversed(pieces))) if len(pieces) > 1 else pieces[0]


def byte_of(value: BitVecRef, index: int) -> BitVecRef:
    """One byte of a value; the lowest one is byte 0."""
    return value if value.size() == 8 else simplify(Extract(8 * index + 7, 8 * index, value))


@dataclass
class State:
    """Everything that a path has changed so far, and the facts under which it is taken."""

    at: int
    registers: dict[int, BitVecRef] = field(default_factory=dict)
    stack: dict[int, BitVecRef] = field(default_factory=dict)
    records: dict[str, dict[int, BitVecRef]] = field(default_factory=dict)
    tables: dict[str, object] = field(default_factory=dict)
    regions: dict[str, Record | Table] = field(default_factory=dict)
    facts: list[BoolRef] = field(default_factory=list)
    # The loops that the path is in, by the address of their head.
    cuts: dict[int, object] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)
    temporaries: dict[tuple[int, int], BitVecRef] = field(default_factory=dict)
    # Values as they were stored on the stack: put together again from their bytes, a sum has a form in which nobody knows it.
    stored: dict[int, BitVecRef] = field(default_factory=dict)

    def copy(self) -> "State":
        """A state that can change on its own."""
        return State(
            self.at,
            dict(self.registers),
            dict(self.stack),
            {name: dict(content) for name, content in self.records.items()},
            dict(self.tables),
            dict(self.regions),
            list(self.facts),
            dict(self.cuts),
            dict(self.notes),
            dict(self.temporaries),
            dict(self.stored),
        )

    # Registers: a term for each word, and one for each flag.

    def read_cell(self, offset: int) -> BitVecRef:
        """A whole word or a flag."""
        if offset not in self.registers:
            self.registers[offset] = BitVec(f"initial_{offset:x}", 8 if offset in FLAGS else 64)
        return self.registers[offset]

    def read_register(self, offset: int, size: int) -> BitVecRef:
        """The value of a register or of a part of one."""
        if offset in FLAGS:
            return self.read_cell(offset)
        pieces = []
        while size:
            word, skip = offset & ~7, offset & 7
            take = min(size, 8 - skip)
            cell = self.read_cell(word)
            pieces.append(cell if take == 8 else Extract(8 * (skip + take) - 1, 8 * skip, cell))
            offset, size = offset + take, size - take
        return joined(pieces) if len(pieces) > 1 else simplify(pieces[0])

    def write_register(self, offset: int, value: BitVecRef) -> None:
        """Changes a register or a part of one."""
        if offset in FLAGS:
            self.registers[offset] = value
            return
        size, done = value.size() // 8, 0
        while done < size:
            word, skip = (offset + done) & ~7, (offset + done) & 7
            take = min(size - done, 8 - skip)
            piece = value if take == size else Extract(8 * (done + take) - 1, 8 * done, value)
            if take < 8:
                cell, parts = self.read_cell(word), []
                if skip + take < 8:
                    parts.append(Extract(63, 8 * (skip + take), cell))
                parts.append(piece)
                if skip:
                    parts.append(Extract(8 * skip - 1, 0, cell))
                piece = Concat(*parts)
            self.registers[word] = simplify(piece)
            done += take

    def __getitem__(self, name: str) -> BitVecRef:
        return self.read_register(*REGISTERS[name.upper()])

    def __setitem__(self, name: str, value: BitVecRef | int) -> None:
        offset, size = REGISTERS[name.upper()]
        self.write_register(offset, BitVecVal(value, 8 * size) if isinstance(value, int) else value)

    # Memory

    def same_memory(self, other: "State") -> bool:
        """Whether stack, records and tables have the same content as in another state."""
        return (
            all(self.stack_byte(at).eq(other.stack_byte(at)) for at in self.stack.keys() | other.stack.keys())
            and all(
                self.record_byte(name, at).eq(other.record_byte(name, at))
                for name in self.records
                for at in self.records[name].keys() | other.records[name].keys()
            )
            and all(self.tables[name].eq(other.tables[name]) for name in self.tables)
        )

    def add(self, region: Record | Table) -> None:
        """Makes a region accessible."""
        if region.name in self.regions:
            raise ValueError(f"two regions are named {region.name}")
        self.regions[region.name] = region
        if isinstance(region, Record):
            self.records[region.name] = {}
        else:
            self.tables[region.name] = region.array()

    def stack_byte(self, address: int) -> BitVecRef:
        """One byte of the stack."""
        if address not in self.stack:
            self.stack[address] = BitVec(f"stack_{address:x}", 8)
        return self.stack[address]

    def record_byte(self, name: str, offset: int) -> BitVecRef:
        """One byte of a record."""
        content = self.records[name]
        if offset not in content:
            content[offset] = initial_byte(name, offset)
        return content[offset]

    def field(self, name: str, offset: int, size: int) -> BitVecRef:
        """Some bytes of a record."""
        return joined([self.record_byte(name, offset + index) for index in range(size)])

    def set_field(self, name: str, offset: int, value: BitVecRef) -> None:
        """Changes some bytes of a record."""
        for index in range(value.size() // 8):
            self.records[name][offset + index] = byte_of(value, index)

    def on_stack(self, address: int, size: int) -> BitVecRef:
        """Some bytes of the stack."""
        pieces = [self.stack_byte(address + index) for index in range(size)]
        stored = self.stored.get(address)
        if stored is not None and stored.size() == 8 * size:
            if all(piece.eq(byte_of(stored, index)) for index, piece in enumerate(pieces)):
                return stored
        return joined(pieces)

    def set_on_stack(self, address: int, value: BitVecRef) -> None:
        """Changes some bytes of the stack."""
        self.stored[address] = value
        for index in range(value.size() // 8):
            self.stack[address + index] = byte_of(value, index)

    def element(self, name: str, index: BitVecRef) -> BitVecRef:
        """One element of a table."""
        return Select(self.tables[name], index)


def initial_byte(name: str, offset: int) -> BitVecRef:
    """One byte of a record before the function runs."""
    return BitVec(f"{name}+{offset:#x}", 8)


def initial_field(name: str, offset: int, size: int) -> BitVecRef:
    """Some bytes of a record before the function runs."""
    return joined([initial_byte(name, offset + index) for index in range(size)])


def fresh(bits: int, name: str) -> BitVecRef:
    """A value of which nothing is known."""
    return FreshConst(BitVecSort(bits), name)


def called(address: int, **registers: BitVecRef | int) -> State:
    """The state in which a function is called with these registers."""
    state = State(address)
    state["rsp"] = STACK_TOP - 8
    for index in range(8):
        state.stack[STACK_TOP - 8 + index] = BitVecVal(RETURN >> 8 * index & 0xFF, 8)
    for name, value in registers.items():
        state[name] = value
    state["df"] = 0
    for name in CALLEE_SAVED:
        state[name]  # pylint: disable=pointless-statement  # names the initial value, so that it can be compared
    return state
