"""`poll_oneoff`: one subscription, the number of them, and waiting for a descriptor."""

from z3 import UGT, ULT, And, BitVecVal, Concat, If, Implies, Or, Select, ZeroExt

from proofs.monitor.descriptors import acts_on, is_open, needs, valid_entry
from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, refuses
from proofs.monitor.wasi import FAULT, INVAL, NOTCAPABLE, NOTSUP, rights

# `$eventtype` and `$clockid`.
CLOCK, FD_READ, FD_WRITE = 0, 1, 2
CLOCKS, REALTIME, MONOTONIC = 4, 0, 1


def bytes_at(call: Call, offset, count: int):
    """A number in the bytes of the subscription, the lowest byte first."""
    array = call.before.tables["bytes"]
    pieces = [Select(array, offset + index) for index in range(count)]
    return Concat(*reversed(pieces)) if count > 1 else pieces[0]


def subscription_rows(call: Call, clock_of_unstable=24, fd_at=16, unknown_clock=INVAL, flags=1) -> list[Row]:
    """The fields of `$subscription`. In snapshot 0 a clock has an identifier of 64 bits in front of it."""
    length = call.slices["bytes"][1]
    clock = If(call.layout.is_variant("Unstable"), BitVecVal(clock_of_unstable, 64), BitVecVal(16, 64))
    tag, fd = bytes_at(call, BitVecVal(8, 64), 1), bytes_at(call, BitVecVal(fd_at, 64), 4)
    id_, timeout = bytes_at(call, clock, 4), bytes_at(call, clock + 8, 8)
    set_flags = bytes_at(call, clock + 24, 2)
    is_clock = tag == CLOCK

    def is_clock_of(value):
        clock_value = value.wanted.variant("Clock")
        known = clock_value.clock
        return And(
            value.userdata.number == bytes_at(call, BitVecVal(0, 64), 8),
            value.wanted.is_variant("Clock"),
            clock_value.timeout.number == timeout,
            (clock_value.absolute.number == 1) == (set_flags == 1),
            known.is_variant("Ok") == ULT(id_, 2),
            Implies(id_ == REALTIME, known.variant("Ok")._0.is_variant("Realtime")),
            Implies(id_ == MONOTONIC, known.variant("Ok")._0.is_variant("Monotonic")),
            Implies(UGT(id_, 1), known.variant("Err")._0.raw.number == NOTSUP),
        )

    def is_descriptor(value):
        descriptor = value.wanted.variant("Descriptor")
        return And(
            value.userdata.number == bytes_at(call, BitVecVal(0, 64), 8),
            value.wanted.is_variant("Descriptor"),
            descriptor.fd.number == fd,
            descriptor.direction.is_variant("Read") == (tag == FD_READ),
            descriptor.direction.is_variant("Write") == (tag == FD_WRITE),
        )

    return [
        Row(ULT(length, 9), refuses(FAULT)),
        Row(UGT(tag, FD_WRITE), refuses(INVAL)),
        Row(And(is_clock, ULT(length, clock + 4)), refuses(FAULT)),
        Row(And(is_clock, UGT(id_, CLOCKS - 1)), refuses(unknown_clock)),
        Row(And(is_clock, ULT(length, clock + 26)), refuses(FAULT)),
        Row(And(is_clock, set_flags & ~flags != 0), refuses(INVAL)),
        Row(is_clock, admits(is_clock_of)),
        Row(ULT(length, 20), refuses(FAULT)),
        Row(ALWAYS, admits(is_descriptor)),
    ]


def count_rows(call: Call, limit, none=INVAL, slack=0) -> list[Row]:
    count = ZeroExt(32, call.count.number)
    return [
        Row(count == 0, refuses(none)),
        Row(UGT(count, ZeroExt(32, limit) + slack), refuses(INVAL)),
        Row(ALWAYS, admits()),
    ]


def poll_rows(call: Call, none=INVAL, slack=0) -> list[Row]:
    return count_rows(call, call.monitor.limits.subscriptions.number, none, slack)


def watch_rows(call: Call, write_right="fd_write", ready=("RegularFile",)) -> list[Row]:
    fd, direction = call.fd.number, call.direction
    entry = call.entry(fd)
    right = If(direction.is_variant("Read"), BitVecVal(rights("fd_read"), 64), BitVecVal(rights(write_right), 64))

    def effect_of(effect):
        always = Or(*[entry.kind.is_variant(kind) for kind in ready])
        return And(
            acts_on(call, fd, effect),
            effect.direction.same(direction),
            (effect.always_ready.number == 1) == always,
        )

    return [
        is_open(call, fd),
        needs(call, fd, "poll_fd_readwrite"),
        Row(~entry.base.number & right != 0, refuses(NOTCAPABLE)),
        Row(ALWAYS, admits(effect_of)),
    ]


DECISIONS = [
    Decision(
        "subscription",
        "a subscription is its fields, of either layout and of bytes of any number; nothing outside of them is read",
        ("bytes", "layout"),
        subscription_rows,
        {
            "both layouts have the clock at 16": {"clock_of_unstable": 16},
            "an unknown clock is NOTSUP": {"unknown_clock": NOTSUP},
            "two flags are defined": {"flags": 3},
        },
    ),
    Decision(
        "poll",
        "a call has one subscription or more, up to the limit",
        ("monitor", "count"),
        poll_rows,
        {"none is NOTSUP": {"none": NOTSUP}, "one more than the limit": {"slack": 1}},
        inlined=True,
    ),
    Decision(
        "count",
        "a count is one or more, up to a limit",
        ("count", "limit"),
        lambda call, none=INVAL, slack=0: count_rows(call, call.limit.number, none, slack),
        {"none is NOTSUP": {"none": NOTSUP}, "one more than the limit": {"slack": 1}},
        inlined=True,
    ),
    Decision(
        "watch",
        "to wait for a descriptor takes the rights to poll and to read or write; only files are always ready",
        ("monitor", "fd", "direction"),
        watch_rows,
        {
            "`fd_read` is enough to write": {"write_right": "fd_read"},
            "pipes are ready": {"ready": ("RegularFile", "Pipe")},
        },
        facts=valid_entry("fd"),
    ),
]
