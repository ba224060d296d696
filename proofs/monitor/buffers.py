"""The list of buffers of a scattered read or gathered write: how it is copied in, and how it is shortened.

What happens to the list is said of any one of its buffers, number `SOME`. What a loop has done so far is said by
ghosts, which are computed from the list as it was.
"""

from z3 import (
    UGE,
    UGT,
    ULE,
    ULT,
    And,
    Array,
    BitVec,
    BitVecSort,
    BitVecVal,
    BoolRef,
    Concat,
    Extract,
    FreshConst,
    If,
    Implies,
    LShR,
    Not,
    Select,
    ZeroExt,
    simplify,
)

from proofs.monitor.descriptors import least
from proofs.monitor.frame import Call, Decision, End
from proofs.monitor.wasi import FAULT, INVAL
from proofs.prove import memory
from proofs.prove.failure import Failure
from proofs.prove.invariants import Loop
from proofs.prove.prover import Hook, Prover
from proofs.prove.state import Record, State, Table

# `IOV_MAX` of Linux: no call takes more buffers.
IOV_MAX = 1024
INLINE, SPILLED = "inline", "spilled"
RESERVE = "alloc::raw_vec::RawVecInner<A>::reserve::do_reserve_and_handle"
SOME = BitVec("some", 64)
SPILLED_START, ROOM = BitVec("spilled.start", 64), BitVec("spilled.room", 64)


def buffer_of(element) -> tuple:
    """Start and length of one buffer, in 64 bits."""
    return ZeroExt(32, Extract(31, 0, element)), ZeroExt(32, Extract(63, 32, element))


def split(call: Call, state: State) -> None:
    """Makes the room for 16 buffers, which is at the end of the structure, a table of its own."""
    whole = state.regions["buffers"]
    offset, type_ = call.buffers.type.place("inline")
    if offset + type_.size != whole.size:
        raise Failure("the room for buffers does not lie at the end of its structure")
    state.regions["buffers"] = Record("buffers", whole.base, offset, True)
    state.add(Table(INLINE, whole.base + offset, BitVecVal(type_.count, 64), type_.element.size, True))


def capacity(call: Call) -> int:
    """How many buffers need no allocation."""
    return call.buffers.type.place("inline")[1].count


def set_number(call: Call, state: State, path: str, value) -> None:
    state.set_field("buffers", call.buffers.type.place(path)[0], value)


def content(call: Call, state: State, index):
    """A buffer of the list, which is where its count says."""
    if call.case:
        return Select(state.tables[call.case], index)
    inline = Select(state.tables[INLINE], index)
    if SPILLED not in state.tables:
        return inline
    return If(UGT(count_of(call, state), capacity(call)), Select(state.tables[SPILLED], index), inline)


def count_of(call: Call, state: State):
    """The number of buffers in the list."""
    offset, type_ = call.buffers.type.place("count")
    return state.field("buffers", offset, type_.size)


# Copying in


def used(call: Call, most=IOV_MAX):
    """How many buffers are used: those of the list, up to the limit, which is at least one and at most `IOV_MAX`."""
    limit = ZeroExt(32, call.at_most.number)
    limit = If(limit == 0, BitVecVal(1, 64), If(UGT(limit, most), BitVecVal(most, 64), limit))
    return least(LShR(call.slices["list"][1], 3), limit)


def is_inside(call: Call, element, strict=False) -> BoolRef:
    """Whether a buffer ends inside memory, in numbers that do not wrap."""
    start, length = buffer_of(element)
    end, size = ZeroExt(8, start) + ZeroExt(8, length), ZeroExt(8, call.slices["memory"][1])
    return ULT(end, size) if strict else ULE(end, size)


def copy_regions(call: Call, state: State) -> None:
    """A new list, and iovecs of 8 bytes each."""
    split(call, state)
    for path in ("count", "spilled.len", "spilled.buf.inner.cap"):
        set_number(call, state, path, BitVecVal(0, 64))
    start, length = call.slices["list"]
    state.regions["list"] = Table("list", start, LShR(length, 3), 8)
    state.tables["list"] = Array("list[]", BitVecSort(64), BitVecSort(64))


def copied(call: Call, state: State, index, strict=False) -> BoolRef:
    """Whether a buffer is inside memory, and the one that the guest passed."""
    asked = Select(call.before.tables["list"], index)
    return And(is_inside(call, asked, strict), content(call, state, index) == asked)


def copy_loops(call: Call) -> list[Loop]:
    """Every buffer that was passed is copied."""

    def invariant(state: State, ghosts) -> BoolRef:
        return And(ULE(ghosts["j"], used(call)), Implies(ULT(SOME, ghosts["j"]), copied(call, state, SOME)))

    return [Loop(invariant, maybe=lambda state, ghosts: [ULT(ghosts["j"], used(call))])]


def vectors(call: Call) -> dict[str, Hook]:
    """`Vec::reserve` and `memset`, at their word."""

    def reserve(prover: Prover, state: State) -> None:
        asked = state["rsi"] + state["rdx"]
        place = call.buffers.type.place("spilled.buf.inner")[0]
        prover.must(state, state["rdi"] == BitVec("buffers.address", 64) + place, "the list is what grows")
        call.add_table(state, Table(SPILLED, SPILLED_START, ROOM, 8, True))
        state.facts.append(UGE(ROOM, asked))
        set_number(call, state, "spilled.buf.inner.ptr", SPILLED_START)
        set_number(call, state, "spilled.buf.inner.cap", ROOM)
        prover.return_from(state)

    def memset(prover: Prover, state: State) -> None:
        start, length = simplify(state["rdi"]), state["rdx"]
        place = memory.find(state, start, 1)
        if place is None or place.offset or not place.region.writable:
            raise Failure("memset of what is no table")
        elements = LShR(length, 3)
        inside = And(
            elements << 3 == length, ULE(elements, place.region.count), ULE(place.index, place.region.count - elements)
        )
        prover.must(state, inside, "memset inside the list")
        # What it writes is written again, so that nothing has to be known of it.
        table = state.tables[place.region.name]
        state.tables[place.region.name] = FreshConst(table.sort(), "set")
        prover.return_from(state, rax=start)

    return {RESERVE: reserve, "memset": memset}


def copy_after(end: End, after_strict=False, after_errno=FAULT, after_most=IOV_MAX) -> BoolRef:
    call, state = end.call, end.state
    total = used(call, after_most)
    room = end.record("buffers").spilled
    stored = Implies(UGT(total, capacity(call)), room.len.number == total)
    if SPILLED in state.regions:
        stored = And(stored, room.buf.inner.ptr.number == SPILLED_START)
    admitted = And(
        count_of(call, state) == total, stored, Implies(ULT(SOME, total), copied(call, state, SOME, after_strict))
    )
    # A refusal happens in an iteration, at a buffer that is outside.
    iteration = next((cut.ghosts["j"] for cut in state.cuts.values()), None)
    outside = False
    if iteration is not None:
        outside = And(ULT(iteration, total), Not(is_inside(call, Select(call.before.tables["list"], iteration))))
    refused = And(end.result.variant("Err")._0.raw.number == after_errno, outside)
    return If(end.result.is_variant("Ok"), admitted, refused)


# Shortening


def list_regions(call: Call, state: State) -> None:
    """A list of up to `IOV_MAX` buffers, of which more than 16 lie in a vector of that length."""
    split(call, state)
    count = BitVec("count", 64)
    call.add_table(state, Table(SPILLED, SPILLED_START, ROOM, 8, True))
    set_number(call, state, "count", count)
    set_number(call, state, "spilled.buf.inner.ptr", SPILLED_START)
    set_number(call, state, "spilled.len", ROOM)
    few = ULE(count, capacity(call))
    state.facts += [few] if call.case == INLINE else [Not(few), ULE(count, IOV_MAX), ROOM == count]


def of_list(call: Call, index) -> tuple:
    """A buffer of the list before the call."""
    return buffer_of(content(call, call.before, index))


def shortened(call: Call, left) -> tuple:
    """Of each buffer, what is left of the first bytes: the start stays."""
    start, length = of_list(call, SOME)
    return start, least(length, left)


def skipped(call: Call, left) -> tuple:
    """Of each buffer, what is behind the first bytes."""
    start, length = of_list(call, SOME)
    return start + least(length, left), length - least(length, left)


def walks(becomes):
    """The loop over the list. `left` is what is left of the bytes before each buffer, and `mine` that before `SOME`."""

    def loops(call: Call) -> list[Loop]:
        def step(ghosts):
            _, length = of_list(call, ghosts["j"])
            left = ghosts["left"] - least(length, ghosts["left"])
            return {"left": left, "mine": If(ghosts["j"] + 1 == SOME, left, ghosts["mine"])}

        def invariant(state: State, ghosts) -> BoolRef:
            changed = is_buffer(content(call, state, SOME), *becomes(call, ghosts["mine"]))
            return And(
                ULE(ghosts["j"], count_of(call, call.before)),
                Implies(ULT(SOME, ghosts["j"]), changed),
                Implies(ghosts["j"] == SOME, ghosts["mine"] == ghosts["left"]),
            )

        def untouched(state: State, ghosts, index) -> BoolRef:
            same = content(call, state, index) == content(call, call.before, index)
            return Implies(UGE(index, ghosts["j"]), same)

        number = call.arguments["bytes_"].number
        return [
            Loop(
                invariant,
                everywhere=untouched,
                index=SOME,
                ghosts={"left": number, "mine": number},
                step=step,
                expressions=lambda ghosts: [ghosts["left"]],
                maybe=lambda state, ghosts: [ULT(ghosts["j"], count_of(call, call.before))],
            )
        ]

    return loops


def is_buffer(element, start, length) -> BoolRef:
    """Whether a buffer has this start and this length. A start of more than 32 bits is none."""
    return element == Concat(Extract(31, 0, length), Extract(31, 0, start))


def walked(becomes):
    """What is true of any buffer after the walk, by what was left before it."""

    def after(end: End, after_becomes=becomes, after_count=0) -> BoolRef:
        call, state = end.call, end.state
        cut = next(iter(state.cuts.values()), None)
        count = count_of(call, call.before)
        kept = count_of(call, state) == count + after_count
        if cut is not None:
            last = cut.loop.after(cut.ghosts)
            all_, left = last["j"] == count, last["mine"]
        else:
            # No list, or one of one buffer, needs no loop.
            all_, left = ULE(count, 1), call.arguments["bytes_"].number
        changed = is_buffer(content(call, state, SOME), *after_becomes(call, left))
        return And(kept, all_, Implies(ULT(SOME, count), changed))

    return after


DECISIONS = [
    Decision(
        "copy_in_all",
        "a list is used up to its limit; each buffer is the one passed and inside memory, or the call is FAULT",
        ("buffers", "memory", "list", "at_most"),
        lambda call: [],
        {
            "a buffer at the end is outside": {"after_strict": True},
            "outside is INVAL": {"after_errno": INVAL},
            "up to 16 are used": {"after_most": 16},
        },
        after=copy_after,
        bound="a list that nothing was copied into before",
        assumptions=("reserve", "memset"),
        regions=copy_regions,
        hooks=vectors,
        loops=copy_loops,
    ),
    Decision(
        "shorten_all",
        "of a list, the first bytes are left, in their order; nothing is added",
        ("buffers", "bytes_"),
        lambda call: [],
        {"the first bytes are dropped": {"after_becomes": skipped}, "a buffer is dropped": {"after_count": -1}},
        after=walked(shortened),
        cases=(INLINE, SPILLED),
        regions=list_regions,
        loops=walks(shortened),
    ),
    Decision(
        "skip",
        "of a list, the first bytes are dropped, and the rest stays in its order",
        ("buffers", "bytes_"),
        lambda call: [],
        {"the first bytes are left": {"after_becomes": shortened}, "a buffer is dropped": {"after_count": -1}},
        after=walked(skipped),
        cases=(INLINE, SPILLED),
        regions=list_regions,
        loops=walks(skipped),
    ),
]
