"""`PeerRule::new` and `peer_allowed`: which peers may connect.

An address is one of IPv6. What it means is in RFC 4291 (2.5.5: IPv4-compatible and IPv4-mapped addresses), RFC 2765
(2.1: translated ones), RFC 6052 (2.1: those behind the well-known prefix of NAT64) and RFC 3056 (2: 6to4). A peer is
allowed if a rule admits its address and, if that contains one of IPv4, a rule admits the mapped form of this one.
Nobody has an unspecified address.

The rules are any number of networks. That none of them admits an address is said of one number of which nothing is
known.
"""

from collections.abc import Callable

from z3 import UGE, UGT, ULE, ULT, And, BitVec, BitVecRef, BitVecVal, BoolRef, BoolVal
from z3 import Concat, Extract, If, Implies, Not, Or

from proofs.monitor.frame import ADDRESSES, ALWAYS, Call, Decision, End, Row, gives, known_bytes
from proofs.prove.invariants import Ghosts, Loop
from proofs.prove.state import State, Table, joined
from proofs.prove.types import Value

RULES = "rule"
RULE = "wave_monitor::addresses::PeerRule"
# Numbers of rules of which nothing is known.
SOME_RULE, SOME_OTHER_RULE = BitVec("some_rule", 64), BitVec("some_other_rule", 64)


def in_network_order(address: Value) -> BitVecRef:
    """An address as a number: its first byte is the highest one."""
    return Concat(*address.bytes)


# ---- a rule ----------------------------------------------------------------------------------------


def first_bits(count: BitVecRef, most: int = 128) -> BitVecRef:
    """A mask of the first bits of 128, said bit by bit."""
    bits = [If(ULT(place, count), BitVecVal(1, 1), BitVecVal(0, 1)) for place in range(most)]
    return Concat(*bits, *[BitVecVal(0, 1)] * (128 - most))


def rule_rows(call: Call, longest=128, exact=True, mask_bits=128) -> list[Row]:
    network, bits = in_network_order(call.network), call.prefix_bits.number
    mask = first_bits(bits)
    too_long = UGT(bits, longest)
    refused = Or(too_long, network & ~mask != 0) if exact else too_long

    def of_network(result: Value) -> BoolRef:
        rule = result.variant("Some")._0
        same = And(rule.network.number == network, rule.mask.number == first_bits(bits, mask_bits))
        return And(result.is_variant("Some"), same)

    return [Row(refused, gives(lambda result: result.is_variant("None"))), Row(ALWAYS, gives(of_network))]


# ---- a peer ----------------------------------------------------------------------------------------


def groups(address: BitVecRef) -> list[BitVecRef]:
    """The eight groups of an address, as it is written."""
    return [Extract(127 - 16 * at, 112 - 16 * at, address) for at in range(8)]


def starts_with(address: BitVecRef, *start: int) -> BoolRef:
    """Whether its first groups are these."""
    return And(*[group == wanted for group, wanted in zip(groups(address), start)])


def mapped(ipv4: BitVecRef) -> BitVecRef:
    """An address of IPv4 as one of IPv6."""
    return Concat(BitVecVal(0xFFFF, 96), ipv4)


def is_unspecified(address: BitVecRef) -> BoolRef:
    """Whether it is `::` or `0.0.0.0`."""
    return Or(address == 0, address == mapped(BitVecVal(0, 32)))


def embedded(address: BitVecRef, six_to_four=True, loopback=True) -> tuple[BoolRef, BitVecRef]:
    """Whether it contains an address of IPv4 in another form than the mapped one, and which."""
    last = Extract(31, 0, address)
    after_first = Extract(111, 80, address)
    neither = UGT(last, 1) if loopback else UGT(last, 0)
    forms = [
        (And(starts_with(address, 0, 0, 0, 0, 0, 0), neither), last),
        (starts_with(address, 0, 0, 0, 0, 0xFFFF, 0), last),
        (starts_with(address, 0x64, 0xFF9B, 0, 0, 0, 0), last),
        (And(BoolVal(six_to_four), starts_with(address, 0x2002)), after_first),
    ]
    ipv4 = BitVecVal(0, 32)
    for holds, value in forms:
        ipv4 = If(holds, value, ipv4)
    return Or(*[holds for holds, _ in forms]), mapped(ipv4)


def rules(call: Call) -> tuple[BitVecRef, BitVecRef]:
    """Where the rules are, and how many. No rules at all are at no address."""
    both = joined(list(call.rules.bytes))
    return Extract(63, 0, both), Extract(127, 64, both)


def regions(call: Call, state: State) -> None:
    """The rules, if there are any."""
    start, count = rules(call)
    state.add(Table(RULES, start, count, call.world.types.find(RULE).size))
    fits = And(ULE(count, ADDRESSES // 32), UGE(start, 16), ULE(start, ADDRESSES - 32 * count))
    state.facts.append(Implies(call.rules.is_variant("Some"), fits))


def admits(call: Call, index: BitVecRef, address: BitVecRef) -> BoolRef:
    """Whether this rule admits an address: it differs from the network only behind the prefix."""
    rule = Value(call.world.types.find(RULE), known_bytes(call.before.element(RULES, index)))
    return (address ^ rule.network.number) & rule.mask.number == 0


def not_admitted(call: Call, some_rule: BitVecRef, address: BitVecRef) -> BoolRef:
    """Whether a rule does not admit an address, or is none."""
    return Implies(ULT(some_rule, rules(call)[1]), Not(admits(call, some_rule, address)))


def searching(call: Call, some_rule: BitVecRef, meaning: Callable[[BitVecRef], BitVecRef]) -> Loop:
    """A loop over rules of which none so far admits what the address means."""

    def invariant(_state: State, ghosts: Ghosts) -> BoolRef:
        address = meaning(in_network_order(call.address))
        none = Implies(ULT(some_rule, ghosts["j"]), Not(admits(call, some_rule, address)))
        return And(ULE(ghosts["j"], rules(call)[1]), none)

    return Loop(invariant)


def found(end: End, address: BitVecRef) -> BoolRef:
    """Whether the function has come to a rule that admits an address."""
    count = rules(end.call)[1]
    numbers = [cut.ghosts["j"] for cut in end.state.cuts.values()]
    return Or(*[And(ULT(number, count), admits(end.call, number, address)) for number in numbers])


def peer_rows(call: Call, without_rules=True, nobody=True, embeds=True, **forms) -> list[Row]:
    address = in_network_order(call.address)
    contains, ipv4 = embedded(address, **forms)
    contains = And(contains, embeds)

    def allowed_by_rules(end: End) -> BoolRef:
        yes = And(found(end, address), Implies(contains, found(end, ipv4)))
        no = Or(not_admitted(call, SOME_RULE, address), And(contains, not_admitted(call, SOME_OTHER_RULE, ipv4)))
        return If(end.result.number == 1, yes, And(end.result.number == 0, no))

    return [
        Row(call.rules.is_variant("None"), gives(lambda result: result.number == int(without_rules))),
        *([Row(is_unspecified(address), gives(lambda result: result.number == 0))] if nobody else []),
        Row(ALWAYS, allowed_by_rules),
    ]


DECISIONS = [
    Decision(
        "peer_rule",
        "a network of up to 128 bits with no bit set behind its prefix; its mask has the bits of the prefix",
        ("network", "prefix_bits"),
        rule_rows,
        {
            "a prefix has 129 bits": {"longest": 129},
            "bits behind the prefix do not matter": {"exact": False},
            "a mask has at most 127 bits": {"mask_bits": 127},
        },
    ),
    Decision(
        "peer",
        "a rule admits the address and one that of IPv4 in it, never `::` or `0.0.0.0`; without rules, any address",
        ("rules", "address"),
        peer_rows,
        {
            "without rules nobody is allowed": {"without_rules": False},
            "`::` is an address": {"nobody": False},
            "the address of IPv4 does not matter": {"embeds": False},
            "6to4 contains none": {"six_to_four": False},
            "`::1` contains one": {"loopback": False},
        },
        regions=regions,
        loops=lambda call: [
            searching(call, SOME_RULE, lambda address: address),
            searching(call, SOME_OTHER_RULE, lambda address: embedded(address)[1]),
        ],
    ),
]
