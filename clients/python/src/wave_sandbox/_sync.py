"""Runs that are waited for."""

from __future__ import annotations

import os
import selectors
import subprocess
from typing import IO, TYPE_CHECKING, Dict, Sequence

from ._binary import Path
from ._command import Command, Options
from ._errors import NoOutcome, TooMuchOutput
from ._outcome import OUTCOME_BYTES, Outcome, read

if TYPE_CHECKING:
    from typing_extensions import Unpack

# The most that is read or written at a time.
PIECE_BYTES = 64 << 10


def run(module: Path, args: Sequence[str] = (), **options: Unpack[Options]) -> Outcome:
    """Runs a program to its end, and returns how it ended.

    Raises `Error` if there is no outcome, `ValueError` or `TypeError` for options that make no sense, `OSError` if `wave` cannot be
    started.
    """
    command = Command(module, args, options)
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as outcome:
        try:
            process = subprocess.Popen(
                command.line(writing),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(writing,),
            )
        finally:
            os.close(writing)
        # Closes the pipes and waits, whatever happens.
        with process:
            try:
                collected = _Exchange(command, process, outcome).collect()
            except BaseException:
                process.kill()
                raise
    return finish(collected["outcome"], process.returncode, collected["stdout"], collected["stderr"])


def finish(document: bytes, exit_code: int, stdout: bytes, stderr: bytes) -> Outcome:
    """The outcome of a process that has ended."""
    if not document:
        raise NoOutcome("no outcome", exit_code, stderr)
    try:
        return read(document, exit_code, stdout, stderr)
    except ValueError as error:
        raise NoOutcome(str(error), exit_code, stderr) from error


class _Exchange:
    """What is written to a process, and what is read from it, all at once: a full pipe stops either side."""

    def __init__(self, command: Command, process: subprocess.Popen[bytes], outcome: IO[bytes]) -> None:
        assert process.stdin and process.stdout and process.stderr, "they are pipes"
        self._left = memoryview(command.stdin)
        self._stdin = process.stdin
        self._limits = {"stdout": command.limit, "stderr": command.limit, "outcome": OUTCOME_BYTES}
        self._pieces: Dict[str, bytearray] = {name: bytearray() for name in self._limits}
        self._selector = selectors.DefaultSelector()
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr), ("outcome", outcome)):
            self._selector.register(pipe, selectors.EVENT_READ, name)
        os.set_blocking(self._stdin.fileno(), False)
        self._selector.register(self._stdin, selectors.EVENT_WRITE, "stdin")

    def collect(self) -> Dict[str, bytes]:
        with self._selector:
            while self._selector.get_map():
                for key, _ in self._selector.select():
                    if key.data == "stdin":
                        self._write()
                    elif not self._read(key.data, key.fd):
                        self._selector.unregister(key.fileobj)
        return {name: bytes(pieces) for name, pieces in self._pieces.items()}

    def _read(self, name: str, fd: int) -> bool:
        """Reads a piece; `False` at the end."""
        piece = os.read(fd, PIECE_BYTES)
        self._pieces[name] += piece
        if len(self._pieces[name]) > self._limits[name]:
            raise TooMuchOutput(self._limits[name])
        return bool(piece)

    def _write(self) -> None:
        try:
            self._left = self._left[os.write(self._stdin.fileno(), self._left[:PIECE_BYTES]) :]
        except BrokenPipeError:
            # A program need not read all of it.
            self._left = self._left[:0]
        if not self._left:
            self._selector.unregister(self._stdin)
            self._stdin.close()
