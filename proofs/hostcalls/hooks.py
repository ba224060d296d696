"""What functions do that a hostcall calls, and that are not followed: those of the C library, and those that get memory."""

from collections.abc import Callable

from z3 import BitVec, BitVecVal, Concat, Extract, UGE, ULT, simplify

from proofs.hostcalls.find import reached
from proofs.hostcalls.machine import Bytes, Machine
from proofs.prove.prover import Failure
from proofs.prove.state import State

# What a function that gets memory may call of the C library: to get memory and to give it back, to copy, to end the process.
FOR_MEMORY = {
    "malloc", "realloc", "calloc", "free", "posix_memalign", "memcpy", "memset", "memmove", "mprotect", "mmap", "mmap64",
    "munmap", "_exit", "write",
}  # fmt: skip


def nothing(machine: Machine, state: State) -> None:
    """A function without a result, which changes nothing that a proof knows."""
    machine.return_from(state)


def errno_location(machine: Machine, state: State) -> None:
    """`__errno_location`: the address of a variable that every system call may change."""
    address = BitVec("errno_address", 64)
    if "errno" not in state.regions:
        state.regions["errno"] = Bytes("errno", address, BitVecVal(4, 64))
        state.facts += [UGE(address, 0x10000), ULT(address, 1 << 47)]
        state.notes["bases"] |= {"errno_address"}
    machine.return_from(state, rax=address)


def filled(machine: Machine, state: State) -> None:
    """`memset`, `memcpy`, `memmove`: bytes in a region that may be any then."""
    address, length = simplify(state["rdi"]), simplify(state["rsi"] if False else state["rdx"])
    machine.fill(state, address, length)
    machine.return_from(state, rax=address)


COMMON: dict[str, Callable] = {
    "free": nothing,
    "__errno_location": errno_location,
    "memset": filled,
    "memcpy": filled,
    "memmove": filled,
}


def note(state: State, event: str) -> None:
    """Writes down that a system call was made."""
    state.notes["events"] = (*state.notes.get("events", ()), event)


def events(state: State) -> tuple[str, ...]:
    """The system calls that were made."""
    return state.notes.get("events", ())


def descriptor(state: State):
    """The first argument of a system call that takes a descriptor."""
    return Extract(31, 0, state["rdi"])


def forget(state: State, *fields) -> None:
    """Lets fields of a record hold any value."""
    for member in fields:
        from proofs.prove.state import fresh

        state.set_field(member.record, member.offset, fresh(8 * member.size, f"{member.record}_field"))


__all__ = ["COMMON", "Concat", "Failure", "descriptor", "errno_location", "events", "forget", "note", "nothing", "reached"]
