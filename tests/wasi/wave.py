"""wave, for the runner of wasi-testsuite: python3 run-tests --runtime-adapter .../tests/wasi/wave.py

WAVE is the command, with options if need be: `wave --sandbox standard`.
"""
import os
import shlex
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Tuple

WAVE = shlex.split(os.getenv("WAVE", "wave"))


def get_name() -> str:
    return "wave"


def get_version() -> str:
    result = subprocess.run(WAVE[:1] + ["--version"], encoding="UTF-8", capture_output=True, check=True)
    return result.stdout.split()[1]


def get_wasi_versions() -> List[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> List[str]:
    return ["wasi:cli/command"]


def compute_argv(test_path: str,
                 args_env_root: Tuple[List[str], Dict[str, str], Optional[Path]],
                 proposals: List[str],
                 wasi_world: str,
                 wasi_version: str) -> List[str]:
    args, env, root = args_env_root
    argv = WAVE + ["run"]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    if root:
        argv += ["--dir", f"{root}::/"]
    return argv + [test_path] + args
