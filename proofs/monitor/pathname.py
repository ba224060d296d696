"""What a path means: the specification of `path.py`, and why it is the right one.

POSIX.1-2017 (XBD 3.271 and 4.13) reads a pathname as components, which are separated by one or more slashes. `.` is
the directory that one is in, so leading ones have no meaning; `..` leads out of it; a slash after the last component
demands a directory; a component contains no NUL; a pathname of no bytes is an error, and so is one of more than
PATH_MAX bytes with the NUL that Linux appends. WASI (preview 1, `path_open`) adds that a path is relative to a
directory that the guest has open, and that nothing outside it is reached.

That is said here three times:

- `by_components`, by splitting at slashes, as one would tell a person;
- `step`, an automaton that reads one byte after another; `path` compares the machine code with this one;
- `Meaning`, by positions: the last component begins at the last position where one begins, and so on.

By `induction` on the length, Z3 proves that the automaton computes the positions of `Meaning` for texts of every
length. `compared_with_components` compares it with `by_components` on every text of up to 8 bytes over the bytes that
mean something and one that does not.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import z3

from proofs.report import Claim, Timer

NOTHING, DOT, DOTDOT, NAME = range(4)
SLASH, PERIOD = ord("/"), ord(".")

# The functions below take numbers of Python and terms of Z3 alike: what is proved and what is run is the same text.


def choose(condition, yes, no):
    """`yes` if the condition holds, otherwise `no`."""
    if isinstance(condition, bool):
        return yes if condition else no
    return z3.If(condition, yes, no)


def every(*conditions):
    """Whether all of them hold."""
    if all(isinstance(one, bool) for one in conditions):
        return all(conditions)
    return z3.And(*conditions)


def some(*conditions):
    """Whether one of them holds."""
    if all(isinstance(one, bool) for one in conditions):
        return any(conditions)
    return z3.Or(*conditions)


class Scan(NamedTuple):
    """What the automaton knows after some bytes. Positions count from the start of the text."""

    between: Any  # the last byte was a slash, or there was none
    nul: Any  # one of the bytes was a NUL
    first: Any  # where the first component begins that is not `.`, or the last component if all are
    parent_end: Any  # where the component before the last one ends; `first` if that is the last one
    last: Any  # where the last component begins
    closed: Any  # where the last component ends that a slash follows
    kind: Any  # what the last component is: NOTHING, DOT, DOTDOT or NAME
    lead: Any  # what the component at `first` is

    def end(self, at):
        """Where the last component ends, if the text ends at `at`."""
        return choose(self.between, self.closed, at)


def step(scan: Scan, at, byte) -> Scan:
    """The automaton after the byte at position `at`."""
    slash, period = byte == SLASH, byte == PERIOD
    begins = every(scan.between, byte != SLASH)
    ends = every(scan.between == False, slash)  # noqa: E712 (a term of Z3, perhaps)
    # So far there was at most a `.`, or several.
    leads = every(begins, some(scan.lead == NOTHING, scan.lead == DOT))
    longer = choose(every(scan.kind == DOT, period), *kinds(scan, DOTDOT, NAME))
    begun = choose(period, *kinds(scan, DOT, NAME))
    kind = choose(slash, scan.kind, choose(begins, begun, longer))
    first = choose(leads, at, scan.first)
    last = choose(begins, at, scan.last)
    return Scan(
        between=slash,
        nul=some(scan.nul, byte == 0),
        first=first,
        parent_end=choose(leads, at, choose(begins, scan.closed, scan.parent_end)),
        last=last,
        closed=choose(ends, at, scan.closed),
        kind=kind,
        lead=choose(first == last, kind, scan.lead),
    )


def kinds(scan: Scan, *numbers):
    """Kinds as what the scan has: numbers, or terms."""
    return numbers if isinstance(scan.kind, int) else [z3.BitVecVal(one, scan.kind.size()) for one in numbers]


Automaton = Callable[[Scan, Any, Any], Scan]
EMPTY = Scan(between=True, nul=False, first=0, parent_end=0, last=0, closed=0, kind=NOTHING, lead=NOTHING)


def symbolic(name: str, width: int) -> Scan:
    """A scan about which nothing is known."""
    flag = lambda field: z3.Bool(f"{name}.{field}")  # noqa: E731
    number = lambda field: z3.BitVec(f"{name}.{field}", width)  # noqa: E731
    kind = lambda field: z3.BitVec(f"{name}.{field}", 2)  # noqa: E731
    make = {"between": flag, "nul": flag, "kind": kind, "lead": kind}
    return Scan(*[make.get(field, number)(field) for field in Scan._fields])


def empty(width: int) -> Scan:
    """The scan of no bytes, as terms."""
    flags = [z3.BoolVal(True), z3.BoolVal(False)]
    return Scan(*flags, *[z3.BitVecVal(0, width)] * 4, *[z3.BitVecVal(NOTHING, 2)] * 2)


# ---- by components ---------------------------------------------------------------------------------


def by_components(text: bytes):
    """The errno of a text that is not too long, or four parts: the path from its first component that is not `.`, what
    stands before the last component, the last component, and whether a slash follows."""
    if not text:
        return "NOENT"
    if b"\0" in text:
        return "INVAL"
    if text.startswith(b"/"):
        return "NOTCAPABLE"
    rest = text.rstrip(b"/")
    while rest.split(b"/")[0] == b"." and b"/" in rest:
        rest = rest[1:].lstrip(b"/")
    components = [one for one in rest.split(b"/") if one]
    if components[0] == b"..":
        return "NOTCAPABLE"
    last = components[-1]
    parent = rest[: len(rest) - len(last)].rstrip(b"/")
    return rest, parent, last, text.endswith(b"/")


def by_scan(text: bytes, scan: Scan):
    """The same by the automaton."""
    if not text:
        return "NOENT"
    if scan.nul:
        return "INVAL"
    if text[0] == SLASH or scan.lead == DOTDOT:
        return "NOTCAPABLE"
    end = scan.end(len(text))
    last = text[scan.last : end]
    assert scan.kind == {b".": DOT, b"..": DOTDOT}.get(last, NAME), text
    return text[scan.first : end], text[scan.first : scan.parent_end], last, scan.between


def compared_with_components(longest: int) -> int:
    """Compares both on every text of up to `longest` bytes, and returns how many these are."""
    scans = {b"": EMPTY}
    count = 0
    for length in range(longest + 1):
        for text, scan in scans.items():
            assert by_scan(text, scan) == by_components(text), text
            count += 1
        longer = product(scans.items(), b"a./\0") if length < longest else []
        scans = {text + bytes([byte]): step(scan, length, byte) for (text, scan), byte in longer}
    return count


# ---- by positions ----------------------------------------------------------------------------------

WIDTH = 64


class Meaning:
    """A text of `length` bytes, and what its positions are."""

    def __init__(self, text, length):
        self.text, self.length = text, length

    def is_byte(self, at, byte: int):
        """Whether this byte is at the position."""
        return z3.And(z3.ULT(at, self.length), z3.Select(self.text, at) == byte)

    def begins(self, at):
        """A component begins here: no slash is here, and a slash or nothing is before."""
        here = z3.And(z3.ULT(at, self.length), z3.Select(self.text, at) != SLASH)
        return z3.And(here, z3.Or(at == 0, z3.Select(self.text, at - 1) == SLASH))

    def ends(self, at):
        """A component ends here: no slash is before, and a slash or nothing is here."""
        before = z3.And(at != 0, z3.ULE(at, self.length), z3.Select(self.text, at - 1) != SLASH)
        return z3.And(before, z3.Or(at == self.length, z3.Select(self.text, at) == SLASH))

    def is_dot(self, at):
        """The component `.` is here."""
        return z3.And(self.begins(at), self.is_byte(at, PERIOD), self.ends(at + 1))

    def is_dotdot(self, at):
        """The component `..` is here."""
        return z3.And(self.begins(at), self.is_byte(at, PERIOD), self.is_byte(at + 1, PERIOD), self.ends(at + 2))

    def kind(self, at):
        """What the component that begins here is."""
        kinds = [z3.BitVecVal(one, 2) for one in (DOT, DOTDOT, NAME, NOTHING)]
        name = z3.If(self.begins(at), kinds[2], kinds[3])
        return z3.If(self.is_dot(at), kinds[0], z3.If(self.is_dotdot(at), kinds[1], name))

    def between(self):
        """The last byte is a slash, or there is none."""
        return z3.Or(self.length == 0, z3.Select(self.text, self.length - 1) == SLASH)

    def order(self, scan: Scan):
        """Which position lies before which."""
        end = scan.end(self.length)
        nothing = z3.And(scan.first == 0, scan.parent_end == 0, scan.last == 0, scan.closed == 0, scan.between)
        single = z3.And(scan.parent_end == scan.first, scan.first == scan.last)
        several = z3.And(z3.ULT(scan.first, scan.parent_end), z3.ULT(scan.parent_end, scan.last))
        closed = z3.If(scan.between, z3.ULT(scan.closed, self.length), z3.ULE(scan.closed, scan.last))
        ordered = z3.And(z3.Or(single, several), z3.ULT(scan.last, end), z3.ULE(end, self.length), closed)
        return z3.If(scan.kind == NOTHING, nothing, ordered)

    def kinds(self, scan: Scan):
        """What the last component and the first one are."""
        bytes_of_last = scan.end(self.length) - scan.last
        return [
            self.kind(scan.last) == scan.kind,
            self.kind(scan.first) == scan.lead,
            z3.Implies(scan.kind == DOT, bytes_of_last == 1),
            z3.Implies(scan.kind == DOTDOT, bytes_of_last == 2),
            (scan.kind == NOTHING) == (scan.lead == NOTHING),
            z3.Or(scan.first == scan.last, scan.lead != DOT),
            z3.Implies(scan.kind != NOTHING, self.ends(scan.end(self.length))),
        ]

    def positions(self, scan: Scan, other):
        """What each position is, seen from any other one: the other one is not of its kind, or not as far."""
        end = scan.end(self.length)
        there = scan.kind != NOTHING
        return [
            # The last component begins at the last position where one begins, and ends at the last one where one ends.
            z3.Implies(there, self.begins(scan.last)),
            z3.Implies(self.begins(other), z3.And(there, z3.ULE(other, scan.last))),
            z3.Implies(self.ends(other), z3.And(there, z3.ULE(other, end))),
            # The first one is the last one or not `.`, and those before it are.
            z3.Implies(z3.And(self.begins(other), z3.ULT(other, scan.first)), self.is_dot(other)),
            # Of several, the one before the last one ends at the last position before that where one ends.
            z3.Implies(scan.first != scan.last, self.ends(scan.parent_end)),
            z3.Implies(
                z3.And(self.ends(other), z3.ULE(other, scan.last), scan.first != scan.last),
                z3.ULE(other, scan.parent_end),
            ),
            # Without a NUL so far, none is at the other position.
            z3.Implies(z3.And(z3.ULT(other, self.length), z3.Select(self.text, other) == 0), scan.nul),
        ]

    def local(self, scan: Scan):
        """What is true of these positions alone."""
        return [self.order(scan), *self.kinds(scan), scan.between == self.between()]


def induction(automaton: Automaton = step) -> dict[str, tuple[list, Any]]:
    """What has to be true so that an automaton computes the positions that are meant: for the text of no bytes, and for
    one byte more than any other text. For each, what is given and what has to follow."""
    text = z3.Array("text", z3.BitVecSort(WIDTH), z3.BitVecSort(8))
    length, other, nul_at = z3.BitVecs("length other nul_at", WIDTH)
    nothing, shorter = empty(WIDTH), symbolic("scan", WIDTH)
    longer = automaton(shorter, length, z3.Select(text, length))
    before, after = Meaning(text, length), Meaning(text, length + 1)
    nowhere = Meaning(text, z3.BitVecVal(0, WIDTH))
    possible = z3.ULT(length, 1 << 62)
    given = [possible, *before.local(shorter), *before.positions(shorter, other)]
    of_nothing = [*nowhere.local(nothing), *nowhere.positions(nothing, other), z3.Not(nothing.nul)]
    claims = {"no bytes": ([], z3.And(*of_nothing))}
    for number, claim in enumerate([*after.local(longer), *after.positions(longer, other)], 1):
        claims[f"one byte more ({number})"] = (given, claim)
    claims["a NUL is never forgotten"] = ([shorter.nul], longer.nul)
    there = z3.Implies(shorter.nul, before.is_byte(nul_at, 0))
    somewhere = z3.Or(after.is_byte(nul_at, 0), after.is_byte(length, 0))
    claims["a NUL is there"] = ([possible, there, longer.nul], somewhere)
    return claims


def against(given: list, claim) -> z3.CheckSatResult:
    """Whether what is given allows the opposite of a claim: `unsat` proves it, `sat` refutes it."""
    solver = z3.SolverFor("QF_AUFBV")
    solver.set("timeout", 60_000)
    solver.add(*given, z3.Not(claim))
    return solver.check()


def without_dotdot(scan: Scan, at, byte) -> Scan:
    """An automaton that takes `..` for a name."""
    right = step(scan, at, byte)
    return right._replace(kind=z3.If(right.kind == DOTDOT, NAME, right.kind))


def closed_by_every_slash(scan: Scan, at, byte) -> Scan:
    """An automaton that lets each slash end the last component."""
    right = step(scan, at, byte)
    return right._replace(closed=z3.If(byte == SLASH, at, right.closed))


WRONG = {"`..` is a name": without_dotdot, "each slash ends a component": closed_by_every_slash}
# As many texts as there are with up to this many bytes are compared one by one.
LONGEST_COMPARED = 8


class Specification:
    """That the automaton says what is meant, as a claim."""

    name = "pathname"

    def prove(self, _world) -> Claim:
        """Proves it by induction, and refutes wrong automata."""
        timer, failure, queries, refuted = Timer(), "", 0, []
        try:
            compared_with_components(LONGEST_COMPARED)
        except AssertionError as text:
            failure = f"not what its components say: {text}"
        for what, (given, claim) in induction().items():
            queries += 1
            if (answer := against(given, claim)) != z3.unsat:
                failure = failure or f"{what}: {answer}"
        for what, automaton in WRONG.items():
            if any(against(given, claim) == z3.sat for given, claim in induction(automaton).values()):
                refuted.append(what)
        if not failure and len(refuted) < len(WRONG):
            failure = f"wrong automata that were not refuted: {[what for what in WRONG if what not in refuted]}"
        return Claim(
            part="monitor",
            decision=self.name,
            specification="the automaton of `path` finds the parts that POSIX defines, which are those between slashes",
            bound="none (compared with splitting at slashes: texts of up to 8 bytes)",
            assumptions=["z3"],
            wrong=refuted,
            queries=queries,
            seconds=timer.seconds(),
            failure=failure,
        )


DECISIONS = [Specification()]
