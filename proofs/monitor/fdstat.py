"""`fd_fdstat_get`, `fd_fdstat_set_flags`."""

from z3 import And, BitVecVal, BoolRef, If, Implies, Not

from proofs.monitor.descriptors import acts_on, is_open, needs, valid_entry
from proofs.monitor.frame import ALWAYS, Call, Decision, End, Row, admits, refuses
from proofs.monitor.table import entries_after, table_is_as_before
from proofs.monitor.wasi import APPEND, BADF, DSYNC, INVAL, NOTCAPABLE, NOTSUP, RSYNC, SYNC

# `$filetype`, by what a descriptor refers to.
FILE_TYPES = {
    "RegularFile": "RegularFile",
    "Directory": "Directory",
    "Pipe": "Unknown",
    "Terminal": "CharacterDevice",
    "Device": "CharacterDevice",
    "Listener": "SocketStream",
    "Stream": "SocketStream",
    "Other": "Unknown",
    "List": "Directory",
}


def fdstat_rows(call: Call, types=None, closed=BADF) -> list[Row]:
    fd = call.fd.number
    entry = call.entry(fd)

    def stat_of(stat):
        kinds = [
            Implies(entry.kind.is_variant(kind), stat.file_type.is_variant(name))
            for kind, name in (types or FILE_TYPES).items()
        ]
        return And(
            stat.flags.number == entry.flags.number,
            stat.base.number == entry.base.number,
            stat.inheriting.number == entry.inheriting.number,
            *kinds,
        )

    return [Row(Not(call.is_open(fd)), refuses(closed)), Row(ALWAYS, admits(stat_of))]


def changes(before, after, *bits: int) -> BoolRef:
    """Whether one of these flags differs."""
    return (before ^ after) & sum(bits) != 0


def append_refusals(on: BoolRef, entry, inherited=NOTSUP, leaving=NOTCAPABLE) -> list[Row]:
    """Who may not change append mode: inherited streams, all but files, and who leaves it under an append-only
    grant."""
    file = entry.kind.is_variant("RegularFile")
    return [
        Row(entry.origin.is_variant("Stdio"), refuses(inherited)),
        Row(And(file, entry.access.is_variant("Append"), Not(on)), refuses(leaving)),
        Row(Not(file), refuses(NOTSUP)),
    ]


def set_flags_rows(call: Call, fixed=(DSYNC, RSYNC, SYNC), leaving=NOTCAPABLE) -> list[Row]:
    fd, flags = call.fd.number, call.flags.number
    entry = call.entry(fd)
    append_changes = changes(entry.flags.number, flags, APPEND)
    on = flags & APPEND != 0

    def effect_of(effect):
        append, one = effect.append, BitVecVal(1, 8)
        return And(
            acts_on(call, fd, effect),
            append.is_variant("Some") == append_changes,
            Implies(append_changes, append.variant("Some")._0.number == If(on, one, one - 1)),
            effect.commit.fd.number == fd,
            effect.commit.flags.number == flags,
        )

    refusals = append_refusals(on, entry, leaving=leaving)
    return [
        is_open(call, fd),
        needs(call, fd, "fd_fdstat_set_flags"),
        Row(changes(entry.flags.number, flags, *fixed), refuses(INVAL)),
        *[Row(And(append_changes, row.when), row.outcome) for row in refusals],
        Row(ALWAYS, admits(effect_of)),
    ]


def flag_change_rows(call: Call, fixed=(DSYNC, RSYNC, SYNC), errno=INVAL) -> list[Row]:
    before, after = call.before_.number, call.after.number
    append = changes(before, after, APPEND)

    def value_of(value):
        return And(
            value.is_variant("Some") == append,
            Implies(append, (value.variant("Some")._0.number == 1) == (after & APPEND != 0)),
        )

    return [Row(changes(before, after, *fixed), refuses(errno)), Row(ALWAYS, admits(value_of))]


class _Parts:
    """An entry of which only some parts are there."""

    def __init__(self, call: Call):
        self.kind, self.access, self.origin = call.kind, call.access, call.origin


def append_change_rows(call: Call, inherited=NOTSUP, leaving=NOTCAPABLE) -> list[Row]:
    return [*append_refusals(call.on.number == 1, _Parts(call), inherited, leaving), Row(ALWAYS, admits())]


def commit_after(end: End, after_anything_else=False) -> BoolRef:
    call = end.call
    commit = call.change._0.commit
    fd = commit.fd.number
    old, new = call.entry(fd), end.entry(fd)
    names = ("host", "kind", "access", "base", "inheriting", "origin")
    others = [getattr(new, name).same(getattr(old, name)) for name in names]
    flags = old.flags.number if after_anything_else else commit.flags.number
    changed = And(new.flags.number == flags, *others, entries_after(end, fd, end.slot(fd)), end.only())
    return If(end.result.is_variant("Ok"), changed, table_is_as_before(end))


def commit_rows(call: Call, closed=BADF) -> list[Row]:
    fd = call.change._0.commit.fd.number
    return [Row(Not(call.is_open(fd)), refuses(closed)), Row(ALWAYS, admits())]


CHARACTERS = {**FILE_TYPES, "Terminal": "Unknown"}
DECISIONS = [
    Decision(
        "fdstat",
        "an open descriptor shows its type, flags and rights, and needs no right for it",
        ("monitor", "fd"),
        fdstat_rows,
        {"terminals are of no known type": {"types": CHARACTERS}, "a closed descriptor is INVAL": {"closed": INVAL}},
        facts=valid_entry("fd"),
    ),
    Decision(
        "set_flags",
        "flags change with the right for it; not those Linux cannot change, and append mode only of our files",
        ("monitor", "fd", "flags"),
        set_flags_rows,
        {"RSYNC can change": {"fixed": (DSYNC, SYNC)}, "append-only is NOTSUP": {"leaving": NOTSUP}},
        facts=valid_entry("fd"),
    ),
    Decision(
        "commit_flags",
        "flags that were changed are those of the descriptor; nothing else of the table changes",
        ("monitor", "change"),
        commit_rows,
        {"the flags stay": {"after_anything_else": True}, "a closed descriptor is INVAL": {"closed": INVAL}},
        after=commit_after,
        facts=lambda call: [call.slot(call.change._0.commit.fd.number).valid()],
    ),
    Decision(
        "flag_change",
        "the new append mode, if it changes; a change of a synchronization flag is INVAL",
        ("before_", "after"),
        flag_change_rows,
        {"SYNC can change": {"fixed": (DSYNC, RSYNC)}, "it is NOTSUP": {"errno": NOTSUP}},
        inlined=True,
    ),
    Decision(
        "append_change",
        "append mode changes only of files that are ours, and is not left under an append-only grant",
        ("on", "origin", "kind", "access"),
        append_change_rows,
        {"inherited is INVAL": {"inherited": INVAL}, "append-only is NOTSUP": {"leaving": NOTSUP}},
        inlined=True,
    ),
]
