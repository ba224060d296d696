"""What a proof of a decision is made of: a call with arguments of which nothing is known, and a table of outcomes.

The specification of a decision is a table. The first row whose condition holds says what happens. `refuses` and
`admits` make the outcomes of a call that returns a `Result`, `gives` that of any other.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from z3 import (
    UGE,
    ULE,
    ULT,
    And,
    BitVec,
    BitVecRef,
    BoolRef,
    BoolVal,
    Concat,
    Extract,
    Implies,
    Not,
    Or,
    ZeroExt,
    sat,
)

from proofs.prove.elf import Binary
from proofs.prove.failure import Failure
from proofs.prove.invariants import Loop
from proofs.prove.prover import Hook, Program, Prover
from proofs.prove.state import STACK_TOP, Record, State, Table, byte_of, fresh, initial_byte
from proofs.prove.types import Signature, Type, Types, Value
from proofs.report import Claim, Timer

MONITOR = "wave_monitor::fds::Monitor"
ENTRIES = "entries"
REGISTERS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
# User space ends here, and nothing lies in the first page.
ADDRESSES = 1 << 47


class World:
    """The command, whose machine code is proved, and a program of the same source with debug information for its
    types."""

    def __init__(self):
        # It can be the other program itself, to try a change in seconds. Nothing calls a decision there.
        self._command = os.environ.get("WAVE_BINARY", "target/dist/wave")
        self._types = os.environ.get("WAVE_PROOFS_SHIM", "target/types/wave-proofs-shim")

    @property
    def is_alone(self) -> bool:
        """Whether what is proved is the program of the decisions alone."""
        return Path(self._command).resolve() == Path(self._types).resolve()

    @cached_property
    def command(self) -> Program:
        """The binary that ships."""
        return Program(self._command)

    @cached_property
    def types(self) -> Types:
        """Layouts and signatures."""
        return Types(Binary(self._types))

    def decision(self, name: str) -> tuple[Signature, int]:
        """The signature of a decision, and its address in the command."""
        proved = self.types.find("wave_monitor::proved::Proved")
        if name not in proved.fields:
            raise Failure(f"{name} is not in wasi/monitor/src/proved.rs")
        offset, pointer = proved.fields[name]
        start = self.command.names.object("wave_monitor::proved::PROVED")
        address = int.from_bytes(self.command.binary.constant(start + offset, 8) or b"", "little")
        if self.command.names.function_at(address) is None:
            raise Failure(f"{name} has no function in {self.command.binary.path}")
        return self.types.signature(pointer), address


def known_bytes(value: BitVecRef) -> tuple[BitVecRef, ...]:
    """A number, byte by byte."""
    return tuple(byte_of(value, index) for index in range(value.size() // 8))


@dataclass
class Call:
    """One call: what its arguments are, and the state before it."""

    world: World
    signature: Signature
    names: tuple[str, ...]
    case: str = ""
    arguments: dict[str, Value] = field(default_factory=dict)
    # Start and count of each slice.
    slices: dict[str, tuple[BitVecRef, BitVecRef]] = field(default_factory=dict)
    # What functions returned that a proof takes at their word.
    answers: dict[str, Value] = field(default_factory=dict)
    before: State | None = None
    _words: list[BitVecRef] = field(default_factory=list)

    def __getattr__(self, name: str) -> Value:
        if name in self.__dict__.get("arguments", {}):
            return self.arguments[name]
        raise AttributeError(name)

    def prepare(self, state: State) -> None:
        """Puts arguments of which nothing is known where the calling convention says."""
        result = self.signature.result
        if result is not None and result.size and not result.registers:
            self._pointer(state, "result", result, True)
        for name, type_ in zip(self.names, self.signature.parameters, strict=True):
            self._argument(state, name, type_)
        for index, word in enumerate(self._words):
            if index < len(REGISTERS):
                state[REGISTERS[index]] = word
            else:
                for byte in range(8):
                    state.stack[STACK_TOP + 8 * (index - len(REGISTERS)) + byte] = byte_of(word, byte)
        self.before = state.copy()

    def _argument(self, state: State, name: str, type_: Type) -> None:
        if type_.name.startswith(("&[", "&mut [")):
            start, count = BitVec(f"{name}.start", 64), BitVec(f"{name}.count", 64)
            stride = type_.fields["data_ptr"][1].target.size
            self.add_table(state, Table(name, start, count, stride, type_.name.startswith("&mut")))
            self.slices[name] = start, count
            self._words += [start, count]
        elif type_.name.startswith("&"):
            writable = type_.name.startswith("&mut ")
            self._pointer(state, name, type_.target, writable)
            if type_.target.name == MONITOR:
                self._monitor(state, name, writable)
        elif type_.registers:
            number = BitVec(name, 8 * type_.size)
            value = Value(type_, known_bytes(number))
            self.arguments[name] = value
            state.facts.append(value.valid())
            for offset, size in type_.registers:
                word = Extract(8 * (offset + size) - 1, 8 * offset, number)
                self._words.append(_register(word, type_))
        else:
            self._pointer(state, name, type_, True)
            state.facts.append(self.arguments[name].valid())

    def _pointer(self, state: State, name: str, type_: Type, writable: bool) -> None:
        base = BitVec(f"{name}.address", 64)
        state.add(Record(name, base, type_.size, writable))
        state.facts += [UGE(base, 4096), ULT(base, ADDRESSES - type_.size), Extract(2, 0, base) == 0]
        self._words.append(base)
        self.arguments[name] = Value(type_, tuple(initial_byte(name, at) for at in range(type_.size)))

    def add_table(self, state: State, table: Table) -> None:
        """Makes a table accessible that lies in user space."""
        state.add(table)
        state.facts += [ULE(table.count, ADDRESSES // table.stride), UGE(table.base, 8)]
        state.facts.append(ULE(table.base, ADDRESSES - table.stride * table.count))

    def _monitor(self, state: State, name: str, writable: bool) -> None:
        """The table of descriptors: at most one for each number of 32 bits."""
        type_ = self.world.types.find(MONITOR)
        start, count = BitVec("entries.start", 64), BitVec("entries.count", 64)
        entry = self.world.types.find("core::option::Option<wave_monitor::entries::Entry>")
        self.add_table(state, Table(ENTRIES, start, count, entry.size, writable))
        state.facts.append(ULE(count, 1 << 32))
        for path, value in (("entries.buf.inner.ptr", start), ("entries.len", count)):
            state.set_field(name, type_.place(path)[0], value)
        self.arguments[name] = Value(type_, tuple(state.record_byte(name, at) for at in range(type_.size)))

    def slot(self, fd: BitVecRef, state: State | None = None) -> Value:
        """What a descriptor number refers to: an `Option<Entry>`."""
        state = state or self.before
        element = state.element(ENTRIES, ZeroExt(64 - fd.size(), fd))
        return Value(self.world.types.find("core::option::Option<wave_monitor::entries::Entry>"), known_bytes(element))

    def entry(self, fd: BitVecRef, state: State | None = None) -> Value:
        """The entry of an open descriptor."""
        return self.slot(fd, state).variant("Some")._0

    def is_open(self, fd: BitVecRef, state: State | None = None) -> BoolRef:
        """Whether a descriptor number is in the table, and open."""
        in_table = ULT(ZeroExt(64 - fd.size(), fd), BitVec("entries.count", 64))
        return And(in_table, self.slot(fd, state).is_variant("Some"))


def _register(word: BitVecRef, type_: Type) -> BitVecRef:
    """A register that holds a number. The convention says nothing about its other bits, unless it is a `bool`."""
    missing = 64 - word.size()
    if not missing:
        return word
    return ZeroExt(missing, word) if type_.name == "bool" else Concat(fresh(missing, "above"), word)


@dataclass
class End:
    """One way in which a call returns."""

    call: Call
    state: State

    @property
    def result(self) -> Value:
        """What it returns."""
        type_ = self.call.signature.result
        if not type_.registers:
            return Value(type_, tuple(self.state.record_byte("result", at) for at in range(type_.size)))
        content = [fresh(8, "padding") for _ in range(type_.size)]
        for (offset, size), register in zip(type_.registers, ("rax", "rdx")):
            for byte in range(size):
                content[offset + byte] = byte_of(self.state[register], byte)
        return Value(type_, tuple(content))

    def record(self, name: str) -> Value:
        """A record after the call."""
        type_ = self.call.arguments[name].type
        return Value(type_, tuple(self.state.record_byte(name, at) for at in range(type_.size)))

    def entry(self, fd: BitVecRef) -> Value:
        """The entry of a descriptor after the call."""
        return self.call.entry(fd, self.state)

    def slot(self, fd: BitVecRef) -> Value:
        """The slot of a descriptor after the call."""
        return self.call.slot(fd, self.state)

    def only(self, *paths: str) -> BoolRef:
        """Whether nothing of the monitor itself has changed but these fields. The table of descriptors is not looked
        at."""
        type_ = self.call.monitor.type
        free = set()
        for path in paths:
            offset, part = type_.place(path)
            free |= set(range(offset, offset + part.size))
        after, before = self.state, self.call.before
        kept = [at for at in range(type_.size) if at not in free]
        return And(*[after.record_byte("monitor", at) == before.record_byte("monitor", at) for at in kept])


Outcome = Callable[[End], BoolRef]


@dataclass(frozen=True)
class Row:
    """A row of a specification."""

    when: BoolRef
    outcome: Outcome


def refuses(errno: int | BitVecRef) -> Outcome:
    """The call fails with this number."""
    return lambda end: And(end.result.is_variant("Err"), end.result.variant("Err")._0.raw.number == errno)


def admits(effect: Callable[[Value], BoolRef] = lambda effect: BoolVal(True)) -> Outcome:
    """The call succeeds, and this is true of what it returns. What is wrapped as admitted is looked at without its
    wrapper."""
    return lambda end: And(end.result.is_variant("Ok"), effect(_unwrapped(end.result.variant("Ok")._0)))


def _unwrapped(value: Value) -> Value:
    return value._0 if value.type.name.startswith("wave_monitor::admitted::Admitted<") else value


def gives(condition: Callable[[Value], BoolRef]) -> Outcome:
    """This is true of what the call returns."""
    return lambda end: condition(end.result)


ALWAYS = BoolVal(True)
# What every proof of a decision takes for granted.
ASSUMED = ("pcode", "z3", "layout", "stack", "apart")


@dataclass(frozen=True)
class Decision:
    """A decision, and what is to be proved of it."""

    name: str  # as in wasi/monitor/src/proved.rs
    specification: str
    parameters: tuple[str, ...]
    rows: Callable[..., list[Row]]
    # Wrong specifications by what is wrong: other arguments of `rows` and of `after`.
    wrong: dict[str, dict[str, object]]
    # What else is true afterwards.
    after: Callable[..., BoolRef] | None = None
    # Whether hostcalls have a copy of it: then the function of its own is proved, which is in the command, too.
    inlined: bool = False
    # Whether its loops run as often as the code says, without an invariant: a fixed number of times.
    unrolled: bool = False
    # Cases that are proved one after the other; `call.case` says which it is.
    cases: tuple[str, ...] = ("",)
    bound: str = "none"
    assumptions: tuple[str, ...] = ()
    facts: Callable[[Call], list[BoolRef]] = lambda call: []
    regions: Callable[[Call, State], None] = lambda call, state: None
    hooks: Callable[[Call], dict[str, Hook]] = lambda call: {}
    loops: Callable[[Call], list[Loop]] = lambda call: []

    def prove(self, world: World) -> Claim:
        """Proves it, and refutes what is wrong."""
        timer, failure, provers, refuted = Timer(), "", [], set()
        try:
            signature, address = world.decision(self.name)
            if not self.inlined and not world.is_alone and address not in world.command.binary.call_targets:
                raise Failure(f"nothing calls {self.name}: the compiler inlines it")
            for case in self.cases:
                provers.append(Prover(world.command, unroll=self.unrolled))
                refuted |= self._prove_case(provers[-1], Call(world, signature, self.parameters, case), address)
            left = [name for name in self.wrong if name not in refuted]
            if left or len(refuted) < 2:
                failure = f"wrong specifications that were not refuted: {left}"
        except Exception as error:  # pylint: disable=broad-exception-caught  # whatever it is, the claim is not proved
            failure = f"{type(error).__name__}: {error}"
            if os.environ.get("WAVE_PROOFS_TRACE"):
                raise
        return Claim(
            part="monitor",
            decision=self.name,
            specification=self.specification,
            bound=self.bound,
            assumptions=[*ASSUMED, *(["inlined"] if self.inlined else []), *self.assumptions],
            wrong=[name for name in self.wrong if name in refuted],
            queries=sum(prover.queries for prover in provers),
            paths=sum(prover.paths for prover in provers),
            obligations=sum(prover.obligations for prover in provers),
            seconds=timer.seconds(),
            failure=failure,
        )

    def _prove_case(self, prover: Prover, call: Call, address: int) -> set[str]:
        """Proves one case, and returns which wrong specifications it refutes."""
        prover.hooks = self.hooks(call)

        def prepare(state: State) -> None:
            call.prepare(state)
            self.regions(call, state)
            call.before = state.copy()
            state.facts += self.facts(call)
            prover.loops = self.loops(call)

        ends = [End(call, state) for state in prover.run(address, prepare)]
        for end in ends:
            self._prove_at(prover, end)
        return {name for name, changes in self.wrong.items() if self._refutes(prover, ends, changes)}

    def _obligations(self, end: End, changes: dict[str, object]) -> dict[str, BoolRef]:
        found, earlier = {}, []
        rows_changes = {name: value for name, value in changes.items() if not name.startswith("after_")}
        for number, row in enumerate(self.rows(end.call, **rows_changes), 1):
            applies = And(row.when, Not(Or(*earlier))) if earlier else row.when
            found[f"row {number} of {self.name}"] = Implies(applies, row.outcome(end))
            earlier.append(row.when)
        if self.after is not None:
            after_changes = {name: value for name, value in changes.items() if name.startswith("after_")}
            found[f"what is true after {self.name}"] = self.after(end, **after_changes)
        return found

    def _prove_at(self, prover: Prover, end: End) -> None:
        """Proves all that has to be true at one end: in one question, and one by one to say what is not."""
        obligations = self._obligations(end, {})
        if not prover.holds(end.state, And(*obligations.values())):
            for what, condition in obligations.items():
                prover.must(end.state, condition, what)

    def _refutes(self, prover: Prover, ends: list[End], changes: dict[str, object]) -> bool:
        wanted = ((end.state.facts, And(*self._obligations(end, changes).values())) for end in ends)
        return any(prover.check(facts, Not(condition)) == sat for facts, condition in wanted)
