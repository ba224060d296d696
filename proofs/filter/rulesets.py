"""The Landlock rulesets that `wave` hands to the kernel, compared with the text of the policy.

Landlock has no call that reads a ruleset back. So whole runs are traced, and the arguments of landlock_create_ruleset,
landlock_add_rule and landlock_restrict_self are read from the memory of the process at the moment of the call: nothing
between the policy and the kernel is trusted, neither the code of `wave` nor its libraries.

Source of names, bits and ABIs: landlock(7).
"""

import ctypes
import itertools
import os
import struct
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from proofs.filter import policy
from proofs.filter.prover import wave_binary
from proofs.filter.sources import wave
from proofs.filter.tracer import SystemCall, trace
from proofs.report import Claim, Timer, claim

RIGHTS = (
    "execute write_file read_file read_dir remove_dir remove_file make_char make_dir make_reg make_sock make_fifo "
    "make_block make_sym refer truncate ioctl_dev"
).split()
BITS = {name: 1 << position for position, name in enumerate(RIGHTS)}
PATH_BENEATH = 1
SET_MODE_FILTER = 1

Rule = tuple[int, tuple[int, int]]  # rights, device and inode
Rights = tuple[int, int, int]  # on files, of TCP, scopes


def abi() -> int:
    """The kernel's Landlock ABI."""
    version = 1
    return ctypes.CDLL(None).syscall(policy.numbers()["landlock_create_ruleset"], None, ctypes.c_size_t(0), version)


def handled(level: int) -> Rights:
    """All rights of an ABI: files, TCP, scopes."""
    files = {1: 13, 2: 14, 3: 15, 4: 15}.get(level, 16)
    return (1 << files) - 1, 3 if level >= 4 else 0, 3 if level >= 6 else 0


@dataclass
class Domain:
    """What one process asked Landlock for, in the order of its calls."""

    created: list[Rights] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    restricted: int = 0
    late: list[str] = field(default_factory=list)  # calls in another order, or that failed
    has_filter: bool = False


class Observer:
    """Collects the domains of a run."""

    def __init__(self):
        self.domains: dict[int, Domain] = {}
        self.rulesets: dict[tuple[int, int], int] = {}
        names = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp")
        self.names = {policy.numbers()[name]: name for name in names}

    def on_entry(self, call: SystemCall) -> object:
        """Reads the arguments, before the kernel does."""
        name = self.names.get(call.number)
        arguments = call.arguments
        if name == "landlock_create_ruleset" and arguments[2] == 0:
            size = arguments[1]
            words = struct.unpack("<3Q", call.memory(arguments[0], size).ljust(24, b"\0")[:24])
            return call.pid, name, words if size <= 24 else "more than three words"
        if name == "landlock_add_rule":
            # struct landlock_path_beneath_attr is packed.
            rights, parent = struct.unpack("<Qi", call.memory(arguments[2], 12))
            return call.pid, name, (arguments[0], arguments[1], arguments[3], rights, call.file(parent))
        if name == "landlock_restrict_self":
            return call.pid, name, arguments[:2]
        if name == "seccomp" and arguments[0] == SET_MODE_FILTER:
            return call.pid, name, None
        return None

    def on_exit(self, entered: object, result: int) -> None:
        """Writes down what the kernel accepted."""
        if entered is None:
            return
        pid, name, what = entered
        domain = self.domains.setdefault(pid, Domain())
        if result < 0:
            domain.late.append(f"{name} failed with {os.strerror(-result)}")
        elif name == "landlock_create_ruleset":
            self.rulesets[pid, result] = len(domain.created)
            domain.created.append(what)
        elif name == "landlock_add_rule":
            ruleset, kind, flags, rights, parent = what
            is_late = domain.restricted or domain.has_filter
            if (pid, ruleset) not in self.rulesets or kind != PATH_BENEATH or flags or is_late:
                domain.late.append(f"landlock_add_rule{what}")
            domain.rules.append((rights, parent))
        elif name == "landlock_restrict_self":
            ruleset, flags = what
            if (pid, ruleset) not in self.rulesets or flags or domain.has_filter:
                domain.late.append(f"landlock_restrict_self{what}")
            domain.restricted += 1
        else:
            domain.has_filter = True


def expected_rules(text: str, level: int) -> list[Rule]:
    """The rules of a policy: for each grant, the rights of its access that the kernel knows."""
    document = tomllib.loads(text)
    known, _, _ = handled(level)
    rules = []
    for grant in document.get("fs", []):
        named = document["os"]["landlock"][grant["access"]]
        found = os.stat(grant["host"])
        rules.append((sum(BITS[name] for name in named) & known, (found.st_dev, found.st_ino)))
    return rules


def differences(domain: Domain, rules: list[Rule], every_right: Rights) -> list[str]:
    """What a process asked for beside the policy, or did not ask for."""
    found = list(domain.late)
    if domain.created != [every_right]:
        found.append(f"it handles {domain.created}, the kernel has {every_right}")
    if sorted(domain.rules) != sorted(rules):
        found.append(f"its rules are {sorted(domain.rules)}, the policy's are {sorted(rules)}")
    if domain.restricted != 1:
        found.append(f"it restricts itself {domain.restricted} times")
    return found


def wrong_specifications(rules: list[Rule], every_right: Rights) -> list[tuple[str, list[Rule], Rights]]:
    """Each differs from the right one in one place."""
    files, ports, scopes = every_right
    wrong = [
        ("a right of files is not handled", rules, (files & ~BITS["execute"], ports, scopes)),
        ("TCP is not handled", rules, (files, 0, scopes)),
        ("a rule too many", [*rules, (BITS["read_file"], (0, 0))], every_right),
    ]
    if rules:
        (rights, parent), *others = rules
        wrong += [
            ("a rule too few", others, every_right),
            ("a right more", [(rights ^ BITS["execute"], parent), *others], every_right),
            ("a right less", [(rights ^ BITS["read_file"], parent), *others], every_right),
            ("another directory", [(rights, (parent[0], parent[1] + 1)), *others], every_right),
        ]
    return wrong


MODULE = """
(module
  (import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func (param i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
"""


def runs(work: Path) -> list[tuple[str, list[tuple[Path, str]]]]:
    """Names of runs, and what each grants."""
    folders = [work / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    one = [[(folders[0], access)] for access in ("ro", "append", "rw")]
    granted: list[list[tuple[Path, str]]] = [[], *one, list(zip(folders, ("ro", "append", "rw")))]
    names = [", ".join(f"{place.name} {access}" for place, access in grants) or "nothing" for grants in granted]
    return list(zip(names, granted))


def prove(work: Path) -> None:
    """Claims that each sealed process of the runs has the ruleset of its policy."""
    timer = Timer()
    module = work / "files.wat"
    module.write_text(MODULE, encoding="utf-8")
    level = abi()
    every_right = handled(level)
    failures: list[str] = []
    refuted: dict[str, int] = {}
    processes = 0
    for (name, grants), resolver, sandbox in itertools.product(runs(work), ("auto", "manual"), ("strict", "standard")):
        flags = [word for place, access in grants for word in ("--dir", f"{place}::/{place.name}::{access}")]
        observer = Observer()
        flags += ["--no-cache", "--resolver", resolver]
        command = [wave_binary(), "--sandbox", sandbox, "run", *flags, module]
        status = trace(command, observer.on_entry, observer.on_exit)
        run = f"{name}, {resolver}, {sandbox}"
        text = wave("policy", "gen", module) + "".join(
            f'\n[[fs]]\nhost = "{place}"\nguest = "/{place.name}"\naccess = "{access}"\n' for place, access in grants
        )
        rules = expected_rules(text, level)
        domains = list(observer.domains.values())
        if status or not all(domain.has_filter for domain in domains) or len(domains) != 2:
            failures.append(f"{run}: exit status {status}, {len(domains)} processes")
        # The process of the compiler is sealed first. It has no grant.
        for domain, allowed in zip(domains, ([], rules)):
            processes += 1
            failures += [f"{run}: {difference}" for difference in differences(domain, allowed, every_right)]
            for wrong, wrong_rules, wrong_rights in wrong_specifications(allowed, every_right):
                if differences(domain, wrong_rules, wrong_rights):
                    refuted[wrong] = refuted.get(wrong, 0) + 1
                else:
                    failures.append(f"{run}: the wrong specification ({wrong}) was not refuted")
    claim(
        Claim(
            part="landlock",
            decision="rulesets",
            specification=(
                f"each of {processes} sealed processes hands the kernel one ruleset that handles every right of its "
                f"Landlock ABI ({level}), with the rules of the policy and no other, and restricts itself before it "
                "installs its filter"
            ),
            bound="these runs: no directory, one, or three × accesses × resolvers × levels; guests and compilers",
            assumptions=["policy_text", "kernel_landlock"],
            wrong=[f"{name} ({times}×)" for name, times in sorted(refuted.items())],
            seconds=timer.seconds(),
            failure="; ".join(failures[:5]),
        )
    )
