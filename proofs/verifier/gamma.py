"""What the verifier's values and states mean: which concrete bits they describe.

A `World` has a symbol for everything that a value may speak of: the stack pointer at entry, where objects lie, how long
tables are. `holds(value, bits)` is the meaning of a value, a formula. The meaning of a state is the conjunction over
registers, words of the frame, copies, flags and the facts beside them; `Concrete` is an arbitrary machine that a state
describes.
"""

from copy import copy

import z3

from proofs.verifier.meaning import FLAG, NAMES, TEXT

STACK = z3.BitVec("stack pointer at entry", 64)
STATUS = z3.BitVec("status", 64)
LIMIT = z3.BitVec("stack limit", 64)
ARENA = z3.BitVec("arena", 64)
RETURN = z3.BitVec("return address", 64)
ENTERED_CODE = z3.BitVec("entered code", 64)
ENTERED_CONTEXT = z3.BitVec("entered context", 64)

# Everything lies below this, so that an object does not wrap around.
TOP = 1 << 47


def wide(bits):
    """32 bits as 64."""
    return z3.ZeroExt(64 - bits.size(), bits)


def low(bits, size):
    """The lowest `size` bytes."""
    return bits if 8 * size == bits.size() else z3.Extract(8 * size - 1, 0, bits)


class World:
    """The symbols, for code of one layout."""

    def __init__(self, layout):
        self.layout, self.facts = layout, []
        fixed = layout["fixed"]
        self.tables = [self.table(number, *bounds) for number, bounds in enumerate(layout["tables"])]
        memories = fixed and fixed["memories"]
        self.memories = [self.base("memory", 0, layout["reservation"], memories and memories[0][0])]
        self.descriptors = [self.base("descriptor", 0, 16, memories and memories[0][1])]
        self.context = self.base("context", 0, layout["context"], fixed and fixed["context"])
        self.results = self.base("results", 0, layout["results"], fixed and fixed["results"])
        self.slots = self.base("slots", 0, layout["slots"], None)
        # Cells of imported globals, by whether they are mutable.
        self.cells = {True: [], False: []}
        for number, mutable in enumerate(layout["globals"][: layout["imported"]]):
            self.cells[mutable].append(self.base("cell", number, layout["global"], fixed and fixed["globals"][number]))
        self.facts += [z3.ULT(STACK, TOP), z3.UGT(STACK, 1 << 32), z3.Extract(3, 0, STACK) == 8]
        self.entries = {}
        self.renamed = None
        self.introduced = {}

    def base(self, name, number, size, fixed):
        if fixed:
            return z3.BitVecVal(fixed, 64)
        base = z3.BitVec(f"{name} {number}", 64)
        self.facts += [z3.UGT(base, 0xFFFF), z3.ULT(base, TOP - size)]
        return base

    def table(self, number, least, most):
        fixed = self.layout["fixed"]
        length = z3.BitVec(f"length {number}", 32)
        most = most if most is not None else (1 << 32) - 1
        self.facts += [z3.UGE(length, least), z3.ULE(length, most)]
        size = self.layout["table"]["entries"] + max(most, 1) * self.layout["table"]["entry"]
        return self.base("table", number, size, fixed and fixed["tables"][number]), length

    def after_making(self, entry):
        """The same world behind an instruction that has made an entry again: its name stands for another one now."""
        world = copy(self)
        world.renamed, world.entries, world.introduced = entry, dict(self.entries), {}
        return world

    # Entries of tables. An entry that an instruction has made is one of its table; `renamed` was just made again.

    def _name(self, entry):
        return f"{entry}{' again' if entry == self.renamed else ''}"

    def index(self, table, entry):
        """Which entry it is."""
        if entry[0] == "Constant":
            return z3.BitVecVal(entry[2], 32)
        index = z3.BitVec(f"index of {self._name(entry)}", 32)
        self.entries[str(index)] = z3.Or(index == 0, z3.ULT(index, self.tables[table][1]))
        return index

    def field(self, what, entry):
        return z3.BitVec(f"{what} of {self._name(entry)}", 64 if what == "code" else 32)

    def signature(self, table, entry):
        return z3.BitVec(f"signature of {self._name(entry)} in {table}", 32)

    def is_jump(self, at, number):
        """Whether a number is one of the entries of a jump table, its sign extended."""
        return z3.Function(f"entry of {at}", z3.BitVecSort(64), z3.BoolSort())(number)

    def bases(self, object):
        """Where an object may begin."""
        kind, *which = object
        if kind == "Global":
            return self.cells[which[0]]
        one = {"Memory": self.memories, "Descriptor": self.descriptors, "Table": [base for base, _ in self.tables]}
        if kind in one:
            return [one[kind][which[0]]]
        return [{"Results": self.results, "Slots": self.slots, "Context": self.context}[kind]]

    def exact(self, value):
        """The bits that a value describes, if they are only these."""
        kind, *args = value
        match kind:
            case "Number":
                return z3.BitVecVal(args[0], 64) if args[1] == 0 else None
            case "Frame":
                return STACK + args[0] if args[0] else STACK
            case "Saved":
                return z3.BitVec(f"{NAMES[args[0]]} at entry", 64)
            case "Return":
                return RETURN
            case "Into":
                bases = self.bases(args[0])
                return bases[0] + args[1] if args[2] == 0 and len(bases) == 1 else None
            case "Arena":
                return ARENA
            case "StackLimit":
                return LIMIT
            case "EntryOffset":
                return wide(self.index(args[0], args[1])) * 16
            case "EntryField":
                return self.tables[args[0]][0] + wide(self.index(args[0], args[1])) * 16 + args[2]
            case "Signature":
                return wide(self.signature(args[0], args[1]))
            case "Code":
                return self.field("code", args[1])
            case "CalleeOffset":
                return wide(self.field("context", args[0]))
            case "CalleeContext":
                return ARENA + wide(self.field("context", args[0]))
            case "Import" | "ImportContext" | "Libcall":
                return z3.BitVec(f"{kind} {args[0]}", 64)
            case "Status":
                return STATUS
            case "EnteredCode":
                return ENTERED_CODE
            case "EnteredContext":
                return ENTERED_CONTEXT + args[0]
            case "Text":
                return z3.BitVecVal(TEXT + args[0], 64) if args[1] == 0 else None
        return None

    def holds(self, value, bits):
        """What a value says of 64 bits."""
        kind, *args = value
        match kind:
            case "Any":
                return z3.BoolVal(True)
            case "Number" if args[0] + args[1] >= 1 << 64:
                return z3.BoolVal(False)  # The verifier's numbers do not wrap.
            case "Number" if args[1]:
                return z3.ULE(bits - args[0], args[1])
            case "Into" if args[2] or args[0][0] == "Global":
                return z3.Or(*[z3.ULE(bits - base - args[1], args[2]) for base in self.bases(args[0])])
            case "Text" if args[1]:
                return z3.ULE(bits - (TEXT + args[0]), args[1])
            case "Length":
                return z3.ULE(bits, wide(self.tables[args[0]][1]))
            case "Index":
                return z3.Or(bits == 0, z3.ULT(bits, wide(self.tables[args[0]][1])))
            case "LowIndex":
                return self.holds(["Index", args[0]], wide(low(bits, 4)))
            case "JumpOffset":
                return self.is_jump(args[0], bits)
            case "JumpTarget":
                return self.is_jump(args[0], bits - (TEXT + args[0]))
            case "Code":
                return z3.And(bits == self.exact(value), self.field("signature", args[1]) == args[0])
        return bits == self.exact(value)

    def some(self, value, name):
        """Arbitrary bits that a value describes, and what is known of them."""
        key = (str(value), name)
        if key not in self.introduced:
            self.introduced[key] = self._some(value, name)
        return self.introduced[key]

    def _some(self, value, name):
        exact = self.exact(value)
        if exact is not None:
            return exact, [self.holds(value, exact)] if value[0] == "Code" else []
        bits = z3.BitVec(name, 64)
        return bits, [] if value[0] == "Any" else [self.holds(value, bits)]

    def assumed(self):
        """What is known of the symbols."""
        return self.facts + list(self.entries.values())

    # Facts beside registers and frame.

    def checked(self, fact):
        return self.signature(fact[0], fact[1]) == fact[2]

    def longer(self, fact):
        return z3.UGT(self.tables[fact[0]][1], fact[1])

    def room(self, at):
        return z3.UGE(STACK + at, LIMIT)


def compared(left, right, size, flags):
    """How the lowest bytes of two operands compare, in the flags that an unsigned order is read from."""
    left, right = low(left, size), low(right, size)
    return z3.And((flags["CF"] == 1) == z3.ULT(left, right), (flags["ZF"] == 1) == (left == right))


class Concrete:
    """An arbitrary machine that a state describes: registers, frame, flags, and what is known of them."""

    def __init__(self, world, state):
        self.world, self.state = world, state
        self.known, self.frame = [], {}
        self.flags = dict(FLAG)
        self.sides = []
        values = {number: value for number, value in state["registers"]}
        words = {at: value for at, value in state["words"]}
        copies = {number: home for number, home in state["copies"]}
        self.registers = [None] * 16
        # Homes that hold the same get the same bits: those of the value that says most.
        groups = {}
        for number in range(16):
            home = copies.get(number, ["Register", number])
            groups.setdefault(tuple(home), []).append(number)
        for home, numbers in groups.items():
            all_values = [values.get(number, ["Any"]) for number in numbers]
            if home[0] == "Word":
                all_values.append(words.get(home[1], ["Any"]))
            elif home[1] not in numbers:
                raise ValueError("a copy of a register that is itself a copy")
            best = next((value for value in all_values if world.exact(value) is not None), all_values[0])
            bits, known = world.some(best, f"{NAMES[numbers[0]]} before")
            self.known += known
            for value in all_values:
                if value != best and value[0] != "Any":
                    self.known.append(world.holds(value, bits))
            for number in numbers:
                self.registers[number] = bits
            if home[0] == "Word":
                self.put(home[1], bits)
        for at, value in words.items():
            if not any(home == ("Word", at) for home in groups):
                bits, known = world.some(value, f"word {at}")
                self.known += known
                self.put(at, bits)
        self._facts(state)

    def _facts(self, state):
        world = self.world
        kind, *args = state["flags"]
        if kind == "Compared":
            for name, (register, value) in zip(("left", "right"), args[:2], strict=True):
                bits, known = world.some(value, f"{name} side")
                self.known += known
                if register is not None:
                    self.known.append(low(bits, args[2]) == low(self.registers[register], args[2]))
                self.sides.append(bits)
            self.known.append(compared(*self.sides, args[2], self.flags))
        elif kind == "Tested":
            self.known.append((self.flags["ZF"] == 1) == (STATUS == 0))
        if state["checked"]:
            self.known.append(world.checked(state["checked"]))
        if state["longer"]:
            self.known.append(world.longer(state["longer"]))
        if state["room"] is not None:
            self.known.append(world.room(state["room"]))
        if not state["pending"]:
            self.known.append(STATUS == 0)

    def put(self, at, bits):
        for byte in range(bits.size() // 8):
            self.frame[at + byte] = (bits, byte)

    def get(self, at, size):
        return frame_bits(self.frame, at, size)


def frame_bits(frame, at, size):
    """What lies in the frame, of which each byte is the byte of a term."""
    for byte in range(at, at + size):
        if byte not in frame:
            frame[byte] = (z3.BitVec(f"byte {byte}", 8), 0)
    first, start = frame[at]
    if start == 0 and first.size() == 8 * size and all(frame[at + byte] == (first, byte) for byte in range(1, size)):
        return first
    bytes_of = [frame[at + byte] for byte in reversed(range(size))]
    parts = [z3.Extract(8 * byte + 7, 8 * byte, bits) for bits, byte in bytes_of]
    return z3.simplify(z3.Concat(*parts)) if size > 1 else parts[0]
