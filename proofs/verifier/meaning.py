"""What one instruction does, from the p-code that SLEIGH gives for its bytes.

A meaning is made of terms over the registers and flags before the instruction, and over what it loads. Branches inside
the instruction are followed on both ways and merged; loops are unrolled. What p-code leaves open (CALLOTHER, floating
point) is any value.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

import pypcode
import z3

CONTEXT = pypcode.Context("x86:LE:64:default")

NAMES = "RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15".split()
FLAGS = ["CF", "PF", "ZF", "SF", "OF", "DF"]

# Registers and flags before the instruction.
REGISTER = [z3.BitVec(name, 64) for name in NAMES]
FLAG = {name: z3.BitVec(name, 1) for name in FLAGS}

_NUMBER = {CONTEXT.registers[name].offset: number for number, name in enumerate(NAMES)}
_FLAG = {CONTEXT.registers[name].offset: name for name in FLAGS}
_FLAG_SPACE = range(0x200, 0x280)

# The text lies here, so that offsets in it are told from other numbers.
TEXT = 0x7000_0000_0000

# Bit searches look at 64 bits; one round more shows that none is left.
ROUNDS = 66


class Unknown(Exception):
    """An instruction that p-code does not describe, or in a way that is not understood here."""


@dataclass
class Access:
    """A read or a write of memory, if `guard` holds."""

    guard: z3.BoolRef
    address: z3.BitVecRef
    size: int
    loaded: z3.BitVecRef | None  # the variable for what is read
    stored: z3.BitVecRef | None  # what is written


@dataclass
class Meaning:
    """What one instruction does."""

    length: int
    registers: dict[int, z3.BitVecRef]  # those that are written
    flags: dict[str, z3.BitVecRef]
    accesses: list[Access]
    open: set[str]  # operations that p-code leaves open
    divides: bool
    jumps: list[tuple[z3.BoolRef, object]]  # where control goes: a condition and a target, a number or a term
    obligations: list[z3.BoolRef] = field(default_factory=list)  # no path is longer than the rounds that were followed
    used: list[int] = field(default_factory=list)  # the registers that any of its terms speaks of
    extended: bool = False  # p-code does not say that 32 bits are extended by zeros, as the manual does


class _Path:
    """Registers and temporaries on one way through an instruction."""

    def __init__(self):
        self.cells, self.temporaries, self.loads, self.guard = {}, {}, [], z3.BoolVal(True)

    def copy(self):
        path = _Path()
        path.cells, path.temporaries, path.guard = dict(self.cells), dict(self.temporaries), self.guard
        path.loads = list(self.loads)
        return path

    def cell(self, offset):
        if offset not in self.cells:
            if offset in _NUMBER:
                self.cells[offset] = REGISTER[_NUMBER[offset]]
            elif offset in _FLAG:
                self.cells[offset] = z3.ZeroExt(7, FLAG[_FLAG[offset]])
            else:
                self.cells[offset] = z3.BitVec(f"cell {offset:x}", 8 if offset in _FLAG_SPACE else 64)
        return self.cells[offset]

    def read(self, offset, size):
        if offset in _FLAG_SPACE:
            return self.cell(offset)
        parts = []
        while size:
            inside = offset & 7
            taken = min(size, 8 - inside)
            cell = self.cell(offset - inside)
            parts.append(cell if taken == 8 else z3.Extract(8 * (inside + taken) - 1, 8 * inside, cell))
            offset, size = offset + taken, size - taken
        return parts[0] if len(parts) == 1 else z3.Concat(*reversed(parts))

    def write(self, offset, size, value):
        if offset in _FLAG_SPACE:
            self.cells[offset] = value
            return
        done = 0
        while done < size:
            inside = offset & 7
            taken = min(size - done, 8 - inside)
            part = value if taken == size else z3.Extract(8 * (done + taken) - 1, 8 * done, value)
            if taken < 8:
                cell = self.cell(offset - inside)
                parts = [] if inside + taken == 8 else [z3.Extract(63, 8 * (inside + taken), cell)]
                parts += [part] + ([] if inside == 0 else [z3.Extract(8 * inside - 1, 0, cell)])
                part = z3.Concat(*parts)
            self.cells[offset - inside] = part
            offset, done = offset + taken, done + taken


def _bit(condition):
    return z3.If(condition, z3.BitVecVal(1, 8), z3.BitVecVal(0, 8))


def _shifted(shift, value, by, overflow):
    """SLEIGH shifts by a number of any width; more than the width leaves nothing, or the sign."""
    width = value.size()
    if by.size() < width:
        by = z3.ZeroExt(width - by.size(), by)
    elif by.size() > width:
        wide = by
        by = z3.If(z3.ULT(wide, width), z3.Extract(width - 1, 0, wide), z3.BitVecVal(width, width))
    return z3.If(z3.ULT(by, width), shift(value, by), overflow)


def _count(value, width):
    ones = [z3.ZeroExt(width - 1, z3.Extract(bit, bit, value)) for bit in range(value.size())]
    return sum(ones[1:], ones[0])


def _leading_zeros(value, width):
    zeros = z3.BitVecVal(value.size(), width)
    for bit in range(value.size()):
        zeros = z3.If(z3.Extract(bit, bit, value) == 1, z3.BitVecVal(value.size() - 1 - bit, width), zeros)
    return zeros


def _top(value):
    return z3.Extract(value.size() - 1, value.size() - 1, value)


_UNARY = {
    "COPY": lambda a, out: a,
    "INT_ZEXT": lambda a, out: z3.ZeroExt(out - a.size(), a),
    "INT_SEXT": lambda a, out: z3.SignExt(out - a.size(), a),
    "INT_NEGATE": lambda a, out: ~a,
    "INT_2COMP": lambda a, out: -a,
    "BOOL_NEGATE": lambda a, out: a ^ 1,
    "POPCOUNT": _count,
    "LZCOUNT": _leading_zeros,
}

_BINARY = {
    "INT_ADD": lambda a, b: a + b,
    "INT_SUB": lambda a, b: a - b,
    "INT_MULT": lambda a, b: a * b,
    "INT_DIV": z3.UDiv,
    "INT_REM": z3.URem,
    "INT_SDIV": lambda a, b: a / b,
    "INT_SREM": z3.SRem,
    "INT_AND": lambda a, b: a & b,
    "INT_OR": lambda a, b: a | b,
    "INT_XOR": lambda a, b: a ^ b,
    "BOOL_AND": lambda a, b: a & b,
    "BOOL_OR": lambda a, b: a | b,
    "BOOL_XOR": lambda a, b: a ^ b,
    "INT_EQUAL": lambda a, b: _bit(a == b),
    "INT_NOTEQUAL": lambda a, b: _bit(a != b),
    "INT_LESS": lambda a, b: _bit(z3.ULT(a, b)),
    "INT_LESSEQUAL": lambda a, b: _bit(z3.ULE(a, b)),
    "INT_SLESS": lambda a, b: _bit(a < b),
    "INT_SLESSEQUAL": lambda a, b: _bit(a <= b),
    "INT_CARRY": lambda a, b: _bit(z3.ULT(a + b, a)),
    "INT_SCARRY": lambda a, b: _bit(_top(~(a ^ b) & (a ^ (a + b))) == 1),
    "INT_SBORROW": lambda a, b: _bit(_top((a ^ b) & (a ^ (a - b))) == 1),
    "INT_LEFT": lambda a, b: _shifted(lambda x, by: x << by, a, b, z3.BitVecVal(0, a.size())),
    "INT_RIGHT": lambda a, b: _shifted(z3.LShR, a, b, z3.BitVecVal(0, a.size())),
    "INT_SRIGHT": lambda a, b: _shifted(lambda x, by: x >> by, a, b, a >> (a.size() - 1)),
    "PIECE": z3.Concat,
}


class _Machine:
    """Follows the p-code of one instruction."""

    def __init__(self, ops, address, length):
        self.ops, self.following = ops, address + length
        self.accesses, self.open, self.jumps, self.ends, self.pieces = [], set(), [], [], []
        self.divides, self.fresh, self.rounds = False, count(), {}
        self.obligations = []

    def any(self, size, what):
        return z3.BitVec(f"{what} {next(self.fresh)}", 8 * size)

    def get(self, path, node):
        space = node.space.name
        if space == "const":
            return z3.BitVecVal(node.offset, 8 * node.size)
        if space == "register":
            return path.read(node.offset, node.size)
        if space == "unique":
            for offset, value in path.temporaries.items():
                inside = node.offset - offset
                if 0 <= inside and inside + node.size <= value.size() // 8:
                    if node.size == value.size() // 8:
                        return value
                    return z3.Extract(8 * (inside + node.size) - 1, 8 * inside, value)
        if space == "ram":
            return self.load(path, z3.BitVecVal(node.offset, 64), node.size)
        raise Unknown(f"operand in {space} at {node.offset:#x}")

    def put(self, path, node, value):
        if node.space.name == "register":
            path.write(node.offset, node.size, value)
            self.pieces.append((node.offset, node.size))
        elif node.space.name == "unique":
            path.temporaries[node.offset] = value
        elif node.space.name == "ram":
            self.store(path, z3.BitVecVal(node.offset, 64), node.size, value)
        else:
            raise Unknown(f"result in {node.space.name}")

    def load(self, path, address, size):
        """What was read before, if nothing was written since, is still there."""
        for known, loaded in path.loads:
            if known.eq(address) and loaded.size() == 8 * size:
                return loaded
        loaded = self.any(size, "loaded")
        self.accesses.append(Access(path.guard, address, size, loaded, None))
        path.loads.append((address, loaded))
        return loaded

    def store(self, path, address, size, value):
        self.accesses.append(Access(path.guard, address, size, None, value))
        path.loads.clear()

    def run(self):
        work = [(0, _Path(), 0)]
        while work:
            at, path, rounds = work.pop()
            while at < len(self.ops):
                op = self.ops[at]
                name = op.opcode.name
                if name in ("CBRANCH", "BRANCH"):
                    taken = z3.BoolVal(True)
                    if name == "CBRANCH":
                        taken = z3.simplify(self.get(path, op.inputs[1]) != 0)
                    target = self.target(op, at)
                    if not z3.is_true(taken) and not z3.is_false(taken):
                        other = path.copy()
                        other.guard = z3.And(path.guard, z3.Not(taken))
                        path.guard = z3.And(path.guard, taken)
                        if isinstance(target, int) and target <= at:
                            raise Unknown("a conditional branch backward")
                        work.append((at + 1, other, rounds))
                    elif z3.is_false(taken):
                        at += 1
                        continue
                    if not isinstance(target, int):
                        if target[0] != self.following:
                            self.jumps.append((path.guard, target[0]))
                        break
                    rounds += target <= at
                    if rounds > ROUNDS:
                        self.obligations.append(z3.Not(path.guard))
                        path = None
                        break
                    at = target
                elif name in ("CALL", "BRANCHIND", "CALLIND", "RETURN"):
                    direct = op.inputs[0].space.name == "ram" and name == "CALL"
                    self.jumps.append((path.guard, op.inputs[0].offset if direct else self.get(path, op.inputs[0])))
                    at += 1
                else:
                    self.step(path, op, name)
                    at += 1
            if path is not None:
                self.ends.append(path)

    def target(self, op, at):
        """The number of an operation, or where control goes."""
        node = op.inputs[0]
        if node.space.name == "const":
            by = node.offset - (1 << 8 * node.size if node.offset >> (8 * node.size - 1) else 0)
            return at + by
        return (node.offset,)

    def step(self, path, op, name):
        out, inputs = op.output, op.inputs
        if name == "LOAD":
            value = self.load(path, self.get(path, inputs[1]), out.size)
        elif name == "STORE":
            value = self.get(path, inputs[2])
            self.store(path, self.get(path, inputs[1]), value.size() // 8, value)
            return
        elif name == "SUBPIECE":
            low = inputs[1].offset
            value = z3.Extract(8 * (low + out.size) - 1, 8 * low, self.get(path, inputs[0]))
        elif name in _UNARY:
            value = _UNARY[name](self.get(path, inputs[0]), 8 * out.size)
        elif name in _BINARY:
            self.divides |= name in ("INT_DIV", "INT_SDIV")
            value = _BINARY[name](self.get(path, inputs[0]), self.get(path, inputs[1]))
        elif name == "CALLOTHER" or name.startswith("FLOAT_"):
            for node in inputs[1:] if name == "CALLOTHER" else inputs:
                if node.space.name == "ram":
                    self.get(path, node)
            self.open.add(_other(op) if name == "CALLOTHER" else name)
            if out is None:
                return
            value = self.any(out.size, "open")
        else:
            raise Unknown(f"p-code {name}")
        self.put(path, out, value)


def _other(op):
    text = pypcode.PcodePrettyPrinter.fmt_op(op)
    return text.split(" = ")[-1].split("(")[0]


def _merge(ends, offset):
    """The value of a register or flag behind an instruction."""
    value = ends[-1].cell(offset)
    for path in reversed(ends[:-1]):
        if not path.cell(offset).eq(value):
            value = z3.If(path.guard, path.cell(offset), value)
    return z3.simplify(value)


@lru_cache(maxsize=None)
def meaning(code: str, at: int) -> Meaning:
    """What an instruction, in hexadecimal, does at an offset in the text."""
    raw, address = bytes.fromhex(code), TEXT + at
    try:
        ops = CONTEXT.translate(raw, base_address=address, max_instructions=1).ops
    except (pypcode.UnimplError, pypcode.BadDataError) as error:
        raise Unknown(str(error)) from error
    marks = [op for op in ops if op.opcode.name == "IMARK"]
    length = sum(node.size for node in marks[0].inputs) if marks else 0
    machine = _Machine([op for op in ops if op.opcode.name != "IMARK"], address, length)
    machine.run()
    if not machine.ends:
        raise Unknown("it does not end")
    written = {offset for path in machine.ends for offset in path.cells}
    extended = _extend(machine)
    registers = {_NUMBER[at]: _merge(machine.ends, at) for at in written if at in _NUMBER}
    registers = {number: term for number, term in registers.items() if not term.eq(REGISTER[number])}
    flags = {}
    for offset in written:
        if offset in _FLAG:
            term = z3.simplify(z3.Extract(0, 0, _merge(machine.ends, offset)))
            if not term.eq(FLAG[_FLAG[offset]]):
                flags[_FLAG[offset]] = term
    of = machine
    found = Meaning(length, registers, flags, of.accesses, of.open, of.divides, of.jumps, of.obligations, [], extended)
    found.used = _used(found)
    return found


def _used(of):
    """The registers that a meaning speaks of."""
    terms = [*of.registers.values(), *of.flags.values(), *of.obligations]
    for access in of.accesses:
        terms += [access.guard, access.address] + ([] if access.stored is None else [access.stored])
    terms += [guard for guard, _ in of.jumps] + [target for _, target in of.jumps if z3.is_expr(target)]
    numbers, seen = set(), set()
    while terms:
        term = terms.pop()
        if term.get_id() not in seen:
            seen.add(term.get_id())
            terms += term.children()
            if z3.is_const(term) and term.decl().name() in NAMES:
                numbers.add(NAMES.index(term.decl().name()))
    return sorted(numbers)


def _extend(machine):
    """For a few instructions, p-code leaves out that 32 bits of a register are extended by zeros."""
    sizes = {}
    for offset, size in machine.pieces:
        sizes.setdefault(offset, set()).add(size)
    lone = [offset for offset, of in sizes.items() if offset in _NUMBER and of == {4}]
    for path in machine.ends:
        for offset in lone:
            path.write(offset, 8, z3.ZeroExt(32, path.read(offset, 4)))
    return bool(lone)
