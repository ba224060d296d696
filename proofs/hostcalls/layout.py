"""Where the fields of Rust's structures lie, from the debug information of a build.

rustc places the fields of a type by its definition alone, not by the profile. So the development build of `wave-wasi`,
which has debug information, has the layout of the binary that ships. If it had another one, the proofs would fail: a
field that the code reads would not be the field that the specification names.
"""

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ENTRY = re.compile(r"^ <(\d+)><([0-9a-f]+)>: Abbrev Number: (\d+)(?: \((\w+)\))?")
ATTRIBUTE = re.compile(r"^    <[0-9a-f]+>   (DW_AT_\w+)\s*: (.*)$")
# What a reader of types needs; code and variables are most of the rest.
TAGS = (
    "DW_TAG_structure_type", "DW_TAG_member", "DW_TAG_variant_part", "DW_TAG_variant", "DW_TAG_enumeration_type",
    "DW_TAG_enumerator", "DW_TAG_base_type",
)  # fmt: skip


class Unknown(Exception):
    """A type or a field is not in the debug information."""


@dataclass
class Node:
    """One entry of the debug information, with those inside it."""

    tag: str
    path: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def number(self, name: str) -> int:
        """An attribute that is a number."""
        return int(self.attributes[name].split()[0], 0)

    @property
    def name(self) -> str:
        """Its name, without where the name is stored."""
        return re.sub(r"^\(indirect string, offset: 0x[0-9a-f]+\): ", "", self.attributes.get("DW_AT_name", ""))


@dataclass(frozen=True)
class Field:
    """A place inside a structure."""

    offset: int
    type: Node


class Layouts:
    """The types of one object file."""

    def __init__(self, text: str):
        self._by_offset: dict[str, Node] = {}
        self._by_path: dict[str, Node] = {}
        self._read(text)

    def _read(self, text: str) -> None:
        parents: list[Node] = []
        current = None
        for line in text.splitlines():
            if match := ENTRY.match(line):
                self._finish(parents, current)
                depth, offset, tag = int(match[1]), match[2], match[4]
                current = None
                del parents[depth:]
                if tag:
                    current = Node(tag, "")
                    self._by_offset[offset] = current
                    parents.append(current)
            elif current is not None and (match := ATTRIBUTE.match(line)):
                current.attributes[match[1]] = match[2].strip()
        self._finish(parents, current)

    def _finish(self, parents: list[Node], node: Node | None) -> None:
        """Gives an entry its path, now that its name is known."""
        if node is None:
            return
        above = parents[-2] if len(parents) > 1 else None
        prefix = above.path if above is not None else ""
        is_named = node.tag == "DW_TAG_namespace" or node.tag in TAGS
        node.path = f"{prefix}::{node.name}".strip(":") if is_named else prefix
        if above is not None and node.tag in TAGS:
            above.children.append(node)
        if node.tag in ("DW_TAG_structure_type", "DW_TAG_enumeration_type") and "DW_AT_byte_size" in node.attributes:
            self._by_path.setdefault(node.path, node)

    def __contains__(self, path: str) -> bool:
        return path in self._by_path

    def type(self, path: str) -> Node:
        """The structure or enumeration with this path."""
        if path not in self._by_path:
            raise Unknown(f"no type {path} in the debug information")
        return self._by_path[path]

    def size(self, path: str) -> int:
        """The size of a type in bytes."""
        return self.type(path).number("DW_AT_byte_size")

    def target(self, node: Node) -> Node:
        """The type of a member."""
        return self._by_offset[node.attributes["DW_AT_type"].strip("<>").split(">")[0].removeprefix("0x")]

    def field(self, path: str, names: str) -> Field:
        """The place of `a.b.c` in a type. A name of a variant is looked up in the variants."""
        node, offset = self.type(path), 0
        for name in names.split("."):
            member = next((child for child in self._members(node) if child.name == name), None)
            if member is None:
                raise Unknown(f"no field {name} in {node.path}")
            offset += member.number("DW_AT_data_member_location")
            node = self.target(member)
        return Field(offset, node)

    def offset(self, path: str, names: str) -> int:
        """The offset of `a.b.c` in a type."""
        return self.field(path, names).offset

    def _members(self, node: Node) -> list[Node]:
        members = [child for child in node.children if child.tag == "DW_TAG_member"]
        for part in node.children:
            if part.tag == "DW_TAG_variant_part":
                for variant in part.children:
                    members += [child for child in variant.children if child.tag == "DW_TAG_member"]
        return members

    def variants(self, node: Node) -> tuple[int, int, dict[str, int | None]]:
        """Offset and size of what tells the variants of an enumeration apart, and its value for each; None: any
        other value."""
        if node.tag == "DW_TAG_enumeration_type":
            values = {child.name: child.number("DW_AT_const_value") for child in node.children}
            return 0, node.number("DW_AT_byte_size"), values
        part = next(child for child in node.children if child.tag == "DW_TAG_variant_part")
        tag = self._by_offset[part.attributes["DW_AT_discr"].strip("<>").removeprefix("0x")]
        values = {}
        for variant in part.children:
            if variant.tag == "DW_TAG_variant":
                value = variant.number("DW_AT_discr_value") if "DW_AT_discr_value" in variant.attributes else None
                values[next(child.name for child in variant.children)] = value
        return tag.number("DW_AT_data_member_location"), self.target(tag).number("DW_AT_byte_size"), values


def _library() -> Path:
    """The library of `wave-wasi`: the one that WAVE_WASI_LIBRARY names, or that cargo builds."""
    if named := os.environ.get("WAVE_WASI_LIBRARY"):
        return Path(named).resolve()
    command = [os.environ.get("CARGO", "cargo"), "build", "--package", "wave-wasi", "--lib", "--message-format", "json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "wave_wasi":
            return next(Path(name) for name in message["filenames"] if name.endswith(".rlib"))
    raise Unknown("cargo does not say where the library of wave-wasi is")


def read(needed: list[str]) -> Layouts:
    """The layouts of these types, all from one object file."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["ar", "x", str(_library())], check=True, cwd=folder)
        for path in sorted(Path(folder).glob("*.o"), key=lambda path: -path.stat().st_size):
            text = subprocess.run(
                ["readelf", "--debug-dump=info", str(path)], check=True, capture_output=True, text=True
            ).stdout
            if not all(re.search(rf": {re.escape(path.rsplit('::', 1)[-1])}$", text, re.M) for path in needed):
                continue
            layouts = Layouts(text)
            if all(path in layouts for path in needed):
                return layouts
    raise Unknown(f"no object file has the layouts of {', '.join(needed)}")
