"""Functions by their path in the source, such as `wave_monitor::fds::Monitor::admit_close`.

rustc 1.95 mangles in the legacy way: `_ZN`, identifiers with their lengths, a hash, `E`. Only the standard library
comes with names of the new kind, of which we read no more than the identifiers, to know a panic. A toolchain that
mangles our functions in another way makes every search fail, and with it every proof.
"""

import re

from proofs.prove.elf import Binary, Function

ESCAPES = {
    "$SP$": "@", "$BP$": "*", "$RF$": "&", "$LT$": "<", "$GT$": ">", "$LP$": "(", "$RP$": ")", "$C$": ",",
    "..": "::",
}  # fmt: skip


class Absent(Exception):
    """There is not exactly one function of this path: it was inlined, renamed or copied."""


def demangled(symbol: str) -> str:
    """The path of a symbol, without its hash; the symbol itself if it is not mangled."""
    if symbol.startswith("_R"):
        return _identifiers(symbol)
    if not symbol.startswith("_ZN"):
        return symbol
    parts, at = [], 3
    while match := re.compile(r"\d+").match(symbol, at):
        end = match.end() + int(match.group())
        parts.append(symbol[match.end() : end])
        at = end
    if parts and re.fullmatch(r"h[0-9a-f]{16}", parts[-1]):
        parts.pop()
    return "::".join(_unescaped(part) for part in parts)


def _identifiers(symbol: str) -> str:
    """The identifiers of a symbol of the new kind, in their order: `core::panicking::panic` for a function of that
    path."""
    rest = re.sub(r"(?<=[CMXNvt])s[0-9A-Za-z]*_", "", symbol)
    parts, at = [], 2
    while match := re.compile(r"\d+").search(rest, at):
        at = match.end() + int(match.group())
        parts.append(rest[match.end() : at].lstrip("_"))
    return "::".join(parts)


def _unescaped(part: str) -> str:
    if part.startswith("_$"):
        part = part[1:]
    for escape, text in ESCAPES.items():
        part = part.replace(escape, text)
    return re.sub(r"\$u([0-9a-f]+)\$", lambda match: chr(int(match.group(1), 16)), part)


class Names:
    """The functions of a binary, both ways."""

    def __init__(self, binary: Binary):
        self._by_path: dict[str, dict[int, Function]] = {}
        self._by_address: dict[int, str] = dict(binary.imports)
        self._functions: dict[int, Function] = {}
        self._objects = {demangled(item.symbol): item.address for item in binary.objects}
        # Of several names of one address, as `free` and `__libc_free`, the one without underscores counts.
        for function in sorted(binary.functions, key=lambda function: function.symbol.startswith("_")):
            path = demangled(function.symbol)
            self._by_path.setdefault(path, {})[function.address] = function
            self._by_address.setdefault(function.address, path)
            self._functions.setdefault(function.address, function)

    def find(self, path: str) -> Function:
        """The function with this path.

        A path may leave out the `<impl …>` that the compiler puts between a module and a method:
        `wave_monitor::fdstat::set_rights` is found, too.
        """
        found = self._by_path.get(path) or self._without_impl(path)
        if len(found) != 1:
            raise Absent(f"{len(found)} functions are {path}: it is inlined, or the binary has another name for it")
        return next(iter(found.values()))

    def _without_impl(self, path: str) -> dict[int, Function]:
        found: dict[int, Function] = {}
        for other, functions in self._by_path.items():
            if "::<impl " in other and re.sub(r"::<impl [^>]*>", "", other) == path:
                found.update(functions)
        return found

    def path_of(self, address: int) -> str | None:
        """The path of the function that starts at an address."""
        return self._by_address.get(address)

    def function_at(self, address: int) -> Function | None:
        """The function that starts at an address."""
        return self._functions.get(address)

    def object(self, path: str) -> int:
        """The address of a static."""
        if path not in self._objects:
            raise Absent(f"no static is {path}")
        return self._objects[path]
