"""How a run ended, as docs/outcome.schema.json of `wave` defines it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

# The version of the schema that this package reads. Fields that are added do not change it.
SCHEMA_VERSION = 1

# The most that is read of an outcome. The longest that `wave` writes is shorter.
OUTCOME_BYTES = 4 << 20


@dataclass(frozen=True)
class Frame:
    """A frame of a backtrace."""

    function: Optional[int]
    """Function index in the module."""
    name: Optional[str]
    """Its name in the name section."""
    position: Optional[int]
    """Offset in the module's bytes."""
    demangled: Optional[str] = None
    """The name as its source has it, if it is mangled in a known way."""
    line: Optional[str] = None
    """Its source line, `FILE:LINE`, if the module has debug information."""


@dataclass(frozen=True)
class Time:
    """How long a run took, in seconds, with the compiler."""

    wall: float
    user: float
    system: float


@dataclass(frozen=True)
class Memory:
    """The most memory at a time, in bytes."""

    linear: int
    """Linear memory of the program."""
    process: int
    """The largest process of the run."""


@dataclass(frozen=True)
class Hostcall:
    """How often a function was called, and how often it failed and was denied."""

    calls: int
    failed: int
    denied: int


@dataclass(frozen=True)
class Outcome:
    """How a run ended, what it printed, and what it used."""

    kind: str
    """`exited`, `trapped`, `time_limit`, `cpu_limit`, `out_of_fuel`, `raised`, `refused`, `denied_system_call`, `memory_limit`,
    `out_of_memory`, `killed` or `broken`. A later version of `wave` may add one; treat it as a failure."""
    code: Optional[int]
    """What the program exited with, if it did. No other ending has it."""
    stdout: bytes
    """What the program printed on standard output."""
    stderr: bytes
    """What program and `wave` printed on standard error."""
    message: Optional[str]
    """Why the program did not run, or what is broken."""
    trap: Optional[str]
    """What trapped, such as `unreachable`."""
    frames: Tuple[Frame, ...]
    """The backtrace of a trap or of the time limit, the innermost frame first."""
    signal: Optional[int]
    """The signal that the program raised, or that killed it."""
    time: Time
    memory: Memory
    hostcalls: Mapping[str, Hostcall]
    """By function."""
    denials: Mapping[str, int]
    """How many calls were denied, by reason."""
    sandbox: Optional[Mapping[str, Any]]
    """The layers, as `--report=json` prints them. `None` if the process was not sealed."""
    raw: Mapping[str, Any] = field(repr=False)
    """The whole document."""

    @property
    def ok(self) -> bool:
        """Whether the program exited with code 0."""
        return self.kind == "exited" and self.code == 0


def read(document: bytes, exit_code: int, stdout: bytes, stderr: bytes) -> Outcome:
    """The outcome in a document. `ValueError` if it is none, or not that of a process with this exit code."""
    raw = json.loads(document)
    if not isinstance(raw, dict) or raw.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"an outcome that has not schema version {SCHEMA_VERSION}")
    if raw.get("exit_code") != exit_code:
        raise ValueError(f"an outcome with exit code {raw.get('exit_code')}")
    try:
        return _outcome(raw, stdout, stderr)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"an outcome that lacks {error}") from error


def _frame(raw: Mapping[str, Any]) -> Frame:
    return Frame(raw["function"], raw["name"], raw["position"], raw.get("demangled"), raw.get("line"))


def _outcome(raw: Mapping[str, Any], stdout: bytes, stderr: bytes) -> Outcome:
    ending, time, memory = raw["ending"], raw["time"], raw["memory"]
    kind = ending["kind"]
    return Outcome(
        kind=kind,
        code=ending["code"] if kind == "exited" else None,
        stdout=stdout,
        stderr=stderr,
        message=ending.get("what"),
        trap=ending.get("trap"),
        frames=tuple(_frame(frame) for frame in ending.get("frames", ())),
        signal=ending.get("signal"),
        time=Time(time["wall_us"] / 1e6, time["user_us"] / 1e6, time["system_us"] / 1e6),
        memory=Memory(memory["linear_bytes"], memory["process_bytes"]),
        hostcalls={call["function"]: Hostcall(call["calls"], call["failed"], call["denied"]) for call in raw["hostcalls"]},
        denials={denial["reason"]: denial["calls"] for denial in raw["denials"]},
        sandbox=raw["sandbox"],
        raw=raw,
    )
