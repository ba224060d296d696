"""Follows all paths of a hostcall, through the functions that it calls, up to each system call.

It differs from the prover of the decisions, which it is made of, in what a hostcall does besides deciding:

- It reads blocks of the allocator, such as the listing of a directory that it frees. A read outside the regions gives
  any value. A write has to lie inside a region, or in one of the program's own variables, of which nothing is known.
- It may panic. That ends the process, and with it the path.
- A system call, and a function of the C library without a hook, makes the proof fail.
"""

from z3 import (
    Z3_OP_BADD,
    And,
    BitVec,
    BitVecRef,
    BitVecVal,
    BoolRef,
    ExprRef,
    Extract,
    If,
    UGE,
    ULE,
    ULT,
    is_bv_value,
    simplify,
    unsat,
)

from proofs.hostcalls.liveness import RESULTS, Liveness
from proofs.hostcalls.scans import Scan
from proofs.prove import memory
from proofs.prove.code import Instruction, Operation
from proofs.prove.elf import Function, Segment
from proofs.prove.failure import Failure
from proofs.prove.prover import MOST_STEPS, Hook, Program, Prover
from proofs.prove.semantics import NotModeled
from proofs.prove.state import RETURN, State, fresh

# The process ends here, and says why on its standard error.
ENDS = (
    "core::panicking::", "core::option::unwrap_failed", "core::option::expect_failed", "core::result::unwrap_failed",
    "core::slice::index::", "alloc::raw_vec::handle_error", "alloc::alloc::handle_alloc_error",
)  # fmt: skip
# The numbers of registers in instructions.
NUMBERED = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{number}" for number in range(8, 16))]
LOCK = 0xF0


def _split(data: bytes) -> tuple[int, bytes]:
    """The REX prefix of an instruction, or 0, and the rest."""
    return (data[0], data[1:]) if 0x40 <= data[0] < 0x50 else (0, data)


class Machine(Prover):
    """Runs a hostcall."""

    def __init__(self, program: Program, hooks: dict[str, Hook]):
        super().__init__(program, hooks)
        # Terms by their numbers, with their symbols; they are kept, so that no other term gets the same number.
        self._symbols: dict[int, tuple[ExprRef, set[str]]] = {}
        self._unsat: set[frozenset[int]] = set()
        self._live: dict[int, Liveness] = {}
        # The facts that paths came with to where others go on, by the place and the state there.
        self._seen: dict[tuple, list[frozenset[int]]] = {}

    # Questions to the solver

    def check(self, facts: list[BoolRef], *more: BoolRef):
        """As in the prover, without the facts that share no symbol with the question, and asking each question once.
        Many paths differ only in what the allocator did."""
        chosen = self._about(facts, more) if more else facts
        question = frozenset(term.get_id() for term in [*chosen, *more])
        if question in self._unsat:
            return unsat
        result = super().check(chosen, *more)
        if result == unsat:
            self._unsat.add(question)
            for term in [*chosen, *more]:
                self._symbols_of(term)
        return result

    def _about(self, facts: list[BoolRef], question: tuple[BoolRef, ...]) -> list[BoolRef]:
        """The facts that are about the symbols of a question, or about those of such a fact."""
        wanted = set().union(*(self._symbols_of(term) for term in question))
        chosen, rest = [], facts
        while related := [fact for fact in rest if not self._symbols_of(fact).isdisjoint(wanted)]:
            chosen += related
            rest = [fact for fact in rest if self._symbols_of(fact).isdisjoint(wanted)]
            wanted = wanted.union(*(self._symbols_of(fact) for fact in related))
        return chosen

    def _symbols_of(self, term: ExprRef) -> set[str]:
        if term.get_id() not in self._symbols:
            self._symbols[term.get_id()] = term, memory.symbols(term)
        return self._symbols[term.get_id()][1]

    # Paths

    def explore(self, state: State, body: None = None) -> list[State]:
        """The states in which the paths from here return."""
        work, ends, steps = [state], [], 0
        while work:
            current = work.pop()
            if current.at == RETURN:
                ends.append(current)
                continue
            if (steps := steps + 1) > MOST_STEPS:
                raise Failure(f"too many steps at {self.where(current)}")
            self._enter(current.at)
            function = self._around(current.at)
            if (scan := current.cuts.get(current.at)) is not None:
                scan.again(current, self._liveness(current, function).live[current.at])
                continue
            if function is not None and self._was_here(current, function):
                continue
            if current.at in self._heads:
                current.cuts[current.at] = Scan(self.program.code, function, current, self.where(current))
            work += self._follow(current)
        return ends

    def _liveness(self, state: State, function: Function) -> Liveness:
        """What matters in a function, found when a path enters it: of its results, those that its caller reads."""
        if function.address not in self._live:
            back = simplify(state.on_stack(simplify(state["rsp"]).as_long(), 8)).as_long()
            caller = self._around(back)
            results = RESULTS & self._liveness(state, caller).live[back] if caller is not None else RESULTS
            self._live[function.address] = Liveness(self.program.code, function, results)
        return self._live[function.address]

    def _was_here(self, state: State, function: Function) -> bool:
        """Forgets what does not matter any more where paths meet. Then, whether a path was here in the same state
        under fewer conditions: it stands for this one."""
        live = self._liveness(state, function)
        if live.sources.get(state.at, 0) < 2:
            return False
        matters = live.live[state.at]
        for cell in state.registers.keys() - matters:
            state.registers[cell] = fresh(state.registers[cell].size(), "dead")
        state.cuts = {head: scan for head, scan in state.cuts.items() if state.at in scan.body}
        content = {("register", cell): state.registers[cell] for cell in state.registers.keys() & matters}
        if not live.is_leaf:
            pointer = simplify(state["rsp"]).as_long()
            for at in [at for at in state.stack if at < pointer]:
                state.stack[at] = fresh(8, "dead")
        content |= {("stack", at): byte for at, byte in state.stack.items() if live.is_leaf or at >= pointer}
        for name, record in state.records.items():
            if name.startswith("listing."):
                record.update({at: fresh(8, "written") for at in range(state.regions[name].size)})
                continue
            for at, byte in record.items():
                if name.startswith("listing") and all("!" in symbol for symbol in self._symbols_of(byte)):
                    # What the allocator writes to a block that was freed. No proof needs to know it.
                    record[at] = fresh(8, "written")
                    content[name, at] = BitVec("written", 8)
                else:
                    content[name, at] = byte
        content |= {("table", name): array for name, array in state.tables.items()}
        known = set().union(*(self._symbols_of(term) for term in content.values()))
        # Facts about values that are nowhere any more are of no use. Only symbols that `fresh` makes have a `!`.
        state.facts = [
            fact for fact in state.facts if all("!" not in name or name in known for name in self._symbols_of(fact))
        ]
        place = (state.at, *state.cuts, *state.notes, *state.regions)
        key = place, frozenset((*cell, term.get_id()) for cell, term in content.items())
        facts = frozenset(fact.get_id() for fact in state.facts)
        if any(fewer <= facts for fewer in self._seen.get(key, ())):
            return True
        self._seen.setdefault(key, []).append(facts)
        return False

    def _around(self, address: int) -> Function | None:
        """The function that an instruction belongs to, of those that a path has entered."""
        return next((f for f in self._functions.values() if f.address <= address < f.address + f.size), None)

    # Memory

    def load(self, state: State, address: BitVecRef, size: int) -> BitVecRef:
        """Reads memory."""
        address = simplify(address)
        if memory.on_stack(address) or memory.find(state, address, size) is not None:
            return super().load(state, address, size)
        data = self.program.binary.constant(address.as_long(), size) if is_bv_value(address) else None
        return fresh(8 * size, "any") if data is None else BitVecVal(int.from_bytes(data, "little"), 8 * size)

    def store(self, state: State, address: BitVecRef, value: BitVecRef) -> None:
        """Writes memory."""
        address, size = simplify(address), value.size() // 8
        if memory.on_stack(address) or (segment := self._variables(address)) is None:
            super().store(state, address, value)
            return
        end = segment.start + len(segment.data)
        inside = And(UGE(address, segment.start), ULE(address, end - size))
        self.must(state, inside, f"write of {size} bytes to the program's own variables at {self.where(state)}")

    def _variables(self, address: BitVecRef) -> Segment | None:
        """The program's own variables, if an address is that of one, or of an element of one."""
        parts = address.children() if address.decl().kind() == Z3_OP_BADD else [address]
        starts = [part.as_long() for part in parts if is_bv_value(part)]
        return next(
            (
                segment
                for segment in self.program.binary.segments
                if segment.writable and any(0 <= start - segment.start < len(segment.data) for start in starts)
            ),
            None,
        )

    # Instructions

    def _follow(self, state: State) -> list[State]:
        if (self.program.names.path_of(state.at) or "").startswith(ENDS):
            return []
        return super()._follow(state)

    def _step(self, state: State, instruction: Instruction) -> list[State]:
        prefix, rest = _split(self._bytes(instruction))
        if rest[0] == 0x0F and rest[1] in (0xBC, 0xBD):
            return [self._bit_scan(state, instruction, prefix, rest[2:])]
        return super()._step(state, instruction)

    def _bytes(self, instruction: Instruction) -> bytes:
        return self.program.binary.constant(instruction.address, instruction.length)

    def _bit_scan(self, state: State, instruction: Instruction, prefix: int, operands: bytes) -> State:
        """BSF and BSR, which p-code describes by a loop: some number below 64, any number if the source is zero."""
        if operands[0] >> 6 != 3:
            raise NotModeled("bit scan of memory")
        target = NUMBERED[(operands[0] >> 3 & 7) + (8 if prefix & 4 else 0)]
        source = state[NUMBERED[(operands[0] & 7) + (8 if prefix & 1 else 0)]]
        bits = 64 if prefix & 8 else 32
        source = Extract(bits - 1, 0, source)
        result = fresh(64, "bit")
        if self.holds(state, source != 0):
            state.facts.append(ULT(result, bits))
        state[target] = result
        for name in ("CF", "PF", "AF", "SF", "OF"):
            state[name] = fresh(8, name.lower())
        state["ZF"] = If(source == 0, BitVecVal(1, 8), BitVecVal(0, 8))
        state.at = instruction.next
        return state

    def _compute(self, state: State, operation: Operation) -> None:
        if operation.name == "CALLOTHER" and self._locks(state):
            return
        super()._compute(state, operation)

    def _locks(self, state: State) -> bool:
        """XCHG with memory, and instructions with the LOCK prefix: p-code says that they lock the bus."""
        data = self._bytes(self.program.code.at(state.at))
        return data[0] == LOCK or _split(data)[1][0] in (0x86, 0x87)
