"""The filters that are proved: those that `wave policy export` prints, and those that a seal would install."""

import itertools
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

from proofs.filter import bpf, policy
from proofs.filter.bpf import Program
from proofs.filter.policy import ROOT, Range, Rules
from proofs.filter.prover import Checker, wave_binary

RESOLVERS = ("kernel", "manual")
ACCESSES = (None, "ro", "append", "rw")  # of the directory that is granted, if one is

# What `wave policy export` writes in the place of the linear memory of a run.
PLACEHOLDER: Range = (0x10000000, 0x100000000)

# Ranges for the guest's code: within 4 GiB, across a border of 4 GiB, and more than 4 GiB long.
CODES: tuple[Range, ...] = (
    (0x10000000, 0x1000),
    (0x7F12FFFFF000, 0x2000),
    (0x7F1280000000, 0x180000000),
)
MEMORIES: tuple[Range, ...] = ((0x45040000, 0xA0000), (0x7F0012340000, 0x20000))


@dataclass
class Filter:
    """A filter and what it has to answer."""

    name: str
    program: Program
    rules: Rules
    plan: str  # the same for the checker of wave-sandbox, see check_filter.rs


def wave(*arguments: str | Path) -> str:
    """Runs `wave` and returns what it prints."""
    command = [wave_binary(), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def modules(work: Path) -> Iterator[tuple[str, Path]]:
    """Modules that import what each example, profile and shape does, each WASI function alone, and all of them."""
    yield from ((f"examples/{path.name}", path) for path in sorted((ROOT / "examples").glob("*.wat")))
    imports = {"no function": [], "every function": list(policy.table()["wasi"])}
    for path in sorted((ROOT / "policies/profiles").glob("*.toml")):
        imports[f"profiles/{path.stem}"] = tomllib.loads(path.read_text(encoding="utf-8"))["wasi"]["functions"]
    shapes = tomllib.loads((ROOT / "policies/shapes.toml").read_text(encoding="utf-8"))
    imports |= {f"shapes/{shape['name']}": shape["functions"] for shape in shapes["shape"]}
    imports |= {function: [function] for function in policy.table()["wasi"]}
    for name, functions in imports.items():
        yield name, write_module(work / f"{name.replace('/', '-').replace(' ', '-')}.wat", functions)
    for name, functions in {"connections": [], "every function, connections": list(policy.table()["wasi"])}.items():
        yield name, write_module(work / f"{name.replace(', ', '-').replace(' ', '-')}.wat", functions, connects=True)


def write_module(path: Path, functions: list[str], connects: bool = False) -> Path:
    """A module that imports functions. Their types do not matter to what is derived from them."""
    lines = [f'(import "wasi_snapshot_preview1" "{function}" (func))' for function in functions]
    lines += ['(import "wave_net" "tcp_connect" (func))'] if connects else []
    path.write_text(f"(module {' '.join(lines)} (memory (export \"memory\") 1 10))\n", encoding="utf-8")
    return path


def exported(work: Path) -> Iterator[Filter]:
    """The filters of `wave policy export`: each module, resolver and access of a grant, with and without a listener or a
    connection."""
    for (name, module), resolver in itertools.product(modules(work), RESOLVERS):
        generated = wave("policy", "gen", "--resolver", resolver, module)
        derived = tomllib.loads(generated)
        groups = [group for group in ("grant", "writable_grant") if group in derived["os"]]
        for access, listens, connects in itertools.product(ACCESSES, (False, True), (False, True)):
            # What the module cannot use is not in effect: `wave policy gen` suggests none.
            if access and not groups or listens and "accept4" not in derived["os"].get("listener", {}):
                continue
            if connects and "connection" not in derived["os"]:
                continue
            text = generated + with_grants(access, listens, connects=connects)
            path = work / f"{module.stem}-{resolver}-{access}-{listens}-{connects}.toml"
            path.write_text(text, encoding="utf-8")
            program = bpf.from_listing(wave("policy", "export", "--format", "seccomp-bpf", path))
            growable = [PLACEHOLDER] if "mprotect_grow" in derived["os"]["always"] else []
            plan = f"policy={path} resolver={resolver}" + in_words(growable)
            title = f"{name}, {resolver}, {access or 'nothing'} granted"
            title += ", listening" * listens + ", connecting" * connects
            yield Filter(title, program, policy.of_policy(text, growable), plan)


def in_words(growable: Iterable[Range]) -> str:
    """Memories, for check_filter."""
    return "".join(f" growable={base}:{length}" for base, length in growable)


def with_grants(access: str | None, listens: bool, host: str = "/tmp", connects: bool = False) -> str:
    """Sections of a policy file."""
    grant = f'\n[[fs]]\nhost = "{host}"\nguest = "/data"\naccess = "{access}"\n' if access else ""
    net = ['listen = ["127.0.0.1:8080"]'] * listens + ['connect = ["192.0.2.0/24:443"]'] * connects
    return grant + ("\n[net]\n" + "\n".join(net) + "\n" if net else "")


def of_seals(work: Path, checker: Checker) -> Iterator[Filter]:
    """Filters with what only a run knows: addresses of code and memories, results, an older kernel; a compiler and a broker."""
    module = write_module(work / "seal.wat", list(policy.table()["wasi"]))
    for resolver, level in itertools.product(RESOLVERS, ("strict", "standard")):
        generated = wave("policy", "gen", "--resolver", resolver, module) + with_grants("rw", True)
        text = generated.replace('sandbox = "strict"', f'sandbox = "{level}"')
        path = work / f"seal-{resolver}-{level}.toml"
        path.write_text(text, encoding="utf-8")
        words = f"policy={path} level={level} resolver={resolver}" + in_words(MEMORIES)
        for code in CODES:
            plan = f"{words} code={code[0]}:{code[1]}"
            rules = policy.of_policy(text, list(MEMORIES), code)
            yield seal(checker, f"{level}, {resolver}, two memories, code of {code[1]:#x} bytes", rules, plan)
        rules = policy.of_policy(text, list(MEMORIES))
        policy.add_row(rules, "results")
        policy.add_row(rules, "records")
        policy.add_row(rules, "dump")
        plan = f"{words} results records dump"
        yield seal(checker, f"{level}, {resolver}, results of an export, records, core dump", rules, plan)
        rules = policy.of_policy(text, list(MEMORIES))
        policy.add_row(rules, "connects")
        policy.add_row(rules, "addresses")
        yield seal(checker, f"{level}, {resolver}, connections", rules, f"{words} connects")
        rules = policy.of_policy(text, list(MEMORIES))
        if resolver == "manual":
            policy.without_truncation(rules)
        yield seal(checker, f"{level}, {resolver}, Landlock ABI 2", rules, f"{words} abi=2")
    yield seal(checker, "compiler", policy.of_compiler(), "role=compiler")
    yield seal(checker, "broker", policy.of_broker(), "role=broker")


def seal(checker: Checker, name: str, rules: Rules, plan: str) -> Filter:
    """The filter that a seal would install."""
    checker.plan(plan)
    # It fails if the check refuses what was built.
    return Filter(name, bpf.from_bytes(checker.filter()), rules, plan)
