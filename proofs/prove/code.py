"""One instruction as p-code: SLEIGH's description of x86-64, by pypcode."""

from dataclasses import dataclass

import pypcode

from proofs.prove.elf import Binary

_CONTEXT = pypcode.Context("x86:LE:64:default")
# Name to offset and size in SLEIGH's register space.
REGISTERS = {name: (node.offset, node.size) for name, node in _CONTEXT.registers.items()}
# Flags take one byte each, and every other register whole words.
FLAGS = range(0x200, 0x280)
CALLEE_SAVED = ("RBX", "RBP", "R12", "R13", "R14", "R15")


@dataclass(frozen=True)
class Node:
    """A place of p-code: a constant, a register, a temporary or memory."""

    space: str
    offset: int
    size: int


@dataclass(frozen=True)
class Operation:
    """One p-code operation."""

    name: str
    output: Node | None
    inputs: tuple[Node, ...]


@dataclass(frozen=True)
class Instruction:
    """One machine instruction."""

    address: int
    length: int
    operations: tuple[Operation, ...]

    @property
    def next(self) -> int:
        """The address behind it."""
        return self.address + self.length


def _node(varnode) -> Node | None:
    return varnode and Node(varnode.space.name, varnode.offset, varnode.size)


class Code:
    """The instructions of a binary, decoded once each."""

    def __init__(self, binary: Binary):
        self._binary = binary
        self._decoded: dict[int, Instruction] = {}

    def at(self, address: int) -> Instruction:
        """The instruction at an address."""
        if address not in self._decoded:
            self._decoded[address] = self._decode(address)
        return self._decoded[address]

    def _decode(self, address: int) -> Instruction:
        data = next((data for size in range(15, 0, -1) if (data := self._binary.constant(address, size))), None)
        if data is None:
            raise ValueError(f"no code at {address:#x}")
        translation = _CONTEXT.translate(data, base_address=address, max_instructions=1)
        marks = [op for op in translation.ops if op.opcode.name == "IMARK"]
        operations = tuple(
            Operation(op.opcode.name, _node(op.output), tuple(_node(item) for item in op.inputs))
            for op in translation.ops
            if op.opcode.name != "IMARK"
        )
        return Instruction(address, sum(item.size for item in marks[0].inputs), operations)
