"""An ELF executable for x86-64: its bytes as they are after loading, its functions and its imports."""

import re
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PT_LOAD, PT_GNU_RELRO = 1, 0x6474E552
SHT_SYMTAB, SHT_RELA, SHT_DYNSYM = 2, 4, 11
STT_OBJECT, STT_FUNC, STT_GNU_IFUNC = 1, 2, 10
EXECUTABLE, WRITABLE = 1, 2
R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE, R_IRELATIVE = 6, 7, 8, 37

# Imported functions have no address in the file, and neither have those that a static program chooses by the processor when it starts
# (IFUNC). They get one here, where no segment is.
IMPORTS = 0x7E00_0000_0000


@dataclass(frozen=True)
class Function:
    """One function, or one static, of the symbol table."""

    symbol: str
    address: int
    size: int


@dataclass(frozen=True)
class Segment:
    """Bytes that the loader maps."""

    start: int
    data: bytearray
    writable: bool


class Binary:
    """A position-independent executable, loaded at address 0."""

    def __init__(self, path: str | Path):
        self.path = str(path)
        self._file = Path(path).read_bytes()
        if self._file[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", self._file, 18)[0] != 62:
            raise ValueError(f"{path} is no ELF file for x86-64")
        self.segments: list[Segment] = []
        self.import_slots: dict[int, str] = {}
        self.imports: dict[int, str] = {}
        self._relro: list[tuple[int, int]] = []
        self._executable: list[tuple[int, bytes]] = []
        self._load_segments()
        self._sections = self._read_sections()
        self._relocate()

    def _load_segments(self) -> None:
        offset, size, count = struct.unpack_from("<Q14xHH", self._file, 32)
        for index in range(count):
            kind, flags, start, address, _, in_file, in_memory = struct.unpack_from(
                "<IIQQQQQ", self._file, offset + index * size
            )
            if kind == PT_LOAD:
                data = bytearray(self._file[start : start + in_file])
                data.extend(bytes(in_memory - in_file))
                self.segments.append(Segment(address, data, bool(flags & WRITABLE)))
                if flags & EXECUTABLE:
                    self._executable.append((address, bytes(data)))
            elif kind == PT_GNU_RELRO:
                self._relro.append((address, address + in_memory))

    def _read_sections(self) -> list[tuple]:
        (offset,) = struct.unpack_from("<Q", self._file, 40)
        size, count = struct.unpack_from("<HH", self._file, 58)
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        return [struct.unpack_from("<IIQQQQIIQQ", self._file, offset + index * size) for index in range(count)]

    def _symbols(self, section: tuple) -> list[tuple[str, int, int, int]]:
        """Name, type, address and size of each symbol of a table."""
        names = self._sections[section[6]][4]
        symbols = []
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, _, value, size = struct.unpack_from("<IBBHQQ", self._file, at)
            end = self._file.index(b"\0", names + name)
            symbols.append((self._file[names + name : end].decode(), info & 15, value, size))
        return symbols

    @cached_property
    def _choices(self) -> dict[int, str]:
        """The functions that are chosen at the start, by the address of what chooses."""
        found = sorted(self._of_kind(STT_GNU_IFUNC), key=lambda function: not function.symbol.startswith("_"))
        # The name without underscores comes last, and counts.
        return {function.address: function.symbol for function in found}

    def _relocate(self) -> None:
        for section in self._sections:
            if section[1] != SHT_RELA:
                continue
            symbols = self._symbols(self._sections[section[6]]) if self._sections[section[6]][1] == SHT_DYNSYM else []
            for at in range(section[4], section[4] + section[5], 24):
                place, info, addend = struct.unpack_from("<QQq", self._file, at)
                kind, symbol = info & 0xFFFFFFFF, info >> 32
                if kind == R_RELATIVE:
                    self._write(place, addend)
                elif kind in (R_GLOB_DAT, R_JUMP_SLOT):
                    address = symbols[symbol][2] or IMPORTS + 16 * len(self.imports)
                    if not symbols[symbol][2]:
                        self.imports[address] = symbols[symbol][0]
                    self._write(place, address)
                elif kind == R_IRELATIVE:
                    address = IMPORTS + 16 * len(self.imports)
                    self.imports[address] = self._choices.get(addend, f"what {addend:#x} chooses")
                    self._write(place, address)

    def _write(self, address: int, value: int) -> None:
        for segment in self.segments:
            at = address - segment.start
            if 0 <= at <= len(segment.data) - 8:
                segment.data[at : at + 8] = struct.pack("<q", value)

    def section(self, name: str) -> bytes:
        """A section by its name; empty if there is none."""
        (names,) = struct.unpack_from("<H", self._file, 62)
        start = self._sections[names][4]
        for section in self._sections:
            end = self._file.index(b"\0", start + section[0])
            if self._file[start + section[0] : end].decode() == name:
                return self._file[section[4] : section[4] + section[5]]
        return b""

    @cached_property
    def call_targets(self) -> set[int]:
        """Every address that a direct call or jump could lead to. Some bytes only look like one, so there are too
        many."""
        targets = set()
        for start, data in self._executable:
            for match in re.finditer(rb"[\xe8\xe9]", data):
                if match.end() + 4 <= len(data):
                    (distance,) = struct.unpack_from("<i", data, match.end())
                    targets.add(start + match.end() + 4 + distance)
        return targets

    def constant(self, address: int, size: int) -> bytes | None:
        """The bytes at an address, if nothing can change them after loading."""
        for segment in self.segments:
            at = address - segment.start
            if 0 <= at <= len(segment.data) - size:
                protected = any(start <= address and address + size <= end for start, end in self._relro)
                return bytes(segment.data[at : at + size]) if protected or not segment.writable else None
        return None

    @property
    def functions(self) -> list[Function]:
        """All functions of the symbol table, which a stripped file does not have."""
        return self._of_kind(STT_FUNC)

    @property
    def objects(self) -> list[Function]:
        """All statics of the symbol table."""
        return self._of_kind(STT_OBJECT)

    def _of_kind(self, wanted: int) -> list[Function]:
        tables = [section for section in self._sections if section[1] == SHT_SYMTAB]
        return [
            Function(name, address, size)
            for table in tables
            for name, kind, address, size in self._symbols(table)
            if kind == wanted and address
        ]
