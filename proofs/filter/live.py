"""The filters of running processes, read back from the kernel by PTRACE_SECCOMP_GET_FILTER. Needs root.

A filter names addresses of its process: the linear memory and the guest's code. They are taken from /proc/PID/maps, and
the size to which the memory may grow from the text of the module.
"""

import ctypes
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from proofs.filter import bpf, policy
from proofs.filter.policy import Range
from proofs.filter.prover import wave_binary
from proofs.filter.sources import Filter, wave, with_grants
from proofs.filter.tracer import WAIT_ALL, ptrace

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, PTRACE_SECCOMP_GET_FILTER = 0x4206, 0x4207, 17, 0x420C
PATIENCE_SECONDS = 20.0

PAGES = 10
MEMORY: int = PAGES * 0x10000  # bytes
RESERVATION = (8 << 30) + (64 << 10)  # of a linear memory: 32-bit index and offset, and one page

# It waits for ever. `go` is an export with a result, for `--invoke`.
SPINNING = f"""
(module
  (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 {PAGES})
  (func (export "_start") (loop $forever (br $forever)))
  (func (export "go") (result i32) (loop $forever (br $forever)) (i32.const 0)))
"""


def is_root() -> bool:
    """Whether this process may read the filters of others."""
    return os.geteuid() == 0


def read_filter(pid: int) -> bytes:
    """The newest filter of a process."""
    count = int(_status(pid)["Seccomp_filters"])
    with _stopped(pid):
        instructions = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, count - 1, None)
        buffer = ctypes.create_string_buffer(8 * instructions)
        ptrace(PTRACE_SECCOMP_GET_FILTER, pid, count - 1, buffer)
    return buffer.raw


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    ptrace(PTRACE_SEIZE, pid, 0, None)
    ptrace(PTRACE_INTERRUPT, pid, 0, None)
    os.waitpid(pid, WAIT_ALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, pid, 0, None)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@dataclass
class Mapping:
    """A line of /proc/PID/maps."""

    start: int
    end: int
    access: str
    path: str


def _mappings(pid: int) -> list[Mapping]:
    mappings = []
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        fields = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in fields[0].split("-"))
        mappings.append(Mapping(start, end, fields[1], fields[5] if len(fields) > 5 else ""))
    return mappings


def _memory(mappings: list[Mapping]) -> Range:
    """The linear memory: accessible from its start on, inaccessible up to the end of the reservation."""
    for first, second in zip(mappings, mappings[1:]):
        if first.access == "rw-p" and second.access == "---p" and first.end == second.start:
            if second.end - first.start == RESERVATION:
                return first.start, MEMORY
    raise ValueError("no mapping looks like a linear memory")


def _code(mappings: list[Mapping]) -> Range:
    """The guest's code: the anonymous executable mapping, and the reservation behind it, which nothing may write."""
    index = next(index for index, mapping in enumerate(mappings) if "x" in mapping.access and not mapping.path)
    start = end = mappings[index].start
    for mapping in mappings[index:]:
        if mapping.start != end or "w" in mapping.access or mapping.path:
            break
        end = mapping.end
    return start, end - start


def _wait_for_filter(process: subprocess.Popen, of_child: bool) -> int:
    """The number of the process, or of its child, as soon as it has a filter of its own."""
    outer = int(_status(os.getpid()).get("Seccomp_filters", 0))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
        for pid in map(int, children) if of_child else [process.pid]:
            try:
                if int(_status(pid)["Seccomp_filters"]) > outer:
                    return pid
            except (FileNotFoundError, ProcessLookupError, KeyError):
                pass
        time.sleep(0.001)
    raise RuntimeError(f"no filter was installed: {process.args}")


@contextmanager
def _running(*arguments: str | Path) -> Iterator[subprocess.Popen]:
    command = [wave_binary(), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


# Access of the directory that is granted, whether the guest may listen, and whether results are printed.
GIVEN = ((None, False, False), ("ro", False, True), ("append", True, False), ("rw", True, True))


def all_processes(work: Path) -> Iterator[Filter]:
    """The filters of guests and of a compiler."""
    yield from guests(work)
    yield compiler(work)


def guests(work: Path) -> Iterator[Filter]:
    """The filters of sealed guests: both levels and resolvers, with and without grants, a listener and results."""
    module = work / "spinning.wat"
    module.write_text(SPINNING, encoding="utf-8")
    for level in ("strict", "standard"):
        for resolver in ("kernel", "manual"):
            for access, listens, results in GIVEN:
                # A kernel without openat2 would choose the other one.
                flags = ["--sandbox", level, "run", *(["--resolver", "manual"] if resolver == "manual" else [])]
                flags += ["--dir", f"{work}::/data::{access}"] if access else []
                flags += ["--tcplisten", "127.0.0.1:0"] if listens else []
                flags += ["--invoke", "go"] if results else []
                with _running(*flags, module) as process:
                    pid = _wait_for_filter(process, of_child=False)
                    program = bpf.from_bytes(read_filter(pid))
                    mappings = _mappings(pid)
                memory, code = _memory(mappings), _code(mappings)
                text = wave("policy", "gen", "--resolver", resolver, module) + with_grants(access, listens, str(work))
                text = text.replace('sandbox = "strict"', f'sandbox = "{level}"')
                path = work / f"live-{level}-{resolver}-{access}.toml"
                path.write_text(text, encoding="utf-8")
                rules = policy.of_policy(text, [memory], code)
                plan = f"policy={path} level={level} resolver={resolver}"
                plan += f" growable={memory[0]}:{memory[1]} code={code[0]}:{code[1]}"
                if results:
                    policy.add_row(rules, "results")
                    plan += " results"
                given = f"{access or 'nothing'} granted" + ", listening" * listens + ", results" * results
                yield Filter(f"process {level}, {resolver}, {given}", program, rules, plan)


def compiler(work: Path) -> Filter:
    """The filter of the process that compiles a large module."""
    body = "(local i64) " + "(local.set 0 (i64.mul (i64.add (local.get 0) (i64.const 3)) (local.get 0))) " * 200
    module = work / "large.wat"
    module.write_text(f"(module {f'(func {body}) ' * 1000})", encoding="utf-8")
    with _running("run", "--no-cache", module) as process:
        program = bpf.from_bytes(read_filter(_wait_for_filter(process, of_child=True)))
    return Filter("process of the compiler", program, policy.of_compiler(), "role=compiler")
