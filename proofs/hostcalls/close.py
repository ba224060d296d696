"""`fd_close`: the one system call is `close`, of the descriptor that the monitor has just taken out of its table."""

from z3 import And, BoolVal, Extract, Implies, Not, UGT, ULT

from proofs.hostcalls.find import host_function
from proofs.hostcalls.hooks import COMMON, descriptor, events, note
from proofs.hostcalls.machine import Hints, Machine
from proofs.hostcalls.world import CAPACITY, POINTER, WASI, World
from proofs.prove.prover import Program
from proofs.prove.state import State, fresh

SPECIFICATION = (
    "The only system call is `close`, once, of the descriptor in the object that the monitor's entry names, after the "
    "entry was taken out; not of an inherited one; a number that is not open is BADF, and nothing happens"
)
WRONG = ("the number of the guest is closed", "what was inherited is closed, too")
BADF = 8
GROW = ("alloc::raw_vec::RawVec<T,A>::grow_one",)


def prove(program: Program, world: World, hints: Hints, wrong: str = "") -> Machine:
    """Proves the specification, or a wrong one."""

    def close(machine: Machine, state: State) -> None:
        machine.must(state, world.entry_is_open(), "close: only what the guest has open")
        machine.must(state, Not(world.entry_is_open(state)), "close: after the entry was taken out of the table")
        machine.must(state, world.object_is_there(), "close: there is an object")
        machine.must(state, world.object_is_owned, "close: what was inherited stays open")
        expected = world.host_fd if wrong != "the number of the guest is closed" else world.fd
        machine.must(state, descriptor(state) == expected, "close: the descriptor of the object that the entry names")
        machine.must(state, BoolVal(not events(state)), "close: once")
        note(state, "close")
        machine.return_from(state, rax=fresh(64, "result"))

    def grow(machine: Machine, state: State) -> None:
        """`RawVec::grow_one` of the free numbers: another buffer, and room for more."""
        at = world.layouts.offset(WASI, "objects.free")
        machine.must(state, state["rdi"] == world.wasi + at, "grow_one: the list of free numbers")
        pointer, capacity = fresh(64, "grown"), fresh(64, "capacity")
        state.set_field("wasi", world.layouts.offset(WASI, f"objects.free.{POINTER}"), pointer)
        state.set_field("wasi", world.layouts.offset(WASI, f"objects.free.{CAPACITY}"), capacity)
        machine.new_block(state, "grown", pointer, 4 * capacity)
        state.facts += [UGT(capacity, world.free_len), ULT(capacity, 1 << 35)]
        machine.return_from(state)

    def finish(machine: Machine, state: State) -> None:
        was_open = world.entry_is_open()
        has_closed = bool(events(state))
        stopped = Extract(31, 0, state["rdx"]) != 0
        result = Extract(31, 0, state["rax"])
        machine.must(state, Implies(And(was_open, Not(stopped)), result == 0), "an open descriptor is closed")
        machine.must(state, Implies(And(Not(was_open), Not(stopped)), result == BADF), "a closed one is BADF")
        machine.must(state, Implies(was_open, Not(world.entry_is_open(state))), "the entry is closed afterwards")
        had_object = And(was_open, world.object_is_there())
        machine.must(state, Implies(had_object, Not(world.object_is_there(state))), "its object is gone")
        owned = And(was_open, world.object_is_there(), world.object_is_owned)
        if wrong == "what was inherited is closed, too":
            owned = And(was_open, world.object_is_there())
        what = "`close` is called exactly for what was opened for the guest"
        machine.must(state, owned if has_closed else Not(owned), what)

    function = host_function(program, "fd_close")
    machine = Machine(program, {**COMMON, "close": close, **{path: grow for path in GROW}}, hints)
    machine.uninteresting = world.uninteresting
    machine.prove(lambda: world.start(function, [32]), finish)
    return machine
