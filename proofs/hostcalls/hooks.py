"""Functions that a hostcall calls and that are not followed: those of the C library that make no system call of
interest."""

from collections.abc import Callable

from z3 import BitVec, BitVecVal, Extract, UGE, ULT, simplify

from proofs.hostcalls.machine import Bytes, Machine
from proofs.prove.state import State


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


def memset(machine: Machine, state: State) -> None:
    """`memset` with zeros: an element of a list that holds zeros is one without bytes."""
    machine.must(state, Extract(7, 0, state["rsi"]) == 0, "memset: zeros")
    address = simplify(state["rdi"])
    machine.fill(state, address, simplify(state["rdx"]))
    machine.return_from(state, rax=address)


COMMON: dict[str, Callable] = {"free": nothing, "__errno_location": errno_location, "memset": memset}


def note(state: State, event: str) -> None:
    """Writes down that a system call was made."""
    state.notes["events"] = (*events(state), event)


def events(state: State) -> tuple[str, ...]:
    """The system calls that were made."""
    return state.notes.get("events", ())


def descriptor(state: State):
    """The first argument of a system call that takes a descriptor."""
    return Extract(31, 0, state["rdi"])
