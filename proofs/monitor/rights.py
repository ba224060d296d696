"""Rights of new descriptors, and what each kind and each access can have at most."""

from z3 import And, If

from proofs.monitor.descriptors import one_of
from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, gives, refuses
from proofs.monitor.policy import APPLIES, CHANGES, GRANTED, PASS_ON, of_table
from proofs.monitor.wasi import ALL_RIGHTS, INVAL, NOTCAPABLE, rights

MORE_FOR_APPEND = {**GRANTED, "Append": GRANTED["Append"] | rights("path_unlink_file")}
SIZE_OF_DIRECTORIES = {**APPLIES, "Directory": APPLIES["Directory"] | rights("fd_filestat_set_size")}


def base_rows(call: Call, applies=None, granted=None) -> list[Row]:
    most = of_table(call.kind, applies or APPLIES) & of_table(call.access, granted or GRANTED)
    return [Row(ALWAYS, gives(lambda result: result.number == call.wanted.number & most))]


def inheriting_rows(call: Call, granted=None, everyone=False) -> list[Row]:
    passed_on = call.wanted.number & of_table(call.access, granted or GRANTED)
    nothing = passed_on if everyone else passed_on & 0
    return [
        Row(ALWAYS, gives(lambda result: result.number == If(one_of(call.kind, *PASS_ON), passed_on, nothing)))
    ]


def from_guest_rows(call: Call, defined=ALL_RIGHTS, errno=INVAL) -> list[Row]:
    return [
        Row(call.bits.number & ~defined != 0, refuses(errno)),
        Row(ALWAYS, admits(lambda value: value.number == call.bits.number)),
    ]


def refusal_rows(call: Call, always=False, errno=NOTCAPABLE) -> list[Row]:
    """The grant is blamed if every missing right applies to the object, and the grant takes one of them away."""
    entry = call.entry_asked
    missing = call.asked.number & ~entry.base.number
    another_would_help = missing & ~of_table(entry.kind, APPLIES) == 0
    takes_away = missing & ~of_table(entry.access, GRANTED) != 0
    blamed = takes_away if always else And(another_would_help, takes_away)

    def rule(result):
        read_only = And(blamed, entry.access.is_variant("ReadOnly"))
        append_only = And(blamed, entry.access.is_variant("Append"))
        return And(
            result.raw.number == errno,
            result.rule.is_variant("ReadOnly") == read_only,
            result.rule.is_variant("AppendOnly") == append_only,
            If(blamed, True, result.rule.is_variant("Right")),
        )

    return [Row(ALWAYS, gives(rule))]


DECISIONS = [
    Decision(
        "base_rights",
        "a new descriptor has the rights that are wanted, apply to its kind and are granted",
        ("wanted", "kind", "access"),
        base_rows,
        {
            "append-only grants let files be removed": {"granted": MORE_FOR_APPEND},
            "directories have a size to set": {"applies": SIZE_OF_DIRECTORIES},
        },
        inlined=True,
    ),
    Decision(
        "inheriting_rights",
        "only directories pass rights on: those that are wanted and granted",
        ("wanted", "kind", "access"),
        inheriting_rows,
        {
            "every kind passes rights on": {"everyone": True},
            "read-only grants pass on writing": {"granted": {**GRANTED, "ReadOnly": GRANTED["ReadOnly"] | CHANGES}},
        },
        inlined=True,
    ),
    Decision(
        "rights",
        "a set of rights has only bits that are defined",
        ("bits",),
        from_guest_rows,
        {"31 rights are defined": {"defined": (1 << 31) - 1}, "others are NOTCAPABLE": {"errno": NOTCAPABLE}},
        inlined=True,
    ),
    Decision(
        "refusal",
        "a missing right is NOTCAPABLE, and the grant is blamed exactly if another grant would help",
        ("entry_asked", "asked"),
        refusal_rows,
        {"the grant is blamed always": {"always": True}, "a missing right is INVAL": {"errno": INVAL}},
        facts=lambda call: [call.entry_asked.valid()],
        inlined=True,
    ),
]
