"""Where `wave` is searched for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

import pytest

import wave_sandbox as wave
from wave_sandbox import _binary


# What conftest.py replaces.
REAL = _binary.find


def program(directory: Path) -> str:
    directory.mkdir(exist_ok=True)
    path = directory / "wave"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_program_of_the_package_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[..., str] = REAL
    monkeypatch.setattr(_binary, "_scripts", lambda: iter([str(tmp_path / "scripts")]))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    with pytest.raises(wave.BinaryNotFound):
        find(None)
    in_path = program(tmp_path / "path")
    assert find(None) == in_path
    installed = program(tmp_path / "scripts")
    assert find(None) == installed
    os.chmod(installed, 0o644)
    assert find(None) == in_path, "it cannot be executed"
    assert find(tmp_path) == str(tmp_path)
    assert find("named") == "named"
