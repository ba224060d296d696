"""Python code in CPython for WASI."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import wave_sandbox as wave
from wave_sandbox._python import _prepare


def test_code_runs_with_arguments_input_and_grants(cpython: Path, place: Path) -> None:
    (place / "note").write_text("granted")
    code = "import sys; print(sys.argv[1:], input(), open('/d/note').read()); sys.exit(3)"
    outcome = wave.python(code, ["a", "b"], interpreter=cpython, stdin="line\n", dirs={place: ("/d", "ro")}, timeout=60)
    assert (outcome.kind, outcome.code, outcome.stdout) == ("exited", 3, b"['a', 'b'] line granted\n")


def test_code_that_fails_or_never_ends(cpython: Path) -> None:
    failed = wave.python("1/0", interpreter=cpython)
    assert (failed.code, failed.stderr.splitlines()[-1]) == (1, b"ZeroDivisionError: division by zero")
    assert wave.python("while True: pass", interpreter=cpython, timeout=0.5).kind == "time_limit"
    many = wave.python("x = bytearray(1 << 30)", interpreter=cpython, max_memory=64 << 20)
    assert (many.code, many.stderr.splitlines()[-1]) == (1, b"MemoryError")


def test_code_reaches_nothing_of_the_host(cpython: Path) -> None:
    code = "import os; print(dict(os.environ)); open('/etc/passwd')"
    outcome = wave.python(code, interpreter=cpython)
    assert (outcome.code, outcome.stdout) == (1, b"{}\n")
    assert b"Error" in outcome.stderr.splitlines()[-1]


def test_a_standard_library_is_granted(cpython: Path, place: Path) -> None:
    library = place / "lib" / "python3.12"
    library.mkdir(parents=True)
    (library / "os.py").write_text("")
    (library / "marker.py").write_text("print('from the library')")
    given = wave.python("import marker", interpreter=cpython, stdlib=library)
    assert given.stdout == b"from the library\n"
    beside = place / "python.wave"
    beside.write_bytes(cpython.read_bytes())
    assert wave.python("import marker", interpreter=beside).stdout == b"from the library\n"
    assert wave.python("import marker", interpreter=cpython).code == 1


def test_asyncio(cpython: Path) -> None:
    async def both() -> None:
        runs = [wave.python_async(f"print({number} ** 2)", interpreter=cpython) for number in range(2)]
        assert [outcome.stdout for outcome in await asyncio.gather(*runs)] == [b"0\n", b"1\n"]

    asyncio.run(both())


def test_code_that_is_too_long_is_refused() -> None:
    longest = "#" * ((128 << 10) - 1)
    assert _prepare(longest, [], "python.wasm", None, {}) == (["-c", longest], {})
    with pytest.raises(ValueError, match="write it to a file"):
        _prepare(longest + "#", [], "python.wasm", None, {})
