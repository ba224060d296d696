"""The machine code of a hostcall, by the name that a guest imports.

`wave_wasi::link::preview1_function` makes a host function from a name. Its machine code is run here with one name: what
it returns has the address of the function that guests call.

There are two such functions, since each hostcall exists with and without a tracer. They are told apart by what they
lead to: the one whose `fd_close` can call a function of `wave_wasi::trace` is the traced one.
"""

import re

from z3 import BitVec, BitVecRef, BitVecVal, is_bv_value, simplify

from proofs.hostcalls.machine import Machine
from proofs.prove.elf import Function
from proofs.prove.failure import Failure
from proofs.prove.prover import Program, Prover
from proofs.prove.state import Record, State, fresh

TABLE = "wave_wasi::link::preview1_function"
HOST_FUNCTION = re.compile(r"IntoHostFunction<.*>>::into_host_function::call$")
RESULT_SIZE = 64
# What ends the process if there is no memory.
ENDS = tuple(f"wave_sandbox::linux::sys::{name}" for name in ("emergency::", "calls::write_stderr", "calls::exit_now"))


def _without_type(prover: Prover, state: State) -> None:
    """`FuncType::new`: the type of the function, which is of no interest here."""
    prover.return_from(state)


def _any(prover: Prover, state: State) -> None:
    """`malloc`, and more room for the arena: some value, or none."""
    prover.return_from(state, rax=fresh(64, "block"))


class Maker(Machine):
    """Makes a host function. Its type is also written to blocks of the allocator, where the result is not."""

    def store(self, state: State, address: BitVecRef, value: BitVecRef) -> None:
        """Writes memory."""
        if not any(symbol.startswith(("any!", "block!")) for symbol in self._symbols_of(simplify(address))):
            super().store(state, address, value)

    def _follow(self, state: State) -> list[State]:
        if (self.program.names.path_of(state.at) or "").startswith(ENDS):
            return []
        return super()._follow(state)


def _host_function(program: Program, table: Function, name: str) -> int:
    """What `preview1_function` returns for a name: the one address of a host function in the result."""

    def prepare(state: State) -> None:
        result, text = BitVec("result", 64), BitVec("name", 64)
        state.add(Record("result", result, RESULT_SIZE, True))
        state.add(Record("name", text, len(name)))
        for index, byte in enumerate(name.encode()):
            state.set_field("name", index, BitVecVal(byte, 8))
        state["rdi"], state["rsi"], state["rdx"] = result, text, len(name)

    hooks = {
        "wave_contract::types::FuncType::new": _without_type,
        "malloc": _any,
        "wave_sandbox::linux::sys::arena::State::reserve": _any,
    }
    found = set()
    for end in Maker(program, hooks).run(table.address, prepare):
        for offset in range(0, RESULT_SIZE, 8):
            word = simplify(end.field("result", offset, 8))
            path = program.names.path_of(word.as_long()) if is_bv_value(word) else None
            if path and HOST_FUNCTION.search(path):
                found.add(word.as_long())
    if len(found) != 1:
        raise Failure(f"{TABLE} has {len(found)} functions for {name}")
    return found.pop()


def _leads_to_tracer(program: Program, start: int) -> bool:
    """Whether calls and jumps lead from a function to one of the tracer."""
    seen, work = set(), [start]
    while work:
        address = work.pop()
        if address in seen:
            continue
        seen.add(address)
        if (program.names.path_of(address) or "").startswith("wave_wasi::trace::"):
            return True
        if (function := program.names.function_at(address)) is None:
            continue
        at = function.address
        while at < function.address + function.size:
            instruction = program.code.at(at)
            for operation in instruction.operations:
                if operation.name in ("CALL", "BRANCH", "CBRANCH") and operation.inputs[0].space == "ram":
                    work.append(operation.inputs[0].offset)
            at = instruction.next
    return False


def host_function(program: Program, name: str) -> Function:
    """The function that a guest calls for an import, without a tracer."""
    tables = {f.address: f for f in program.binary.functions if program.names.path_of(f.address) == TABLE}
    untraced = [
        table
        for table in tables.values()
        if not _leads_to_tracer(program, _host_function(program, table, "fd_close"))
    ]
    if len(tables) != 2 or len(untraced) != 1:
        raise Failure(f"{len(untraced)} of {len(tables)} functions {TABLE} are without a tracer")
    found = program.names.function_at(_host_function(program, untraced[0], name))
    if found is None:
        raise Failure(f"the function for {name} has no symbol")
    return found
