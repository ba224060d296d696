"""`fd_close`: the one system call is `close`, of the descriptor that the monitor has just taken out of its table."""

from z3 import And, BoolVal, Extract, Implies, Not, Or, UGT, ULT

from proofs.hostcalls.find import host_function
from proofs.hostcalls.machine import Machine
from proofs.hostcalls.world import CAPACITY, FREE_SIZE, WASI, World, is_address
from proofs.prove.prover import Program, Prover
from proofs.prove.state import State, Table, fresh

SPECIFICATION = (
    "The only system call is `close`, once, of the descriptor in the object that the monitor's entry names, after the "
    "entry was taken out; not of an inherited one; for a number that is not open, nothing happens, and the answer is BADF "
    "or the end of the time limit"
)
WRONG = ("the number of the guest is closed", "what was inherited is closed, too")
BADF = 8
CLOSED = "closed"


def _free(prover: Prover, state: State) -> None:
    """`free`: changes nothing that a proof knows."""
    prover.return_from(state)


def prove(program: Program, world: World, wrong: str = "") -> Machine:
    """Proves the specification, or a wrong one."""
    entry, object_ = world.entry, world.object

    def close(prover: Prover, state: State) -> None:
        prover.must(state, entry.is_there(), "close: only what the guest has open")
        prover.must(state, Not(entry.is_there(state)), "close: after the entry was taken out of the table")
        prover.must(state, object_.is_there(), "close: there is an object")
        prover.must(state, world.object_is_owned, "close: what was inherited stays open")
        expected = world.object_fd if wrong != "the number of the guest is closed" else world.fd
        descriptor = Extract(31, 0, state["rdi"])
        prover.must(state, descriptor == expected, "close: the descriptor of the object that the entry names")
        prover.must(state, BoolVal(CLOSED not in state.notes), "close: once")
        state.notes[CLOSED] = True
        prover.return_from(state, rax=fresh(64, "result"))

    def grow(prover: Prover, state: State) -> None:
        """`RawVec::grow_one` of the free numbers: another buffer, and room for more."""
        at = world.layouts.offset(WASI, "objects.free")
        prover.must(state, state["rdi"] == world.wasi + at, "grow_one: the list of free numbers")
        grown = Table("grown", fresh(64, "grown"), fresh(64, "capacity"), FREE_SIZE, True)
        state.add(grown)
        world.set_vector(state, "objects.free", grown.base, CAPACITY, grown.count)
        state.facts += [is_address(grown.base), UGT(grown.count, world.free_len), ULT(grown.count, 1 << 35)]
        prover.return_from(state)

    hooks = {"close": close, "free": _free, "alloc::raw_vec::RawVec<T,A>::grow_one": grow}
    machine = Machine(program, hooks)
    for end in machine.run(host_function(program, "fd_close").address, world.prepare):
        _returns(machine, world, end, wrong)
    return machine


def _returns(machine: Machine, world: World, end: State, wrong: str) -> None:
    """What holds when the hostcall returns."""
    was_open, had_object = world.entry.is_there(), world.object.is_there()
    goes_on, result = end["rdx"] == 0, Extract(31, 0, end["rax"])
    machine.must(end, Or(goes_on, world.deadline_passed(end)), "only the deadline stops the guest")
    if not machine.possible(end, was_open):
        machine.must(end, Implies(goes_on, result == BADF), "a closed one is BADF")
        machine.must(end, world.is_unchanged(end), "for a closed one, nothing happens")
        machine.must(end, BoolVal(CLOSED not in end.notes), "for a closed one, there is no system call")
        return
    machine.must(end, was_open, "what is closed and what is open are told apart")
    machine.must(end, Implies(goes_on, result == 0), "an open descriptor is closed")
    machine.must(end, Not(world.entry.is_there(end)), "the entry is closed afterwards")
    machine.must(end, Implies(had_object, Not(world.object.is_there(end))), "its object is gone")
    owned = had_object if wrong == "what was inherited is closed, too" else And(had_object, world.object_is_owned)
    what = "`close` is called exactly for what was opened for the guest"
    machine.must(end, owned if CLOSED in end.notes else Not(owned), what)
