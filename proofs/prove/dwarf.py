"""The types of a program, from its debug information (DWARF 4, as rustc 1.95 writes it).

Rust fixes no layout: the compiler orders the fields of a structure, and hides which variant an enumeration has in
values that a field cannot have. So a proof asks here where a field lies and which value means which variant.
"""

import struct
from dataclasses import dataclass, field
from functools import cached_property

from proofs.prove.elf import Binary

# DWARF 4, section 7.5.
COMPILE_UNIT, NAMESPACE, STRUCTURE, UNION, ENUMERATION = 0x11, 0x39, 0x13, 0x17, 0x04
MEMBER, VARIANT_PART, VARIANT, ENUMERATOR, BASE, POINTER = 0x0D, 0x33, 0x19, 0x28, 0x24, 0x0F
ARRAY, SUBRANGE, SUBROUTINE, PARAMETER = 0x01, 0x21, 0x15, 0x05
NAME, SIZE, TYPE, LOCATION, VALUE, DISCR, DISCR_VALUE, COUNT = 0x03, 0x0B, 0x49, 0x38, 0x1C, 0x15, 0x16, 0x37


@dataclass
class Entry:
    """One entry of the debug information."""

    offset: int
    tag: int
    attributes: dict[int, int | str | bytes]
    parent: "Entry | None"
    children: list["Entry"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its own name, which is empty if it has none."""
        return str(self.attributes.get(NAME, ""))

    @cached_property
    def path(self) -> str:
        """Its name with those of what it lies in."""
        if self.parent is None or self.parent.tag == COMPILE_UNIT:
            return self.name
        return f"{self.parent.path}::{self.name}"

    def of(self, tag: int) -> list["Entry"]:
        """Its children of one kind."""
        return [child for child in self.children if child.tag == tag]


class _Reader:
    """Numbers and strings at a position that moves on."""

    def __init__(self, data: bytes, at: int = 0):
        self.data, self.at = data, at

    def number(self, size: int) -> int:
        """An unsigned number of so many bytes."""
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "little")

    def leb(self, signed: bool = False) -> int:
        """A number of variable length."""
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value - (1 << shift) if signed and byte & 64 else value

    def string(self) -> str:
        """A string that ends with a zero byte."""
        end = self.data.index(b"\0", self.at)
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def block(self, size: int) -> bytes:
        """Some bytes."""
        self.at += size
        return self.data[self.at - size : self.at]


class Dwarf:
    """All entries of a binary."""

    def __init__(self, binary: Binary):
        self._info = binary.section(".debug_info")
        self._abbreviations = binary.section(".debug_abbrev")
        self._strings = binary.section(".debug_str")
        if not self._info:
            raise ValueError(f"{binary.path} has no debug information")
        self.entries: dict[int, Entry] = {}
        at = 0
        while at < len(self._info):
            at = self._unit(at)

    def _forms(self, offset: int) -> dict[int, tuple[int, bool, list[tuple[int, int]]]]:
        reader, forms = _Reader(self._abbreviations, offset), {}
        while code := reader.leb():
            tag, children, attributes = reader.leb(), bool(reader.number(1)), []
            while (pair := (reader.leb(), reader.leb())) != (0, 0):
                attributes.append(pair)
            forms[code] = (tag, children, attributes)
        return forms

    def _unit(self, start: int) -> int:
        length, version, abbreviations, pointer = struct.unpack_from("<IHIB", self._info, start)
        if version != 4 or pointer != 8:
            raise ValueError(f"debug information of version {version}")
        forms = self._forms(abbreviations)
        reader, parents = _Reader(self._info, start + 11), []
        while reader.at < start + 4 + length:
            offset, code = reader.at, reader.leb()
            if code == 0:
                parents.pop()
                continue
            tag, children, attributes = forms[code]
            values = {name: self._value(reader, form, start) for name, form in attributes}
            entry = Entry(offset, tag, values, parents[-1] if parents else None)
            self.entries[offset] = entry
            if parents:
                parents[-1].children.append(entry)
            if children:
                parents.append(entry)
        return start + 4 + length

    def _value(self, reader: _Reader, form: int, unit: int) -> int | str | bytes:
        match form:
            case 0x0B | 0x0C:
                return reader.number(1)
            case 0x05:
                return reader.number(2)
            case 0x06 | 0x17 | 0x10:
                return reader.number(4)
            case 0x01 | 0x07:
                return reader.number(8)
            case 0x13:
                return reader.number(4) + unit
            case 0x0F:
                return reader.leb()
            case 0x0D:
                return reader.leb(signed=True)
            case 0x0E:
                return _Reader(self._strings, reader.number(4)).string()
            case 0x08:
                return reader.string()
            case 0x0A:
                return reader.block(reader.number(1))
            case 0x18:
                return reader.block(reader.leb())
            case 0x19:
                return 1
        raise ValueError(f"form {form:#x} of debug information")
