"""Python code, in an interpreter that was compiled to WebAssembly."""

from __future__ import annotations

import os
from pathlib import Path as HostPath
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ._aio import run_async
from ._binary import Path
from ._command import Options
from ._outcome import Outcome
from ._sync import run

if TYPE_CHECKING:
    from typing_extensions import Unpack

# The longest argument that Linux passes on to a program, with the NUL that ends it.
ARGUMENT_BYTES = 128 << 10

# What the interpreter calls the directory of the standard library.
STDLIB = "/stdlib"


def python(
    code: str, args: Sequence[str] = (), *, interpreter: Path, stdlib: Optional[Path] = None, **options: Unpack[Options]
) -> Outcome:
    """Runs Python code as `python -c` does, in this interpreter: CPython that was compiled for WASI preview 1.

    `stdlib` is a directory with the standard library. Without it, a directory `lib/python3.*` beside the interpreter is taken. If there
    is none, the interpreter has to have its library inside. The library is granted read-only.

    Raises what `run` raises.
    """
    words, options = _prepare(code, args, interpreter, stdlib, options)
    return run(interpreter, words, **options)


async def python_async(
    code: str, args: Sequence[str] = (), *, interpreter: Path, stdlib: Optional[Path] = None, **options: Unpack[Options]
) -> Outcome:
    """`python` for asyncio. If the task is cancelled, the run is killed."""
    words, options = _prepare(code, args, interpreter, stdlib, options)
    return await run_async(interpreter, words, **options)


def _prepare(
    code: str, args: Sequence[str], interpreter: Path, stdlib: Optional[Path], options: Options
) -> Tuple[List[str], Options]:
    if len(code.encode()) >= ARGUMENT_BYTES:
        raise ValueError(f"the code has {ARGUMENT_BYTES} bytes or more: write it to a file, and grant its directory")
    library = stdlib if stdlib is not None else _beside(interpreter)
    if library is not None:
        env = dict(options.get("env") or {})
        env["PYTHONPATH"] = ":".join(filter(None, [env.get("PYTHONPATH"), STDLIB]))
        dirs = {**(options.get("dirs") or {}), library: (STDLIB, "ro")}
        options = {**options, "env": env, "dirs": dirs}
    return ["-c", code, *args], options


def _beside(interpreter: Path) -> Optional[Path]:
    """The standard library as builds of CPython for WASI have it: `python.wasm` and `lib/python3.13/os.py`."""
    found = sorted(HostPath(os.fspath(interpreter)).parent.glob("lib/python3.*/os.py"))
    return found[-1].parent if found else None
