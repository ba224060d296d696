"""Follows all paths of a hostcall, through the functions that it calls, up to each system call.

It differs from the prover of the decisions in what it has to show. A decision is proved for what it returns and for
every
access to memory. Of a hostcall, only what it passes to the system counts, so less is kept:

- A read outside the regions gives any value. A write has to lie inside a region: nothing else may change what is known.
- A loop is cut at its head. What an iteration changes is found by trying: it becomes any value, or grows by a
    constant. If an
  iteration changes more than was found so far, the loop is entered again.
- Where paths meet, what no longer matters is forgotten, and a path that arrives in a state in which another one
    arrived before
  is not followed again.
- A panic ends the process, and with it the path.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from z3 import (
    And,
    BitVecRef,
    BitVecVal,
    BoolRef,
    Extract,
    If,
    SolverFor,
    UGE,
    ULE,
    ULT,
    Z3_OP_BADD,
    is_bv_value,
    sat,
    simplify,
    unsat,
)

from proofs.hostcalls.liveness import ARGUMENTS, ORDER, RESULTS, TAKEN, Liveness, cells_of
from proofs.prove import loops, memory
from proofs.prove.code import FLAGS, Instruction
from proofs.prove.invariants import _grouped
from proofs.prove.prover import TIMEOUTS_MS, Failure, Program, Prover
from proofs.prove.semantics import NotModeled
from proofs.prove.state import RETURN, Record, State, byte_of, fresh

# The process ends here, and says why on its standard error.
ENDS = (
    "core::panicking::", "core::option::unwrap_failed", "core::option::expect_failed", "core::result::unwrap_failed",
    "core::slice::index::", "core::str::slice_error_fail", "alloc::raw_vec::handle_error",
    "alloc::alloc::handle_alloc_error",
    "wave_sandbox::linux::sys::emergency::exit_out_of_memory", "wave_sandbox::linux::sys::calls::exit_now",
)  # fmt: skip
# `free`, and the function of Rust that calls it.
FREES = ("free", "__rust_dealloc")
MOST_RESTARTS = 400
MOST_JUMPS = 300
MOST_ARRAY = 8192
RED_ZONE = 128
# The notes that are terms.
KEPT = ("bound", "relations", "half", "other")
# The notes that are addresses on the stack.
PLACES = ("buffers", "shrinks")
FRESH = re.compile(r"[A-Za-z_][A-Za-z_0-9]*![0-9]+")
SYSCALL = b"\x0f\x05"
# UD2, INT3, HLT: the process gets a signal that ends it.
TRAPS = (b"\x0f\x0b", b"\xcc", b"\xf4")
# PAUSE, ENDBR64, MFENCE.
HINTS = (b"\xf3\x90", b"\xf3\x0f\x1e\xfa", b"\x0f\xae\xf0")
# Numbers of asm/unistd_64.h.
SYSTEM_CALLS = {
    0: "read", 1: "write", 3: "close", 5: "fstat", 19: "readv", 20: "writev", 138: "fstatfs", 257: "openat",
    271: "ppoll", 288: "accept4", 437: "openat2",
}  # fmt: skip


class Restart(Exception):
    """A loop changes more than was known. The paths from its head on are followed again with what is known now."""

    def __init__(self, visit: "Visit"):
        super().__init__()
        self.visit = visit


@dataclass(frozen=True)
class Block(Record):
    """A structure at `base`, which may be used only if `guard` holds."""

    guard: BoolRef | None = None


@dataclass(frozen=True)
class Bytes:
    """`count` bytes from `base` on that anyone may change at any time: each read gives any value."""

    name: str
    base: BitVecRef
    count: BitVecRef
    writable: bool = True
    # Whether words in it are addresses of blocks that are its own, which are freed with it.
    owns: bool = False


class PathState(State):
    """A state whose stack has any content where nothing was written."""

    @classmethod
    def of(cls, state: State) -> "PathState":
        """The same state, with such a stack."""
        return cls(**vars(state))

    def copy(self) -> "PathState":
        """A state that can change on its own."""
        return self.of(super().copy())

    def stack_byte(self, address: int) -> BitVecRef:
        """One byte of the stack."""
        if address not in self.stack:
            self.stack[address] = fresh(8, "stack")
        return self.stack[address]


@dataclass
class Known:
    """What was found out about one loop."""

    changed: set = field(default_factory=set)
    steps: dict = field(default_factory=dict)
    refuted: set = field(default_factory=set)


@dataclass
class Hints:
    """What was found out about the loops and the jumps of a hostcall. A wrong hint costs time, or makes a proof
    fail."""

    loops: dict[tuple, Known] = field(default_factory=dict)
    jumps: dict[int, dict[int, set[int]]] = field(default_factory=dict)
    reached: dict[tuple, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Visit:
    """A loop on one path."""

    place: tuple
    # The state in which the path came to the head, and what mattered there.
    entry: State
    matters: set[int]
    # How much was left to do then, and how many states had been seen.
    left: int
    seen: int
    head: State
    count: BitVecRef
    facts: dict
    # Notes that iterations added, which the state at the head has, too.
    kept: dict = field(default_factory=dict)


def is_fresh(name: str) -> bool:
    """Whether a symbol stands for a value of which nothing was known when it appeared."""
    return "!" in name


class Machine(Prover):
    """Runs a hostcall."""

    def __init__(self, program: Program, hooks: dict[str, Callable], hints: Hints | None = None):
        super().__init__(program, hooks)
        hints = hints or Hints()
        self.known, self.jumps, self._reached = hints.loops, hints.jumps, hints.reached
        self.restarts = 0
        self._jumps_grew = False
        # Whether a proof is about system calls alone, and not about what the hostcall returns.
        self.only_calls = False
        self._over: dict[tuple, bool] = {}
        # What has to hold for a write to an array, and for a read of one: see `vectors`.
        self.on_array_store: Callable | None = None
        self.on_read: Callable | None = None
        self.on_stack_store: Callable | None = None
        # Functions that are called by a pointer: the hooks' names, by the number of the pointer's term.
        self.pointers: dict[int, str] = {}
        # The names of values that no specification speaks of.
        self.uninteresting: frozenset[str] = frozenset()
        self.steps = 0
        self._live: dict[tuple, Liveness] = {}
        self._taken: dict[int, set[int]] = {}
        self._bodies: dict[int, set[int]] = {}
        self._seen: dict[tuple, list[frozenset]] = {}
        self._order: list[tuple] = []
        self._shapes: dict[int, tuple] = {}
        self._distances: dict[tuple, int | None] = {}
        self._symbols: dict[int, tuple] = {}

    # Questions to the solver

    def check(self, facts: list[BoolRef], *more: BoolRef):
        """As in the prover, with the facts that share no symbol with the question left out: they hold together."""
        chosen, rest = list(facts), []
        if more:
            wanted = set().union(*(self.symbols(term) for term in more))
            chosen, rest, grown = [], [(fact, self.symbols(fact)) for fact in facts], True
            while grown:
                grown, kept = False, []
                for fact, names in rest:
                    if names & wanted or not names:
                        chosen.append(fact)
                        wanted |= names
                        grown = True
                    else:
                        kept.append((fact, names))
                rest = kept
        solver = SolverFor("QF_BV")
        solver.set("timeout", TIMEOUTS_MS[-1])
        solver.add(*chosen, *more)
        self.queries += 1
        result = solver.check()
        self.model = solver.model() if result == sat else None
        return result

    def symbols(self, term) -> set[str]:
        """The names in a term."""
        key = term.get_id()
        if key not in self._symbols:
            # The term is kept, so that no other one gets its number.
            self._symbols[key] = (term, frozenset(memory.symbols(term)))
        return self._symbols[key][1]

    # Memory

    def _distance(self, state: State, address: BitVecRef, base: BitVecRef) -> BitVecRef:
        """How far an address lies behind a base; a number if it is the same on all paths."""
        distance = simplify(address - base)
        if is_bv_value(distance) or not self.symbols(base) <= self.symbols(address):
            return distance
        key = (address.get_id(), base.get_id())
        if key not in self._distances:
            self._distances[key] = None
            if self.symbols(distance) <= self.symbols(base) and self.check([], distance == distance) == sat:
                guess = self.model.eval(distance, model_completion=True)
                if self.check([], distance != guess) == unsat:
                    self._distances[key] = guess.as_long()
            self._symbols.setdefault(address.get_id(), (address, frozenset(memory.symbols(address))))
            self._symbols.setdefault(base.get_id(), (base, frozenset(memory.symbols(base))))
        found = self._distances[key]
        return distance if found is None else BitVecVal(found, 64)

    def _region(self, state: State, address: BitVecRef):
        """The region whose base an address is made from, and the distance from there."""
        names = self.symbols(address)
        bases = state.notes["bases"]
        for region in state.regions.values():
            base = self.symbols(region.base)
            if not base <= names:
                continue
            distance = self._distance(state, address, region.base)
            if isinstance(region, Record):
                if is_bv_value(distance) and -4096 < distance.as_signed_long() < 1 << 20:
                    return region, distance.as_signed_long()
            elif not self.symbols(distance) & bases:
                return region, distance
        return None

    def _constant_base(self, address: BitVecRef) -> int | None:
        """The constant part of a sum."""
        if is_bv_value(address):
            return address.as_long()
        if address.decl().kind() == Z3_OP_BADD:
            return next((part.as_long() for part in address.children() if is_bv_value(part)), None)
        return None

    def _segment(self, address: int):
        for segment in self.program.binary.segments:
            if segment.start <= address < segment.start + len(segment.data):
                return segment
        return None

    def load(self, state: State, address: BitVecRef, size: int) -> BitVecRef:
        """Reads memory."""
        address = simplify(address)
        if memory.on_stack(address):
            return state.on_stack(address.as_long(), size)
        if is_bv_value(address):
            data = self.program.binary.constant(address.as_long(), size)
            return fresh(8 * size, "global") if data is None else BitVecVal(int.from_bytes(data, "little"), 8 * size)
        if (found := self._region(state, address)) is not None:
            region, distance = found
            if isinstance(region, Bytes):
                result = fresh(8 * size, f"owned_{region.name}" if region.owns and size == 8 else region.name)
                if self.on_read is not None:
                    self.on_read(self, state, address, result)
                return result
            if 0 <= distance <= region.size - size:
                self._guard(state, region)
                return state.field(region.name, distance, size)
            raise Failure(f"read of {region.name} at {distance:#x} at {self.where(state)}")
        base = self._constant_base(address)
        if base is not None and self.program.binary.constant(base, 1) is not None and size <= 8:
            values = self._few_values(state, address)
            content = [self.program.binary.constant(value, size) for value in values or ()]
            if content and None not in content:
                result = None
                for value, data in zip(values, content):
                    word = BitVecVal(int.from_bytes(data, "little"), 8 * size)
                    result = word if result is None else If(address == value, word, result)
                return simplify(result)
        result = fresh(8 * size, "any")
        if self.on_read is not None:
            self.on_read(self, state, address, result)
        return result

    def _few_values(self, state: State, term: BitVecRef) -> list[int] | None:
        """The values that a term can have, if they are few."""
        names, chosen = set(self.symbols(term)), []
        for fact in state.facts:
            if self.symbols(fact) <= names:
                chosen.append(fact)
        solver = SolverFor("QF_BV")
        solver.add(*chosen)
        found = []
        while solver.check() == sat:
            self.queries += 1
            value = solver.model().eval(term, model_completion=True)
            found.append(value.as_long())
            solver.add(term != value)
            if len(found) > MOST_JUMPS:
                return None
        return found

    def _guard(self, state: State, region: Record) -> None:
        if isinstance(region, Block) and region.guard is not None:
            self.must(state, region.guard, f"{region.name} is there at {self.where(state)}")

    def store(self, state: State, address: BitVecRef, value: BitVecRef) -> None:
        """Writes memory."""
        address, size = simplify(address), value.size() // 8
        if memory.on_stack(address):
            if self.on_stack_store is not None:
                self.on_stack_store(self, state, address.as_long(), value)
            for index in range(size):
                state.stack[address.as_long() + index] = byte_of(value, index)
            return
        if (found := self._region(state, address)) is not None:
            self._store_in(state, *found, value)
            return
        base = self._constant_base(address)
        if base is not None and memory.on_stack(BitVecVal(base, 64)):
            self._store_in_array(state, address, base, value)
            return
        segment = self._segment(base) if base is not None else None
        if segment is not None and segment.writable:
            end = segment.start + len(segment.data)
            inside = And(ULE(segment.start, address), ULE(address, end - size))
            self.must(state, inside, f"write to the program's own variables at {self.where(state)}")
            return
        if address.decl().arity() == 0 and address.decl().name().startswith("owned_"):
            return
        raise Failure(f"write of {size} bytes at {address} in no region, at {self.where(state)}")

    def _store_in_array(self, state: State, address: BitVecRef, base: int, value: BitVecRef) -> None:
        """A write to an element of an array on the stack: all that it can reach holds any value then."""
        size = value.size() // 8
        low, high = self._reach(state, address)
        if not memory.on_stack(BitVecVal(low, 64)) or high - low > MOST_ARRAY:
            where = f"from {low - base} to {high - base}, at {self.where(state)}"
            raise Failure(f"write of {size} bytes on the stack, {where}")
        if self.on_array_store is not None:
            self.on_array_store(self, state, address, value)
        for at in range(low, high + size):
            state.stack[at] = fresh(8, "array")

    def _reach(self, state: State, address: BitVecRef) -> tuple[int, int]:
        """The lowest and the highest address that a term can be."""
        place = (state.at, simplify(state["rsp"]).as_long())
        if place in self._reached:
            # What was found before, if it is enough.
            low, high = self._reached[place]
            if self.holds(state, And(ULE(low, address), ULE(address, high))):
                return low, high
        if self.check(state.facts, address == address) != sat:
            raise Failure(f"write on an impossible path at {self.where(state)}")
        some = self.model.eval(address, model_completion=True).as_long()
        ends = []
        for step in (-1, 1):
            known, bound = some, some + step * (MOST_ARRAY + 1)
            # `known` is possible; nothing at `bound` or behind it is.
            beyond = ULE(address, bound) if step < 0 else ULE(bound, address)
            if self.check(state.facts, beyond) != unsat:
                raise Failure(f"write to an unknown place on the stack at {self.where(state)}")
            while abs(bound - known) > 1:
                middle = (known + bound) // 2
                wanted = ULE(address, middle) if step < 0 else ULE(middle, address)
                if self.check(state.facts, wanted) == unsat:
                    bound = middle
                else:
                    known = self.model.eval(address, model_completion=True).as_long() if self.model else middle
                    known = min(known, middle) if step < 0 else max(known, middle)
            ends.append(known)
        self._reached[place] = (ends[0], ends[1])
        return ends[0], ends[1]

    def _store_in(self, state: State, region, distance, value: BitVecRef) -> None:
        size = value.size() // 8
        if not region.writable:
            raise Failure(f"write to {region.name} at {self.where(state)}")
        if isinstance(region, Bytes):
            self.must(state, inside(region, distance, size), f"write inside {region.name} at {self.where(state)}")
            if self.on_array_store is not None and region.name not in ("guest", "free", "store", "listing", "errno"):
                self.on_array_store(self, state, state_address(region, distance), value)
        elif 0 <= distance <= region.size - size:
            self._guard(state, region)
            state.set_field(region.name, distance, value)
        else:
            raise Failure(f"write to {region.name} at {distance:#x} at {self.where(state)}")

    def new_block(self, state: State, name: str, base: BitVecRef, count: BitVecRef, owns: bool = False) -> None:
        """Memory that was just got: it lies apart from everything else."""
        name = f"{name}_{base.decl().name()}"
        state.regions[name] = Bytes(name, base, count, True, owns)
        state.notes["bases"] |= {base.decl().name()}
        state.facts += [UGE(base, 0x10000), ULT(base, 1 << 47)]

    def fill(self, state: State, address: BitVecRef, length: BitVecRef) -> None:
        """Lets `length` bytes from an address on hold any values. They must lie inside a region that may be written."""
        if memory.on_stack(address) and is_bv_value(length):
            for index in range(length.as_long()):
                state.stack[address.as_long() + index] = fresh(8, "filled")
            return
        found = self._region(state, address)
        if found is None or not isinstance(found[0], Bytes) or not found[0].writable:
            raise Failure(f"bytes at {address} are filled, called at {self.caller(state)}")
        self.must(state, inside(*found, length), f"bytes of {found[0].name} are filled, called at {self.caller(state)}")

    # Paths

    def prove(self, start: Callable[[], State], finish: Callable[["Machine", State], None]) -> None:
        """Follows every path from a state on. `finish` says what must hold where one ends."""
        while True:
            self._seen.clear()
            self._order.clear()
            self.paths = self.obligations = 0
            self._jumps_grew = False
            self._live.clear()
            state = PathState.of(start())
            state.notes["bases"] = frozenset().union(*(memory.symbols(r.base) for r in state.regions.values()))
            if self.check(state.facts) != sat:
                raise Failure("the facts that the proof starts from contradict each other")
            try:
                for end in self.explore(state):
                    finish(self, end)
                break
            except Failure:
                # With more targets of a jump, more matters before it.
                if not self._jumps_grew:
                    raise
        if not self.paths:
            raise Failure("the hostcall does not return")

    def explore(self, state: State, body=None):
        """The states in which the paths from here return, one after the other."""
        work = [state]
        while work:
            current = work.pop()
            while current is not None:
                if current.at == RETURN:
                    self.paths += 1
                    yield current
                    break
                self._enter(current.at)
                function = self._function(current)
                try:
                    if function is not None and not self._arrive(current, function, len(work)):
                        break
                except Restart as restart:
                    current = self._back(restart.visit, work)
                self.steps += 1
                following = self._follow(current)
                work += following[1:]
                current = following[0] if following else None

    def _back(self, visit: Visit, work: list[State]) -> State:
        """Forgets all paths since a loop was entered, and enters it again."""
        self.restarts += 1
        if self.restarts > MOST_RESTARTS:
            raise Failure("what the loops change was not found")
        del work[visit.left :]
        for cells in self._order[visit.seen :]:
            self._seen[cells].pop()
        del self._order[visit.seen :]
        state = visit.entry.copy()
        for kind, terms in visit.kept.items():
            state.notes[kind] = (*state.notes.get(kind, ()), *terms)
        self._cut(state, visit.place, visit.matters, len(work))
        return state

    def _function(self, state: State):
        function = state.notes.get("function")
        if function is not None and function.address <= state.at < function.address + function.size:
            return function
        function = self._function_around(state.at)
        state.notes["function"] = function
        return function

    def _function_around(self, address: int):
        """The function that an instruction belongs to, of those that a path has entered."""
        return next((f for f in self._functions.values() if f.address <= address < f.address + f.size), None)

    def _liveness(self, state: State, function) -> Liveness:
        """What matters in a function; of its results, those that matter where it returns to."""
        back = state.notes.get(("return", function.address), RETURN)
        if state.at == function.address:
            back = simplify(state.on_stack(simplify(state["rsp"]).as_long(), 8)).as_long()
            state.notes["return", function.address] = back
        key = (function.address, back)
        if key not in self._live:
            caller = self._function_around(back)
            results = RESULTS
            if caller is not None:
                above = (caller.address, state.notes.get(("return", caller.address), RETURN))
                results = self._live[above].at(back) if above in self._live else RESULTS
            jumps = self.jumps.get(function.address, {})
            self._live[key] = Liveness(self.program.code, function, jumps, results & RESULTS, self._arguments)
        return self._live[key]

    def _arguments(self, target: int) -> set[int]:
        """What a function reads; `target` is its address, or where the address of an import is stored."""
        data = self.program.binary.constant(target, 8)
        stored = int.from_bytes(data, "little") if data is not None else 0
        if (name := self.program.binary.imports.get(stored) or self.program.binary.imports.get(target)) is not None:
            return cells_of(ORDER[: TAKEN.get(name, 6)]) if name in TAKEN else ARGUMENTS
        if (path := self.program.names.path_of(target)) in TAKEN:
            return cells_of(ORDER[: TAKEN[path]])
        if target not in self._taken:
            self._taken[target] = ARGUMENTS
            function = self.program.names.function_at(target)
            if function is not None and not (path or "").startswith(ENDS):
                live = Liveness(self.program.code, function, {}, RESULTS, lambda target: ARGUMENTS)
                self._taken[target] = live.at(target) & ARGUMENTS
            elif function is not None:
                self._taken[target] = set()
        return self._taken[target]

    def _arrive(self, state: State, function, left: int) -> bool:
        """Whether a path goes on from a place where paths meet."""
        live = self._liveness(state, function)
        head = state.at in self._heads
        if not head and live.sources.get(state.at, 0) < 2:
            return True
        matters = live.at(state.at)
        pointer = simplify(state["rsp"]).as_long()
        for cell in list(state.registers):
            if cell not in matters:
                del state.registers[cell]
                state.registers[cell] = fresh(8 if cell in FLAGS else 64, "dead")
        # A function that calls none may use 128 bytes below its stack pointer.
        lowest = pointer - (RED_ZONE if live.is_leaf else 0)
        for address in list(state.stack):
            if address < lowest:
                del state.stack[address]
        state.cuts = {
            place: visit for place, visit in state.cuts.items() if self._within(state, function, pointer, place)
        }
        place = (state.at, pointer)
        if place in state.cuts:
            self._again(state, state.cuts[place], self.known[place], matters)
            return False
        if self.only_calls and self._is_over(state, function):
            self.paths += 1
            return False
        self._forget_facts(state, matters)
        cells, facts = self._key(state, pointer, matters)
        # A path that was here under fewer conditions stands for this one.
        if any(fewer <= facts for fewer in self._seen.get(cells, ())):
            return False
        self._seen.setdefault(cells, []).append(facts)
        self._order.append(cells)
        if head:
            self._cut(state, place, matters, left)
        return True

    def _is_over(self, state: State, function) -> bool:
        """Whether no system call can follow any more: the hostcall only frees memory, ends the process or returns."""
        if state.notes.get(("return", function.address)) != RETURN:
            return False
        jumps = self.jumps.get(function.address, {})
        key = (state.at, sum(len(targets) for targets in jumps.values()))
        if key not in self._over:
            self._over[key] = self._only_frees(function, state.at, jumps)
        return self._over[key]

    def _only_frees(self, function, start: int, jumps: dict[int, set[int]]) -> bool:
        inside, seen, work = range(function.address, function.address + function.size), set(), [start]
        while work:
            at = work.pop()
            if at in seen:
                continue
            seen.add(at)
            instruction = self.program.code.at(at)
            names = [operation.name for operation in instruction.operations]
            data = self.program.binary.constant(at, instruction.length)
            if data in TRAPS:
                continue
            if data == SYSCALL or "BRANCHIND" in names and at not in jumps:
                return False
            if "CALL" in names or "CALLIND" in names:
                path = self._called(instruction)
                if path is not None and path in self.deallocators():
                    path = FREES[1]
                if path is None or path not in FREES and not path.startswith(ENDS):
                    return False
                if path.startswith(ENDS):
                    continue
            if "RETURN" in names:
                continue
            following = loops.successors(self.program.code, at) + list(jumps.get(at, ()))
            if any(target not in inside for target in following):
                return False
            work += following
        return True

    def deallocators(self) -> set[str]:
        """The paths of `__rust_dealloc`."""
        functions = [f for f in self.program.binary.functions if f.symbol.endswith("__rust_dealloc")]
        return {self.program.names.path_of(function.address) for function in functions}

    def _called(self, instruction: Instruction) -> str | None:
        """The function that an instruction calls, if that is known."""
        for operation in instruction.operations:
            if operation.name == "CALL":
                return self.program.names.path_of(operation.inputs[0].offset)
            if operation.name == "COPY" and operation.inputs[0].space == "ram":
                data = self.program.binary.constant(operation.inputs[0].offset, 8)
                return self.program.binary.imports.get(int.from_bytes(data, "little")) if data else None
            if operation.name == "LOAD" and operation.inputs[1].space == "const":
                data = self.program.binary.constant(operation.inputs[1].offset, 8)
                return self.program.binary.imports.get(int.from_bytes(data, "little")) if data else None
        return None

    def _within(self, state: State, function, pointer: int, place: tuple) -> bool:
        """Whether a path is still inside a loop that it entered: in its body, or in a function called from there."""
        if place[1] != pointer:
            return place[1] > pointer
        if place[0] not in self._bodies:
            self._bodies[place[0]] = loops.body(self.program.code, function, place[0])
        return state.at in self._bodies[place[0]]

    def _forget_facts(self, state: State, matters: set[int]) -> None:
        # What was read before is only of use up to the next place where paths meet.
        state.notes.pop("read", None)
        state.notes.pop("reads", None)
        known: set[str] = set()
        for cell in matters & set(state.registers):
            known |= self.symbols(state.registers[cell])
        for value in state.stack.values():
            known |= self.symbols(value)
        for content in state.records.values():
            for value in content.values():
                known |= self.symbols(value) - self.uninteresting
        for kind in KEPT:
            for value in state.notes.get(kind, ()):
                known |= self.symbols(value)
        for name, region in list(state.regions.items()):
            base = self.symbols(region.base)
            if all(is_fresh(symbol) for symbol in base) and not base <= known:
                # Nothing leads there any more.
                del state.regions[name]
        for name, visit in state.cuts.items():
            known |= self.symbols(visit.count)
        # A fact is forgotten if all that it speaks of is nowhere any more.
        state.facts = [
            fact
            for fact in state.facts
            if any(name in known or not self._may_forget(name) for name in self.symbols(fact))
        ]

    def _may_forget(self, name: str) -> bool:
        """Whether facts about a value are of no interest once it is nowhere any more: no specification speaks of it."""
        return is_fresh(name) or name in self.uninteresting

    @staticmethod
    def _is_first(record: str, at: int, value: BitVecRef) -> bool:
        """Whether a byte of a record is as it was at first. Then it makes no difference whether it was read already."""
        return value.num_args() == 0 and not is_bv_value(value) and value.decl().name() == f"{record}+{at:#x}"

    def _shape(self, term) -> tuple[str, tuple[str, ...]]:
        """A term as text with its fresh symbols left out, and these symbols in their order."""
        key = term.get_id()
        if key not in self._shapes:
            text = term.sexpr()
            self._shapes[key] = (term, FRESH.sub("?", text), tuple(FRESH.findall(text)))
        return self._shapes[key][1:]

    def _key(self, state: State, pointer: int, matters: set[int]) -> tuple[tuple, frozenset]:
        """A state, and the facts about it, up to the names of fresh symbols: these stand for any value."""
        numbers: dict[str, int] = {}

        def named(term) -> tuple:
            shape, names = self._shape(term)
            return shape, tuple(numbers.setdefault(name, len(numbers)) for name in names)

        cells = (
            state.at,
            pointer,
            tuple((cell, named(state.registers[cell])) for cell in sorted(matters & set(state.registers))),
            tuple((address, named(state.stack[address])) for address in sorted(state.stack)),
            tuple(
                (
                    name,
                    tuple(
                        (at, named(content[at])) for at in sorted(content) if not self._is_first(name, at, content[at])
                    ),
                )
                for name, content in sorted(state.records.items())
            ),
            tuple((kind, tuple(named(term) for term in state.notes.get(kind, ()))) for kind in KEPT),
            tuple((region.name.split("!")[0], named(region.base)) for region in state.regions.values()),
            tuple(sorted(state.notes.get("events", ()))),
            tuple(state.notes.get(name, 0) for name in PLACES),
            frozenset((key, id(visit)) for key, visit in state.cuts.items()),
        )
        return cells, frozenset(named(fact) for fact in state.facts)

    # Loops

    def _cut(self, state: State, place: tuple, matters: set[int], left: int) -> None:
        """Makes the state at the head of a loop one that stands for all iterations."""
        known = self.known.setdefault(place, Known())
        entry, count = state.copy(), fresh(64, "iteration")
        for cell in known.changed:
            if cell[0] == "register" and cell[1] not in matters:
                continue
            value = _read(state, cell)
            if cell in known.steps:
                grown = value + known.steps[cell] * Extract(value.size() - 1, 0, count)
                _write(state, cell, simplify(grown))
            else:
                _write(state, cell, fresh(value.size(), "loop"))
        offered = self._offered(entry, state, known, matters)
        facts = {}
        for name, about in offered.items():
            if name in known.refuted:
                continue
            if self.holds(entry, about(entry, BitVecVal(0, 64))):
                facts[name] = about
        state.facts += [about(state, count) for about in facts.values()]
        visit = Visit(place, entry, matters, left, len(self._order), state.copy(), count, facts)
        state.cuts[place] = visit

    def _offered(self, entry: State, head: State, known: Known, matters: set[int]) -> dict:
        """What may hold at a head, by name: a length has not grown, the number of iterations is below a bound."""
        offered = {}
        cells = [cell for cell in known.changed if cell[0] == "stack" or cell[0] == "register" and cell[1] in matters]
        for cell in cells:
            if cell[:2] == ("stack", entry.notes.get("shrinks")) and cell[2] == 8:
                start = _read(entry, cell)
                offered["shrinks", cell] = lambda state, _, cell=cell, start=start: ULE(
                    Extract(63, 32, _read(state, cell)), Extract(63, 32, start)
                )
        for grows in [cell for cell in cells if cell in known.steps and cell[0] == "register"]:
            start, step = _read(entry, grows), known.steps[grows]
            for at in matters:
                if at not in FLAGS and at < 0x200 and ("register", at) not in known.changed and step > 0:
                    end = entry.read_cell(at)
                    offered["until", grows, at] = lambda _, count, end=end, start=start, step=step: And(
                        ULT(count, 1 << 40), ULT(step * count, end - start)
                    )
        if known.steps:
            for cell in [("register", at) for at in matters if at not in FLAGS and at < 0x200]:
                if cell not in known.changed and cell[1] in entry.registers:
                    bound = _read(entry, cell)
                    if bound.size() == 64 and not memory.on_stack(bound):
                        offered["below", cell] = lambda _, count, bound=bound: ULT(count, bound)
        return offered

    def _again(self, state: State, visit: Visit, known: Known, matters: set[int]) -> None:
        """At the end of an iteration: whether the head's state covers this one."""
        head, news = visit.head, False
        for kind in KEPT:
            before, now = ([term.get_id() for term in other.notes.get(kind, ())] for other in (head, state))
            if kind == "bound" and not set(before) <= set(now):
                raise Failure(f"an iteration forgets a bound at {self.where(state)}")
            if kind != "bound" and not set(now) <= set(before):
                visit.kept[kind] = tuple(term for term in state.notes[kind] if term.get_id() not in before)
                news = True
        if not self.only_calls and head.notes.get("events", ()) != state.notes.get("events", ()):
            raise Failure(f"a system call in a loop at {self.where(state)}")
        for cell in _differences(head, state, matters):
            if cell in known.changed:
                if cell in known.steps:
                    grown = simplify(_read(state, cell) - _read(head, cell))
                    if not (is_bv_value(grown) and grown.as_signed_long() == known.steps[cell]):
                        del known.steps[cell]
                        news = True
                continue
            if self._covered(cell, known) or self.holds(state, _read(state, cell) == _read(head, cell)):
                continue
            known.changed = {other for other in known.changed if not _overlap(other, cell)} | {cell}
            known.steps = {other: step for other, step in known.steps.items() if other in known.changed}
            grown = simplify(_read(state, cell) - _read(head, cell))
            if cell[0] == "register" and cell[1] not in FLAGS and is_bv_value(grown):
                known.steps[cell] = grown.as_signed_long()
            news = True
        for cell in list(known.steps):
            if cell[0] == "register" and cell[1] not in matters:
                continue
            if _read(state, cell).eq(_read(head, cell)):
                del known.steps[cell]
                news = True
        if not news:
            for name, about in visit.facts.items():
                if not self.holds(state, about(state, visit.count + 1)):
                    known.refuted.add(name)
                    news = True
        if news:
            raise Restart(visit)

    def _covered(self, cell: tuple, known: Known) -> bool:
        if cell[0] == "register":
            return False
        left = set(range(cell[-2], cell[-2] + cell[-1]))
        for other in known.changed:
            if _overlap(cell, other):
                left -= set(range(other[-2], other[-2] + other[-1]))
        return not left

    # Instructions

    def _follow(self, state: State) -> list[State]:
        path = self.program.names.path_of(state.at)
        if path is not None:
            if path in self.hooks:
                return self.hooks[path](self, state) or [state]
            if path.startswith(ENDS):
                return []
            if state.at in self.program.binary.imports:
                raise Failure(f"calls {path}, called at {self.caller(state)}")
        try:
            return self._step(state, self.program.code.at(state.at))
        except NotModeled as unknown:
            raise Failure(f"{unknown} at {self.where(state)}") from None

    def caller(self, state: State) -> str:
        """Where the function was called that a path has just entered."""
        pointer = simplify(state["rsp"]).as_long()
        other = state.copy()
        other.at = simplify(state.on_stack(pointer, 8)).as_long()
        return self.where(other)

    def _step(self, state: State, instruction: Instruction) -> list[State]:
        data = self.program.binary.constant(instruction.address, instruction.length)
        if data == SYSCALL:
            return self._system_call(state, instruction)
        if data in TRAPS:
            return []
        if self._is_bit_scan(data):
            return [self._bit_scan(state, instruction)]
        if data not in HINTS and any(op.name == "CALLOTHER" and op.output is None for op in instruction.operations):
            if not self._is_exchange(data):
                raise Failure(f"instruction {data.hex()} at {self.where(state)}")
        return super()._step(state, instruction)

    @staticmethod
    def _is_exchange(data: bytes) -> bool:
        """XCHG with memory, and instructions with the LOCK prefix: for them, p-code says that the bus is locked."""
        rest = data[1:] if 0x40 <= data[0] < 0x50 else data
        return data[0] == 0xF0 or rest[0] in (0x86, 0x87)

    def _system_call(self, state: State, instruction: Instruction) -> list[State]:
        """The instruction SYSCALL. The number has to be known; its hook says what must hold, and gives the result."""
        number = simplify(state["rax"])
        name = SYSTEM_CALLS.get(number.as_long()) if is_bv_value(number) else None
        if name is None or "syscall " + name not in self.hooks:
            raise Failure(f"system call {name or number} at {self.where(state)}")
        result = self.hooks["syscall " + name](self, state)
        for register in ("rcx", "r11"):
            state[register] = fresh(64, register)
        state["rax"] = result
        state.at = instruction.next
        return [state]

    @staticmethod
    def _is_bit_scan(data: bytes) -> bool:
        rest = data[1:] if 0x40 <= data[0] < 0x50 else data
        return rest[0] == 0x0F and rest[1] in (0xBC, 0xBD)

    def _bit_scan(self, state: State, instruction: Instruction) -> State:
        """BSF and BSR, which p-code describes by a loop: some number below 64, any number if the source is zero."""
        wide = 64
        data = self.program.binary.constant(instruction.address, instruction.length)
        prefix = data[0] if 0x40 <= data[0] < 0x50 else 0
        modrm = data[-1 if prefix == 0 and len(data) == 3 or prefix and len(data) == 4 else 2]
        if modrm >> 6 != 3:
            raise NotModeled("bit scan of memory")
        names = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"] + [f"R{n}" for n in range(8, 16)]
        target = names[(modrm >> 3 & 7) | (8 if prefix & 4 else 0)]
        source = state[names[(modrm & 7) | (8 if prefix & 1 else 0)]]
        if not prefix & 8:
            source, wide = Extract(31, 0, source), 32
        result = fresh(64, "bit")
        if self.holds(state, source != 0):
            state.facts.append(ULT(result, wide))
        state[target] = result
        for name in ("CF", "PF", "AF", "SF", "OF"):
            state[name] = fresh(8, name.lower())
        state["ZF"] = If(source == 0, BitVecVal(1, 8), BitVecVal(0, 8))
        state.at = instruction.next
        return state

    def _compute(self, state: State, operation) -> None:
        if operation.name == "CALLOTHER":
            if operation.output is not None:
                self.put(state, operation.output, fresh(8 * operation.output.size, "other"))
            return
        if operation.name == "POPCOUNT":
            # The parity flag, which integer code does not ask for.
            self.put(state, operation.output, fresh(8 * operation.output.size, "parity"))
            return
        if operation.name.startswith("FLOAT_") or operation.name in ("INT2FLOAT", "TRUNC"):
            self.put(state, operation.output, fresh(8 * operation.output.size, "float"))
            return
        super()._compute(state, operation)

    def put(self, state: State, node, value: BitVecRef) -> None:
        """Changes an operand, which may be one of the program's variables."""
        if node.space == "ram":
            self.store(state, BitVecVal(node.offset, 64), value)
        else:
            super().put(state, node, value)

    def _jump(self, state: State, target: BitVecRef) -> list[State]:
        target = simplify(target)
        if (name := self.pointers.get(target.get_id())) is not None:
            return self.hooks[name](self, state) or [state]
        at, function = state.at, self._function(state)
        if is_bv_value(target):
            states = [state]
            state.at = target.as_long()
        else:
            states = super()._jump(state, target)
        for following in states:
            inside = function is not None and function.address <= following.at < function.address + function.size
            if inside and following.at != RETURN:
                known = self.jumps.setdefault(function.address, {}).setdefault(at, set())
                if following.at not in known and self.program.code.at(at).operations[-1].name == "BRANCHIND":
                    known.add(following.at)
                    self._jumps_grew = True
        return states


def state_address(region: Bytes, distance: BitVecRef) -> BitVecRef:
    """The address at a distance from the start of a region."""
    return simplify(region.base + distance)


def inside(region: Bytes, distance: BitVecRef, size: int | BitVecRef) -> BoolRef:
    """Whether `size` bytes at a distance lie in a region."""
    size = BitVecVal(size, 64) if isinstance(size, int) else size
    return And(ULE(distance, region.count), ULE(size, region.count - distance))


def _read(state: State, cell: tuple) -> BitVecRef:
    match cell:
        case ("register", offset):
            return state.read_cell(offset)
        case ("stack", address, size):
            return state.on_stack(address, size)
        case ("record", name, offset, size):
            return state.field(name, offset, size)
    raise ValueError(cell)


def _write(state: State, cell: tuple, value: BitVecRef) -> None:
    match cell:
        case ("register", offset):
            state.registers[offset] = value
        case ("stack", address, size):
            for index in range(size):
                state.stack[address + index] = byte_of(value, index)
        case ("record", name, offset, _):
            state.set_field(name, offset, value)


def _overlap(one: tuple, other: tuple) -> bool:
    if one[0] != other[0] or one[0] == "register" or one[:-2] != other[:-2]:
        return False
    return one[-2] < other[-2] + other[-1] and other[-2] < one[-2] + one[-1]


def _differences(before: State, after: State, matters: set[int]) -> list[tuple]:
    """The cells that differ between two states and matter."""
    cells: list[tuple] = [
        ("register", at) for at in matters & set(after.registers) if not after.registers[at].eq(before.read_cell(at))
    ]
    stack = {at for at in set(after.stack) | set(before.stack) if not after.stack_byte(at).eq(before.stack_byte(at))}
    cells += [("stack", start, size) for start, size in _grouped(stack)]
    for name, content in after.records.items():
        if name not in before.records:
            continue
        offsets = {at for at in content if not content[at].eq(before.record_byte(name, at))}
        cells += [("record", name, start, size) for start, size in _grouped(offsets)]
    return cells
