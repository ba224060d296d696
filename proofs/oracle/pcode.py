"""Runs p-code on numbers: registers, flags and memory in, registers, flags and memory out."""

import pypcode
from pypcode import OpCode

REGISTERS = "RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15".split()

# By the bit of each in the processor's register of flags.
FLAGS = {"CF": 0, "PF": 2, "ZF": 6, "SF": 7, "OF": 11}

# The searches for a bit are loops in p-code.
LONGEST = 2_000


class NotModeled(Exception):
    """P-code leaves open what the instruction does."""


class Elsewhere(Exception):
    """The instruction reaches memory that it should not."""


def signed(number, size):
    """The number that these bits are in two's complement."""
    return number - (1 << 8 * size) if number >> (8 * size - 1) else number


def divided(a, b):
    """The quotient, rounded towards zero, and the remainder that belongs to it."""
    quotient = abs(a) // abs(b)
    quotient = -quotient if (a < 0) != (b < 0) else quotient
    return quotient, a - quotient * b


# For each operation on whole numbers: from the values and sizes of its inputs, and the size of its output.
ARITHMETIC = {
    OpCode.COPY: lambda v, s, o: v[0],
    OpCode.INT_ADD: lambda v, s, o: v[0] + v[1],
    OpCode.INT_SUB: lambda v, s, o: v[0] - v[1],
    OpCode.INT_MULT: lambda v, s, o: v[0] * v[1],
    OpCode.INT_DIV: lambda v, s, o: v[0] // v[1],
    OpCode.INT_REM: lambda v, s, o: v[0] % v[1],
    OpCode.INT_SDIV: lambda v, s, o: divided(signed(v[0], s[0]), signed(v[1], s[1]))[0],
    OpCode.INT_SREM: lambda v, s, o: divided(signed(v[0], s[0]), signed(v[1], s[1]))[1],
    OpCode.INT_AND: lambda v, s, o: v[0] & v[1],
    OpCode.INT_OR: lambda v, s, o: v[0] | v[1],
    OpCode.INT_XOR: lambda v, s, o: v[0] ^ v[1],
    OpCode.INT_NEGATE: lambda v, s, o: ~v[0],
    OpCode.INT_2COMP: lambda v, s, o: -v[0],
    OpCode.INT_LEFT: lambda v, s, o: v[0] << v[1] if v[1] < 8 * o else 0,
    OpCode.INT_RIGHT: lambda v, s, o: v[0] >> v[1] if v[1] < 8 * o else 0,
    OpCode.INT_SRIGHT: lambda v, s, o: signed(v[0], s[0]) >> min(v[1], 8 * o),
    OpCode.INT_ZEXT: lambda v, s, o: v[0],
    OpCode.INT_SEXT: lambda v, s, o: signed(v[0], s[0]),
    OpCode.INT_EQUAL: lambda v, s, o: v[0] == v[1],
    OpCode.INT_NOTEQUAL: lambda v, s, o: v[0] != v[1],
    OpCode.INT_LESS: lambda v, s, o: v[0] < v[1],
    OpCode.INT_LESSEQUAL: lambda v, s, o: v[0] <= v[1],
    OpCode.INT_SLESS: lambda v, s, o: signed(v[0], s[0]) < signed(v[1], s[1]),
    OpCode.INT_SLESSEQUAL: lambda v, s, o: signed(v[0], s[0]) <= signed(v[1], s[1]),
    OpCode.INT_CARRY: lambda v, s, o: v[0] + v[1] >= 1 << 8 * s[0],
    OpCode.INT_SCARRY: lambda v, s, o: is_out(signed(v[0], s[0]) + signed(v[1], s[1]), s[0]),
    OpCode.INT_SBORROW: lambda v, s, o: is_out(signed(v[0], s[0]) - signed(v[1], s[1]), s[0]),
    OpCode.BOOL_NEGATE: lambda v, s, o: not v[0],
    OpCode.BOOL_AND: lambda v, s, o: v[0] & v[1],
    OpCode.BOOL_OR: lambda v, s, o: v[0] | v[1],
    OpCode.BOOL_XOR: lambda v, s, o: v[0] ^ v[1],
    OpCode.PIECE: lambda v, s, o: v[0] << 8 * s[1] | v[1],
    OpCode.SUBPIECE: lambda v, s, o: v[0] >> 8 * v[1],
    OpCode.POPCOUNT: lambda v, s, o: v[0].bit_count(),
    OpCode.LZCOUNT: lambda v, s, o: 8 * s[0] - v[0].bit_length(),
}


def is_out(number, size):
    """Whether a number has no place in so many bytes with a sign."""
    return not -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1


class Machine:
    """Registers and a piece of memory."""

    def __init__(self):
        self.context = pypcode.Context("x86:LE:64:default")
        names = self.context.registers
        self.offsets = [names[name].offset for name in REGISTERS]
        self.flag_offsets = {name: names[name].offset for name in FLAGS}
        self.spaces = {"register": bytearray(1 << 16), "unique": bytearray(1 << 24)}
        self.place, self.memory = 0, bytearray()
        self.translated = {}

    def set(self, registers, flags, place, memory):
        """What is before an instruction."""
        space = self.spaces["register"]
        for offset, number in zip(self.offsets, registers, strict=True):
            space[offset : offset + 8] = number.to_bytes(8, "little")
        for name, bit in FLAGS.items():
            space[self.flag_offsets[name]] = flags >> bit & 1
        self.place, self.memory = place, bytearray(memory)

    def registers(self):
        """All registers, in the processor's order."""
        space = self.spaces["register"]
        return [int.from_bytes(space[offset : offset + 8], "little") for offset in self.offsets]

    def flags(self):
        """The flags that p-code models."""
        space = self.spaces["register"]
        return sum(space[self.flag_offsets[name]] << bit for name, bit in FLAGS.items())

    def _reach(self, address, size):
        at = (address - self.place) % (1 << 64)
        if at + size > len(self.memory):
            raise Elsewhere(f"{size} bytes at {address:#x}, not in {len(self.memory)} bytes at {self.place:#x}")
        return at

    def load(self, address, size):
        at = self._reach(address, size)
        return int.from_bytes(self.memory[at : at + size], "little")

    def store(self, address, size, number):
        at = self._reach(address, size)
        self.memory[at : at + size] = number.to_bytes(size, "little")

    def read(self, node):
        """The value of an input."""
        name = node.space.name
        if name == "const":
            return node.offset & ((1 << 8 * node.size) - 1)
        if name == "ram":
            return self.load(node.offset, node.size)
        return int.from_bytes(self.spaces[name][node.offset : node.offset + node.size], "little")

    def write(self, node, number):
        """Sets an output."""
        number = int(number) & ((1 << 8 * node.size) - 1)
        if node.space.name == "ram":
            self.store(node.offset, node.size, number)
            return
        self.spaces[node.space.name][node.offset : node.offset + node.size] = number.to_bytes(node.size, "little")

    def run(self, code, at):
        """Runs one instruction. Returns the address of the next."""
        ops = self.context.translate(code, at, max_instructions=1).ops
        number = 0
        for _ in range(LONGEST):
            if number >= len(ops):
                return at + len(code)
            op = ops[number]
            number += 1
            kind, inputs = op.opcode, op.inputs
            if kind in ARITHMETIC:
                values = [self.read(node) for node in inputs]
                sizes = [node.size for node in inputs]
                self.write(op.output, ARITHMETIC[kind](values, sizes, op.output.size))
            elif kind == OpCode.LOAD:
                self.write(op.output, self.load(self.read(inputs[1]), op.output.size))
            elif kind == OpCode.STORE:
                self.store(self.read(inputs[1]), inputs[2].size, self.read(inputs[2]))
            elif kind in (OpCode.BRANCH, OpCode.CBRANCH):
                if kind == OpCode.CBRANCH and not self.read(inputs[1]):
                    continue
                target = inputs[0]
                if target.space.name != "const":
                    return target.offset
                number += signed(target.offset & 0xFFFFFFFF, 4) - 1
            elif kind == OpCode.CALL:
                return inputs[0].offset
            elif kind in (OpCode.BRANCHIND, OpCode.CALLIND, OpCode.RETURN):
                return self.read(inputs[0])
            elif kind != OpCode.IMARK:
                raise NotModeled(str(kind))
        raise NotModeled("a loop without end")
