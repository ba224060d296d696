"""The table of descriptors: close, renumber, insert, narrow."""

from z3 import UGE, ULT, And, BoolRef, BoolVal, If, Implies, Not, Store, ZeroExt

from proofs.monitor.frame import ALWAYS, ENTRIES, Call, Decision, End, Row, admits, known_bytes, refuses
from proofs.monitor.wasi import ALL_RIGHTS, BADF, INVAL, NOTCAPABLE
from proofs.prove.types import Value

FIRST_FREE = 3


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
        facts=lambda call: [call.slot(call.fd.number).valid()],
    ),
]
