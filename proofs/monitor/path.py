"""`GuestPath::parse`: which paths are admitted, and what their parts are.

What a path means is in `pathname`, as an automaton that reads one byte after another. The loop of the function reads
one byte in each iteration. Its invariant says that registers hold what the automaton has computed from the same
bytes. So a step is proved for one symbolic byte, and texts of every length are covered. Which register holds what is
found by search.
"""

from z3 import UGT, ULE, ULT, And, BitVecVal, BoolRef, If, Implies, Not, Or, Select

from proofs.monitor import pathname
from proofs.monitor.frame import ALWAYS, Call, Decision, End, Outcome, Row, admits, refuses
from proofs.monitor.pathname import DOT, DOTDOT, SLASH, WIDTH, Meaning, Scan
from proofs.monitor.wasi import INVAL, NAMETOOLONG, NOENT, NOTCAPABLE
from proofs.prove.invariants import Ghosts, Loop
from proofs.prove.state import State
from proofs.prove.types import Value

# PATH_MAX of Linux is 4096, with the NUL behind the path.
LONGEST = 4095
# The whole text, as the automaton has it in the end.
READ = pathname.symbolic("read", WIDTH)
WORDS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")
BYTES = ("al", "bl", "cl", "dl", "sil", "dil", "bpl", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b")
FLAGS = ("between", "nul")
POSITIONS = ("first", "parent_end", "last", "closed")


def ghosts_of(scan: Scan) -> Ghosts:
    """A scan as ghosts, which are numbers."""
    flag = {name: If(getattr(scan, name), BitVecVal(1, 8), BitVecVal(0, 8)) for name in FLAGS}
    return {**scan._asdict(), **flag}


def scan_of(ghosts: Ghosts) -> Scan:
    """The scan that ghosts are."""
    flag = {name: ghosts[name] == 1 for name in FLAGS}
    return Scan(**{name: ghosts[name] for name in Scan._fields} | flag)


def scanning(call: Call, registers: bool = True) -> Loop:
    """A loop that reads `text` byte by byte."""

    def text():
        return call.before.tables["text"]

    def step(ghosts: Ghosts) -> Ghosts:
        at = ghosts["j"]
        return ghosts_of(pathname.step(scan_of(ghosts), at, Select(text(), at)))

    def lemmas(ghosts: Ghosts) -> list[BoolRef]:
        flags = [ULE(ghosts[name], 1) for name in FLAGS]
        return flags + Meaning(text(), ghosts["j"]).local(scan_of(ghosts))

    def invariant(_state: State, ghosts: Ghosts) -> BoolRef:
        return And(ULE(ghosts["j"], call.slices["text"][1]), Not(scan_of(ghosts).nul))

    def maybe(state: State, ghosts: Ghosts) -> list[BoolRef]:
        words = [state[name] == ghosts[position] for position in POSITIONS for name in WORDS]
        flags = [state[name] == ghosts["between"] for name in BYTES]
        return [ULT(ghosts["j"], call.slices["text"][1]), *(words + flags if registers else [])]

    return Loop(invariant, ghosts=ghosts_of(pathname.empty(WIDTH)), step=step, lemmas=lemmas, maybe=maybe)


def after_reading(call: Call, outcome: Outcome) -> Outcome:
    """An outcome that depends on `READ`. If the call returns before the end of the text, all that is known of `READ` is
    a NUL: it is never forgotten."""

    def what_is_read(end: End) -> BoolRef:
        count, facts = call.slices["text"][1], []
        for cut in end.state.cuts.values():
            ghosts, following = cut.ghosts, cut.loop.after(cut.ghosts)
            for scanned in (ghosts, following):
                same = And(*[one == other for one, other in zip(READ, scan_of(scanned), strict=True)])
                facts.append(Implies(scanned["j"] == count, same))
            facts.append(Implies(And(ULT(ghosts["j"], count), following["nul"] == 1), READ.nul))
            facts += cut.loop.lemmas(following)
        return Implies(And(*facts), outcome(end))

    return what_is_read


def refusals(call: Call, longest: int, nul: BoolRef) -> list[Row]:
    """What paths and the targets of links are refused for, whatever they lead to."""
    count = call.slices["text"][1]
    return [
        Row(count == 0, refuses(NOENT)),
        Row(UGT(count, longest), refuses(NAMETOOLONG)),
        Row(nul, after_reading(call, refuses(INVAL))),
        Row(byte(call, 0) == SLASH, after_reading(call, refuses(NOTCAPABLE))),
    ]


def byte(call: Call, at):
    """A byte of the text."""
    return Select(call.before.tables["text"], BitVecVal(at, WIDTH) if isinstance(at, int) else at)


def is_part(call: Call, slice_: Value, start, end) -> BoolRef:
    """Whether a slice is this part of the text. Of an empty one, it does not matter where it is."""
    here = slice_.data_ptr.number == call.slices["text"][0] + start
    return And(slice_.length.number == end - start, Implies(start != end, here))


def path_rows(
    call: Call, longest=LONGEST, last_nul=True, climbs=True, kept_dot=False, kept_slash=False, up=DOTDOT
) -> list[Row]:
    count = call.slices["text"][1]
    nul = READ.nul if last_nul else And(READ.nul, byte(call, count - 1) != 0)
    start, end = 0 if kept_dot else READ.first, count if kept_slash else READ.end(count)

    def parts(path: Value) -> BoolRef:
        dot, up_, name = [path.last.is_variant(kind) for kind in ("Dot", "DotDot", "Name")]
        named = And(name, is_part(call, path.last.variant("Name")._0, READ.last, READ.end(count)))
        return And(
            is_part(call, path.whole, start, end),
            is_part(call, path.parent, READ.first, READ.parent_end),
            If(READ.kind == DOT, dot, If(READ.kind == up, up_, named)),
            (path.slash.number == 1) == READ.between,
        )

    return [
        *refusals(call, longest, nul),
        *([Row(READ.lead == DOTDOT, after_reading(call, refuses(NOTCAPABLE)))] if climbs else []),
        Row(ALWAYS, after_reading(call, admits(parts))),
    ]


DECISIONS = [
    Decision(
        "path",
        "a path has 1 to 4095 bytes and no NUL, and does not begin with `/` or `..`; its parts are what POSIX says",
        ("text",),
        path_rows,
        {
            "a path may have 4096 bytes": {"longest": LONGEST + 1},
            "the last byte may be a NUL": {"last_nul": False},
            "the first component may be `..`": {"climbs": False},
            "a leading `./` stays": {"kept_dot": True},
            "a slash at the end stays": {"kept_slash": True},
            "`..` at the end is a name": {"up": pathname.NOTHING},
        },
        loops=lambda call: [scanning(call)],
    ),
]
