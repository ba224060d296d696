"""Transfer rules: what a state describes before an instruction, and p-code, imply what the state after it describes."""

import z3

from proofs.verifier.gamma import STACK, Concrete, World, compared, frame_bits, low, wide
from proofs.verifier.meaning import REGISTER, TEXT, meaning

RSP = 4
PROBE = 1 << 16


class Refuted(Exception):
    """A rule that does not hold."""


# One solver answers so many questions before another takes its place: it gets slower by what it remembers.
QUESTIONS = 1000

# Of one question in so many, it is also asked whether there is any machine that the state before describes.
SAMPLE = 50


class Solver:
    """Asks Z3, and counts."""

    def __init__(self):
        self.queries = 0
        self.sampled, self.vacuous = 0, 0
        self.solver = None

    def prove(self, known, claims):
        """Raises Refuted unless each claim, a name and a formula, follows."""
        claims = [(name, z3.simplify(claim)) for name, claim in claims]
        claims = [(name, claim) for name, claim in claims if not z3.is_true(claim)]
        if not claims:
            return
        if self.queries % QUESTIONS == 0:
            self.solver = z3.Solver()
            self.solver.set("timeout", 60_000)
        self.queries += 1
        self.solver.push()
        try:
            self._ask(known, claims)
        finally:
            self.solver.pop()

    def _ask(self, known, claims):
        self.solver.add(*known)
        if self.queries % SAMPLE == 1:
            self.sampled += 1
            self.vacuous += self.solver.check() == z3.unsat
        self.solver.add(z3.Not(z3.And(*[claim for _, claim in claims])))
        answer = self.solver.check()
        if answer == z3.unsat:
            return
        if answer == z3.unknown:
            raise Refuted(f"not decided: {', '.join(name for name, _ in claims)}")
        model = self.solver.model()
        wrong = [name for name, claim in claims if not z3.is_true(model.eval(claim, model_completion=True))]
        shown = ", ".join(f"{symbol} = {model[symbol]}" for symbol in model.decls() if symbol.arity() == 0)
        raise Refuted(f"{', '.join(wrong)}; for example {shown}")


class Step:
    """One instruction from an arbitrary machine that the state before describes."""

    def __init__(self, world: World, before: Concrete, line):
        self.world, self.before, self.line = world, before, line
        self.meaning = meaning(line["bytes"], world.layout["at"])
        self.claims = []
        self.known = []
        self.loaded = []
        self.frame = dict(before.frame)
        self.written = set()
        self.touched = []
        self.registers = list(before.registers)
        self.flags = dict(before.flags)
        self.substitution = [(REGISTER[number], before.registers[number]) for number in self.meaning.used]

    def put_in(self, term):
        return z3.substitute(term, *self.substitution) if self.substitution else term

    def run(self):
        self._stack_after()
        for access in self.meaning.accesses:
            self._access(access)
        for number, term in self.meaning.registers.items():
            self.registers[number] = z3.simplify(self.put_in(term))
            if self.line["kind"] == "Search":
                # P-code says 0 if no bit is found. Processors leave the register as it was.
                before = self.before.registers[number]
                self.registers[number] = z3.If(z3.Bool("no bit is found"), before, self.registers[number])
        for name, term in self.meaning.flags.items():
            self.flags[name] = z3.simplify(self.put_in(term))
        self.claims += [("its loop ends", self.put_in(claim)) for claim in self.meaning.obligations]

    def _stack_after(self):
        """The stack pointer is one of the two, so that pushes may write below it as it was."""
        term = self.meaning.registers.get(RSP)
        after = self.before.registers[RSP] if term is None else z3.simplify(self.put_in(term))
        offsets = [self.offset(self.before.registers[RSP]), self.offset(after)]
        self.lowest = min((offset for offset in offsets if offset is not None), default=None)

    @staticmethod
    def offset(address):
        """Of an address in the frame, its distance from the start of the frame."""
        distance = z3.simplify(address - STACK)
        return distance.as_signed_long() if z3.is_bv_value(distance) else None

    def _access(self, access):
        address = z3.simplify(self.put_in(access.address))
        offset = self.offset(address)
        if offset is None:
            self._elsewhere(access, address)
            return
        self._in_frame(access, offset)
        if access.loaded is not None:
            bits = self._frame_bits(offset, access.size)
            self.substitution.append((access.loaded, bits))
            self.loaded.append(bits)
        else:
            stored = z3.simplify(self.put_in(access.stored))
            for byte in range(access.size):
                self.frame[offset + byte] = (stored, byte)
                self.written.add(offset + byte)

    def _frame_bits(self, offset, size):
        for byte in range(offset, offset + size):
            if byte not in self.frame:
                self.frame[byte] = self.before.frame[byte] = (z3.BitVec(f"byte {byte}", 8), 0)
        return frame_bits(self.frame, offset, size)

    def _in_frame(self, access, offset):
        """What is reached is what was claimed, and in the function's own part of the stack."""
        self.touched.append(offset)
        end = offset + access.size
        if self.lowest is None or offset < self.lowest or end > 8 + self.world.layout["arguments"]:
            raise Refuted(f"it reaches {access.size} bytes at {offset}, outside of the frame")
        kind = self.line["kind"]
        if kind in ("Push", "Pop"):
            expected = self.offset(self.before.registers[RSP]) - (8 if kind == "Push" else 0)
            if (offset, access.size) != (expected, 8):
                raise Refuted(f"it reaches {access.size} bytes at {offset}, and not at {expected}")
            return
        place = self._place()
        if place[0] != "Frame" or not place[1] <= offset <= end <= place[1] + self.line["access"]:
            raise Refuted(f"it reaches {access.size} bytes of the frame at {offset}, and {place} was claimed")

    def _place(self):
        claimed = self.line["place"]
        if claimed is None or claimed[1] is None:
            raise Refuted("it reaches memory, and no place was claimed")
        return claimed[1]

    def _elsewhere(self, access, address):
        """Memory that is not the frame: inside the place that was claimed, and with what that holds."""
        world, (value, _) = self.world, self.line["place"] or (None, None)
        place = self._place()
        guard = self.put_in(access.guard)
        is_write = access.stored is not None
        first = z3.BitVec("first byte", 64)
        if access.size != self.line["access"]:
            self.claims.append(("its size", z3.BoolVal(access.size <= self.line["access"])))
            self.known.append(z3.ULE(address - first, self.line["access"] - access.size))
        else:
            first = address
        self.claims.append((f"the address is {value}", z3.Implies(guard, world.holds(value, first))))
        inside, holds = self._contents(place, address, access)
        self.claims.append((f"it is in {place}", z3.Implies(guard, inside)))
        if is_write:
            if place[0] not in ("Memory", "Global", "Results", "Slots") or place == ["Global", False]:
                raise Refuted(f"a write of {place}")
            if self.before.state["pending"]:
                raise Refuted("a write before the status was looked at")
            return
        if access.loaded is not None:
            self.loaded.append(access.loaded)
            self.known += holds

    def _contents(self, place, address, access):
        """Whether an access lies in a place, and what is known of what it reads there."""
        world, layout, bits, size = self.world, self.world.layout, access.loaded, access.size

        def within(base, start, length):
            # From `start` bytes behind the base, so many.
            room = length - size
            return z3.ULE(address - base - start, room) if room >= 0 else z3.BoolVal(False)

        match place:
            case ["Memory"]:
                return z3.Or(*[within(base, 0, layout["reservation"]) for base in world.memories]), []
            case ["MemoryLength"]:
                return z3.Or(*[within(base, 0, 8) for base in world.descriptors]), []
            case ["Results"]:
                return within(world.results, 0, layout["results"]), []
            case ["Slots"]:
                return within(world.slots, 0, layout["slots"]), []
            case ["Global", mutable]:
                cells = [within(base, 0, layout["global"]) for base in world.cells[mutable]]
                own = [at for at, is_mutable in layout["cells"] if is_mutable == mutable]
                return z3.Or(*cells, *[within(world.context, at, layout["global"]) for at in own]), []
            case ["TableLength", table]:
                base, length = world.tables[table]
                return z3.And(address == base + layout["table"]["length"], size == 4), [bits == length]
            case ["Text", start, end]:
                own_start, own_length = layout["text"]
                inside = within(z3.BitVecVal(TEXT, 64), start, end - start)
                own = own_start <= start and end <= own_start + own_length
                return z3.And(inside, z3.BoolVal(own)), self._jump_entry(address, bits)
            case ["Field", value]:
                fields = [address == world.context + at for at, held in layout["fields"] if held == value]
                if self.line["place"][0][0] == "EnteredContext":
                    # Of another instance: only what all contexts have at the same place, and mean the same by.
                    is_results = value == ["Into", ["Results"], 0, 0]
                    places = [at for at, held in layout["fields"] if held == value and is_results]
                    fields = [address == world.exact(["EnteredContext", at]) for at in places]
                return z3.And(z3.Or(*fields), size == 8), [world.holds(value, bits)] if size == 8 else []
            case ["Entry", table, entry, field]:
                return self._entry(address, bits, size, table, entry, field)
        raise Refuted(f"a place that is not known: {place}")

    def _jump_entry(self, address, bits):
        """What is read at an entry of the jump table that is claimed for the result."""
        known = []
        for _, value in self.line["after"]["registers"]:
            if value[0] == "JumpOffset" and bits is not None and bits.size() == 32:
                _, at, count = value
                distance = address - (TEXT + at)
                is_entry = z3.And(z3.ULE(distance, 4 * (count - 1)), z3.Extract(1, 0, distance) == 0)
                known.append(z3.Implies(is_entry, self.world.is_jump(at, z3.SignExt(32, bits))))
        return known

    def _entry(self, address, bits, size, table, entry, field):
        world, numbers = self.world, self.world.layout["table"]
        base, length = world.tables[table]
        index = world.index(table, entry)
        at = base + numbers["entries"] + wide(index) * numbers["entry"] + field
        readable = z3.Or(index == 0, z3.ULT(index, length))
        known = []
        if (field, size) == (numbers["signature"], 4):
            known = [bits == world.signature(table, entry)]
        elif (field, size) == (numbers["code"], 8):
            # The code in an entry has the signature that stands beside it.
            beside = world.field("signature", entry) == world.signature(table, entry)
            known = [bits == world.field("code", entry), beside]
        elif (field, size) == (numbers["context"], 4):
            known = [bits == world.field("context", entry)]
        return z3.And(address == at, field + size <= numbers["entry"], readable), known


def prove_line(world: World, solver: Solver, line):
    """Proves one answer. Raises Refuted."""
    before, after = line["before"], line["after"]
    machine = Concrete(world, before)
    step = Step(world, machine, line)
    step.run()
    unexpected = set(step.meaning.registers) - set(line["writes"])
    if unexpected:
        raise Refuted(f"it writes the registers {sorted(unexpected)}, which the decoder does not name")
    if step.meaning.length * 2 != len(line["bytes"]):
        raise Refuted(f"it has {step.meaning.length} bytes")
    if step.meaning.divides != (line["kind"] == "Divide"):
        raise Refuted("it can fault by a division" if step.meaning.divides else "it cannot fault by a division")
    claims, known = list(step.claims), step.known
    world = _made(world, step, after, claims)
    claims += _registers(world, step, before, after)
    claims += _frame(world, step, before, after)
    claims += _flags(world, step, before, after, line)
    claims += _facts(world, step, before, after)
    solver.prove(world.assumed() + machine.known + known, claims)


def _made(world, step, after, claims):
    """Where an instruction makes an offset into a table, its name stands for the entry that was made last: the index
    behind it is the witness. Whatever else is still known by that name must be of this entry too."""
    for number, value in after["registers"]:
        is_made = value[0] == "EntryOffset" and value[2] == ["Made", world.layout["at"]]
        if is_made and number in step.meaning.registers and step.line["kind"] == "ShiftLeft":
            world = world.after_making(value[2])
            index = world.index(value[1], value[2])
            claims.append(("the index is one of the table", world.entries.pop(str(index))))
            step.known.append(index == z3.Extract(35, 4, step.registers[number]))
    return world


def _registers(world, step, before, after):
    were = dict(before["registers"])
    for number, value in after["registers"]:
        bits = step.registers[number]
        if bits is step.before.registers[number] and were.get(number) == value and world.renamed is None:
            continue
        yield f"register {number} is {value}", world.holds(value, bits)
    had = {number: home for number, home in before["copies"]}
    for number, home in after["copies"]:
        is_same = had.get(number) == home and number not in step.meaning.registers
        if home[0] == "Register":
            if is_same and home[1] not in step.meaning.registers:
                continue
            other = step.registers[home[1]]
        else:
            if is_same and not step.written.intersection(range(home[1], home[1] + 8)):
                continue
            other = step._frame_bits(home[1], 8)
        yield f"register {number} is a copy of {home}", step.registers[number] == other


def _frame(world, step, before, after):
    were = {at: value for at, value in before["words"]}
    stack = step.offset(step.registers[RSP])
    for at, value in after["words"]:
        if stack is None or at < stack:
            raise Refuted(f"word {at} is known below the stack pointer")
        if were.get(at) == value and not step.written.intersection(range(at, at + 8)) and world.renamed is None:
            continue
        yield f"word {at} is {value}", world.holds(value, step._frame_bits(at, 8))
    for number, home in after["copies"]:
        if home[0] == "Word" and (stack is None or home[1] < stack):
            raise Refuted(f"register {number} is a copy of word {home[1]}, below the stack pointer")


def _flags(world, step, before, after, line):
    kind, *args = after["flags"]
    if kind == "Unknown":
        return
    if kind == "Tested":
        yield "the status is zero if the zero flag is set", (step.flags["ZF"] == 1) == (world.exact(["Status"]) == 0)
        return
    left, right, size = args
    if line["operands"] is not None:
        sides = [_operand(step, operand, size) for operand in line["operands"]]
    elif before["flags"][0] == "Compared":
        sides = step.before.sides
    else:
        raise Refuted("a comparison that did not happen")
    for name, (register, value), bits in zip(("left", "right"), (left, right), sides, strict=True):
        yield f"the {name} side is {value}", world.holds(value, bits)
        if register is not None:
            yield f"register {register} is the {name} side", low(step.registers[register], size) == low(bits, size)
    yield "the flags are those of the comparison", compared(*sides, size, step.flags)


def _operand(step, operand, size):
    """An operand of a comparison, the bits beyond its width zero."""
    match operand:
        case ["Register", number, width]:
            return wide(low(step.before.registers[number], width)) if width < 8 else step.before.registers[number]
        case ["Immediate", bits]:
            return z3.BitVecVal(bits & ((1 << 8 * size) - 1), 64)
    [bits] = step.loaded
    return wide(bits) if bits.size() < 64 else bits


def _facts(world, step, before, after):
    if after["checked"] and (after["checked"] != before["checked"] or world.renamed is not None):
        yield "the signature was compared", world.checked(after["checked"])
    if after["longer"] and after["longer"] != before["longer"]:
        yield "the table is longer", world.longer(after["longer"])
    if after["room"] is not None and after["room"] != before["room"]:
        yield "there is room for the host", world.room(after["room"])
    if before["pending"] and not after["pending"]:
        yield "the status is zero", world.exact(["Status"]) == 0
    if after["touched"] < before["touched"] and after["touched"] not in step.touched:
        raise Refuted(f"{after['touched']} was not touched")
    stack = dict(after["registers"]).get(RSP)
    if stack is None or stack[0] != "Frame":
        raise Refuted("the stack pointer is unknown")
    if before["touched"] - stack[1] > PROBE:
        raise Refuted("the stack pointer moves too far")
