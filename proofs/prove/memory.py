"""Which region an address lies in, and what is read from there and written there."""

from z3 import (
    BitVecRef,
    BitVecVal,
    BoolRef,
    BoolVal,
    Concat,
    Extract,
    LShR,
    Select,
    Store,
    ULT,
    Z3_OP_BADD,
    Z3_OP_BMUL,
    Z3_OP_CONCAT,
    And,
    is_bv_value,
    is_const,
    simplify,
)

from proofs.prove.state import STACK_LOW, STACK_TOP, Record, State, Table, byte_of, joined

# Arguments that a caller passes on the stack lie above its return address.
STACK_END = STACK_TOP + 4096


def on_stack(address: BitVecRef) -> bool:
    """Whether an address is one of the stack."""
    return is_bv_value(address) and STACK_LOW <= address.as_long() < STACK_END


def symbols(term) -> set[str]:
    """The names in a term."""
    found, seen, work = set(), set(), [term]
    while work:
        part = work.pop()
        if part.get_id() in seen:
            continue
        seen.add(part.get_id())
        if is_const(part) and part.decl().arity() == 0 and not is_bv_value(part):
            found.add(part.decl().name())
        work.extend(part.children())
    return found


def _signed(value: BitVecRef) -> int:
    return value.as_signed_long()


def _element(distance: BitVecRef, stride: int) -> tuple[BitVecRef, int] | None:
    """`distance` as `stride * index + offset`, with a constant offset below `stride`."""
    if stride == 1:
        return distance, 0
    index, offset = BitVecVal(0, 64), 0
    parts = distance.children() if distance.decl().kind() == Z3_OP_BADD else [distance]
    for part in parts:
        kind = part.decl().kind()
        if is_bv_value(part):
            offset += _signed(part)
        elif kind == Z3_OP_BMUL and part.num_args() == 2 and is_bv_value(part.arg(0)):
            factor = _signed(part.arg(0))
            if factor % stride:
                return None
            index = index + factor // stride * part.arg(1)
        elif kind == Z3_OP_CONCAT and is_bv_value(part.children()[-1]):
            *high, low = part.children()
            factor = 1 << low.size()
            if factor % stride:
                return None
            upper = Concat(BitVecVal(0, low.size()), *high)
            index = index + factor // stride * upper
            offset += low.as_long()
        elif stride & (stride - 1) == 0:
            bits = stride.bit_length() - 1
            low = simplify(Extract(bits - 1, 0, part))
            if not is_bv_value(low):
                return None
            index = index + LShR(part, bits)
            offset += low.as_long()
        else:
            return None
    return simplify(index + offset // stride), offset % stride


class Place:
    """`size` bytes in a region: of a record at an offset, of a table from an element and an offset in it on."""

    def __init__(self, region: Record | Table, size: int, offset: int, index: BitVecRef | None = None):
        self.region, self.size, self.offset, self.index = region, size, offset, index

    def inside(self) -> BoolRef:
        """What must hold so that all of it is in the region."""
        if isinstance(self.region, Record):
            return BoolVal(0 <= self.offset and self.offset + self.size <= self.region.size)
        last = (self.offset + self.size - 1) // self.region.stride
        conditions = [ULT(self.index, self.region.count)]
        if last:
            # Two conditions: the first alone would let the last element wrap around.
            conditions.append(ULT(self.index + last, self.region.count))
        return And(*conditions)

    def _byte(self, number: int) -> tuple[BitVecRef, int]:
        """The element of one byte, and its offset there."""
        at = self.offset + number
        return self.index + at // self.region.stride, at % self.region.stride

    def read(self, state: State) -> BitVecRef:
        """The bytes."""
        if isinstance(self.region, Record):
            return state.field(self.region.name, self.offset, self.size)
        array, pieces = state.tables[self.region.name], []
        for number in range(self.size):
            index, offset = self._byte(number)
            element = Select(array, simplify(index))
            pieces.append(byte_of(element, offset))
        return joined(pieces)

    def write(self, state: State, value: BitVecRef) -> None:
        """Changes the bytes."""
        if isinstance(self.region, Record):
            state.set_field(self.region.name, self.offset, value)
            return
        changes: dict[int, dict[int, BitVecRef]] = {}
        for number in range(self.size):
            at = self.offset + number
            changes.setdefault(at // self.region.stride, {})[at % self.region.stride] = byte_of(value, number)
        for element, new in changes.items():
            array = state.tables[self.region.name]
            index = simplify(self.index + element)
            old = Select(array, index)
            content = joined([new[at] if at in new else byte_of(old, at) for at in range(self.region.stride)])
            state.tables[self.region.name] = Store(array, index, content)


def find(state: State, address: BitVecRef, size: int) -> Place | None:
    """The place of an address that is a sum of the start of one region and a distance."""
    names = symbols(address)
    bases = set().union(*(symbols(region.base) for region in state.regions.values())) if state.regions else set()
    for region in state.regions.values():
        if not symbols(region.base) & names:
            continue
        distance = simplify(address - region.base)
        if symbols(distance) & bases:
            continue
        if isinstance(region, Record):
            if is_bv_value(distance) and 0 <= _signed(distance) <= region.size - size:
                return Place(region, size, _signed(distance))
        elif (element := _element(distance, region.stride)) is not None:
            return Place(region, size, element[1], element[0])
    return None
