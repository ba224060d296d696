"""Whether the constants of policies/syscalls.toml are the kernel's."""

import re
from functools import cache
from pathlib import Path

from proofs.filter import policy

INCLUDE = Path("/usr/include")
HEADERS = (
    "asm-generic/mman-common.h",
    "asm-generic/mman.h",
    "asm-generic/fcntl.h",
    "x86_64-linux-gnu/asm/mman.h",
    "linux/mman.h",
    "linux/fcntl.h",
    "linux/futex.h",
    "linux/sched.h",
    "linux/time.h",
    "asm-generic/socket.h",
    "x86_64-linux-gnu/bits/socket.h",
    "x86_64-linux-gnu/bits/socket_type.h",
    "netinet/in.h",
)

# Newer than the headers of many systems. Source: Linux 6.13, include/uapi/asm-generic/mman-common.h.
NEWER = {"MADV_GUARD_INSTALL": 102}

WORD = 0xFFFFFFFF
THREAD = "VM FS FILES SIGHAND THREAD SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID"

# Names of the table's own, by what they stand for.
COMPOSED = {
    "MAP_KIND": lambda: WORD & ~(kernel("MAP_NORESERVE") | kernel("MAP_STACK")),
    "FUTEX_KIND": lambda: WORD & ~(kernel("FUTEX_PRIVATE_FLAG") | kernel("FUTEX_CLOCK_REALTIME")),
    "FUTEX_KIND_BUT_WAKE": lambda: COMPOSED["FUTEX_KIND"]() & ~kernel("FUTEX_WAKE"),
    "CLONE_A_THREAD": lambda: sum(kernel(f"CLONE_{name}") for name in THREAD.split()),
    "O_ASYNC": lambda: kernel("FASYNC"),  # as the C library calls it
    "SIGSETXID": lambda: 33,  # glibc, internal-signals.h: the second signal that it keeps for itself
    "NULL": lambda: 0,
    "STDIN": lambda: 0,
    "STDOUT": lambda: 1,
    "STDERR": lambda: 2,
    "RECORDS": lambda: 100,  # and 101: the command's own choice
    "RECORDS_KIND": lambda: WORD & ~1,
    "DUMP": lambda: 102,
    "BROKER": lambda: 103,
    "AF_INET": lambda: kernel("PF_INET"),
    "INET_KIND": lambda: WORD & ~(kernel("PF_INET") ^ kernel("PF_INET6")),
    "MADE": lambda: 3,  # the number after the standard streams
}


@cache
def defined() -> dict[str, int]:
    """The numbers that the kernel's headers define, and those of the C library for sockets."""
    numbers = dict(NEWER)
    for header in HEADERS:
        text = (INCLUDE / header).read_text(encoding="utf-8", errors="replace")
        for name, value in re.findall(r"^\s*#\s*define\s+(\w+)\s+(0[xX][0-9a-fA-F]+|\d+)\b", text, re.MULTILINE):
            numbers.setdefault(name, int(value, 8 if re.fullmatch(r"0[0-7]+", value) else 0))
        enumerated = r"^\s*((?:MSG|SOCK|IPPROTO)_\w+)\s*=\s*(0x[0-9a-fA-F]+|\d+)\b"
        for name, value in re.findall(enumerated, text, re.MULTILINE):
            numbers.setdefault(name, int(value, 8 if re.fullmatch(r"0[0-7]+", value) else 0))
    return numbers


def kernel(name: str) -> int:
    """The value of a name in the headers."""
    return defined()[name]


def wrong() -> list[str]:
    """The constants of the table that are not what they are named after."""
    problems = []
    for name, value in policy.table()["constants"].items():
        try:
            expected = COMPOSED[name]() if name in COMPOSED else kernel(name)
        except KeyError as missing:
            problems.append(f"no header defines {missing} for {name}")
            continue
        if value != expected:
            problems.append(f"{name} is {value:#x}, the kernel's value is {expected:#x}")
    return problems
