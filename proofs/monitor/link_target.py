"""`LinkTarget::parse`: what a symbolic link may say.

POSIX gives the text of a link no form. WASI allows any text that is relative: the call that follows the link is
confined, not the link.
"""

from z3 import And, BoolVal, UGT

from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, refuses
from proofs.monitor.path import LONGEST, READ, after_reading, byte, is_part, refusals, scanning
from proofs.monitor.pathname import DOTDOT
from proofs.monitor.wasi import NOTCAPABLE


def link_target_rows(call: Call, longest=LONGEST, nul=READ.nul, climbs=True, absolute=False) -> list[Row]:
    count = call.slices["text"][1]
    rows = refusals(call, longest, nul)
    return [
        *(rows[:-1] if absolute else rows),
        *([] if climbs else [Row(READ.lead == DOTDOT, after_reading(call, refuses(NOTCAPABLE)))]),
        Row(ALWAYS, after_reading(call, admits(lambda target: is_part(call, target._0, 0, count)))),
    ]


DECISIONS = [
    Decision(
        "link_target",
        "a text of 1 to 4095 bytes without a NUL that does not start with `/`, as it is",
        ("text",),
        link_target_rows,
        {
            "a target may have 4096 bytes": {"longest": LONGEST + 1},
            "a NUL may be in it": {"nul": BoolVal(False)},
            "it may not climb": {"climbs": False},
            "it may be absolute": {"absolute": True},
        },
        loops=lambda call: [scanning(call, registers=False)],
    ),
]
