"""The machine code of a hostcall, by the name that a guest imports.

`wave_wasi::link::preview1_function` makes a host function from a name. Its machine code is run here with one name: what
it returns has the address of the function that guests call.

There are two such functions, since each hostcall exists with and without a tracer. They are told apart by what they
lead to: the one whose `fd_close` can call a function of `wave_wasi::trace` is the traced one.
"""

import re

from z3 import BitVec, BitVecVal, is_bv_value, simplify

from proofs.hostcalls.machine import Machine
from proofs.prove.elf import Function
from proofs.prove.failure import Failure
from proofs.prove.prover import Program, Prover
from proofs.prove.state import Record, State

TABLE = "wave_wasi::link::preview1_function"
HOST_FUNCTION = re.compile(r"IntoHostFunction<.*>>::into_host_function::call$")
RESULT_SIZE = 64


def _without_type(prover: Prover, state: State) -> None:
    """`FuncType::new`: the type of the function, which is of no interest here."""
    prover.return_from(state)


def _host_function(program: Program, table: Function, name: str) -> int:
    """What `preview1_function` returns for a name: the one address of a host function in the result."""

    def prepare(state: State) -> None:
        result, text = BitVec("result", 64), BitVec("name", 64)
        state.add(Record("result", result, RESULT_SIZE, True))
        state.add(Record("name", text, len(name)))
        for index, byte in enumerate(name.encode()):
            state.set_field("name", index, BitVecVal(byte, 8))
        state["rdi"], state["rsi"], state["rdx"] = result, text, len(name)

    machine, found = Machine(program, {"wave_contract::types::FuncType::new": _without_type}), set()
    for end in machine.run(table.address, prepare):
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
