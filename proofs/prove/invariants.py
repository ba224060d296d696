"""Loops, replaced by invariants.

A proof says what is true at the head of a loop in terms of the number of iterations, `j`, of the content of tables,
and of *ghosts*: values that its own specification computes, one step per iteration. Which register or stack slot holds
what is found by search:

1. What an iteration changes is found by running it on unknown values. Nothing depends on this being complete: in the
proof,
   each place that is not known to change must be the same after the iteration.
2. A place that grows by a constant in each iteration is `start + step * iterations`.
3. A place that equals one of the expressions that the proof offers, at first and again after each iteration, is that.
4. Facts that the proof offers as `maybe` are kept if they hold at first and again after each iteration.
5. Any other place that changes is unknown.

All of this is then proved as a part of the invariant, along with what the proof requires.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from z3 import (
    And,
    BitVecRef,
    BitVecVal,
    BoolRef,
    BoolVal,
    Extract,
    FreshConst,
    Not,
    ZeroExt,
    is_bv_value,
    is_true,
    sat,
    simplify,
    unsat,
)

from proofs.prove import loops
from proofs.prove.code import FLAGS
from proofs.prove.elf import Function
from proofs.prove.failure import Failure
from proofs.prove.memory import find, symbols
from proofs.prove.state import State, Table, fresh

Ghosts = dict[str, BitVecRef]
# Rounds until the set of what an iteration changes stays the same.
MOST_ROUNDS = 24
# Iterations of the source in one of the machine code, and in front of the loop.
UNROLLED = ((1, 0), (2, 0), (2, 1), (4, 0))


@dataclass(frozen=True)
class Loop:
    """What a proof says about one loop."""

    # What must hold at the head.
    invariant: Callable[[State, Ghosts], BoolRef] = lambda state, ghosts: BoolVal(True)
    # What must hold for every index, and the name of an index of which nothing else is said. It is proved for that
    # one, so for all, and known for those of the iteration: `j` and, if iterations are unrolled, the ones after it.
    everywhere: Callable[[State, Ghosts, BitVecRef], BoolRef] | None = None
    index: BitVecRef | None = None
    # The ghosts before the first iteration, and their values one iteration later. `j` is always there.
    ghosts: Ghosts = field(default_factory=dict)
    step: Callable[[Ghosts], Ghosts] = lambda ghosts: {}
    # What is true of the ghosts alone. It is proved by induction on their steps, apart from the function.
    lemmas: Callable[[Ghosts], list[BoolRef]] = lambda ghosts: []
    # What registers and stack slots may hold, each 8, 16, 32 or 64 bits wide.
    expressions: Callable[[Ghosts], list[BitVecRef]] = lambda ghosts: []
    # What may hold at the head, and is of use if it does.
    maybe: Callable[[State, Ghosts], list[BoolRef]] = lambda state, ghosts: []

    # The compiler may have put several iterations into one, and some in front of the loop: then `j` starts there, and
    # grows by more than one.
    together: int = 1
    in_front: int = 0

    def first(self) -> Ghosts:
        """The ghosts before the first iteration. `times` counts how often the head is reached."""
        ghosts = {"j": BitVecVal(0, 64), **self.ghosts, "times": BitVecVal(0, 64)}
        return self._later(ghosts, self.in_front)

    def some(self) -> Ghosts:
        """The ghosts before any iteration."""
        ghosts = {name: fresh(value.size(), name) for name, value in self.first().items()}
        return {**ghosts, "j": self.in_front + self.together * ghosts["times"]}

    def after(self, ghosts: Ghosts) -> Ghosts:
        """The ghosts when the head is reached again."""
        return {**self._later(ghosts, self.together), "times": ghosts["times"] + 1}

    def _later(self, ghosts: Ghosts, iterations: int) -> Ghosts:
        for _ in range(iterations):
            ghosts = {**ghosts, "j": ghosts["j"] + 1, **self.step(ghosts)}
        return ghosts

    def holds(self, state: State, ghosts: Ghosts) -> BoolRef:
        """What is proved at the head."""
        if self.everywhere is None:
            return self.invariant(state, ghosts)
        return And(self.invariant(state, ghosts), self.everywhere(state, ghosts, self.index))

    def known(self, state: State, ghosts: Ghosts) -> list[BoolRef]:
        """What is known at the head, if it was proved there."""
        known = [self.holds(state, ghosts)]
        if self.everywhere is not None:
            known += [self.everywhere(state, ghosts, ghosts["j"] + index) for index in range(self.together)]
        return known

    def unrolled(self) -> list["Loop"]:
        """This loop as it is written, and as compilers unroll it."""
        return [replace(self, together=together, in_front=in_front) for together, in_front in UNROLLED]


@dataclass(frozen=True)
class Body:
    """The instructions of one loop."""

    head: int
    function: Function
    addresses: frozenset[int]

    def left(self, address: int) -> bool:
        """Whether an address lies in the same function, but not in the loop."""
        within = self.function.address <= address < self.function.address + self.function.size
        return within and address not in self.addresses


# A place that a loop can change: ("register", offset), ("stack", address, size), ("record", name, offset, size) or
# ("table", name).
Cell = tuple


def read(state: State, cell: Cell):
    """The content of a cell."""
    match cell:
        case ("register", offset):
            return state.read_cell(offset)
        case ("stack", address, size):
            return state.on_stack(address, size)
        case ("record", name, offset, size):
            return state.field(name, offset, size)
        case ("table", name):
            return state.tables[name]
    raise ValueError(cell)


def write(state: State, cell: Cell, value) -> None:
    """Changes the content of a cell."""
    match cell:
        case ("register", offset):
            state.registers[offset] = value
        case ("stack", address, size):
            for index in range(size):
                state.stack[address + index] = simplify(Extract(8 * index + 7, 8 * index, value))
        case ("record", name, offset, _):
            state.set_field(name, offset, value)
        case ("table", name):
            state.tables[name] = value


def unknown(state: State, cell: Cell):
    """A value for a cell of which nothing is known."""
    return FreshConst(read(state, cell).sort(), "_".join(str(part) for part in cell))


def _grouped(offsets: set[int]) -> list[tuple[int, int]]:
    """Offsets of bytes as aligned words and halves of words where all of them are there, and as single bytes
    elsewhere."""
    groups, left = [], set(offsets)
    for size in (8, 4, 2, 1):
        for start in sorted(left):
            whole = set(range(start, start + size))
            if start % size == 0 and whole <= left:
                groups.append((start, size))
                left -= whole
    return groups


def changed_cells(before: State, after: list[State]) -> set[Cell]:
    """What differs between a state and any of some later ones."""
    registers, stack, tables = set(), set(), set()
    records: dict[str, set[int]] = {name: set() for name in before.records}
    for state in after:
        registers |= {at for at in state.registers if not state.registers[at].eq(before.read_cell(at))}
        stack |= {at for at in state.stack if not state.stack[at].eq(before.stack_byte(at))}
        tables |= {name for name in before.tables if not state.tables[name].eq(before.tables[name])}
        for name, content in state.records.items():
            if name in records:
                records[name] |= {at for at in content if not content[at].eq(before.record_byte(name, at))}
    cells: set[Cell] = {("register", at) for at in registers} | {("table", name) for name in tables}
    cells |= {("stack", start, size) for start, size in _grouped(stack)}
    for name, offsets in records.items():
        cells |= {("record", name, start, size) for start, size in _grouped(offsets)}
    return cells


@dataclass
class Shape:
    """What an iteration changes, and how. A form computes the content of a cell from the ghosts."""

    entry: State
    forms: dict[Cell, Callable[[Ghosts], BitVecRef] | None] = field(default_factory=dict)
    # The forms that were tried for a cell, and do not fit.
    failed: dict[Cell, int] = field(default_factory=dict)
    facts: list[Callable[[State, Ghosts], BoolRef]] = field(default_factory=list)

    def state(self, ghosts: Ghosts) -> State:
        """The state at the head of any iteration."""
        state = self.entry.copy()
        for cell, form in self.forms.items():
            write(state, cell, simplify(form(ghosts)) if form else unknown(state, cell))
        return state

    def cover(self, cells: set[Cell]) -> bool:
        """Adds cells. Smaller cells that overlap give way. Returns whether there was anything to add."""
        new = {cell for cell in cells if cell not in self.forms}
        for cell in new:
            for other in [other for other in self.forms if _overlap(cell, other)]:
                del self.forms[other]
            self.forms[cell] = None
        return bool(new)


def _overlap(one: Cell, other: Cell) -> bool:
    if one[0] != other[0] or one[0] not in ("stack", "record") or one[:-2] != other[:-2]:
        return False
    return one[-2] < other[-2] + other[-1] and other[-2] < one[-2] + one[-1]


def _step(before: BitVecRef, after: list[BitVecRef]) -> int | None:
    """By how much a value grows in each iteration, in all its bits or else in its lower 32; None if that is no
    constant."""
    for bits in (before.size(), 32):
        distances = [simplify(Extract(bits - 1, 0, value) - Extract(bits - 1, 0, before)) for value in after]
        if all(is_bv_value(distance) for distance in distances):
            found = {distance.as_signed_long() for distance in distances}
            if len(found) == 1:
                return found.pop()
    return None


def _growing(start: BitVecRef, step: int, narrow: bool) -> Callable[[Ghosts], BitVecRef]:
    """A place that grows by `step`: in all its bits, or in its lower 32, with zeros above them."""
    if not narrow:
        return lambda ghosts: start + step * Extract(start.size() - 1, 0, ghosts["times"])
    return lambda ghosts: ZeroExt(32, Extract(31, 0, start) + step * Extract(31, 0, ghosts["times"]))


class Cut:
    """A loop on one path, replaced by an invariant."""

    def __init__(self, prover, entry: State, function: Function, loop: Loop):
        self.loop, self.entry = loop, entry
        addresses = loops.body(prover.program.code, function, entry.at)
        self.body = Body(entry.at, function, frozenset(addresses))
        self.shape = Shape(entry)
        self.ghosts = loop.some()
        self.place = prover.where(entry)
        # By how much each cell that grows does.
        self.steps: dict[Cell, int | None] = {}

    @staticmethod
    def explore(prover, entry: State, function: Function) -> list[State]:
        """The states in which the paths from the head of a loop on return, by the first invariant that fits."""
        failures = []
        for loop in [unrolled for loop in prover.loops or [Loop()] for unrolled in loop.unrolled()]:
            cut = Cut(prover, entry, function, loop)
            try:
                return cut.prove(prover)
            except Failure as failure:
                failures.append(str(failure))
        raise Failure(f"no invariant fits the loop at {cut.place}: " + "; ".join(dict.fromkeys(failures)))

    def prove(self, prover) -> list[State]:
        """Proves that the invariant holds at first, and follows the paths of any iteration from the head on."""
        self._nothing_is_said_of_index()
        self._find_shape(prover)
        if not self._fits_the_pointers():
            raise Failure(f"pointers do not move by {self.loop.together} elements")
        first = self.loop.first()
        prover.must(self.entry, self.loop.holds(self.entry, first), f"invariant at first at {self.place}")
        state = self._head()
        self._prove_lemmas(prover, state)
        for cell, form in self.shape.forms.items():
            if form:
                prover.must(self.entry, read(self.entry, cell) == form(first), f"{cell} at first at {self.place}")
        self.head = state.copy()
        state.cuts[self.body.head] = self
        return prover.explore(state)

    def _fits_the_pointers(self) -> bool:
        """Whether the pointers into tables move as this unrolling of the loop says. Saves the attempt to prove a wrong
        one.

        Only of a loop that says something of every element of a table, so that an iteration is one element.
        """
        if self.loop.everywhere is None:
            return True
        for cell, step in self.steps.items():
            start = simplify(read(self.entry, cell))
            place = find(self.entry, start, 1) if start.size() == 64 and self.shape.forms.get(cell) else None
            if place is not None and isinstance(place.region, Table):
                if step != self.loop.together * place.region.stride:
                    return False
                if is_bv_value(place.index) and place.index.as_long() != self.loop.in_front:
                    return False
        return True

    def _nothing_is_said_of_index(self) -> None:
        """What is proved for one index is proved for all only if nothing was assumed about that one."""
        if self.loop.everywhere is None:
            return
        name = self.loop.index.decl().name()
        if any(name in symbols(fact) for fact in self.entry.facts):
            raise ValueError(f"something is assumed about {name}")

    def _prove_lemmas(self, prover, state: State) -> None:
        """Proves the lemmas about the ghosts: at first, and one step later if they hold at the head."""
        first, after = self.loop.first(), self.loop.after(self.ghosts)
        for ghosts, at, when in ((first, self.entry, "at first"), (after, state, "again")):
            for number, claim in enumerate(self.loop.lemmas(ghosts), 1):
                prover.must(at, claim, f"lemma {number} on the ghosts {when} at {self.place}")

    def _head(self) -> State:
        """The state at the head of any iteration, with the invariant as a fact."""
        state = self.shape.state(self.ghosts)
        state.facts += [*self.loop.lemmas(self.ghosts), *self.loop.known(state, self.ghosts)]
        state.facts += [fact(state, self.ghosts) for fact in self.shape.facts]
        return state

    def again(self, prover, state: State) -> None:
        """Proves that the invariant holds at the end of an iteration, if it held at the head."""
        if state.regions.keys() != self.head.regions.keys() or state.notes.keys() != self.head.notes.keys():
            raise Failure(f"the loop at {self.place} makes memory accessible, or calls what is only seen once")
        after = self.loop.after(self.ghosts)
        prover.must(state, self.loop.holds(state, after), f"invariant again at {self.place}")
        for fact in self.shape.facts:
            prover.must(state, fact(state, after), f"what was found to hold, again at {self.place}")
        for cell, form in self.shape.forms.items():
            if form:
                prover.must(state, read(state, cell) == form(after), f"{cell} again at {self.place}")
        for cell in changed_cells(self.head, [state]):
            if cell not in self.shape.forms and not self._covered(cell):
                same = read(state, cell) == read(self.head, cell)
                prover.must(state, same, f"{cell} does not change at {self.place}")

    def _covered(self, cell: Cell) -> bool:
        """Whether cells that may change cover a cell. One that they cover in part is compared as a whole."""
        if cell[0] not in ("stack", "record"):
            return False
        left = set(range(cell[-2], cell[-2] + cell[-1]))
        for other in self.shape.forms:
            if _overlap(cell, other):
                left -= set(range(other[-2], other[-2] + other[-1]))
        return not left

    # The search

    def _find_shape(self, prover) -> None:
        # A search inside a search leaves the rest to the outer one.
        before, prover.exploring = prover.exploring, True
        try:
            self._find_changes(prover)
            self._find_equalities(prover)
        finally:
            prover.exploring = before

    def _iterations(self, prover, state: State) -> list[State]:
        state.cuts[self.body.head] = self
        return prover.explore(state, self.body)

    def _find_changes(self, prover) -> None:
        for _ in range(MOST_ROUNDS):
            state = self._head()
            ends = self._iterations(prover, state.copy())
            new = {
                cell for cell in changed_cells(state, ends) if cell not in self.shape.forms and not self._covered(cell)
            }
            added = self.shape.cover(new)
            for cell in new:
                self._guess(state, ends, cell)
            demoted = [
                cell
                for cell, form in self.shape.forms.items()
                if form and cell not in new and not self._fits(prover, ends, cell)
            ]
            for cell in demoted:
                self._guess(state, ends, cell)
            if not added and not demoted:
                return
        raise RuntimeError(f"the changes of the loop at {self.place} were not found")

    def _fits(self, prover, ends: list[State], cell: Cell) -> bool:
        form = self.shape.forms[cell]
        after = self.loop.after(self.ghosts)
        return all(prover.holds(end, read(end, cell) == form(after)) for end in ends)

    def _guess(self, state: State, ends: list[State], cell: Cell) -> None:
        """The next form of a cell that grows: in all its bits, in its lower 32, none."""
        tried = self.shape.failed.get(cell, 0)
        self.shape.failed[cell] = tried + 1
        self.shape.forms[cell] = None
        start = read(self.entry, cell)
        if cell[0] == "table" or cell[0] == "register" and cell[1] in FLAGS or start.size() not in (32, 64):
            return
        if tried == 0:
            self.steps[cell] = _step(read(state, cell), [read(end, cell) for end in ends])
        if self.steps.get(cell) is not None and (tried == 0 or tried == 1 and start.size() == 64):
            self.shape.forms[cell] = _growing(start, self.steps[cell], narrow=tried == 1)

    def _find_equalities(self, prover) -> None:
        """Keeps what holds at first, and takes away what an iteration breaks until nothing is taken away any more."""
        first, after = self.loop.first(), self.loop.after(self.ghosts)
        count = len(self.loop.maybe(self.entry, first))
        offered = [lambda state, ghosts, at=at: self.loop.maybe(state, ghosts)[at] for at in range(count)]
        facts = [fact for fact in offered if prover.holds(self.entry, fact(self.entry, first))]
        equal = self._candidates(prover, first)
        while True:
            self.shape.facts = list(facts)
            forms = {cell: options[0] for cell, options in equal.items() if options}
            self.shape.forms |= {cell: forms.get(cell) for cell in equal}
            ends = self._iterations(prover, self._head())
            kept = facts
            for end in ends:
                kept = self._true(prover, end, kept, after)
            broken = [cell for cell in forms if not self._fits(prover, ends, cell)]
            for cell in broken:
                equal[cell].pop(0)
            if len(kept) == len(facts) and not broken:
                return
            facts = kept

    def _true(self, prover, end: State, facts: list, after: Ghosts) -> list:
        """The facts that hold at the end of an iteration: one example can show of many that they do not."""
        while facts:
            claims = [fact(end, after) for fact in facts]
            result = prover.check(end.facts, Not(And(*claims)))
            if result == unsat:
                return facts
            if result != sat:
                return [fact for fact, claim in zip(facts, claims) if prover.holds(end, claim)]
            model = prover.model
            facts = [fact for fact, claim in zip(facts, claims) if is_true(model.eval(claim, model_completion=True))]
        return []

    def _candidates(self, prover, first: Ghosts) -> dict[Cell, list]:
        """For each unknown cell the expressions that it equals at first."""
        offered = self.loop.expressions(first)
        found: dict[Cell, list] = {}
        for cell in [cell for cell, form in self.shape.forms.items() if form is None]:
            start = read(self.entry, cell)
            if cell[0] == "table" or cell[0] == "register" and cell[1] in FLAGS:
                continue
            found[cell] = []
            for at, expression in enumerate(offered):
                if expression.size() > start.size():
                    continue
                wide = (
                    ZeroExt(start.size() - expression.size(), expression)
                    if expression.size() < start.size()
                    else expression
                )
                if prover.holds(self.entry, start == wide):
                    found[cell].append(lambda ghosts, at=at, size=start.size(): self._expression(ghosts, at, size))
        return found

    def _expression(self, ghosts: Ghosts, at: int, size: int) -> BitVecRef:
        value = self.loop.expressions(ghosts)[at]
        return ZeroExt(size - value.size(), value) if value.size() < size else value
