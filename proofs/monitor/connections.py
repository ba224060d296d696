"""`connect_allowed`, `admit_inspect` and `admit_name`: where a program may connect to.

A connection is allowed if a rule allows each meaning of the address; `peers.py` has those. A rule allows an address of
a special range only if its network lies inside this range. The ranges are those of the registries of RFC 6890 that are
not global, as in `wasi/monitor/src/spec/connections.rs`.

Masks are any numbers here: that a rule's mask is that of a prefix is the decision `peer_rule`.
"""

from collections.abc import Callable
from ipaddress import ip_network

from z3 import UGE, UGT, ULE, ULT, And, BitVec, BitVecRef, BitVecVal, BoolRef, Concat, Extract, If, Implies, Not, Or

from proofs.monitor.descriptors import acts_on, is_open
from proofs.monitor.frame import ALWAYS, Call, Decision, End, Row, admits, gives, known_bytes
from proofs.monitor.peers import embedded, in_network_order, is_unspecified
from proofs.monitor.sockets import is_socket, not_connected
from proofs.prove.invariants import Ghosts, Loop
from proofs.prove.prover import Hook, Prover
from proofs.prove.state import State
from proofs.prove.types import Value

MODULE = "wave_monitor::connections"
RULE = f"{MODULE}::ConnectRule"
# Numbers of rules of which nothing is known.
SOME_RULE, SOME_OTHER_RULE = BitVec("some_rule", 64), BitVec("some_other_rule", 64)

# Addresses that a wide rule does not allow.
SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
    *("255.255.255.255/32", "0.0.0.0/0"),
    *("::1/128", "::/96", "::ffff:0:0:0/96", "::/8", "64:ff9b:1::/48", "100::/64", "2001::/23"),
    *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]
GROUPS = ["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"]
# Addresses behind it are judged by those of IPv4 in them alone.
TRANSLATED = "64:ff9b::/96"


# ---- networks ---------------------------------------------------------------------------------------


def range_of(text: str) -> tuple[BitVecRef, BitVecRef]:
    """The first address of a network, and its mask. A network of IPv4 is one of the mapped addresses."""
    network = ip_network(text)
    start, bits = int(network.network_address), network.prefixlen
    if network.version == 4:
        start, bits = start | 0xFFFF << 32, bits + 96
    return BitVecVal(start, 128), BitVecVal((1 << 128) - (1 << 128 - bits), 128)


def inside(address: BitVecRef, text: str) -> BoolRef:
    """Whether an address is one of a network."""
    start, mask = range_of(text)
    return address & mask == start


def widest(address: BitVecRef, without=()) -> BitVecRef:
    """The mask of the smallest special range around an address, 0 if there is none. A network around the address lies
    inside all of these ranges if its mask is not less."""
    mask = BitVecVal(0, 128)
    for text in SPECIAL:
        if text not in without:
            applies = inside(address, text)
            if text == "::/8":
                applies = And(applies, Not(inside(address, TRANSLATED)))
            mask = If(And(applies, UGT(range_of(text)[1], mask)), range_of(text)[1], mask)
    return mask


def widest_rows(call: Call, **changes) -> list[Row]:
    wanted = widest(in_network_order(call.address), **changes)
    return [Row(ALWAYS, gives(lambda result: result.number == wanted))]


def is_host(address: BitVecRef, is_tcp: BoolRef, groups=True, nobody=True) -> BoolRef:
    """Whether a connection to an address can have one other end."""
    group = Or(*[inside(address, text) for text in GROUPS])
    return Not(Or(And(is_unspecified(address), nobody), And(is_tcp, group, groups)))


def host_rows(call: Call, **changes) -> list[Row]:
    wanted = is_host(in_network_order(call.address), call.protocol.is_variant("Tcp"), **changes)
    return [Row(ALWAYS, gives(lambda result: result.number == If(wanted, BitVecVal(1, 8), BitVecVal(0, 8))))]


def proved_apart(call: Call) -> dict[str, Hook]:
    """`is_host` and `widest_mask` are proved on their own: here they are what they were proved to be."""

    def loaded(prover: Prover, state: State) -> BitVecRef:
        return Concat(*[prover.load(state, state["rdi"] + at, 1) for at in range(16)])

    def host(prover: Prover, state: State) -> None:
        prover.must(state, Extract(7, 0, state["rsi"]) == call.protocol.number, "asks for the protocol of the call")
        answer = is_host(loaded(prover, state), call.protocol.is_variant("Tcp"))
        prover.return_from(state, rax=If(answer, BitVecVal(1, 64), BitVecVal(0, 64)))

    def mask(prover: Prover, state: State) -> None:
        answer = widest(loaded(prover, state))
        prover.return_from(state, rax=Extract(63, 0, answer), rdx=Extract(127, 64, answer))

    return {f"{MODULE}::is_host": host, f"{MODULE}::widest_mask": mask}


# ---- a connection ----------------------------------------------------------------------------------


def admits_it(call: Call, index: BitVecRef, address: BitVecRef, ends=True, protocols=True, narrow=True) -> BoolRef:
    """Whether this rule allows an address, with the port and the protocol of the call."""
    rule = Value(call.world.types.find(RULE), known_bytes(call.before.element("rules", index)))
    port = call.port.number
    in_range = And(ULE(rule.first_port.number, port), ULE(port, rule.last_port.number) if ends else True)
    same = rule.protocol.number == call.protocol.number if protocols else True
    in_network = (address ^ rule.network.network.number) & rule.network.mask.number == 0
    return And(same, in_range, in_network, Or(UGE(rule.network.mask.number, widest(address)), not narrow))


def not_admitted(call: Call, some_rule: BitVecRef, address: BitVecRef, **changes) -> BoolRef:
    """Whether a rule does not allow an address, or is none."""
    return Implies(ULT(some_rule, call.slices["rules"][1]), Not(admits_it(call, some_rule, address, **changes)))


def searching(call: Call, some_rule: BitVecRef, meaning: Callable[[BitVecRef], BitVecRef]) -> Loop:
    """A loop over rules of which none so far allows what the address means. It may end where it jumps back."""
    count = call.slices["rules"][1]

    def invariant(_state: State, ghosts: Ghosts) -> BoolRef:
        address = meaning(in_network_order(call.address))
        none = Implies(ULT(some_rule, ghosts["j"]), Not(admits_it(call, some_rule, address)))
        return And(ULE(ghosts["j"], count), none)

    return Loop(invariant, maybe=lambda _state, ghosts: [ULT(ghosts["j"], count)])


def found(end: End, address: BitVecRef, **changes) -> BoolRef:
    """Whether the function has come to a rule that allows an address."""
    count = end.call.slices["rules"][1]
    numbers = [cut.ghosts["j"] for cut in end.state.cuts.values()]
    return Or(*[And(ULT(number, count), admits_it(end.call, number, address, **changes)) for number in numbers])


def connection_rows(call: Call, embeds=True, port_zero=True, **changes) -> list[Row]:
    address = in_network_order(call.address)
    contains, ipv4 = embedded(address)
    contains = And(contains, embeds)
    is_tcp = call.protocol.is_variant("Tcp")
    possible = And(is_host(address, is_tcp), Implies(contains, is_host(ipv4, is_tcp)))
    if port_zero:
        possible = And(possible, call.port.number != 0)

    def allowed_by_rules(end: End) -> BoolRef:
        yes = And(found(end, address, **changes), Implies(contains, found(end, ipv4, **changes)))
        none = not_admitted(call, SOME_RULE, address, **changes)
        no = Or(none, And(contains, not_admitted(call, SOME_OTHER_RULE, ipv4, **changes)))
        return If(end.result.number == 1, yes, And(end.result.number == 0, no))

    return [Row(Not(possible), gives(lambda result: result.number == 0)), Row(ALWAYS, allowed_by_rules)]


# ---- a socket --------------------------------------------------------------------------------------


def inspect_rows(call: Call, inherited=False, listeners=False) -> list[Row]:
    fd = call.fd.number
    rows = [is_open(call, fd), is_socket(call, fd, inherited)]
    if not listeners:
        rows.append(not_connected(call, fd))
    return [*rows, Row(ALWAYS, admits(lambda effect: acts_on(call, fd, effect)))]


def name_rows(call: Call, inherited=False, listeners=True) -> list[Row]:
    return inspect_rows(call, inherited, listeners)


DECISIONS = [
    Decision(
        "is_host",
        "neither `::` nor `0.0.0.0` is a host, nor by TCP a group",
        ("address", "protocol"),
        host_rows,
        {"a group can be connected to": {"groups": False}, "`::` is a host": {"nobody": False}},
    ),
    Decision(
        "widest_mask",
        "the mask of the smallest special range around an address",
        ("address",),
        widest_rows,
        {
            "private addresses are like others": {"without": ("10.0.0.0/8",)},
            "link-local addresses are like others": {"without": ("169.254.0.0/16",)},
            "the loopback is like other addresses": {"without": ("::1/128",)},
        },
    ),
    Decision(
        "connection",
        "a rule allows each meaning of the address: by protocol, port and network, which lies inside each special range "
        "around the address; never port 0, `::` or `0.0.0.0`, nor a group by TCP",
        ("rules", "address", "port", "protocol"),
        connection_rows,
        {
            "the address of IPv4 does not matter": {"embeds": False},
            "port 0 is a port": {"port_zero": False},
            "the last port does not matter": {"ends": False},
            "the protocol does not matter": {"protocols": False},
            "a wide rule allows special addresses": {"narrow": False},
        },
        assumptions=("meanings",),
        hooks=proved_apart,
        loops=lambda call: [
            searching(call, SOME_RULE, lambda address: address),
            searching(call, SOME_OTHER_RULE, lambda address: embedded(address)[1]),
        ],
    ),
    Decision(
        "inspect",
        "of a connection, how it is can be asked for, without a right",
        ("monitor", "fd"),
        inspect_rows,
        {"a standard stream is a socket": {"inherited": True}, "a listener is connected": {"listeners": True}},
        inlined=True,
    ),
    Decision(
        "name",
        "a connection and a listener can be asked for their addresses, without a right",
        ("monitor", "fd"),
        name_rows,
        {"a standard stream is a socket": {"inherited": True}, "a listener has none": {"listeners": False}},
        inlined=True,
    ),
]
