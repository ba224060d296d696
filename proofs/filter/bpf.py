"""Filter programs: how they are written down, and what they answer, as a term for Z3.

Source: the kernel's Documentation/networking/filter.rst, linux/bpf_common.h, and seccomp(2) for `struct seccomp_data`.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

import z3

LOAD, AND, JUMP, JUMP_EQUAL, JUMP_GREATER, JUMP_AT_LEAST, RETURN = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
WORDS = 16  # of struct seccomp_data

# The answer of an instruction that no filter of `wave` has, or that lies past the end. No policy asks for it.
NONE = 0xFFFFFFFF


class Instruction(NamedTuple):
    """A `struct sock_filter`."""

    code: int
    jt: int
    jf: int
    k: int


Program = list[Instruction]


def from_bytes(data: bytes) -> Program:
    """Reads an array of `struct sock_filter`."""
    return [Instruction(*fields) for fields in struct.iter_unpack("<HBBI", data)]


def to_hex(program: Program) -> str:
    """The same array in hexadecimal digits."""
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program).hex()


def from_listing(text: str) -> Program:
    """Reads what `wave policy export --format seccomp-bpf` prints."""
    program: Program = []
    for line in text.splitlines():
        words = line.split(";")[0].replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        at, operation = int(words[0]), words[1]
        if at != len(program):
            raise ValueError(f"line {line!r} is not instruction {len(program)}")
        numbers = [int(word.strip("#[]"), 0) for word in words[2:]]
        program.append(_from_words(operation, numbers, at + 1))
    return program


def _from_words(operation: str, numbers: list[int], following: int) -> Instruction:
    plain = {"ld": LOAD, "and": AND, "ret": RETURN}
    jumps = {"jeq": JUMP_EQUAL, "jgt": JUMP_GREATER, "jge": JUMP_AT_LEAST}
    if operation in plain:
        return Instruction(plain[operation], 0, 0, numbers[0])
    if operation == "ja":
        return Instruction(JUMP, 0, 0, numbers[0] - following)
    value, yes, no = numbers
    return Instruction(jumps[operation], yes - following, no - following, value)


@dataclass(frozen=True)
class Call:
    """Any system call, as a filter sees it: `struct seccomp_data`."""

    number: z3.BitVecRef
    architecture: z3.BitVecRef
    pointer: z3.BitVecRef  # the address after the instruction that makes the call
    arguments: tuple[z3.BitVecRef, ...]

    @classmethod
    def any(cls) -> "Call":
        """A call of which nothing is known."""
        arguments = tuple(z3.BitVec(f"argument{index}", 64) for index in range(6))
        return cls(z3.BitVec("number", 32), z3.BitVec("architecture", 32), z3.BitVec("pointer", 64), arguments)

    def words(self) -> list[z3.BitVecRef]:
        """The 32-bit words, little endian."""
        halves = [part for value in (self.pointer, *self.arguments) for part in (low(value), high(value))]
        return [self.number, self.architecture, *halves]


def low(value: z3.BitVecRef) -> z3.BitVecRef:
    """The lower half of 64 bits."""
    return z3.Extract(31, 0, value)


def high(value: z3.BitVecRef) -> z3.BitVecRef:
    """The upper half of 64 bits."""
    return z3.Extract(63, 32, value)


def answer(program: Program, call: Call) -> z3.BitVecRef:
    """What a program answers to a call, as a term.

    One pass: jumps only lead forward, so all jumps to an instruction are known when the pass comes to it. Where several
    meet, the accumulator is a case distinction between them.
    """
    words = call.words()
    end = len(program)
    reached: list[z3.BoolRef | None] = [None] * (end + 1)  # under which condition; the last is "past the end"
    # The accumulator, and whether a mask was applied to it.
    accumulator: list[tuple[z3.BitVecRef, bool]] = [(z3.BitVecVal(0, 32), False)] * (end + 1)
    reached[0] = z3.BoolVal(True)
    result = z3.BitVecVal(0, 32)

    def flow(target: int, condition: z3.BoolRef, value: z3.BitVecRef, masked: bool) -> None:
        target = min(target, end)
        before = reached[target]
        if before is None:
            reached[target], accumulator[target] = condition, (value, masked)
        else:
            other, other_masked = accumulator[target]
            value = value if value.eq(other) else z3.If(condition, value, other)
            reached[target], accumulator[target] = z3.Or(before, condition), (value, masked or other_masked)

    for at, (code, jt, jf, k) in enumerate(program):
        condition, (value, masked) = reached[at], accumulator[at]
        if condition is None:
            continue
        if code == LOAD and k % 4 == 0 and k // 4 < WORDS:
            flow(at + 1, condition, words[k // 4], False)
        elif code == AND:
            flow(at + 1, condition, value & k, True)
        elif code == JUMP:
            flow(at + 1 + k, condition, value, masked)
        elif code == JUMP_EQUAL or code in (JUMP_GREATER, JUMP_AT_LEAST) and not masked:
            test = {JUMP_EQUAL: value == k, JUMP_GREATER: z3.UGT(value, k), JUMP_AT_LEAST: z3.UGE(value, k)}[code]
            flow(at + 1 + jt, z3.And(condition, test), value, masked)
            flow(at + 1 + jf, z3.And(condition, z3.Not(test)), value, masked)
        elif code == RETURN:
            result = z3.If(condition, z3.BitVecVal(k, 32), result)
        else:
            result = z3.If(condition, z3.BitVecVal(NONE, 32), result)
    past_the_end = reached[end]
    return result if past_the_end is None else z3.If(past_the_end, z3.BitVecVal(NONE, 32), result)
