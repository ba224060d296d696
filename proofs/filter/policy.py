"""The answers that a policy asks for, read from its text.

A rule of `[os.*]` is a line such as `mprotect where addr == growable.base, len <= growable.length, prot == PROT_READ`.
The names of arguments and the values of constants are those of policies/syscalls.toml; the numbers of calls are the
kernel's.
"""

import errno
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import z3

from proofs.filter.bpf import Call

ROOT = Path(__file__).resolve().parents[2]
NUMBERS_HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

# seccomp(2), linux/audit.h
ALLOW, TRAP, ERRNO = 0x7FFF0000, 0x00030000, 0x00050000
X86_64, X32_BIT = 0xC000003E, 0x40000000
ALL_BITS = (1 << 64) - 1

# Every filter answers the self-test of the seal. A compiler's sends its libc another way, see policies/syscalls.toml.
OF_EVERY_FILTER = {"getppid": errno.EKEYREJECTED}
OF_A_COMPILER = {"clone3": errno.ENOSYS, "openat": errno.EACCES}

Range = tuple[int, int]  # start and length


@dataclass(frozen=True)
class Condition:
    """A test of one argument, all 64 bits of it: `argument & mask == value`, or `argument <= value`."""

    argument: int
    operator: str
    mask: int
    value: int

    def holds(self, call: Call) -> z3.BoolRef:
        """The test as a term."""
        masked = call.arguments[self.argument] & z3.BitVecVal(self.mask, 64)
        value = z3.BitVecVal(self.value, 64)
        return masked == value if self.operator == "==" else z3.ULE(masked, value)


@dataclass
class Rules:
    """Which calls are permitted, and which fail with an error number. Every other call is trapped."""

    permitted: dict[int, list[list[Condition]]] = field(default_factory=dict)  # by number; one of the lists must hold
    errors: dict[int, int] = field(default_factory=dict)
    denied_origin: Range | None = None

    def permit(self, number: int, conditions: list[Condition]) -> None:
        """Adds a way in which a call is permitted."""
        self.permitted.setdefault(number, []).append(conditions)

    def answer(self, call: Call) -> z3.BitVecRef:
        """The answer to a call as a term."""
        result = z3.BitVecVal(TRAP, 32)
        for number, alternatives in self.permitted.items():
            holds = z3.Or([z3.And([condition.holds(call) for condition in conditions]) for conditions in alternatives])
            result = z3.If(z3.And(call.number == number, holds), z3.BitVecVal(ALLOW, 32), result)
        for number, error in self.errors.items():
            result = z3.If(call.number == number, z3.BitVecVal(ERRNO | error, 32), result)
        denied = [call.architecture != X86_64, z3.UGE(call.number, X32_BIT)]
        if self.denied_origin:
            # The address after a call is what a filter sees, so the one after the range counts as inside.
            start, length = self.denied_origin
            denied.append(z3.And(z3.UGE(call.pointer, start), z3.ULE(call.pointer, start + length)))
        return z3.If(z3.Or(denied), z3.BitVecVal(TRAP, 32), result)


@cache
def numbers() -> dict[str, int]:
    """The numbers of system calls, from the kernel's header."""
    defined = re.findall(r"^#define __NR_(\w+) (\d+)$", NUMBERS_HEADER.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(number) for name, number in defined}


@cache
def table() -> dict:
    """policies/syscalls.toml."""
    return tomllib.loads((ROOT / "policies/syscalls.toml").read_text(encoding="utf-8"))


def of_policy(text: str, growable: list[Range], code: Range | None = None) -> Rules:
    """The rules of a run under a policy file with `[os]`."""
    policy = tomllib.loads(text)
    grants, net = policy.get("fs", []), policy.get("net", {})
    counts = {
        "always": True,
        "grant": bool(grants),
        "writable_grant": any(grant.get("access", "ro") != "ro" for grant in grants),
        "listener": bool(net.get("listen")),
        "connection": bool(net.get("connect")),
    }
    rules = Rules(denied_origin=code if policy.get("sandbox", "strict") == "strict" else None)
    for group, entries in policy["os"].items():
        if not isinstance(entries, dict) or group == "landlock":
            continue
        if counts[group]:
            for rule, words in entries.items():
                add(rules, rule, words, growable)
    add_errors(rules, OF_EVERY_FILTER)
    return rules


def of_compiler() -> Rules:
    """The rules of the process that compiles a module: the row `compiler` of the table."""
    rules = Rules()
    add_row(rules, "compiler")
    add_errors(rules, OF_EVERY_FILTER | OF_A_COMPILER)
    return rules


def of_broker() -> Rules:
    """The rules of the process that makes connections: the row `broker` of the table."""
    rules = Rules()
    add_row(rules, "broker")
    add_errors(rules, OF_EVERY_FILTER)
    return rules


def add_row(rules: Rules, row: str) -> None:
    """Adds a row of `[runtime]`."""
    for rule in table()["runtime"][row]:
        words = table()["rule"][rule]
        add(rules, rule, words.get("call", rule) + (f" where {words['when']}" if "when" in words else ""), [])


def add_errors(rules: Rules, errors: dict[str, int]) -> None:
    """Adds calls that fail, by name."""
    rules.errors |= {numbers()[call]: error for call, error in errors.items()}


def add(rules: Rules, rule: str, words: str, growable: list[Range]) -> None:
    """Adds a rule in words. One that speaks of growable memory stands for one rule per range."""
    call, _, when = words.partition(" where ")
    for memory in growable if "growable." in when else [(0, 0)]:
        conditions = [_condition(rule, part.strip(), memory) for part in when.split(",") if part.strip()]
        rules.permit(numbers()[call], conditions)


def _condition(rule: str, words: str, memory: Range) -> Condition:
    parts = re.fullmatch(r"(\w+)(?: & ([\w|]+))? (==|<=) ([\w|.]+)", words)
    if not parts:
        raise ValueError(f"the condition {words!r} of {rule} is not understood")
    argument, mask, operator, value = parts.groups()
    index = table()["rule"][rule]["args"].index(argument)
    return Condition(index, operator, _value(mask, memory) if mask else ALL_BITS, _value(value, memory))


def _value(words: str, memory: Range) -> int:
    constants = table()["constants"] | {"growable.base": memory[0], "growable.length": memory[1]}
    value = 0
    for word in words.split("|"):
        value |= constants[word] if word in constants else int(word, 0)
    return value


def without_truncation(rules: Rules, flags: int = 2) -> None:
    """Narrows `openat` as on a kernel whose Landlock does not restrict truncation: O_TRUNC needs write access (T91)."""
    number = numbers()["openat"]
    if number in rules.permitted:
        truncate, access, write, both = 0o1000, 0o3, 0o1, 0o2  # fcntl.h
        rules.permitted[number] = [
            [Condition(flags, "==", truncate, 0)],
            [Condition(flags, "==", truncate | access, truncate | write)],
            [Condition(flags, "==", truncate | access, truncate | both)],
        ]
