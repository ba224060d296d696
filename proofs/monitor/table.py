"""The table of descriptors: close, renumber, insert, narrow."""

from z3 import UGE, ULE, ULT, And, BitVec, BoolRef, If, Implies, Not, Select, Store, ZeroExt, simplify

from proofs.monitor.descriptors import valid_entry
from proofs.monitor.frame import ALWAYS, ENTRIES, Call, Decision, End, Row, admits, known_bytes, refuses
from proofs.monitor.wasi import ALL_RIGHTS, BADF, INVAL, NOTCAPABLE
from proofs.prove.failure import Failure
from proofs.prove.invariants import Loop
from proofs.prove.prover import Prover
from proofs.prove.state import State, Table
from proofs.prove.types import Value

FIRST_FREE = 3
# A table of this many slots has no free number.
MOST_SLOTS = (1 << 32) - 1
FEWER_SLOTS = "fewer than 2^32 - 1 slots"


def entries_after(end: End, fd, slot: Value) -> BoolRef:
    """Whether the table is as it was, but for one slot, which has this value."""
    index = ZeroExt(32, fd)
    before, after = end.call.before.tables[ENTRIES], end.state.tables[ENTRIES]
    # The new content of the slot is whatever it is, so that this says nothing but that all others are the same.
    same_elsewhere = after == Store(before, index, end.state.element(ENTRIES, index))
    return And(same_elsewhere, end.slot(fd).same(slot))


def table_is_as_before(end: End) -> BoolRef:
    """Whether no slot has changed, nor anything else of the monitor."""
    return And(end.state.tables[ENTRIES] == end.call.before.tables[ENTRIES], end.only())


def set_rights_rows(call: Call, defined=ALL_RIGHTS, base_is_bounded=True, closed=BADF) -> list[Row]:
    fd, base, inheriting = call.fd.number, call.base.number, call.inheriting.number
    entry = call.entry(fd)
    new_base = base & ~entry.base.number if base_is_bounded else base & 0
    new_inheriting = inheriting & ~entry.inheriting.number
    return [
        Row((base | inheriting) & ~defined != 0, refuses(INVAL)),
        Row(Not(call.is_open(fd)), refuses(closed)),
        Row((new_base | new_inheriting) != 0, refuses(NOTCAPABLE)),
        Row(ALWAYS, admits()),
    ]


def set_rights_after(end: End, after_inheriting_is_kept=False) -> BoolRef:
    call, fd = end.call, end.call.fd.number
    old, new = call.entry(fd), end.entry(fd)
    inheriting = old.inheriting.number if after_inheriting_is_kept else call.inheriting.number
    others = [getattr(new, name).same(getattr(old, name)) for name in ("host", "kind", "access", "flags", "origin")]
    exactly = And(new.base.number == call.base.number, new.inheriting.number == inheriting, *others)
    changed = And(exactly, entries_after(end, fd, end.slot(fd)), end.only())
    return If(end.result.is_variant("Ok"), changed, table_is_as_before(end))


# Any number: what is proved of it is proved of all.
SOME_FD = BitVec("some_fd", 32)


def taken_below(call: Call, state: State, lowest) -> BoolRef:
    """Whether some number from 3 up to the lowest free one is open, if it is there."""
    return Implies(And(UGE(SOME_FD, FIRST_FREE), ULT(SOME_FD, lowest)), call.is_open(SOME_FD, state))


def numbering_facts(call: Call) -> list[BoolRef]:
    """What the monitor keeps true of its table: no number from 3 up to `lowest_free` is free, and that is no higher
    than the number of slots. There is a free number left."""
    lowest, slots = call.monitor.lowest_free.number, call.monitor.entries.len.number
    return [
        UGE(lowest, FIRST_FREE),
        ULE(ZeroExt(32, lowest), slots),
        ULT(slots, MOST_SLOTS),
        taken_below(call, call.before, lowest),
        call.slot(SOME_FD).valid(),
    ]


def numbering_is_kept(end: End) -> BoolRef:
    """Whether it is true again."""
    monitor = end.record("monitor")
    lowest = monitor.lowest_free.number
    below = ULE(ZeroExt(32, lowest), monitor.entries.len.number)
    return And(UGE(lowest, FIRST_FREE), below, taken_below(end.call, end.state, lowest))


def open_count_is(end: End, change: int) -> BoolRef:
    """Whether the count of open descriptors has changed by so much."""
    return end.record("monitor").open.number == end.call.monitor.open.number + change


def close_rows(call: Call, closed=BADF) -> list[Row]:
    fd = call.fd.number
    return [
        Row(Not(call.is_open(fd)), refuses(closed)),
        Row(ALWAYS, admits(lambda effect: effect.on.number == call.entry(fd).host.number)),
    ]


def close_after(end: End, after_stays_open=False, after_change=-1) -> BoolRef:
    call, fd = end.call, end.call.fd.number
    lowest = end.record("monitor").lowest_free.number
    closed = And(
        entries_after(end, fd, end.slot(fd)),
        end.slot(fd).is_variant("Some" if after_stays_open else "None"),
        open_count_is(end, after_change),
        numbering_is_kept(end),
        # The number is given again before any higher one.
        Implies(UGE(fd, FIRST_FREE), ULE(lowest, fd)),
        end.only("open", "lowest_free"),
    )
    return If(end.result.is_variant("Ok"), closed, table_is_as_before(end))


def renumber_rows(call: Call, closed=BADF, from_must_be_open=True) -> list[Row]:
    from_, to = call.from_.number, call.to.number
    both_open = And(call.is_open(from_), call.is_open(to)) if from_must_be_open else call.is_open(to)
    return [
        Row(Not(both_open), refuses(closed)),
        Row(from_ == to, admits(lambda replaced: replaced.is_variant("None"))),
        Row(
            ALWAYS,
            admits(
                lambda replaced: And(
                    replaced.is_variant("Some"),
                    replaced.variant("Some")._0._0.on.number == call.entry(to).host.number,
                )
            ),
        ),
    ]


def renumber_after(end: End, after_from_is_kept=False, after_change=-1) -> BoolRef:
    call, from_, to = end.call, end.call.from_.number, end.call.to.number
    before, after = call.before.tables[ENTRIES], end.state.tables[ENTRIES]
    at_from, at_to = ZeroExt(32, from_), ZeroExt(32, to)
    both = Store(Store(before, at_from, Select(after, at_from)), at_to, Select(after, at_to))
    moved = And(
        after == both,
        end.slot(to).same(call.slot(from_)),
        end.slot(from_).is_variant("Some" if after_from_is_kept else "None"),
        open_count_is(end, after_change),
        numbering_is_kept(end),
        end.only("open", "lowest_free"),
    )
    changes = And(end.result.is_variant("Ok"), from_ != to)
    return If(changes, moved, table_is_as_before(end))


def insert_after(end: End, after_skips=0, after_change=1) -> BoolRef:
    """The number is the lowest free one: it was free, and any from 3 up to it is open."""
    call, fd = end.call, end.result.number
    where = current_table(end)
    index = ZeroExt(32, fd)
    slot = Value(call.slot(fd).type, known_bytes(end.state.element(where, index)))
    some = Value(slot.type, known_bytes(end.state.element(where, ZeroExt(32, SOME_FD))))
    some_before = Value(slot.type, known_bytes(call.before.element(ENTRIES, ZeroExt(32, SOME_FD))))
    start, count = position_of_table(end)
    in_table = ULT(ZeroExt(32, SOME_FD), count)
    was_there = ULT(ZeroExt(32, SOME_FD), BitVec("entries.count", 64))
    lowest = end.record("monitor").lowest_free.number
    return And(
        UGE(fd, FIRST_FREE + after_skips),
        Not(call.is_open(fd)),
        Implies(And(UGE(SOME_FD, FIRST_FREE), ULT(SOME_FD, fd)), call.is_open(SOME_FD)),
        ULT(index, count),
        slot.is_variant("Some"),
        slot.variant("Some")._0.same(call.entry_in),
        # Any other number is what it was, and closed if it was not in the table.
        Implies(And(SOME_FD != fd, was_there), And(in_table, some.same(some_before))),
        Implies(And(SOME_FD != fd, in_table, Not(was_there)), some.is_variant("None")),
        # What the monitor keeps true of its numbers is true again.
        Implies(And(UGE(SOME_FD, FIRST_FREE), ULT(SOME_FD, lowest)), And(in_table, some.is_variant("Some"))),
        And(UGE(lowest, FIRST_FREE), ULE(ZeroExt(32, lowest), count)),
        open_count_is(end, after_change),
        end.only("open", "lowest_free", "entries"),
    )


# Where a table that grows goes, and how many slots there is room for.
GROWN, GROWN_START, ROOM = "grown", BitVec("grown.start", 64), BitVec("grown.room", 64)
RESERVE = "alloc::raw_vec::RawVecInner<A>::reserve::do_reserve_and_handle"


def position_of_table(end: End):
    """Start and count of the table after a call."""
    entries = end.record("monitor").entries
    return entries.buf.inner.ptr.number, entries.len.number


def current_table(end: End) -> str:
    """The region of the table after a call: where it was, or where it has grown."""
    start = simplify(position_of_table(end)[0])
    for name in (ENTRIES, GROWN):
        if name in end.state.regions and simplify(end.state.regions[name].base).eq(start):
            return name
    raise Failure(f"the table is at {start}")


def grows(call: Call):
    """`Vec::reserve`, at its word: the same slots at another place, with room for as many more as it is asked for."""

    def reserve(prover: Prover, state: State) -> None:
        length, more = state["rsi"], state["rdx"]
        place, type_ = call.monitor.type.place("entries.buf.inner")[0], call.monitor.type
        prover.must(state, state["rdi"] == BitVec("monitor.address", 64) + place, "the table is what grows")
        prover.must(state, length == BitVec("entries.count", 64), "it has the length that it says")
        call.add_table(state, Table(GROWN, GROWN_START, ROOM, call.slot(SOME_FD).type.size, True))
        state.tables[GROWN] = state.tables[ENTRIES]
        state.facts.append(UGE(ROOM, length + more))
        state.set_field("monitor", type_.place("entries.buf.inner.ptr")[0], GROWN_START)
        state.set_field("monitor", type_.place("entries.buf.inner.cap")[0], ROOM)
        prover.return_from(state)

    return {RESERVE: reserve}


def insert_regions(call: Call, state: State) -> None:
    """The buffer of the table has room for `capacity` slots, of which `count` are in use."""
    capacity = BitVec("entries.capacity", 64)
    state.set_field("monitor", call.monitor.type.place("entries.buf.inner.cap")[0], capacity)
    old = state.regions.pop(ENTRIES)
    state.regions[ENTRIES] = Table(ENTRIES, old.base, capacity, old.stride, True)
    state.facts += [ULE(BitVec("entries.count", 64), capacity), ULE(capacity, 1 << 41)]
    state.facts.append(ULE(old.base, (1 << 47) - old.stride * capacity))


def insert_loops(call: Call) -> list[Loop]:
    """The search for a free number: all that it has passed are open."""

    def searched(state: State, ghosts) -> BoolRef:
        lowest, count = call.monitor.lowest_free.number, BitVec("entries.count", 64)
        passed = And(UGE(SOME_FD, lowest), ULT(ZeroExt(32, SOME_FD), ZeroExt(32, lowest) + ghosts["j"]))
        return And(ULT(ghosts["j"], count - ZeroExt(32, lowest)), Implies(passed, call.is_open(SOME_FD)))

    return [Loop(searched)]


DECISIONS = [
    Decision(
        "set_rights",
        "narrows an open descriptor to the rights asked for, adds none, and changes nothing else",
        ("monitor", "fd", "base", "inheriting"),
        set_rights_rows,
        {
            "base may grow": {"base_is_bounded": False},
            "31 rights are defined": {"defined": (1 << 31) - 1},
            "a closed descriptor is INVAL": {"closed": INVAL},
            "the inheriting rights stay": {"after_inheriting_is_kept": True},
        },
        after=set_rights_after,
        facts=valid_entry("fd"),
    ),
    Decision(
        "close",
        "an open number is closed with the host's object behind it, and is the next to be given if it is the lowest",
        ("monitor", "fd"),
        close_rows,
        {
            "it stays open": {"after_stays_open": True},
            "the count of open ones stays": {"after_change": 0},
            "a closed descriptor is INVAL": {"closed": INVAL},
        },
        after=close_after,
        bound=FEWER_SLOTS,
        assumptions=("numbering",),
        facts=lambda call: [*valid_entry("fd")(call), *numbering_facts(call)],
    ),
    Decision(
        "renumber",
        "an open number moves to another, whose object is closed; a move to itself changes nothing",
        ("monitor", "from_", "to"),
        renumber_rows,
        {
            "the old number stays open": {"after_from_is_kept": True},
            "the count of open ones stays": {"after_change": 0},
            "a closed number can be moved": {"from_must_be_open": False},
        },
        after=renumber_after,
        bound=FEWER_SLOTS,
        assumptions=("numbering",),
        facts=lambda call: [*valid_entry("from_", "to")(call), *numbering_facts(call)],
    ),
    Decision(
        "insert",
        "a new descriptor gets the lowest free number from 3 on; all others stay as they are",
        ("monitor", "entry_in"),
        lambda call: [],
        {"numbers start at 4": {"after_skips": 1}, "the count of open ones stays": {"after_change": 0}},
        after=insert_after,
        bound=FEWER_SLOTS,
        assumptions=("reserve", "numbering"),
        facts=lambda call: [*numbering_facts(call), call.entry_in.valid()],
        regions=insert_regions,
        hooks=grows,
        loops=insert_loops,
    ),
]
