"""What many decisions ask of a descriptor."""

from z3 import And, BitVecRef, BoolRef, Not, Or, UGE, ULT, If, BitVecVal, ZeroExt

from proofs.monitor.frame import Call, Row, refuses
from proofs.monitor.policy import ALWAYS_READY
from proofs.monitor.wasi import BADF, NONBLOCK, NOTCAPABLE, NOTDIR, rights
from proofs.prove.types import Value

# The kernel takes offsets and sizes as signed numbers.
OFFSETS = 1 << 63


def valid_entry(*names: str):
    """That the slots of these arguments hold values of their type, for `facts` of a decision."""
    return lambda call: [call.slot(call.arguments[name].number).valid() for name in names]


def has(entry: Value, bits: int | BitVecRef) -> BoolRef:
    """Whether a descriptor has all of these rights."""
    return ~entry.base.number & bits == 0


def is_open(call: Call, fd: BitVecRef) -> Row:
    """A closed descriptor is BADF."""
    return Row(Not(call.is_open(fd)), refuses(BADF))


def needs(call: Call, fd: BitVecRef, *names: str) -> Row:
    """A descriptor without these rights is NOTCAPABLE."""
    return Row(Not(has(call.entry(fd), rights(*names))), refuses(NOTCAPABLE))


def one_of(value: Value, *names: str) -> BoolRef:
    """Whether a value is one of these variants."""
    return Or(*[value.is_variant(name) for name in names])


def is_kind(call: Call, fd: BitVecRef, kinds: tuple[str, ...], errno: int) -> Row:
    """A descriptor of another kind is refused."""
    return Row(Not(one_of(call.entry(fd).kind, *kinds)), refuses(errno))


def is_directory(call: Call, fd: BitVecRef, kinds: tuple[str, ...] = ("Directory",)) -> list[Row]:
    """What is no directory is NOTDIR. Of a list of granted files, other decisions say what it has."""
    listed = And(call.entry(fd).kind.is_variant("List"), Not(one_of(call.entry(fd).kind, *kinds)))
    return [Row(listed, refuses(NOTCAPABLE)), is_kind(call, fd, kinds, NOTDIR)]


def acts_on(call: Call, fd: BitVecRef, effect: Value) -> BoolRef:
    """Whether an effect has the host's object of this descriptor, and no other."""
    return effect.on.number == call.entry(fd).host.number


def waits(entry: Value, waiting: Value) -> BoolRef:
    """Whether a call waits as the kind of its descriptor and its flags say."""
    never = one_of(entry.kind, *ALWAYS_READY)
    refuse = entry.flags.number & NONBLOCK != 0
    return And(
        waiting.is_variant("Never") == never,
        waiting.is_variant("Refuse") == And(Not(never), refuse),
        waiting.is_variant("Wait") == And(Not(never), Not(refuse)),
    )


def per_call(call: Call) -> BitVecRef:
    """The most bytes that one call may move: a limit of zero counts as one."""
    limit = ZeroExt(32, call.monitor.limits.call_bytes.number)
    return If(limit == 0, BitVecVal(1, 64), limit)


def ends_beyond(offset: BitVecRef, length: BitVecRef | int) -> BoolRef:
    """Whether a range of a file ends at 2^63 or later, in numbers that do not wrap."""
    length = BitVecVal(length, 64) if isinstance(length, int) else length
    return UGE(ZeroExt(1, offset) + ZeroExt(1, length), OFFSETS)


def least(one: BitVecRef, other: BitVecRef) -> BitVecRef:
    """The smaller of two numbers."""
    return If(ULT(one, other), one, other)


def less(number: BitVecRef, used: BitVecRef) -> BitVecRef:
    """What is left of a number, and nothing if more was used."""
    return If(ULT(used, number), number - used, BitVecVal(0, number.size()))
