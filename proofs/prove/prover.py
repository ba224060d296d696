"""All paths of a function, and what has to hold on them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from z3 import (
    BitVecRef,
    BitVecVal,
    BoolRef,
    If,
    Not,
    SolverFor,
    is_bv_value,
    is_false,
    is_true,
    sat,
    simplify,
    unknown,
    unsat,
)

from proofs.prove import loops, memory
from proofs.prove.code import CALLEE_SAVED, Code, Instruction, Node, Operation
from proofs.prove.elf import Binary, Function
from proofs.prove.failure import Failure
from proofs.prove.invariants import Body, Cut, Loop
from proofs.prove.names import Names
from proofs.prove.semantics import NotModeled, value_of
from proofs.prove.state import RETURN, STACK_TOP, State, called, fresh, joined

CALLER_SAVED = ("RAX", "RCX", "RDX", "RSI", "RDI", "R8", "R9", "R10", "R11")
# To reach one of these is to fail: a decision does not panic.
PANICS = (
    "core::panicking::",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "core::slice::index::",
    "core::cell::panic",
    "alloc::raw_vec::handle_error",
    "alloc::alloc::handle_alloc_error",
)
MOST_PATHS, MOST_STEPS, MOST_VALUES = 20_000, 100_000, 512
# A question that is not answered in time is asked again with another seed: most are easy, and a few depend on luck.
TIMEOUTS_MS = (5_000, 10_000, 60_000)


class Program:
    """A binary, with what the prover asks of it again and again."""

    def __init__(self, path: str):
        self.binary = Binary(path)
        self.names = Names(self.binary)
        self.code = Code(self.binary)


# What a call does, instead of its instructions. It ends with `Prover.return_from`.
Hook = Callable[["Prover", State], None]


@dataclass
class Prover:
    """Runs a function on all inputs that satisfy the facts of its first state."""

    program: Program
    hooks: dict[str, Hook] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)
    # Follows loops as often as they run, instead of asking for an invariant.
    unroll: bool = False
    queries: int = 0
    paths: int = 0
    obligations: int = 0
    # Set while the shape of a loop is explored: nothing is proved then, and nothing fails.
    exploring: bool = False
    _functions: dict[int, Function] = field(default_factory=dict)
    _heads: dict[int, Function] = field(default_factory=dict)

    def run(self, address: int, prepare: Callable[[State], None]) -> list[State]:
        """The states in which the function at an address returns. `prepare` sets up its arguments, its memory and the
        facts."""
        state = called(address)
        prepare(state)
        if self.check(state.facts) != sat:
            raise Failure("the facts that the proof starts from contradict each other")
        first = state.copy()
        ends = self.explore(state)
        if not ends:
            raise Failure("the function does not return")
        for end in ends:
            self.must(end, end["rsp"] == STACK_TOP, "RSP is that of the caller")
            for name in CALLEE_SAVED:
                self.must(end, end[name] == first[name], f"{name} is preserved")
        self.paths += len(ends)
        return ends

    # Questions to the solver

    def check(self, facts: list[BoolRef], *more: BoolRef):
        """Whether facts can hold together: sat, unsat or unknown."""
        self.queries += 1
        result = unknown
        for seed, timeout_ms in enumerate(TIMEOUTS_MS):
            solver = SolverFor("QF_AUFBV")
            solver.set("timeout", timeout_ms)
            solver.set("random_seed", seed)
            solver.add(*facts, *more)
            result = solver.check()
            if result != unknown:
                break
        self.model = solver.model() if result == sat else None
        return result

    def possible(self, state: State, condition: BoolRef) -> bool:
        """Whether a condition can hold; yes if the solver does not know."""
        condition = simplify(condition)
        if is_true(condition) or is_false(condition):
            return is_true(condition)
        return self.check(state.facts, condition) != unsat

    def holds(self, state: State, condition: BoolRef) -> bool:
        """Whether a condition certainly holds."""
        return not self.possible(state, Not(condition))

    def must(self, state: State, condition: BoolRef, what: str) -> None:
        """An obligation: fails unless the condition holds whenever the facts do."""
        if self.exploring:
            return
        self.obligations += 1
        condition = simplify(condition)
        if is_true(condition):
            return
        result = self.check(state.facts, Not(condition))
        if result != unsat:
            raise Failure(f"{what}: " + (self._example() if result == sat else "the solver does not know"))

    def _example(self) -> str:
        constants = sorted(
            (d.name(), self.model[d]) for d in self.model.decls() if d.arity() == 0 and "!" not in d.name()
        )
        shown = [
            f"{name} = {value.as_long():#x}"
            for name, value in constants
            if is_bv_value(value) and not name.startswith(("initial_", "stack_"))
        ]
        return "not for " + ", ".join(shown[:16]) if shown else "not for all inputs"

    def values(self, state: State, term: BitVecRef, what: str) -> list[int]:
        """Every value that a term can have."""
        term = simplify(term)
        if is_bv_value(term):
            return [term.as_long()]
        solver = SolverFor("QF_AUFBV")
        solver.set("timeout", TIMEOUTS_MS[-1])
        solver.add(*state.facts)
        found = []
        while (result := solver.check()) == sat:
            self.queries += 1
            value = solver.model().eval(term, model_completion=True)
            found.append(value.as_long())
            solver.add(term != value)
            if len(found) > MOST_VALUES:
                raise Failure(f"{what} at {state.at:#x} can have too many values")
        if result != unsat:
            raise Failure(f"{what} at {state.at:#x}: the solver does not know its values")
        return found

    # Memory

    def place(self, state: State, address: BitVecRef, size: int, write: bool) -> memory.Place | None:
        """Where an access goes. It must lie inside a region, and in a writable one to write."""
        place = memory.find(state, address, size)
        if place is None:
            return None
        kind = "write" if write else "read"
        if write and not place.region.writable:
            raise Failure(f"write to {place.region.name} at {state.at:#x}")
        self.must(state, place.inside(), f"{kind} of {size} bytes inside {place.region.name} at {self.where(state)}")
        return place

    def load(self, state: State, address: BitVecRef, size: int) -> BitVecRef:
        """Reads memory."""
        address = simplify(address)
        if memory.on_stack(address):
            return state.on_stack(address.as_long(), size)
        if (place := self.place(state, address, size, False)) is not None:
            return place.read(state)
        if self.exploring and not is_bv_value(address) and memory.symbols(address) - {"initial_20"}:
            return fresh(8 * size, "unknown")
        return self._load_constant(state, address, size)

    def _load_constant(self, state: State, address: BitVecRef, size: int) -> BitVecRef:
        """Reads a table that the compiler made."""
        result = None
        for value in self.values(state, address, "the address of a read"):
            data = self.program.binary.constant(value, size)
            if data is None:
                raise Failure(f"read of {size} bytes at {address} in no region, at {self.where(state)}")
            content = BitVecVal(int.from_bytes(data, "little"), 8 * size)
            result = content if result is None else If(address == value, content, result)
        if result is None:
            raise Failure(f"read on an impossible path at {self.where(state)}")
        return simplify(result)

    def store(self, state: State, address: BitVecRef, value: BitVecRef) -> None:
        """Writes memory."""
        address, size = simplify(address), value.size() // 8
        if memory.on_stack(address):
            state.set_on_stack(address.as_long(), value)
        elif (place := self.place(state, address, size, True)) is not None:
            place.write(state, value)
        elif not self.exploring:
            raise Failure(f"write of {size} bytes at {address} in no region, at {self.where(state)}")

    def where(self, state: State) -> str:
        """The place of an instruction: its function and the distance from there."""
        for function in self._functions.values():
            if function.address <= state.at < function.address + function.size:
                return f"{self.program.names.path_of(function.address)}+{state.at - function.address:#x}"
        return f"{state.at:#x}"

    # Paths

    def explore(self, state: State, body: Body | None = None) -> list[State]:
        """The states in which the paths from here return. With the body of a loop, those in which they are back at its
        head."""
        work, ends, steps = [state], [], 0
        while work:
            current = work.pop()
            while current is not None:
                steps += 1
                if steps > MOST_STEPS or len(ends) + len(work) > MOST_PATHS:
                    raise Failure(f"too many paths or steps at {self.where(current)}")
                if current.at == RETURN:
                    if body is None:
                        ends.append(current)
                    break
                self._enter(current.at)
                if (cut := current.cuts.get(current.at)) is not None and steps > 1:
                    if body is None:
                        cut.again(self, current)
                    elif current.at == body.head:
                        ends.append(current)
                    break
                if body is not None and (body.left(current.at) or self._seen_often(current)):
                    break
                if body is None and cut is None and current.at in self._heads:
                    ends += Cut.explore(self, current, self._heads[current.at])
                    break
                try:
                    following = self._follow(current)
                except Failure:
                    if not self.exploring:
                        raise
                    break
                work += following[1:]
                current = following[0] if following else None
        return ends

    def _seen_often(self, state: State) -> bool:
        """Whether a path that only explores comes to the head of an inner loop for the third time."""
        if state.at not in self._heads:
            return False
        seen = dict(state.notes.get("seen", {}))
        seen[state.at] = seen.get(state.at, 0) + 1
        state.notes["seen"] = seen
        return seen[state.at] > 2

    def _enter(self, address: int) -> None:
        """Finds the loops of a function when a path comes to its first instruction."""
        if address in self._functions:
            return
        function = self.program.names.function_at(address)
        if function is not None:
            self._functions[address] = function
            if self.unroll:
                return
            for head in loops.heads(self.program.code, function):
                self._heads[head] = function

    def _follow(self, state: State) -> list[State]:
        """The states after the next instruction or the next call with a hook."""
        path = self.program.names.path_of(state.at)
        if path is not None:
            if path in self.hooks:
                self.hooks[path](self, state)
                return [state]
            if path.startswith(PANICS):
                raise Failure(f"can panic: {path}" + (", " + self._example() if self.check(state.facts) == sat else ""))
            if state.at in self.program.binary.imports:
                raise Failure(f"calls {path}, for which there is no hook")
        try:
            return self._step(state, self.program.code.at(state.at))
        except NotModeled as operation:
            raise Failure(f"{operation} at {self.where(state)}") from None

    def return_from(self, state: State, **registers: BitVecRef | int) -> None:
        """Ends a hook: returns to the caller with these registers. What a call may clobber is unknown then."""
        for name in CALLER_SAVED:
            state[name] = fresh(64, name.lower())
        for number in range(16):
            state[f"xmm{number}"] = fresh(128, f"xmm{number}")
        for name in ("CF", "PF", "AF", "ZF", "SF", "OF"):
            state[name] = fresh(8, name.lower())
        for name, value in registers.items():
            state[name] = value
        pointer = simplify(state["rsp"])
        state.at = state.on_stack(pointer.as_long(), 8).as_long()
        state["rsp"] = pointer + 8

    # Instructions

    def _step(self, state: State, instruction: Instruction) -> list[State]:
        """Runs one instruction. A conditional move gives one state with a choice, a conditional jump two states."""
        state.temporaries = {}
        work, results = [(state, 0, [])], []
        while work:
            current, at, skipped = work.pop()
            following = self._operations(current, instruction, at, skipped, work)
            for target in following:
                for condition, other in reversed(skipped):
                    target = self._merged(condition, other, target, results)
                results.append(target)
        return results

    def _operations(self, state, instruction: Instruction, at: int, skipped: list, work: list) -> list[State]:
        operations = instruction.operations
        while at < len(operations):
            operation = operations[at]
            match operation.name:
                case "CBRANCH":
                    condition = simplify(self.get(state, operation.inputs[1]) != 0)
                    target = operation.inputs[0]
                    relative = target.space == "const"
                    if is_false(condition):
                        at += 1
                    elif is_true(condition):
                        if not relative:
                            state.at = target.offset
                            return [state]
                        at += target.offset
                    elif relative:
                        if self.possible(state, condition):
                            taken = state.copy()
                            taken.facts.append(condition)
                            work.append((taken, at + target.offset, skipped))
                        state.facts.append(Not(condition))
                        at += 1
                    elif target.offset == instruction.next and at + 1 < len(operations):
                        taken = state.copy()
                        taken.at = instruction.next
                        skipped.append((condition, taken))
                        at += 1
                    else:
                        return self._branch(state, condition, target.offset, instruction.next)
                case "BRANCH":
                    target = operation.inputs[0]
                    if target.space != "const":
                        state.at = target.offset
                        return [state]
                    at += target.offset - (1 << 32 if target.offset >= 1 << 31 else 0)
                case "CALL":
                    state.at = operation.inputs[0].offset
                    return [state]
                case "CALLIND" | "BRANCHIND" | "RETURN":
                    return self._jump(state, self.get(state, operation.inputs[0]))
                case "LOAD":
                    self.put(
                        state,
                        operation.output,
                        self.load(state, self.get(state, operation.inputs[1]), operation.output.size),
                    )
                    at += 1
                case "STORE":
                    self.store(state, self.get(state, operation.inputs[1]), self.get(state, operation.inputs[2]))
                    at += 1
                case _:
                    self._compute(state, operation)
                    at += 1
        state.at = instruction.next
        return [state]

    def _compute(self, state: State, operation: Operation) -> None:
        if operation.output is None:
            raise NotModeled(f"p-code operation {operation.name}")
        self.put(state, operation.output, value_of(operation, [self.get(state, node) for node in operation.inputs]))

    def _branch(self, state: State, condition: BoolRef, target: int, following: int) -> list[State]:
        results = []
        for holds, at in ((condition, target), (Not(condition), following)):
            if self.possible(state, holds):
                path = state.copy()
                path.facts.append(holds)
                path.at = at
                results.append(path)
        return results

    def _jump(self, state: State, target: BitVecRef) -> list[State]:
        values = self.values(state, target, "the target of a jump")
        if len(values) == 1:
            state.at = values[0]
            return [state]
        results = []
        for value in values:
            path = state.copy()
            path.facts.append(target == value)
            path.at = value
            results.append(path)
        return results

    def _merged(self, condition: BoolRef, taken: State, other: State, results: list[State]) -> State:
        """One state for both outcomes of a conditional move; two if what is moved is a pointer into a region."""
        bases = {name for region in other.regions.values() for name in memory.symbols(region.base)}
        changed = [cell for cell in other.registers if not taken.read_cell(cell).eq(other.registers[cell])]
        values = [value for cell in changed for value in (taken.read_cell(cell), other.registers[cell])]
        if any(memory.symbols(value) & bases for value in values):
            if not self.possible(other, condition):
                return other
            if not self.possible(other, Not(condition)):
                return taken
            taken.facts.append(condition)
            other.facts.append(Not(condition))
            results.append(taken)
            return other
        if not taken.same_memory(other):
            raise NotModeled("conditional write")
        for cell in changed:
            other.registers[cell] = simplify(If(condition, taken.read_cell(cell), other.registers[cell]))
        return other

    def get(self, state: State, node: Node) -> BitVecRef:
        """The value of an operand."""
        match node.space:
            case "const":
                return BitVecVal(node.offset, 8 * node.size)
            case "register":
                return state.read_register(node.offset, node.size)
            case "unique":
                return self._temporary(state, node)
            case "ram":
                return self.load(state, BitVecVal(node.offset, 64), node.size)
        raise NotModeled(f"operand in {node.space}")

    def _temporary(self, state: State, node: Node) -> BitVecRef:
        for start, value in state.temporaries.items():
            skip = node.offset - start
            if 0 <= skip and skip + node.size <= value.size() // 8:
                if node.size == value.size() // 8:
                    return value
                return joined([memory.byte_of(value, skip + index) for index in range(node.size)])
        raise NotModeled("temporary that was not written")

    def put(self, state: State, node: Node, value: BitVecRef) -> None:
        """Changes an operand."""
        if node.space == "register":
            state.write_register(node.offset, value)
        elif node.space == "unique":
            state.temporaries[node.offset] = simplify(value)
        elif node.space == "ram":
            self.store(state, BitVecVal(node.offset, 64), value)
        else:
            raise NotModeled(f"result in {node.space}")
