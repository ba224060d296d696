"""Runs WebAssembly programs that nobody trusts, and says how they ended.

>>> import wave_sandbox as wave
>>> outcome = wave.run("app.wasm", ["--input", "/data/in"], dirs={"data": ("/data", "ro")}, timeout=5)
>>> outcome.kind, outcome.code, outcome.stdout
('exited', 0, b'...')

Each run is a process `wave run --outcome`, which this package brings. `run_async` is `run` for asyncio, `python` and
`python_async` run Python code in an interpreter that was compiled to WebAssembly. The name `wave` alone is that of a module of Python's
own, for sound files.
"""

from ._aio import run_async
from ._binary import BinaryNotFound
from ._command import DEFAULT_MAX_OUTPUT, Options
from ._errors import Error, NoOutcome, TooMuchOutput
from ._outcome import Frame, Hostcall, Memory, Outcome, Time
from ._python import python, python_async
from ._sync import run

__all__ = [
    "DEFAULT_MAX_OUTPUT",
    "BinaryNotFound",
    "Error",
    "Frame",
    "Hostcall",
    "Memory",
    "NoOutcome",
    "Options",
    "Outcome",
    "Time",
    "TooMuchOutput",
    "python",
    "python_async",
    "run",
    "run_async",
]
