"""From the arguments of a run to the command line of `wave`."""

from __future__ import annotations

import os
from typing import Any, List, Mapping, Optional, Sequence, Tuple, TypedDict, Union

from . import _binary
from ._binary import Path

DEFAULT_MAX_OUTPUT = 16 << 20
"""The most bytes that a program may print if neither `max_output` nor a policy is given."""

# What `wave` itself may print on standard error, beside what it prints about the program.
MESSAGES_BYTES = 64 << 10

ACCESS = ("ro", "rw", "append")
LEVELS = ("strict", "standard", "off")


class Options(TypedDict, total=False):
    """What a run may be given. What is missing or `None` has the default of `wave run`, or the value of the policy file; what is given
    wins over the policy."""

    stdin: Union[bytes, str, None]
    """What the program reads from its standard input: nothing by default."""
    dirs: Optional[Mapping[Path, Union[str, Tuple[str, str]]]]
    """Directories: `{"data": "ro"}`, or `{"data": ("/name/for/the/program", "rw")}`. Access is `ro`, `rw` or `append`."""
    files: Optional[Mapping[Path, Union[str, Tuple[str, str]]]]
    """Single files, in the same form: `{"app.conf": ("/etc/app.conf", "ro")}`."""
    env: Optional[Mapping[str, str]]
    """The program's environment, which is empty otherwise."""
    timeout: Optional[float]
    """Seconds after which the program is stopped."""
    max_memory: Optional[int]
    """The most linear memory, in bytes."""
    max_output: Optional[int]
    """The most bytes that the program may print, on both streams together: `DEFAULT_MAX_OUTPUT` without a policy. Beyond it, it gets
    ENOSPC."""
    policy: Optional[Path]
    """A policy file."""
    sandbox: Optional[str]
    """`strict`, `standard` or `off`."""
    flags: Optional[Sequence[str]]
    """Other flags of `wave run`, such as `--max-stack=4M`."""
    binary: Optional[Path]
    """Where `wave` is. Default: the program that was installed with this package, then the one in PATH."""


class Command:
    """The command line of a run, its input, and how much is read of what it prints."""

    def __init__(self, module: Path, args: Sequence[str], options: Options) -> None:
        if unknown := sorted(set(options) - Options.__optional_keys__):
            raise TypeError(f"a run has no option {', '.join(unknown)}")
        given: Mapping[str, Any] = {name: value for name, value in options.items() if value is not None}
        self.binary = _binary.find(given.get("binary"))
        stdin = given.get("stdin", b"")
        self.stdin = stdin.encode() if isinstance(stdin, str) else bytes(stdin)
        # As many bytes again as the program's own may be printed about it.
        self.limit = 2 * int(given.get("max_output", DEFAULT_MAX_OUTPUT)) + MESSAGES_BYTES
        self._flags = _flags(given)
        # A module whose name begins with a hyphen is no flag.
        self._words = ["--", os.fspath(module), *args]

    def line(self, outcome: int) -> List[str]:
        """The command line, for a run that writes its outcome to this descriptor."""
        return [self.binary, "run", f"--outcome=fd:{outcome}", *self._flags, *self._words]


def _flags(given: Mapping[str, Any]) -> List[str]:
    flags = [_grant("dir", os.fspath(host), grant) for host, grant in given.get("dirs", {}).items()]
    flags += [_grant("file", os.fspath(host), grant) for host, grant in given.get("files", {}).items()]
    flags += [_variable(name, value) for name, value in given.get("env", {}).items()]
    if "timeout" in given:
        flags.append(f"--timeout={round(given['timeout'] * 1_000_000)}us")
    if "max_memory" in given:
        flags.append(f"--max-memory={int(given['max_memory'])}")
    # A policy may have a lower limit than our default.
    if "max_output" in given or "policy" not in given:
        flags.append(f"--max-output={int(given.get('max_output', DEFAULT_MAX_OUTPUT))}")
    if "policy" in given:
        flags.append(f"--policy={os.fspath(given['policy'])}")
    if "sandbox" in given:
        flags.append(f"--sandbox={_word('sandbox', given['sandbox'], LEVELS)}")
    return [*flags, *given.get("flags", ())]


def _grant(flag: str, host: str, grant: Union[str, Tuple[str, str]]) -> str:
    guest, access = (host, grant) if isinstance(grant, str) else grant
    for name in (host, guest):
        if not name or ":" in name:
            raise ValueError(f"cannot grant {name!r}: a name is not empty and has no colon; grant it in a policy file")
    return f"--{flag}={host}::{guest}::{_word('access', access, ACCESS)}"


def _variable(name: str, value: str) -> str:
    if not name or "=" in name:
        raise ValueError(f"{name!r} is no name of an environment variable")
    return f"--env={name}={value}"


def _word(what: str, word: str, words: Sequence[str]) -> str:
    if word not in words:
        raise ValueError(f"{what} is one of {', '.join(words)}, not {word!r}")
    return word
