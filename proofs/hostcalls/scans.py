"""Loops that only look for something, such as those of the allocator: they wait for its lock, and find an arena.

At the head of such a loop, each register that the loop writes gets any value. One iteration from there on stands for
all of them, since nothing else may differ when a path comes back to the head: neither the stack, nor a region, nor what
the proof has written down. What the proof has forgotten where paths meet (`dead!`, `written!`) is any value already.
"""

from z3 import is_const

from proofs.hostcalls.liveness import cells
from proofs.prove import loops
from proofs.prove.code import Code
from proofs.prove.elf import Function
from proofs.prove.failure import Failure
from proofs.prove.invariants import Cell, changed_cells
from proofs.prove.state import State, fresh


class Scan:
    """One loop on one path."""

    def __init__(self, code: Code, function: Function, state: State, place: str):
        self.body = loops.body(code, function, state.at)
        self._place, self._written = place, _written(code, self.body, place)
        for cell in self._written:
            state.registers[cell] = fresh(state.read_cell(cell).size(), "loop")
        self._head = state.copy()

    def again(self, state: State, matters: set[int]) -> None:
        """Fails unless the head stands for the state in which a path is back there. Only some registers matter."""
        if state.notes != self._head.notes or state.regions != self._head.regions:
            raise Failure(f"the loop at {self._place} calls something of interest")
        for cell in changed_cells(self._head, [state]):
            if self._is_any(cell):
                continue
            if cell[0] != "register" or cell[1] in matters - self._written:
                raise Failure(f"the loop at {self._place} changes {cell}")

    def _is_any(self, cell: Cell) -> bool:
        """Whether each byte of some memory was forgotten at the head, so that it stands for any value."""
        match cell:
            case ("stack", start, size):
                content = [self._head.stack_byte(start + index) for index in range(size)]
            case ("record", name, start, size):
                content = [self._head.record_byte(name, start + index) for index in range(size)]
            case _:
                return False
        return all(is_const(byte) and str(byte).startswith(("written!", "dead!")) for byte in content)


def _written(code: Code, body: set[int], place: str) -> set[int]:
    """The words and flags that the instructions of a loop write."""
    written = set()
    for address in body:
        for operation in code.at(address).operations:
            if operation.name in ("CALL", "CALLIND"):
                raise Failure(f"the loop at {place} calls a function")
            node = operation.output
            if node is not None and node.space == "register":
                written |= cells(node.offset, node.size)
    return written
