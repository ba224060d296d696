"""`fd_seek`, `fd_tell`, `fd_filestat_*`, `fd_allocate`, `fd_advise`, `fd_sync`, `fd_datasync`, `fd_readdir`."""

from z3 import UGT, And, BoolRef, Not, ZeroExt

from proofs.monitor.descriptors import (
    OFFSETS,
    acts_on,
    ends_beyond,
    is_directory,
    has,
    is_kind,
    is_open,
    needs,
    per_call,
    valid_entry,
)
from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, refuses
from proofs.monitor.policy import SEEKABLE
from proofs.monitor.wasi import BADF, FBIG, INVAL, NOSPC, NOTCAPABLE, NOTDIR, SPIPE, TOOBIG, rights


def position(effect, whence: str, offset) -> BoolRef:
    """Whether an effect moves the position to this offset, relative to what `whence` says."""
    name = {"Set": "Start"}.get(whence, whence)
    return And(effect.to.is_variant(name), effect.to.variant(name)._0.number == offset)


def may_tell(call: Call, fd) -> BoolRef:
    """`fd_seek` implies `fd_tell`."""
    entry = call.entry(fd)
    return Not(And(Not(has(entry, rights("fd_tell"))), Not(has(entry, rights("fd_seek")))))


def seek_rows(call: Call, kinds=SEEKABLE, largest=OFFSETS - 1, right="fd_seek") -> list[Row]:
    fd, offset, whence = call.fd.number, call.offset.number, call.whence
    tells = And(whence.is_variant("Current"), offset == 0)
    to = {name: And(whence.is_variant(name)) for name in ("Set", "Current", "End")}
    return [
        is_open(call, fd),
        is_kind(call, fd, kinds, SPIPE),
        Row(And(tells, Not(may_tell(call, fd))), refuses(NOTCAPABLE)),
        Row(And(Not(tells), Not(has(call.entry(fd), rights(right)))), refuses(NOTCAPABLE)),
        Row(And(to["Set"], UGT(offset, largest)), refuses(INVAL)),
        *[
            Row(
                to[name],
                admits(lambda effect, name=name: And(acts_on(call, fd, effect), position(effect, name, offset))),
            )
            for name in to
        ],
    ]


def tell_rows(call: Call, kinds=SEEKABLE, closed=BADF) -> list[Row]:
    fd = call.fd.number
    return [
        Row(Not(call.is_open(fd)), refuses(closed)),
        is_kind(call, fd, kinds, SPIPE),
        Row(Not(may_tell(call, fd)), refuses(NOTCAPABLE)),
        Row(ALWAYS, admits(lambda effect: And(acts_on(call, fd, effect), position(effect, "Current", 0)))),
    ]


def stat_rows(call: Call, right="fd_filestat_get", closed=BADF) -> list[Row]:
    fd = call.fd.number
    return [
        Row(Not(call.is_open(fd)), refuses(closed)),
        needs(call, fd, right),
        Row(ALWAYS, admits(lambda effect: acts_on(call, fd, effect))),
    ]


def set_size_rows(call: Call, largest=OFFSETS - 1, at_the_limit=0) -> list[Row]:
    fd, size = call.fd.number, call.size.number
    return [
        is_open(call, fd),
        needs(call, fd, "fd_filestat_set_size"),
        Row(UGT(size, largest), refuses(INVAL)),
        Row(UGT(size + at_the_limit, call.monitor.limits.file_size_bytes.number), refuses(FBIG)),
        Row(ALWAYS, admits(lambda effect: And(acts_on(call, fd, effect), effect.size.number == size))),
    ]


def set_times_rows(call: Call, right="fd_filestat_set_times", closed=BADF) -> list[Row]:
    fd = call.fd.number
    return [
        Row(Not(call.is_open(fd)), refuses(closed)),
        needs(call, fd, right),
        Row(ALWAYS, admits(lambda effect: And(acts_on(call, fd, effect), effect.times.same(call.times)))),
    ]


def allocate_rows(call: Call, empty=INVAL, limit_on_end=True, budget="files") -> list[Row]:
    fd, offset, length = call.fd.number, call.offset.number, call.len.number
    end = offset + length if limit_on_end else length
    return [
        is_open(call, fd),
        needs(call, fd, "fd_allocate"),
        Row(ends_beyond(offset, length), refuses(INVAL)),
        Row(length == 0, refuses(empty)),
        Row(UGT(end, call.monitor.limits.file_size_bytes.number), refuses(FBIG)),
        Row(UGT(length, getattr(call.monitor.budgets, budget).number), refuses(NOSPC)),
        Row(
            ALWAYS,
            admits(
                lambda effect: And(
                    acts_on(call, fd, effect), effect.offset.number == offset, effect.len.number == length
                )
            ),
        ),
    ]


def advise_rows(call: Call, right="fd_advise", slack=0) -> list[Row]:
    fd, offset, length = call.fd.number, call.offset.number, call.len.number
    return [
        is_open(call, fd),
        needs(call, fd, right),
        Row(ends_beyond(offset + slack, length), refuses(INVAL)),
        Row(
            ALWAYS,
            admits(
                lambda effect: And(
                    acts_on(call, fd, effect),
                    effect.offset.number == offset,
                    effect.len.number == length,
                    effect.advice.same(call.advice),
                )
            ),
        ),
    ]


def sync_rows(right: str, data_only: int):
    def rows(call: Call, right=right, kinds=("RegularFile", "Directory"), data_only=data_only) -> list[Row]:
        fd = call.fd.number
        return [
            is_open(call, fd),
            is_kind(call, fd, kinds, INVAL),
            needs(call, fd, right),
            Row(ALWAYS, admits(lambda effect: And(acts_on(call, fd, effect), effect.data_only.number == data_only))),
        ]

    return rows


def readdir_rows(call: Call, kinds=("Directory",), slack=0) -> list[Row]:
    fd, length = call.fd.number, ZeroExt(32, call.len.number)
    return [
        is_open(call, fd),
        *is_directory(call, fd, kinds),
        needs(call, fd, "fd_readdir"),
        Row(UGT(length, per_call(call) + slack), refuses(TOOBIG)),
        Row(
            ALWAYS,
            admits(lambda effect: And(acts_on(call, fd, effect), effect.cookie.number == call.cookie.number)),
        ),
    ]


OF_FD = {"facts": valid_entry("fd")}
ANY_RIGHT = {"another right is enough": {"right": "fd_read"}}
CLOSED = {"a closed descriptor is INVAL": {"closed": INVAL}}
DECISIONS = [
    Decision(
        "seek",
        "a position is moved, or told, with the right for it, on what has one; from the start it is below 2^63",
        ("monitor", "fd", "offset", "whence"),
        seek_rows,
        {
            "pipes have a position": {"kinds": (*SEEKABLE, "Pipe")},
            "2^63 is an offset": {"largest": OFFSETS},
            "`fd_tell` is enough": {"right": "fd_tell"},
        },
        inlined=True,
        **OF_FD,
    ),
    Decision(
        "tell",
        "a position is told to who may tell or seek, on what has one",
        ("monitor", "fd"),
        tell_rows,
        {"devices have no position": {"kinds": ("RegularFile", "Directory")}, **CLOSED},
        inlined=True,
        **OF_FD,
    ),
    Decision(
        "stat",
        "attributes are shown with `fd_filestat_get`",
        ("monitor", "fd"),
        stat_rows,
        {**ANY_RIGHT, **CLOSED},
        inlined=True,
        **OF_FD,
    ),
    Decision(
        "set_size",
        "a size is set with the right for it, below 2^63 and up to the limit on sizes",
        ("monitor", "fd", "size"),
        set_size_rows,
        {"2^63 is a size": {"largest": OFFSETS}, "the limit itself is too large": {"at_the_limit": 1}},
        **OF_FD,
    ),
    Decision(
        "set_times",
        "times are set with the right for it, and to the values of the call",
        ("monitor", "fd", "times"),
        set_times_rows,
        {**ANY_RIGHT, **CLOSED},
        **OF_FD,
    ),
    Decision(
        "allocate",
        "space is reserved with the right for it, inside the limits on sizes and on written bytes; no sum wraps",
        ("monitor", "fd", "offset", "len"),
        allocate_rows,
        {
            "an empty range is BADF": {"empty": BADF},
            "the limit on sizes is one on lengths": {"limit_on_end": False},
            "the limit on output counts": {"budget": "output"},
        },
        **OF_FD,
    ),
    Decision(
        "advise",
        "advice is given with the right for it, on a range that ends below 2^63",
        ("monitor", "fd", "offset", "len", "advice"),
        advise_rows,
        {**ANY_RIGHT, "a range ends one byte earlier": {"slack": 1}},
        **OF_FD,
    ),
    Decision(
        "sync",
        "files and directories are synchronized with `fd_sync`",
        ("monitor", "fd"),
        sync_rows("fd_sync", 0),
        {"`fd_datasync` is enough": {"right": "fd_datasync"}, "directories are not": {"kinds": ("RegularFile",)}},
        **OF_FD,
    ),
    Decision(
        "datasync",
        "the data of files and directories is synchronized with `fd_datasync`",
        ("monitor", "fd"),
        sync_rows("fd_datasync", 1),
        {"`fd_sync` is enough": {"right": "fd_sync"}, "metadata, too": {"data_only": 0}},
        **OF_FD,
    ),
    Decision(
        "readdir",
        "directories are listed with `fd_readdir`, from any cookie, into a buffer up to the limit of a call",
        ("monitor", "fd", "cookie", "len"),
        readdir_rows,
        {"files are listed, too": {"kinds": ("Directory", "RegularFile")}, "one byte more is allowed": {"slack": 1}},
        **OF_FD,
    ),
]
