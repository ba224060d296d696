"""Rust types: where the fields of a structure lie, and which variant of an enumeration a value is."""

from dataclasses import dataclass
from functools import cached_property

from z3 import And, BitVecRef, BoolRef, BoolVal, Not, Or

from proofs.prove import dwarf
from proofs.prove.dwarf import Dwarf, Entry
from proofs.prove.elf import Binary
from proofs.prove.state import joined


class Unknown(Exception):
    """There is no such type, field or variant."""


@dataclass(frozen=True)
class Variant:
    """One variant of an enumeration. Without a tag, it is what no other variant's tag says."""

    name: str
    tag: int | None
    content: "Type | None"


def _number(constant: int | bytes) -> int:
    """A constant of debug information. One of 128 bits is bytes."""
    return int.from_bytes(constant, "little") if isinstance(constant, bytes) else int(constant)


class Type:
    """One type."""

    def __init__(self, types: "Types", entry: Entry):
        self._types, self._entry = types, entry

    @property
    def name(self) -> str:
        """Its path."""
        return self._entry.path

    @cached_property
    def size(self) -> int:
        """In bytes."""
        if self._entry.tag == dwarf.POINTER:
            return 8
        if self._entry.tag == dwarf.ARRAY:
            return self.element.size * self.count
        return int(self._entry.attributes.get(dwarf.SIZE, 0))

    @property
    def element(self) -> "Type":
        """The type of the elements of an array."""
        return self._types.at(self._entry.attributes[dwarf.TYPE])

    @property
    def target(self) -> "Type":
        """The type that a pointer points to."""
        return self._types.at(self._entry.attributes[dwarf.TYPE])

    @property
    def count(self) -> int:
        """The number of elements of an array."""
        return int(self._entry.of(dwarf.SUBRANGE)[0].attributes[dwarf.COUNT])

    @cached_property
    def fields(self) -> dict[str, tuple[int, "Type"]]:
        """Offset and type of each field of a structure."""
        if self._entry.tag not in (dwarf.STRUCTURE, dwarf.UNION):
            return {}
        return {
            member.name: (int(member.attributes[dwarf.LOCATION]), self._types.at(member.attributes[dwarf.TYPE]))
            for member in self._entry.of(dwarf.MEMBER)
        }

    def place(self, path: str) -> tuple[int, "Type"]:
        """Offset and type of a field of a field, such as `entries.len`."""
        offset, type_ = 0, self
        for name in path.split("."):
            if name not in type_.fields:
                raise Unknown(f"{type_.name} has no field {name}")
            distance, type_ = type_.fields[name]
            offset += distance
        return offset, type_

    @cached_property
    def tag(self) -> tuple[int, int] | None:
        """Offset and size of the tag of an enumeration. None if it has only one variant, or is no enumeration."""
        if self._entry.tag == dwarf.ENUMERATION:
            return 0, self.size
        for part in self._entry.of(dwarf.VARIANT_PART):
            if (member := part.attributes.get(dwarf.DISCR)) is not None:
                attributes = self._types.debug.entries[member].attributes
                return int(attributes[dwarf.LOCATION]), self._types.at(attributes[dwarf.TYPE]).size
        return None

    @cached_property
    def variants(self) -> dict[str, Variant]:
        """The variants of an enumeration. Their content starts where the enumeration starts."""
        if self._entry.tag == dwarf.ENUMERATION:
            return {
                item.name: Variant(item.name, int(item.attributes[dwarf.VALUE]), None)
                for item in self._entry.of(dwarf.ENUMERATOR)
            }
        found = {}
        for part in self._entry.of(dwarf.VARIANT_PART):
            for variant in part.of(dwarf.VARIANT):
                member = variant.of(dwarf.MEMBER)[0]
                tag = variant.attributes.get(dwarf.DISCR_VALUE)
                content = self._types.at(member.attributes[dwarf.TYPE])
                found[member.name] = Variant(member.name, None if tag is None else _number(tag), content)
        return found

    @cached_property
    def scalars(self) -> list[tuple[int, int]] | None:
        """Offset and size of the one or two numbers that the compiler sees in a value of this type; None if it sees
        bytes."""
        if self._entry.tag in (dwarf.BASE, dwarf.POINTER, dwarf.ENUMERATION):
            return [(0, self.size)] if self.size else []
        if self._entry.tag == dwarf.ARRAY:
            return None if self.size else []
        return self._scalars_of_variants() if self.variants else self._scalars_of_fields()

    def _scalars_of_fields(self) -> list[tuple[int, int]] | None:
        parts = [(offset, type_.scalars) for offset, type_ in self.fields.values() if type_.size]
        if len(parts) > 2 or any(scalars is None or len(scalars) > 1 and len(parts) > 1 for _, scalars in parts):
            return None
        return sorted((offset + at, size) for offset, scalars in parts for at, size in scalars)

    def _scalars_of_variants(self) -> list[tuple[int, int]] | None:
        contents = [variant.content.scalars if variant.content else [] for variant in self.variants.values()]
        if self.tag is None or None in contents:
            return contents[0]
        hidden = [v for v in self.variants.values() if v.tag is None]
        if hidden:
            # The tag is a value that a field of one variant cannot have; the others have no content.
            others = [v.content.scalars for v in self.variants.values() if v.tag is not None and v.content]
            return None if any(others) else hidden[0].content.scalars
        different = {place for scalars in contents for place in scalars}
        if len(different) > 1 or any(len(scalars) > 1 for scalars in contents):
            return None
        return sorted([self.tag, *different])

    @property
    def registers(self) -> list[tuple[int, int]]:
        """Offset and size of what each register holds if a value of this type is passed. Empty if it is passed by a
        pointer.

        rustc passes one or two numbers in as many registers, one of 128 bits in two, and other values of up to 8 bytes
        as their bytes. If a later compiler does it in another way, proofs fail.
        """
        if self.size == 0 or self.scalars:
            scalars = self.scalars or []
            words = [(at, min(size, 8)) for start, size in scalars for at in range(start, start + size, 8)]
            return words if len(words) <= 2 else []
        return [(0, self.size)] if self.size <= 8 else []


@dataclass(frozen=True)
class Value:
    """A value of a type, byte by byte."""

    type: Type
    bytes: tuple[BitVecRef, ...]

    def part(self, offset: int, type_: Type) -> "Value":
        """A value of another type inside of it."""
        return Value(type_, self.bytes[offset : offset + type_.size])

    def __getattr__(self, name: str) -> "Value":
        """A field, as an attribute."""
        return self.field(name)

    def field(self, name: str) -> "Value":
        """A field. Those of a tuple are `_0`, `_1` and so on."""
        name = f"_{name}" if name[:1] == "_" and name[1:].isdigit() else name
        if name not in self.type.fields:
            raise Unknown(f"{self.type.name} has no field {name}")
        return self.part(*self.type.fields[name])

    @property
    def number(self) -> BitVecRef:
        """All of it as one number; of a structure, its only field that has a size."""
        inner = [(offset, type_) for offset, type_ in self.type.fields.values() if type_.size]
        if inner:
            if len(inner) > 1:
                raise Unknown(f"{self.type.name} is not one number")
            return self.part(*inner[0]).number
        return joined(list(self.bytes))

    def is_variant(self, name: str) -> BoolRef:
        """Whether it is this variant."""
        if name not in self.type.variants:
            raise Unknown(f"{self.type.name} has no variant {name}")
        variant = self.type.variants[name]
        if self.type.tag is None:
            return BoolVal(True)
        offset, size = self.type.tag
        tag = joined(list(self.bytes[offset : offset + size]))
        mask = (1 << 8 * size) - 1
        others = [other.tag & mask for other in self.type.variants.values() if other.tag is not None]
        if variant.tag is None:
            return And(*[tag != other for other in others])
        return tag == variant.tag & mask

    def variant(self, name: str) -> "Value":
        """Its content, if it is this variant."""
        content = self.type.variants[name].content
        if content is None:
            raise Unknown(f"{self.type.name}::{name} has no content")
        return self.part(0, content)

    def same(self, other: "Value") -> BoolRef:
        """Whether two values of a type are equal, whatever lies in their padding."""
        if self.type.variants:
            cases = []
            for name, variant in self.type.variants.items():
                both = [self.is_variant(name), other.is_variant(name)]
                if variant.content:
                    both.append(self.variant(name).same(other.variant(name)))
                cases.append(And(*both))
            return Or(*cases)
        if self.type.fields:
            parts = self.type.fields.values()
            return And(*[self.part(*part).same(other.part(*part)) for part in parts]) if parts else BoolVal(True)
        return joined(list(self.bytes)) == joined(list(other.bytes)) if self.bytes else BoolVal(True)

    def valid(self) -> BoolRef:
        """Whether it is a value that its type can have."""
        if self.type.variants:
            cases = []
            for name, variant in self.type.variants.items():
                content = self.variant(name).valid() if variant.content else BoolVal(True)
                cases.append(And(self.is_variant(name), content))
            return Or(*cases)
        if self.type.name == "bool":
            return Or(self.number == 0, self.number == 1)
        if self.type.name.startswith("&"):
            # A reference is not null, nor is that of a slice.
            return joined(list(self.bytes[:8])) != 0
        parts = self.type.fields.values()
        return And(*[self.part(*part).valid() for part in parts]) if parts else BoolVal(True)


def neither(*conditions: BoolRef) -> BoolRef:
    """Whether none of them holds."""
    return Not(Or(*conditions))


@dataclass(frozen=True)
class Signature:
    """Parameters and result of a function."""

    parameters: tuple[Type, ...]
    result: Type | None


class Types:
    """The types of a binary."""

    def __init__(self, binary: Binary):
        self.debug = Dwarf(binary)
        self._types: dict[int, Type] = {}

    def at(self, offset) -> Type:
        """The type of an entry."""
        if offset not in self._types:
            self._types[offset] = Type(self, self.debug.entries[offset])
        return self._types[offset]

    def find(self, path: str) -> Type:
        """The type with this path, such as `wave_monitor::fds::Monitor`."""
        if path not in self._by_path:
            raise Unknown(f"no type {path}")
        return self.at(self._by_path[path])

    @cached_property
    def _by_path(self) -> dict[str, int]:
        kinds = (dwarf.STRUCTURE, dwarf.ENUMERATION, dwarf.BASE, dwarf.UNION)
        return {entry.path: entry.offset for entry in self.debug.entries.values() if entry.tag in kinds}

    def signature(self, pointer: Type) -> Signature:
        """Parameters and result of what a function pointer points to."""
        entry = self.debug.entries[pointer._entry.attributes[dwarf.TYPE]]
        if entry.tag != dwarf.SUBROUTINE:
            raise Unknown(f"{pointer.name} is no pointer to a function")
        parameters = tuple(self.at(item.attributes[dwarf.TYPE]) for item in entry.of(dwarf.PARAMETER))
        result = entry.attributes.get(dwarf.TYPE)
        return Signature(parameters, None if result is None else self.at(result))
