"""The machine code of a hostcall, by the name that a guest imports.

`wave_wasi::link::preview1_function` makes a host function from a name. Its machine code is run here with one name:
what it
returns has the address of the function that guests call.

There are two such functions, since each hostcall exists with and without a tracer. They are told apart by what they
lead to:
the one whose `fd_close` can call a function of `wave_wasi::trace` is the traced one.
"""

import re

from z3 import BitVec, BitVecVal, is_bv_value, simplify

from proofs.hostcalls.machine import Block, Machine
from proofs.prove.code import Code
from proofs.prove.elf import Function
from proofs.prove.prover import Failure, Program, Prover
from proofs.prove.state import State, called

TABLE = "wave_wasi::link::preview1_function"
HOST_FUNCTION = re.compile(r"IntoHostFunction<.*>>::into_host_function::call$")


def _without_type(prover: Prover, state: State) -> None:
    """`FuncType::new`: the type of the function, which is of no interest here."""
    prover.return_from(state)


def _host_function(program: Program, table: Function, name: str) -> int:
    """What `preview1_function` returns for a name: the one address of a host function in the result."""
    state = called(table.address)
    result, text = BitVec("result", 64), BitVec("name", 64)
    state.add(Block("result", result, 64, True))
    state.add(Block("name", text, len(name)))
    for index, byte in enumerate(name.encode()):
        state.set_field("name", index, BitVecVal(byte, 8))
    state["rdi"], state["rsi"], state["rdx"] = result, text, len(name)
    machine = Machine(program, {"wave_contract::types::FuncType::new": _without_type})
    found = set()

    def finish(_, end: State) -> None:
        for offset in range(0, 64, 8):
            word = simplify(end.field("result", offset, 8))
            path = program.names.path_of(word.as_long()) if is_bv_value(word) else None
            if path and HOST_FUNCTION.search(path):
                found.add(word.as_long())

    machine.prove(state.copy, finish)
    if len(found) != 1:
        raise Failure(f"{TABLE} has {len(found)} functions for {name}")
    return found.pop()


def reached(code: Code, names, start: int) -> set[int]:
    """The functions that calls and jumps lead to from a function, by address, and the imports."""
    seen, work = set(), [start]
    while work:
        address = work.pop()
        if address in seen:
            continue
        seen.add(address)
        function = names.function_at(address)
        if function is None:
            continue
        at = function.address
        while at < function.address + function.size:
            instruction = code.at(at)
            for operation in instruction.operations:
                if operation.name in ("CALL", "BRANCH", "CBRANCH") and operation.inputs[0].space == "ram":
                    work.append(operation.inputs[0].offset)
            at = instruction.next
    return {address for address in seen if names.path_of(address)}


def host_function(program: Program, name: str) -> Function:
    """The function that a guest calls for an import, without a tracer."""
    tables = [f for f in program.binary.functions if program.names.path_of(f.address) == TABLE]
    untraced = []
    for table in {table.address: table for table in tables}.values():
        probe = _host_function(program, table, "fd_close")
        paths = {program.names.path_of(address) or "" for address in reached(program.code, program.names, probe)}
        if not any(path.startswith("wave_wasi::trace::") for path in paths):
            untraced.append(table)
    if len(tables) != 2 or len(untraced) != 1:
        raise Failure(f"{len(untraced)} of {len(tables)} functions {TABLE} are without a tracer")
    found = program.names.function_at(_host_function(program, untraced[0], name))
    if found is None:
        raise Failure(f"the function for {name} has no symbol")
    return found
