"""`fd_read`, `fd_write`, `fd_pread`, `fd_pwrite`, `random_get`, and the arithmetic under them."""

from z3 import UGE, UGT, ULE, And, BitVecVal, If, ZeroExt

from proofs.monitor.descriptors import (
    OFFSETS,
    acts_on,
    ends_beyond,
    is_kind,
    is_open,
    least,
    less,
    needs,
    one_of,
    per_call,
    valid_entry,
    waits,
)
from proofs.monitor.frame import ALWAYS, Call, Decision, End, Row, admits, gives, refuses
from proofs.monitor.policy import SEEKABLE
from proofs.monitor.wasi import FBIG, INVAL, NOSPC, NOTCAPABLE, SPIPE, TOOBIG


def account(entry) -> dict[str, object]:
    """What written bytes are charged to, and when: streams to the output, what a grant gives to files, sockets to
    nothing."""
    return {
        "Output": entry.origin.is_variant("Stdio"),
        "Files": one_of(entry.origin, "Preopen", "Beneath"),
        "Free": entry.origin.is_variant("Socket"),
    }


def left(call: Call, entry):
    """What may still be written to a descriptor."""
    kinds, budgets = account(entry), call.monitor.budgets
    everything = BitVecVal(2**64 - 1, 64)
    return If(kinds["Output"], budgets.output.number, If(kinds["Files"], budgets.files.number, everything))


def charged_to(effect, entry):
    """Whether an effect knows what it will be charged to."""
    return And(*[effect.account.is_variant(name) == when for name, when in account(entry).items()])


def read_rows(call: Call, right="fd_read", fifo_origin="Beneath") -> list[Row]:
    fd = call.fd.number
    entry = call.entry(fd)
    fifo = And(entry.kind.is_variant("Pipe"), entry.origin.is_variant(fifo_origin))

    def effect_of(effect):
        moved = effect.at_most.number == per_call(call)
        return And(acts_on(call, fd, effect), moved, waits(entry, effect.waiting), (effect.fifo.number == 1) == fifo)

    return [is_open(call, fd), needs(call, fd, right), Row(ALWAYS, admits(effect_of))]


def write_rows(call: Call, right="fd_write", used_up=NOSPC, limit_per_call=True) -> list[Row]:
    fd = call.fd.number
    entry = call.entry(fd)

    def effect_of(effect):
        most = least(left(call, entry), per_call(call)) if limit_per_call else left(call, entry)
        return And(
            acts_on(call, fd, effect),
            effect.at_most.number == most,
            waits(entry, effect.waiting),
            (effect.terminal.number == 1) == entry.kind.is_variant("Terminal"),
            charged_to(effect, entry),
        )

    return [
        is_open(call, fd),
        needs(call, fd, right),
        Row(left(call, entry) == 0, refuses(used_up)),
        Row(ALWAYS, admits(effect_of)),
    ]


def read_at_rows(call: Call, kinds=SEEKABLE, rights=("fd_read", "fd_seek")) -> list[Row]:
    fd, offset = call.fd.number, call.offset.number

    def effect_of(effect):
        return And(acts_on(call, fd, effect), effect.at_most.number == per_call(call), effect.offset.number == offset)

    return [
        is_open(call, fd),
        is_kind(call, fd, kinds, SPIPE),
        needs(call, fd, *rights),
        Row(ends_beyond(offset, 0), refuses(INVAL)),
        Row(ALWAYS, admits(effect_of)),
    ]


def write_at_rows(call: Call, append_only=NOTCAPABLE, rights=("fd_write", "fd_seek"), limit=0) -> list[Row]:
    fd, offset = call.fd.number, call.offset.number
    entry, size = call.entry(fd), call.monitor.limits.file_size_bytes.number

    def effect_of(effect):
        most = least(least(size - offset + limit, left(call, entry)), per_call(call))
        return And(
            acts_on(call, fd, effect),
            effect.at_most.number == most,
            effect.offset.number == offset,
            charged_to(effect, entry),
        )

    return [
        is_open(call, fd),
        is_kind(call, fd, SEEKABLE, SPIPE),
        needs(call, fd, *rights),
        Row(ends_beyond(offset, 0), refuses(INVAL)),
        Row(entry.access.is_variant("Append"), refuses(append_only)),
        Row(UGE(offset, size), refuses(FBIG)),
        Row(left(call, entry) == 0, refuses(NOSPC)),
        Row(ALWAYS, admits(effect_of)),
    ]


def wrote_after(end: End, after_output_counts=True, after_wraps=False):
    """What was written is taken off its account, and no other."""
    call, monitor = end.call, end.record("monitor")
    effect, count = call.write._0, call.count.number
    before, after = call.monitor.budgets, monitor.budgets

    def taken(name: str, kind: str, counts: bool):
        old = getattr(before, name).number
        new = old - count if after_wraps else less(old, count)
        return getattr(after, name).number == If(And(counts, effect.account.is_variant(kind)), new, old)

    return And(
        taken("files", "Files", True),
        taken("output", "Output", after_output_counts),
        end.only("budgets.files", "budgets.output"),
    )


def random_rows(call: Call, slack=0, errno=TOOBIG) -> list[Row]:
    return [
        Row(UGT(ZeroExt(32, call.len.number), per_call(call) + slack), refuses(errno)),
        Row(ALWAYS, admits()),
    ]


def at_most_rows(call: Call, smaller=True) -> list[Row]:
    there, limit = call.left.number, ZeroExt(32, call.per_call.number)
    wanted = least(there, limit) if smaller else If(ULE(there, limit), limit, there)
    return [Row(ALWAYS, gives(lambda result: result.number == wanted))]


def at_most_wrong_rows(call: Call, smaller=True, capped=True) -> list[Row]:
    rows = at_most_rows(call, smaller)
    return rows if capped else [Row(ALWAYS, gives(lambda result: result.number == call.left.number))]


def end_of_rows(call: Call, largest=OFFSETS - 1, errno=INVAL) -> list[Row]:
    end = ZeroExt(1, call.offset.number) + ZeroExt(1, call.len.number)
    return [
        Row(UGT(end, largest), refuses(errno)),
        Row(ALWAYS, admits(lambda value: ZeroExt(1, value.number) == end)),
    ]


def seek_target_rows(call: Call, largest=OFFSETS - 1, end="End") -> list[Row]:
    offset, whence = call.offset.number, call.whence

    def at(name: str):
        return admits(lambda to: And(to.is_variant(name), to.variant(name)._0.number == offset))

    return [
        Row(And(whence.is_variant("Set"), UGT(offset, largest)), refuses(INVAL)),
        Row(whence.is_variant("Set"), at("Start")),
        Row(whence.is_variant("Current"), at("Current")),
        Row(ALWAYS, at(end)),
    ]


OF_FD = {"facts": valid_entry("fd"), "inlined": True}
DECISIONS = [
    Decision(
        "read",
        "bytes are read with `fd_read`, as many as a call may move; the call waits as the descriptor says",
        ("monitor", "fd"),
        read_rows,
        {"`fd_write` is enough": {"right": "fd_write"}, "an inherited pipe is a FIFO": {"fifo_origin": "Stdio"}},
        **OF_FD,
    ),
    Decision(
        "write",
        "bytes are written with `fd_write`, as many as a call may move and the account of the descriptor has left",
        ("monitor", "fd"),
        write_rows,
        {
            "`fd_read` is enough": {"right": "fd_read"},
            "a used up account is FBIG": {"used_up": FBIG},
            "no limit on a call": {"limit_per_call": False},
        },
        **OF_FD,
    ),
    Decision(
        "read_at",
        "bytes are read at an offset below 2^63 with `fd_read` and `fd_seek`, of what has a position",
        ("monitor", "fd", "offset"),
        read_at_rows,
        {
            "`fd_read` is enough": {"rights": ("fd_read",)},
            "terminals have a position": {"kinds": (*SEEKABLE, "Terminal")},
        },
        **OF_FD,
    ),
    Decision(
        "write_at",
        "bytes are written at an offset with `fd_write` and `fd_seek`, inside all limits, unless append-only",
        ("monitor", "fd", "offset"),
        write_at_rows,
        {
            "`fd_write` is enough": {"rights": ("fd_write",)},
            "append-only is INVAL": {"append_only": INVAL},
            "a file may be one byte larger": {"limit": 1},
        },
        **OF_FD,
    ),
    Decision(
        "wrote",
        "what was written is taken off its account, down to nothing; nothing else changes",
        ("monitor", "write", "count"),
        lambda call: [],
        {"the output does not count": {"after_output_counts": False}, "an account wraps": {"after_wraps": True}},
        after=wrote_after,
        inlined=True,
    ),
    Decision(
        "wrote_at",
        "what was written at an offset is taken off its account, down to nothing; nothing else changes",
        ("monitor", "write", "count"),
        lambda call: [],
        {"the output does not count": {"after_output_counts": False}, "an account wraps": {"after_wraps": True}},
        after=wrote_after,
        inlined=True,
    ),
    Decision(
        "random",
        "random bytes are given up to the limit of a call, and never fewer than asked for",
        ("monitor", "len"),
        random_rows,
        {"one byte more": {"slack": 1}, "too many is INVAL": {"errno": INVAL}},
        inlined=True,
    ),
    Decision(
        "at_most",
        "a call moves the lesser of what is left and what a call may move",
        ("left", "per_call"),
        at_most_wrong_rows,
        {"the greater": {"smaller": False}, "what is left": {"capped": False}},
        inlined=True,
    ),
    Decision(
        "end_of",
        "the end of a range is the sum, in numbers that do not wrap, and below 2^63",
        ("offset", "len"),
        end_of_rows,
        {"2^63 is an end": {"largest": OFFSETS}, "an end beyond is FBIG": {"errno": FBIG}},
        inlined=True,
    ),
    Decision(
        "seek_target",
        "from the start an offset is unsigned and below 2^63; otherwise it is what the guest passed",
        ("offset", "whence"),
        seek_target_rows,
        {"2^63 is an offset": {"largest": OFFSETS}, "the end is the current position": {"end": "Current"}},
        inlined=True,
    ),
]
