"""What one p-code operation means, as a term of Z3. Memory and jumps are left to the prover."""

from z3 import (
    BitVecRef,
    BitVecVal,
    BoolRef,
    Concat,
    Extract,
    If,
    LShR,
    SignExt,
    UGE,
    ULE,
    ULT,
    ZeroExt,
)

from proofs.prove.code import Operation


class NotModeled(Exception):
    """An operation that this module does not know."""


def _flag(condition: BoolRef) -> BitVecRef:
    return If(condition, BitVecVal(1, 8), BitVecVal(0, 8))


def _sign(value: BitVecRef) -> BoolRef:
    return Extract(value.size() - 1, value.size() - 1, value) == 1


def _shift(name: str, value: BitVecRef, by: BitVecRef) -> BitVecRef:
    """A shift by any amount: one by the width or more leaves nothing, or only the sign."""
    width = value.size()
    if by.size() < width:
        amount, beyond = ZeroExt(width - by.size(), by), UGE(by, width) if width < 1 << by.size() else None
    else:
        amount, beyond = Extract(width - 1, 0, by), UGE(by, width)
    shifted = {"INT_LEFT": value << amount, "INT_RIGHT": LShR(value, amount), "INT_SRIGHT": value >> amount}[name]
    if beyond is None:
        return shifted
    return If(beyond, value >> (width - 1) if name == "INT_SRIGHT" else BitVecVal(0, width), shifted)


def _bits(value: BitVecRef, width: int) -> BitVecRef:
    total = BitVecVal(0, width)
    for index in range(value.size()):
        total = total + ZeroExt(width - 1, Extract(index, index, value))
    return total


def _leading_zeros(value: BitVecRef, width: int) -> BitVecRef:
    count = BitVecVal(value.size(), width)
    for index in range(value.size()):
        count = If(Extract(index, index, value) == 1, BitVecVal(value.size() - 1 - index, width), count)
    return count


BINARY = {
    "INT_ADD": lambda a, b: a + b,
    "INT_SUB": lambda a, b: a - b,
    "INT_MULT": lambda a, b: a * b,
    "INT_AND": lambda a, b: a & b,
    "INT_OR": lambda a, b: a | b,
    "INT_XOR": lambda a, b: a ^ b,
    "BOOL_AND": lambda a, b: a & b,
    "BOOL_OR": lambda a, b: a | b,
    "BOOL_XOR": lambda a, b: a ^ b,
    "INT_EQUAL": lambda a, b: _flag(a == b),
    "INT_NOTEQUAL": lambda a, b: _flag(a != b),
    "INT_LESS": lambda a, b: _flag(ULT(a, b)),
    "INT_LESSEQUAL": lambda a, b: _flag(ULE(a, b)),
    "INT_SLESS": lambda a, b: _flag(a < b),
    "INT_SLESSEQUAL": lambda a, b: _flag(a <= b),
    "INT_CARRY": lambda a, b: _flag(ULT(a + b, a)),
    "INT_SCARRY": lambda a, b: _flag(_sign(~(a ^ b) & (a ^ (a + b)))),
    "INT_SBORROW": lambda a, b: _flag(_sign((a ^ b) & (a ^ (a - b)))),
    "PIECE": Concat,
}


def value_of(operation: Operation, inputs: list[BitVecRef]) -> BitVecRef:
    """The output of an operation. `inputs` are the values of its inputs."""
    name, width, first = operation.name, 8 * operation.output.size, inputs[0]
    match name:
        case "COPY":
            return first
        case "INT_ZEXT":
            return ZeroExt(width - first.size(), first)
        case "INT_SEXT":
            return SignExt(width - first.size(), first)
        case "INT_NEGATE":
            return ~first
        case "INT_2COMP":
            return -first
        case "BOOL_NEGATE":
            return first ^ 1
        case "SUBPIECE":
            low = 8 * operation.inputs[1].offset
            return Extract(min(low + width, first.size()) - 1, low, first)
        case "POPCOUNT":
            return _bits(first, width)
        case "LZCOUNT":
            return _leading_zeros(first, width)
        case "INT_LEFT" | "INT_RIGHT" | "INT_SRIGHT":
            return _shift(name, first, inputs[1])
    if name not in BINARY:
        raise NotModeled(f"p-code operation {name}")
    return BINARY[name](first, inputs[1])
