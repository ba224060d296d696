"""Which registers matter at an instruction: those that some path reads before it writes them.

The answer only decides what a proof forgets. A register that is forgotten holds any value from then on. So a wrong
answer makes
a proof fail, and no claim depends on it.
"""

from collections.abc import Callable

from proofs.prove.code import CALLEE_SAVED, FLAGS, REGISTERS, Code, Instruction
from proofs.prove.elf import Function


def _cells(offset: int, size: int) -> set[int]:
    if offset in FLAGS:
        return {offset}
    return set(range(offset & ~7, offset + size, 8))


def cells_of(names) -> set[int]:
    """The words and flags that registers take."""
    return {cell for name in names for cell in _cells(*REGISTERS[name])}


VECTORS = [f"XMM{number}" for number in range(16)]
STATUS = cells_of(["CF", "PF", "AF", "ZF", "SF", "OF"])
ALWAYS = cells_of(["RSP", "DF"])
ORDER = ["RDI", "RSI", "RDX", "RCX", "R8", "R9"]
ARGUMENTS = cells_of([*ORDER, "R10", "RAX"])
# How many arguments functions take that are not followed.
TAKEN = {
    "alloc::raw_vec::RawVec<T,A>::grow_one": 1,
    "close": 1, "free": 1, "malloc": 1, "__errno_location": 0, "read": 3, "write": 3, "readv": 3, "writev": 3,
    "poll": 3,
    "memcpy": 3, "memmove": 3, "memset": 3, "memcmp": 3, "bcmp": 3, "fstat": 2, "fstat64": 2,
    "fstatfs": 2, "fstatfs64": 2,
}  # fmt: skip
RESULTS = cells_of(["RAX", "RDX", *CALLEE_SAVED]) | ALWAYS
CLOBBERED = cells_of(["RAX", "RCX", "RDX", "RSI", "RDI", "R8", "R9", "R10", "R11", *VECTORS]) | STATUS


class Liveness:
    """The registers that matter at each instruction of one function. `jumps` says where its jumps through registers
    lead, `results` what matters where it returns to, `arguments` what a function reads that it calls."""

    def __init__(
        self,
        code: Code,
        function: Function,
        jumps: dict[int, set[int]],
        results: set[int],
        arguments: Callable[[int], set[int]],
    ):
        self._code, self._results, self._arguments = code, results | ALWAYS, arguments
        self._inside = range(function.address, function.address + function.size)
        self._live: dict[int, set[int]] = {}
        self.sources: dict[int, int] = {}
        self._solve(function, jumps)

    def at(self, address: int) -> set[int]:
        """What matters before an instruction."""
        return self._live.get(address, self._results)

    def _solve(self, function: Function, jumps: dict[int, set[int]]) -> None:
        instructions, at = [], function.address
        while at in self._inside:
            instructions.append(self._code.at(at))
            at = instructions[-1].next
        self.is_leaf = not any(op.name in ("CALL", "CALLIND") for item in instructions for op in item.operations)
        effects = {item.address: self._effect(item, jumps) for item in instructions}
        for _, _, targets, _ in effects.values():
            for target in set(targets):
                self.sources[target] = self.sources.get(target, 0) + 1
        changed = True
        while changed:
            changed = False
            for item in reversed(instructions):
                reads, writes, targets, leaves = effects[item.address]
                after = set(self._results) if leaves else set()
                for target in targets:
                    after |= self._live.get(target, set())
                before = reads | (after - writes) | ALWAYS
                if before != self._live.get(item.address):
                    self._live[item.address], changed = before, True

    def _taken(self, item: Instruction, operation) -> set[int]:
        """What a called function reads."""
        if operation.name == "CALL":
            return self._arguments(operation.inputs[0].offset)
        slot = next((op.inputs[1] for op in item.operations if op.name == "LOAD"), None) or operation.inputs[0]
        if slot.space == "unique":
            slot = next((op.inputs[0] for op in item.operations if op.output == slot), slot)
        return self._arguments(slot.offset) if slot.space in ("const", "ram") else ARGUMENTS

    def _effect(self, item: Instruction, jumps: dict[int, set[int]]) -> tuple[set[int], set[int], list[int], bool]:
        """What an instruction reads and certainly writes, where it leads to, and whether it leaves the function."""
        reads, writes, targets, leaves, falls, certain = set(), set(), [], False, True, True
        computed = set()
        for operation in item.operations:
            # What is subtracted from itself, or combined with itself by an exclusive or, does not matter.
            zero = operation.name in ("INT_XOR", "INT_SUB") and operation.inputs[0] == operation.inputs[1]
            for node in operation.inputs:
                if node.space == "register" and not zero and node not in computed:
                    reads |= _cells(node.offset, node.size) - writes
            output = operation.output
            if certain and output is not None:
                computed.add(output)
            if output is not None and output.space == "register" and certain:
                whole = output.offset in FLAGS or output.offset % 8 == 0 and output.size % 8 == 0
                writes |= _cells(output.offset, output.size) if whole else set()
            match operation.name:
                case "CBRANCH":
                    certain = False
                    if operation.inputs[0].space != "const":
                        targets.append(operation.inputs[0].offset)
                case "BRANCH" if operation.inputs[0].space != "const":
                    targets.append(operation.inputs[0].offset)
                    falls = False
                case "CALL" | "CALLIND":
                    reads |= self._taken(item, operation) - writes
                    writes |= CLOBBERED
                case "BRANCHIND":
                    targets += jumps.get(item.address, ())
                    falls = False
                case "RETURN":
                    leaves, falls = True, False
        outside = [target for target in targets if target not in self._inside]
        if outside:
            # A call in the place of a return.
            leaves, reads = True, reads | set().union(*(self._arguments(target) for target in outside))
        if falls:
            targets.append(item.next)
        return reads, writes, [target for target in targets if target in self._inside], leaves
