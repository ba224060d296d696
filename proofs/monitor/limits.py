"""Limits on names and on written bytes: what a change is claimed for, and what is taken off after it."""

from z3 import UGT, And, BitVecVal, If, ZeroExt

from proofs.monitor.descriptors import less
from proofs.monitor.frame import ALWAYS, Call, Decision, End, Row, admits, refuses
from proofs.monitor.wasi import FBIG, NOSPC

# A name counts as much as this, besides its text.
ENTRY_BYTES = 4096


def claims(bytes_, entries: int):
    """A claim of so many bytes and names."""
    return admits(lambda claim: And(claim.field("bytes").number == bytes_, claim.entries.number == entries))


def claim_entry_rows(call: Call, used_up=NOSPC, each=ENTRY_BYTES) -> list[Row]:
    text, budgets = call.text_bytes.number, call.monitor.budgets
    # A sum that does not wrap; one above all numbers claims the most there is.
    wide = ZeroExt(1, text) + each
    total = If(UGT(wide, 2**64 - 1), BitVecVal(2**64 - 1, 64), text + each)
    return [
        Row(budgets.entries.number == 0, refuses(used_up)),
        Row(UGT(total, budgets.files.number), refuses(NOSPC)),
        Row(ALWAYS, claims(total, 1)),
    ]


def claim_growth_rows(call: Call, budget="files", errno=NOSPC) -> list[Row]:
    grown = call.bytes_.number
    return [
        Row(UGT(grown, getattr(call.monitor.budgets, budget).number), refuses(errno)),
        Row(ALWAYS, claims(grown, 0)),
    ]


def spend_after(end: End, after_wraps=False, after_names_count=True):
    budgets, after = end.call.monitor.budgets, end.record("monitor").budgets
    claim = end.call.claim

    def left(name: str, used):
        old = getattr(budgets, name).number
        return old - used if after_wraps else less(old, used)

    names = left("entries", claim.entries.number) if after_names_count else budgets.entries.number
    return And(
        after.files.number == left("files", claim.field("bytes").number),
        after.entries.number == names,
        end.only("budgets.files", "budgets.entries"),
    )


def allocated_after(end: End, after_wraps=False, after_account="files"):
    budgets, after = end.call.monitor.budgets, end.record("monitor").budgets
    used, old = end.call.allocate._0.len.number, getattr(budgets, after_account).number
    left = old - used if after_wraps else less(old, used)
    return And(getattr(after, after_account).number == left, end.only("budgets." + after_account))


DECISIONS = [
    Decision(
        "claim_entry",
        "a name is claimed with 4096 bytes and its text, if names and bytes are left; no sum wraps",
        ("monitor", "text_bytes"),
        claim_entry_rows,
        {"no name left is FBIG": {"used_up": FBIG}, "a name is its text": {"each": 0}},
    ),
    Decision(
        "claim_growth",
        "the growth of a file is claimed, if as much is left",
        ("monitor", "bytes_"),
        claim_growth_rows,
        {"it is output": {"budget": "output"}, "too much is FBIG": {"errno": FBIG}},
    ),
    Decision(
        "spend",
        "what was claimed is taken off, down to nothing; nothing else changes",
        ("monitor", "claim"),
        lambda call: [],
        {"a budget wraps": {"after_wraps": True}, "names do not count": {"after_names_count": False}},
        after=spend_after,
        inlined=True,
    ),
    Decision(
        "allocated",
        "what was reserved is taken off the bytes of files, down to nothing; nothing else changes",
        ("monitor", "allocate"),
        lambda call: [],
        {"a budget wraps": {"after_wraps": True}, "it is output": {"after_account": "output"}},
        after=allocated_after,
    ),
]
