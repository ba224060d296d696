"""Runs for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import IO, TYPE_CHECKING, Any, Callable, Mapping, Sequence, Tuple

from ._binary import Path
from ._command import Command, Options
from ._errors import TooMuchOutput
from ._outcome import OUTCOME_BYTES, Outcome
from ._sync import PIECE_BYTES, finish

if TYPE_CHECKING:
    from typing_extensions import Unpack


async def run_async(module: Path, args: Sequence[str] = (), **options: Unpack[Options]) -> Outcome:
    """Runs a program to its end, and returns how it ended. If the task is cancelled, the run is killed.

    Raises what `run` raises.
    """
    command = Command(module, args, options)
    # The pipes are not asyncio's: it would close them some time after the process has ended.
    with contextlib.ExitStack() as ours:
        with contextlib.ExitStack() as theirs:
            stdin, write = _pipe(theirs, ours)
            (out, stdout), (err, stderr), (document, outcome) = (_pipe(ours, theirs) for _ in range(3))
            process = await asyncio.create_subprocess_exec(
                *command.line(outcome.fileno()), stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=(outcome.fileno(),)
            )
        try:
            printed = await _exchange(write, command.stdin, {out: command.limit, err: command.limit, document: OUTCOME_BYTES})
            exit_code = await process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            # It ends at once.
            await asyncio.shield(process.wait())
            raise
    return finish(printed[2], exit_code, printed[0], printed[1])


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> Tuple[IO[bytes], IO[bytes]]:
    """A pipe, whose ends are closed by those who own them."""
    reading, writing = os.pipe()
    ends = (open(reading, "rb", buffering=0), open(writing, "wb", buffering=0))
    return reader.enter_context(ends[0]), writer.enter_context(ends[1])


async def _exchange(write: IO[bytes], data: bytes, read: Mapping[IO[bytes], int]) -> Sequence[bytes]:
    """Writes data, and reads to the ends, at most so many bytes. All at once: a full pipe stops either side."""
    writer = asyncio.ensure_future(_write(write, data))
    readers = [asyncio.ensure_future(_read(pipe, limit)) for pipe, limit in read.items()]
    try:
        return await asyncio.gather(*readers)
    finally:
        # What goes on after an error, and a writer to a program that has ended.
        for task in (writer, *readers):
            task.cancel()
        await asyncio.gather(writer, *readers, return_exceptions=True)


async def _write(pipe: IO[bytes], data: bytes) -> None:
    loop = asyncio.get_running_loop()
    os.set_blocking(pipe.fileno(), False)
    left = memoryview(data)
    # A program need not read all of it.
    with contextlib.suppress(BrokenPipeError):
        while left:
            await _until(loop.add_writer, loop.remove_writer, pipe)
            left = left[os.write(pipe.fileno(), left[:PIECE_BYTES]) :]
    pipe.close()


async def _read(pipe: IO[bytes], limit: int) -> bytes:
    loop = asyncio.get_running_loop()
    pieces = bytearray()
    while True:
        await _until(loop.add_reader, loop.remove_reader, pipe)
        piece = os.read(pipe.fileno(), PIECE_BYTES)
        if not piece:
            return bytes(pieces)
        pieces += piece
        if len(pieces) > limit:
            raise TooMuchOutput(limit)


async def _until(add: Callable[..., Any], remove: Callable[[Any], Any], pipe: IO[bytes]) -> None:
    """Waits until a pipe is ready."""
    ready = asyncio.Event()
    add(pipe, ready.set)
    try:
        await ready.wait()
    finally:
        remove(pipe)
