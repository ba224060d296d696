"""Ranges of linear memory: one range, an array, the list of buffers of a scattered read or gathered write."""

from z3 import UGT, ULE, ULT, And, Extract, ZeroExt

from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, refuses
from proofs.monitor.wasi import FAULT, INVAL


def is_range(value, start, length):
    """Whether a range is what the guest passed."""
    return And(value.start.number == start, ZeroExt(32, value.len.number) == length)


def check_rows(call: Call, strict=False, errno=FAULT) -> list[Row]:
    start, length = call.ptr.number, call.len.number
    # In 128 bits, so that the sum is the true one.
    end = ZeroExt(96, start) + ZeroExt(96, length)
    size = ZeroExt(64, call.memory_len.number)
    return [
        Row(
            ULT(end, size) if strict else ULE(end, size),
            admits(lambda range_: is_range(range_, start, ZeroExt(32, length))),
        ),
        Row(ALWAYS, refuses(errno)),
    ]


def check_array_rows(call: Call, wraps=False, errno=FAULT) -> list[Row]:
    start = call.ptr.number
    length = ZeroExt(96, call.count.number) * ZeroExt(96, call.size.number)
    if wraps:
        length = ZeroExt(96, Extract(31, 0, length))
    end, memory = ZeroExt(96, start) + length, ZeroExt(64, call.memory_len.number)
    return [
        # A length has 32 bits: an array of the whole of 4 GiB is none.
        Row(UGT(length, 2**32 - 1), refuses(errno)),
        Row(UGT(end, memory), refuses(errno)),
        Row(ALWAYS, admits(lambda range_: is_range(range_, start, Extract(63, 0, length)))),
    ]


DECISIONS = [
    Decision(
        "check",
        "a range is admitted if and only if it ends inside memory, as it is; otherwise it is FAULT",
        ("memory_len", "ptr", "len"),
        check_rows,
        {"the last byte is outside": {"strict": True}, "outside is INVAL": {"errno": INVAL}},
        inlined=True,
    ),
    Decision(
        "check_array",
        "an array is admitted if and only if its length has 32 bits and all of it is inside memory; no product wraps",
        ("memory_len", "ptr", "count", "size"),
        check_array_rows,
        {"the product wraps": {"wraps": True}, "outside is INVAL": {"errno": INVAL}},
        inlined=True,
    ),
]
