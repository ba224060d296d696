"""Wrong answers: each is made from an answer of the rules by one change, and must be refuted.

So a proof that cannot fail is seen.
"""

from collections import defaultdict
from copy import deepcopy

from proofs.verifier import joins, transfer
from proofs.verifier.transfer import Refuted, Solver

ANY_32 = ["Number", 0, 0xFFFF_FFFF]


def _register(line, number):
    return dict(line["after"]["registers"]).get(number, ["Any"])


def _knows(line, number):
    return number in dict(line["before"]["registers"])


def _set(line, number, value):
    registers = [pair for pair in line["after"]["registers"] if pair[0] != number]
    line["after"]["registers"] = sorted([*registers, [number, value]])


def _exactly(value):
    return value[1] if value[0] == "Number" and value[2] == 0 else None


# Of each rule: name, which answers it can be made from, and the change.


def _narrow(line):
    return line["encoding"] == "Mov_rm8_r8" and line["bytes"] == "88c8" and _register(line, 0) == ANY_32


def _search(line):
    return line["encoding"] == "Bsf_r32_rm32" and line["bytes"] == "0fbcc1" and not _knows(line, 0)


def _sum(line):
    is_sum = line["encoding"] == "Add_rm64_r64" and line["bytes"] == "4801c8"
    values = dict(line["before"]["registers"])
    return is_sum and _exactly(values.get(0, ["Any"])) == (1 << 64) - 1 and values.get(1) == ANY_32


def _push(line):
    return line["kind"] == "Push" and _register(line, 4) == ["Frame", -72]


def _frame_read(line):
    return line["kind"] == "Move" and line["place"] is not None and line["place"][1] == ["Frame", -48]


def _memory_write(line):
    return line["encoding"] == "Mov_rm64_r64" and line["place"] is not None and line["place"][1] == ["Memory"]


def _compared(line):
    return line["encoding"] == "Cmp_rm32_r32" and line["bytes"] == "39c8" and not _knows(line, 0)


def _entry_code(line):
    place = line["place"]
    return line["kind"] == "Move" and place is not None and place[1][0] == "Entry" and place[1][3] == 0


def _checked_edge(line):
    return line["encoding"] == "Je_rel8_64" and line["held"] and line["after"]["checked"]


def _index_edge(line):
    learned = [value for _, value in line["after"]["registers"] if value[0] in ("Index", "LowIndex")]
    return line["encoding"] == "Jb_rel8_64" and line["held"] and line["after"] != line["before"] and learned


def _wrong_bytes(line):
    line["after"]["flags"][3] = 8


def _jump(opcode):
    def change(line):
        line["bytes"] = opcode + line["bytes"][2:]

    return change


def _place(place):
    def change(line):
        line["place"][1] = place

    return change


def _differs(line):
    return line["joined"] != line["one"] and not line["implies"]


def _swap_edge(line):
    line["held"] = not line["held"]


def _numbers(line):
    one, other = line["values"]
    return one != other and _exactly(one) is not None and _exactly(other) is not None


WRONG = {
    "transfer": [
        ("a move of 8 bits clears the rest", _narrow, lambda line: _set(line, 0, ["Number", 0, 255])),
        ("a search that finds nothing clears the upper half", _search, lambda line: _set(line, 0, ANY_32)),
        ("a sum of 64 bits does not wrap", _sum, lambda line: _set(line, 0, ["Number", (1 << 64) - 1, 0])),
        ("a push leaves the stack pointer where it is", _push, lambda line: _set(line, 4, ["Frame", -64])),
        ("a word is read four bytes higher than it is", _frame_read, _place(["Frame", -44])),
        ("a write of memory is one of the results", _memory_write, _place(["Results"])),
        ("a comparison of 32 bits is one of 64", _compared, _wrong_bytes),
        ("code is read where the signature lies", _entry_code, lambda line: line["place"][1].__setitem__(3, 8)),
    ],
    "condition": [
        ("below or equal is below", _index_edge, _jump("76")),
        ("less with a sign is below", _index_edge, _jump("7c")),
        ("what holds on one edge holds on the other", _checked_edge, _swap_edge),
    ],
    "join": [
        ("a join is its first value", _numbers, lambda line: line.update(join=line["values"][0])),
        ("a hull is its second value", _numbers, lambda line: line.update(hull=line["values"][1])),
        ("a number implies another", _numbers, lambda line: line.update(implies=True)),
    ],
    "states": [
        ("a join knows what one side knows", _differs, lambda line: line.update(joined=line["one"])),
        ("a state implies all others", _differs, lambda line: line.update(implies=True)),
    ],
    "control": [
        ("a return takes no arguments along", lambda line: line["popped"], lambda line: line.update(popped=0)),
        ("a jump leads to the start", lambda line: line["kind"] == "Jump", lambda line: line.update(target=0)),
    ],
}


def _control(world, _, line):
    joins.prove_control(world, line)


PROVE = {
    "transfer": transfer.prove_line,
    "control": _control,
    "condition": joins.prove_condition,
    "join": joins.prove_join,
    "states": joins.prove_states,
}


class Wrong:
    """Makes each wrong answer once, from the first answer that suits."""

    def __init__(self):
        self.open = {rule: list(wrongs) for rule, wrongs in WRONG.items()}
        self.refuted, self.accepted = defaultdict(list), defaultdict(list)

    def offer(self, world, line):
        rule = line["rule"]
        for wrong in [wrong for wrong in self.open[rule] if wrong[1](line)]:
            self.open[rule].remove(wrong)
            changed = deepcopy(line)
            wrong[2](changed)
            try:
                PROVE[rule](world, Solver(), changed)
                self.accepted[rule].append(wrong[0])
            except Refuted:
                self.refuted[rule].append(wrong[0])

    def finish(self):
        """For each rule of which a wrong answer was not refuted: why."""
        missed = {}
        for rule in WRONG:
            if self.accepted[rule]:
                missed[rule] = f"these wrong answers were proved: {', '.join(self.accepted[rule])}"
            if self.open[rule]:
                names = ", ".join(name for name, *_ in self.open[rule])
                missed[rule] = f"nothing to make these wrong answers from: {names}"
        return missed
