"""`sock_accept`, `sock_recv`, `sock_send`, `sock_shutdown`."""

from z3 import UGE, And, Extract, Not, Or

from proofs.monitor.descriptors import acts_on, is_open, needs, one_of, per_call, valid_entry, waits
from proofs.monitor.frame import ALWAYS, Call, Decision, Row, admits, refuses
from proofs.monitor.wasi import INVAL, MFILE, NONBLOCK, NOTCONN, NOTSOCK, NOTSUP

# `$riflags` has two, `$sdflags` has two.
RECV_FLAGS, SHUTDOWN_FLAGS = 3, 3


def is_socket(call: Call, fd, inherited=False) -> Row:
    """Only sockets that were granted or accepted are sockets for the guest: a standard stream is not."""
    entry = call.entry(fd)
    socket = one_of(entry.kind, "Listener", "Stream")
    if not inherited:
        socket = And(socket, Not(entry.origin.is_variant("Stdio")))
    return Row(Not(socket), refuses(NOTSOCK))


def has_room(call: Call) -> Row:
    """A table with as many open descriptors as the limit has no room."""
    return Row(UGE(call.monitor.open.number, call.monitor.limits.open_files.number), refuses(MFILE))


def not_connected(call: Call, fd, errno=NOTCONN) -> Row:
    return Row(Not(call.entry(fd).kind.is_variant("Stream")), refuses(errno))


def accept_rows(call: Call, allowed=NONBLOCK, inherited=False) -> list[Row]:
    fd, flags = call.fd.number, call.flags.number

    def effect_of(effect):
        return And(
            acts_on(call, fd, effect),
            waits(call.entry(fd), effect.waiting),
            effect.flags.number == Extract(15, 0, flags),
        )

    return [
        Row(flags & ~allowed != 0, refuses(INVAL)),
        is_open(call, fd),
        is_socket(call, fd, inherited),
        Row(Not(call.entry(fd).kind.is_variant("Listener")), refuses(INVAL)),
        needs(call, fd, "sock_accept"),
        has_room(call),
        Row(ALWAYS, admits(effect_of)),
    ]


def moves(call: Call, effect):
    return And(
        acts_on(call, call.fd.number, effect),
        effect.at_most.number == per_call(call),
        waits(call.entry(call.fd.number), effect.waiting),
    )


def receive_rows(call: Call, allowed=RECV_FLAGS, right="fd_read") -> list[Row]:
    fd, flags = call.fd.number, call.flags.number
    return [
        Row(flags & ~allowed != 0, refuses(INVAL)),
        is_open(call, fd),
        is_socket(call, fd),
        not_connected(call, fd),
        needs(call, fd, right),
        Row(ALWAYS, admits(lambda effect: And(moves(call, effect), effect.flags.number == Extract(15, 0, flags)))),
    ]


def send_rows(call: Call, allowed=0, right="fd_write") -> list[Row]:
    fd = call.fd.number
    return [
        Row(call.flags.number & ~allowed != 0, refuses(INVAL)),
        is_open(call, fd),
        is_socket(call, fd),
        not_connected(call, fd),
        needs(call, fd, right),
        Row(ALWAYS, admits(lambda effect: moves(call, effect))),
    ]


def shutdown_rows(call: Call, nothing=INVAL, listener=NOTCONN) -> list[Row]:
    fd, how = call.fd.number, call.how.number
    return [
        Row(how & ~SHUTDOWN_FLAGS != 0, refuses(INVAL)),
        Row(how == 0, refuses(nothing)),
        is_open(call, fd),
        is_socket(call, fd),
        not_connected(call, fd, listener),
        needs(call, fd, "sock_shutdown"),
        Row(ALWAYS, admits(lambda effect: And(acts_on(call, fd, effect), effect.how.number == Extract(15, 0, how)))),
    ]


def room_rows(call: Call, full=MFILE, one_less=False) -> list[Row]:
    limit = call.monitor.limits.open_files.number
    return [
        Row(UGE(call.monitor.open.number, limit - 1 if one_less else limit), refuses(full)),
        Row(ALWAYS, admits()),
    ]


def flag_rows(call: Call, allowed, errno=INVAL, empty=True) -> list[Row]:
    bits = call.bits.number
    bad = bits & ~allowed != 0
    return [
        Row(bad if empty else Or(bad, bits == 0), refuses(errno)),
        Row(ALWAYS, admits(lambda value: value.number == Extract(15, 0, bits))),
    ]


def send_flag_rows(call: Call, allowed=0, errno=INVAL) -> list[Row]:
    return [Row(call.bits.number & ~allowed != 0, refuses(errno)), Row(ALWAYS, admits())]


OF_FD = {"facts": valid_entry("fd")}
DECISIONS = [
    Decision(
        "accept",
        "a granted listener accepts with `sock_accept` and room in the table; NONBLOCK is the only flag",
        ("monitor", "fd", "flags"),
        accept_rows,
        {"APPEND is a flag": {"allowed": NONBLOCK | 1}, "standard streams are sockets": {"inherited": True}},
        **OF_FD,
    ),
    Decision(
        "receive",
        "a granted connection is read from with `fd_read`, with flags that are defined",
        ("monitor", "fd", "flags"),
        receive_rows,
        {"a third flag is defined": {"allowed": 7}, "`fd_write` is enough": {"right": "fd_write"}},
        **OF_FD,
    ),
    Decision(
        "send",
        "a granted connection is written to with `fd_write`; there are no flags",
        ("monitor", "fd", "flags"),
        send_rows,
        {"a flag is defined": {"allowed": 1}, "`fd_read` is enough": {"right": "fd_read"}},
        **OF_FD,
    ),
    Decision(
        "shutdown",
        "one direction or both of a granted connection are shut down with `sock_shutdown`",
        ("monitor", "fd", "how"),
        shutdown_rows,
        {"no direction is NOTSUP": {"nothing": NOTSUP}, "a listener is INVAL": {"listener": INVAL}},
        **OF_FD,
    ),
    Decision(
        "room",
        "there is room for a descriptor if and only if fewer are open than the limit",
        ("monitor",),
        room_rows,
        {"a full table is INVAL": {"full": INVAL}, "the last number is never given": {"one_less": True}},
        inlined=True,
    ),
    Decision(
        "accept_flags",
        "an accepted connection can be NONBLOCK, and nothing else",
        ("bits",),
        lambda call, allowed=NONBLOCK, errno=INVAL: flag_rows(call, allowed, errno),
        {"APPEND, too": {"allowed": NONBLOCK | 1}, "others are NOTSUP": {"errno": NOTSUP}},
        inlined=True,
    ),
    Decision(
        "send_flags",
        "there are no flags for sending",
        ("bits",),
        send_flag_rows,
        {"there is one": {"allowed": 1}, "others are NOTSUP": {"errno": NOTSUP}},
        inlined=True,
    ),
    Decision(
        "shutdown_how",
        "a shutdown is of one direction or both",
        ("bits",),
        lambda call, allowed=SHUTDOWN_FLAGS, empty=False: flag_rows(call, allowed, INVAL, empty),
        {"none is fine": {"empty": True}, "there are three": {"allowed": 7}},
        inlined=True,
    ),
]
