"""Which registers matter at an instruction: those that some path reads before it writes them.

The answer only decides what a proof forgets. A register that is forgotten holds any value from then on. So a wrong
answer makes a proof fail, and no claim depends on it.
"""

from proofs.prove import loops
from proofs.prove.code import CALLEE_SAVED, FLAGS, REGISTERS, Code, Instruction
from proofs.prove.elf import Function


def cells(offset: int, size: int) -> set[int]:
    """The words and flags that some bytes of the registers take."""
    return {offset} if offset in FLAGS else set(range(offset & ~7, offset + size, 8))


def _named(*names: str) -> set[int]:
    return set().union(*(cells(*REGISTERS[name]) for name in names))


ARGUMENTS = _named("RDI", "RSI")
KEPT = _named("RSP", "DF", *CALLEE_SAVED)
RESULTS = _named("RAX", "RDX")
# Where it is not known which instruction follows, or another function takes over.
ALL = _named(*REGISTERS)


class Liveness:
    """The registers that matter at each instruction of one function, and how many instructions lead there."""

    def __init__(self, code: Code, function: Function, results: set[int]):
        self.live: dict[int, set[int]] = {}
        self.sources: dict[int, int] = {}
        instructions, at = [], function.address
        while at < function.address + function.size:
            instructions.append(code.at(at))
            at = instructions[-1].next
        self.is_leaf = not any(op.name in ("CALL", "CALLIND") for item in instructions for op in item.operations)
        following = {item.address: loops.successors(code, item.address) for item in instructions}
        for target in (target for targets in following.values() for target in targets):
            self.sources[target] = self.sources.get(target, 0) + 1
        effects = {item.address: _effect(item, results) for item in instructions}
        self.live = {target: ALL for targets in following.values() for target in targets if target not in effects}
        changed = True
        while changed:
            changed = False
            for item in reversed(instructions):
                reads, writes = effects[item.address]
                after = set().union(*(self.live.get(target, set()) for target in following[item.address]))
                before = reads | (after - writes) | KEPT
                if before != self.live.get(item.address):
                    self.live[item.address], changed = before, True


def _effect(instruction: Instruction, results: set[int]) -> tuple[set[int], set[int]]:
    """What an instruction reads, and what it certainly writes."""
    reads, writes, certain, computed = set(), set(), True, set()
    for operation in instruction.operations:
        # What is combined with itself by an exclusive or gives zero, whatever it is.
        is_zero = operation.name == "INT_XOR" and operation.inputs[0] == operation.inputs[1]
        for node in () if is_zero else operation.inputs:
            # SLEIGH extends EAX to RAX by an operation of its own.
            if node.space == "register" and node not in computed:
                reads |= cells(node.offset, node.size) - writes
        output = operation.output
        if certain and output is not None:
            computed.add(output)
        if output is not None and output.space == "register" and certain:
            if output.offset in FLAGS or output.offset % 8 == 0 and output.size % 8 == 0:
                writes |= cells(output.offset, output.size)
        match operation.name:
            case "CBRANCH":
                certain = False
            case "CALL" | "CALLIND":
                reads |= ARGUMENTS
                writes |= ALL - KEPT
            case "RETURN":
                reads |= results
            case "BRANCHIND":
                reads |= ALL
    return reads, writes
