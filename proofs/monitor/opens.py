"""`path_open`: what is opened, how, and what the new descriptor may do."""

from z3 import And, BitVecRef, BitVecVal, BoolRef, Extract, If, Not, Or

from proofs.monitor.descriptors import has, is_directory, is_open, one_of
from proofs.monitor.frame import ALWAYS, Call, Decision, End, Row, admits, gives, refuses
from proofs.monitor.parsed import hooks, is_place, refused
from proofs.monitor.policy import APPLIES, GRANTED, PASS_ON, of_table
from proofs.monitor.sockets import has_room
from proofs.monitor.table import table_is_as_before
from proofs.monitor.wasi import (
    ALL_RIGHTS,
    APPEND,
    CREAT,
    DIRECTORY,
    INVAL,
    NOTCAPABLE,
    NOTSUP,
    SYMLINK_FOLLOW,
    TRUNC,
    rights,
)
from proofs.prove.failure import Failure
from proofs.prove.prover import Hook, Prover
from proofs.prove.state import State, fresh
from proofs.prove.types import Value

O_FLAGS, FD_FLAGS = 15, 31
READ, WRITE = rights("fd_read"), rights("fd_write")
INSERT = "wave_monitor::fds::Monitor::insert"


def is_set(flags: BitVecRef, bit: int) -> BoolRef:
    """Whether a flag or a right is set."""
    return flags & bit != 0


def needed(oflags: BitVecRef, create="path_create_file", truncate="path_filestat_set_size") -> BitVecRef:
    """The rights that an open needs on its directory."""

    def right_for(bit: int, right: str) -> BitVecRef:
        return If(is_set(oflags, bit), BitVecVal(rights(right), 64), BitVecVal(0, 64))

    return rights("path_open") | right_for(CREAT, create) | right_for(TRUNC, truncate)


def mode_rows(access: Value, may: BitVecRef, wanted: BitVecRef, flags: BitVecRef, overwriting=NOTCAPABLE) -> list[Row]:
    """Reading and writing must be what the directory passes on. Under an append-only grant, writing must append."""
    asked = wanted & (READ | WRITE)
    overwrites = And(is_set(asked, WRITE), access.is_variant("Append"), Not(is_set(flags, APPEND)))
    return [Row(asked & ~may != 0, refuses(NOTCAPABLE)), Row(overwrites, refuses(overwriting))]


def is_mode(read: BitVecRef, write: BitVecRef, wanted: BitVecRef, neither_reads=True) -> BoolRef:
    """How the kernel is asked to open: an open for neither is one for reading."""
    reads = Or(is_set(wanted, READ), Not(is_set(wanted, WRITE))) if neither_reads else is_set(wanted, READ)
    return And((read == 1) == reads, (write == 1) == is_set(wanted, WRITE))


def open_rows(
    call: Call, overwriting=NOTCAPABLE, create="path_create_file", passes_on=True, both=INVAL, room=True
) -> list[Row]:
    request, fd = call.request, call.request.fd.number
    lookup, oflags, flags = request.lookup.number, request.oflags.number, request.fdflags.number
    base, inheriting = request.base.number, request.inheriting.number
    dir_ = call.entry(fd)
    may = dir_.inheriting.number if passes_on else dir_.base.number

    def effect_of(effect):
        return And(
            is_place(call, effect.place, fd, "path"),
            (effect.follow.number == 1) == is_set(lookup, SYMLINK_FOLLOW),
            effect.oflags.number == Extract(15, 0, oflags),
            effect.fdflags.number == Extract(15, 0, flags),
            is_mode(effect.read.number, effect.write.number, base),
            effect.grant.access.same(dir_.access),
            effect.grant.base.number == base & may,
            effect.grant.inheriting.number == inheriting & may,
            is_beneath(effect.grant.origin, dir_.origin),
        )

    return [
        Row(lookup & ~SYMLINK_FOLLOW != 0, refuses(INVAL)),
        Row(oflags & ~O_FLAGS != 0, refuses(INVAL)),
        Row(flags & ~FD_FLAGS != 0, refuses(INVAL)),
        Row((base | inheriting) & ~ALL_RIGHTS != 0, refuses(INVAL)),
        is_open(call, fd),
        *is_directory(call, fd),
        Row(Not(has(dir_, needed(oflags, create))), refuses(NOTCAPABLE)),
        refused(call, "path"),
        *([has_room(call)] if room else []),
        *mode_rows(dir_.access, may, base, flags, overwriting),
        Row(And(is_set(oflags, CREAT), is_set(oflags, DIRECTORY)), refuses(both)),
        Row(ALWAYS, admits(effect_of)),
    ]


def is_beneath(origin: Value, of_directory: Value) -> BoolRef:
    """Whether what is opened goes back to the same grant as its directory."""
    cases = [
        And(
            of_directory.is_variant(name),
            origin.is_variant("Beneath"),
            origin.variant("Beneath")._0.same(of_directory.variant(name)._0),
        )
        for name in ("Preopen", "Beneath")
    ]
    cases += [And(of_directory.is_variant(name), origin.is_variant(name)) for name in ("Stdio", "Socket")]
    return Or(*cases)


def open_regions(call: Call, state: State) -> None:
    """The path is a slice in the request."""
    call.slices["path"] = call.request.path.data_ptr.number, call.request.path.length.number


def admit_mode_rows(call: Call, overwriting=NOTCAPABLE, neither_reads=True) -> list[Row]:
    wanted = call.wanted.number
    return [
        *mode_rows(call.access, call.may.number, wanted, call.flags.number, overwriting),
        Row(ALWAYS, admits(lambda mode: is_mode(mode.read.number, mode.write.number, wanted, neither_reads))),
    ]


def creation_rows(call: Call, both=INVAL, only=CREAT | DIRECTORY) -> list[Row]:
    flags = call.oflags.number
    return [Row(flags & only == only, refuses(both)), Row(ALWAYS, admits())]


def needed_rows(call: Call, create="path_create_file", truncate="path_filestat_set_size") -> list[Row]:
    return [Row(ALWAYS, gives(lambda result: result.number == needed(call.oflags.number, create, truncate)))]


def taken_at_its_word(call: Call) -> dict[str, Hook]:
    """`insert` is proved on its own: here it is only seen what is inserted."""

    def insert(prover: Prover, state: State) -> None:
        prover.must(state, state["rdi"] == call.before["rdi"], "inserts into this monitor")
        type_ = call.world.types.find("wave_monitor::entries::Entry")
        content = [prover.load(state, state["rsi"] + at, 1) for at in range(type_.size)]
        if "inserted" in state.notes:
            raise Failure("inserts twice")
        number = fresh(64, "number")
        state.notes |= {"inserted": Value(type_, tuple(content)), "number": Extract(31, 0, number)}
        prover.return_from(state, rax=number)

    return {INSERT: insert}


def inserted_alone(end: End) -> BoolRef:
    """Whether the number of what was inserted is returned, and nothing else was done to the monitor."""
    return And(end.result.number == end.state.notes["number"], table_is_as_before(end))


def install_after(end: End, after_granted=None, after_flags_are_kept=True) -> BoolRef:
    call, entry = end.call, end.state.notes["inserted"]
    effect = call.open._0
    grant = effect.grant
    granted = of_table(grant.access, after_granted or GRANTED)
    passed_on = grant.inheriting.number & granted
    flags = effect.fdflags.number
    return And(
        inserted_alone(end),
        entry.host.number == call.host.number,
        entry.kind.same(call.kind),
        entry.access.same(grant.access),
        entry.origin.same(grant.origin),
        entry.flags.number == (flags if after_flags_are_kept else flags & 0),
        entry.base.number == grant.base.number & of_table(call.kind, APPLIES) & granted,
        entry.inheriting.number == If(one_of(call.kind, *PASS_ON), passed_on, passed_on & 0),
    )


def install_accepted_after(end: End, after_bits=APPLIES["Stream"], after_origin="Socket") -> BoolRef:
    call, entry = end.call, end.state.notes["inserted"]
    return And(
        inserted_alone(end),
        entry.host.number == call.host.number,
        entry.kind.is_variant("Stream"),
        entry.access.is_variant("ReadWrite"),
        entry.origin.is_variant(after_origin),
        entry.flags.number == call.accept._0.flags.number,
        entry.base.number == after_bits,
        entry.inheriting.number == 0,
    )


ANY = {**GRANTED, "ReadOnly": ALL_RIGHTS}
DECISIONS = [
    Decision(
        "open",
        "an open needs its rights on the directory, and passes on no right and no access that this has not",
        ("monitor", "request"),
        open_rows,
        {
            "append-only is NOTSUP": {"overwriting": NOTSUP},
            "creating needs no right of its own": {"create": "path_open"},
            "it passes on its own rights": {"passes_on": False},
            "a full table is found later": {"room": False},
        },
        assumptions=("parser",),
        facts=lambda call: [call.slot(call.request.fd.number).valid()],
        regions=open_regions,
        hooks=hooks,
    ),
    Decision(
        "install",
        "what was opened has the rights that were passed on, apply to its kind and are granted, and the same grant",
        ("monitor", "open", "host", "kind"),
        lambda call: [],
        {
            "read-only grants give all rights": {"after_granted": ANY},
            "no flag is kept": {"after_flags_are_kept": False},
        },
        after=install_after,
        assumptions=("insert",),
        hooks=taken_at_its_word,
    ),
    Decision(
        "install_accepted",
        "an accepted connection has the rights of a connection, and no grant",
        ("monitor", "accept", "host"),
        lambda call: [],
        {
            "it can accept": {"after_bits": APPLIES["Stream"] | rights("sock_accept")},
            "it is a standard stream": {"after_origin": "Stdio"},
        },
        after=install_accepted_after,
        assumptions=("insert",),
        hooks=taken_at_its_word,
    ),
    Decision(
        "mode",
        "the access mode is what is wanted and may be passed on; under an append-only grant, writing appends",
        ("access", "may", "wanted", "flags"),
        admit_mode_rows,
        {"append-only is NOTSUP": {"overwriting": NOTSUP}, "neither is neither": {"neither_reads": False}},
        inlined=True,
    ),
    Decision(
        "creation",
        "an open does not create a directory",
        ("oflags",),
        creation_rows,
        {"it is NOTSUP": {"both": NOTSUP}, "CREAT is refused": {"only": CREAT}},
        inlined=True,
    ),
    Decision(
        "needed_on_directory",
        "an open needs `path_open`, `path_create_file` to create and `path_filestat_set_size` to truncate",
        ("oflags",),
        needed_rows,
        {"to create needs nothing": {"create": "path_open"}, "to truncate needs nothing": {"truncate": "path_open"}},
        inlined=True,
    ),
]
