"""Granted files: how each is opened, and what its descriptor may do. Which file a path is, is tested and not proved."""

from z3 import And, BoolRef, If

from proofs.monitor.descriptors import one_of
from proofs.monitor.frame import ALWAYS, Call, Decision, End, Row, admits, refuses
from proofs.monitor.opens import inserted_alone, is_mode, is_set, mode_rows, needed, taken_at_its_word
from proofs.monitor.policy import APPLIES, GRANTED, PASS_ON, of_table
from proofs.monitor.wasi import CREAT, DIRECTORY, EXCL, EXIST, INVAL, NOTCAPABLE, NOTDIR, NOTSUP, TRUNC

ANY = {**GRANTED, "ReadOnly": GRANTED["ReadWrite"]}


def listed_rows(call: Call, granted=None, of_list=True, exclusive=CREAT | EXCL, overwriting=NOTCAPABLE) -> list[Row]:
    wanted, own = call.wanted, of_table(call.access, granted or GRANTED)
    oflags, base = wanted.oflags.number, wanted.base.number
    has = call.has.number & own if of_list else own
    return [
        Row(oflags & (CREAT | DIRECTORY) == CREAT | DIRECTORY, refuses(INVAL)),
        Row(~has & needed(oflags) != 0, refuses(NOTCAPABLE)),
        *mode_rows(call.access, call.may.number & own, base, wanted.fdflags.number, overwriting),
        Row(is_set(oflags, DIRECTORY), refuses(NOTDIR)),
        Row(oflags & exclusive == exclusive, refuses(EXIST)),
        Row(ALWAYS, admits(lambda mode: is_mode(mode.read.number, mode.write.number, base))),
    ]


def install_listed_after(end: End, after_granted=None, after_is_list=True) -> BoolRef:
    call, entry = end.call, end.state.notes["inserted"]
    effect = call.open._0
    item, grant = effect.item, effect.grant
    granted = of_table(grant.access, after_granted or GRANTED)
    is_list = item.is_variant("List")
    passed_on = grant.inheriting.number & granted
    host = If(is_list, item.variant("List")._0.number, call.host.number)
    return And(
        inserted_alone(end),
        entry.host.number == (host if after_is_list else call.host.number),
        If(is_list, entry.kind.is_variant("List"), entry.kind.same(call.kind)),
        entry.access.same(grant.access),
        entry.origin.same(grant.origin),
        entry.flags.number == effect.fdflags.number,
        entry.base.number == grant.base.number & of_table(entry.kind, APPLIES) & granted,
        entry.inheriting.number == If(one_of(entry.kind, *PASS_ON), passed_on, passed_on & 0),
    )


DECISIONS = [
    Decision(
        "listed",
        "a granted file is opened as its own access and the rights of its list allow, and is never made",
        ("access", "has", "may", "wanted"),
        listed_rows,
        {
            "read-only files can be truncated": {"granted": ANY},
            "rights that the list dropped are there": {"of_list": False},
            "what has to be new can be there": {"exclusive": CREAT | EXCL | TRUNC},
            "append-only is NOTSUP": {"overwriting": NOTSUP},
        },
    ),
    Decision(
        "install_listed",
        "a granted file that was opened has the rights of an open and of its own access; a list that was, is that list",
        ("monitor", "open", "host", "kind"),
        lambda call: [],
        {"read-only grants give all rights": {"after_granted": ANY}, "a list is an object": {"after_is_list": False}},
        after=install_listed_after,
        assumptions=("insert",),
        hooks=taken_at_its_word,
    ),
]
