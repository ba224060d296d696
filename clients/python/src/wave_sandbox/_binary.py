"""Where `wave` is."""

from __future__ import annotations

import os
import shutil
import sysconfig
from typing import Iterator, Optional, Union

from ._errors import Error

Path = Union[str, "os.PathLike[str]"]


class BinaryNotFound(Error):
    """There is no `wave`: neither beside this package nor in PATH."""


def find(binary: Optional[Path]) -> str:
    """The path that was given, or the program that was installed with this package, or the one in PATH."""
    if binary is not None:
        return os.fspath(binary)
    for directory in _scripts():
        path = os.path.join(directory, "wave")
        if os.access(path, os.X_OK):
            return path
    found = shutil.which("wave")
    if found is None:
        raise BinaryNotFound("there is no program `wave`: install it, or name it with binary=")
    return found


def _scripts() -> Iterator[str]:
    """The directories that installers put the programs of a package into."""
    yield sysconfig.get_path("scripts")
    user_scheme = "posix_user"
    if user_scheme in sysconfig.get_scheme_names():
        yield sysconfig.get_path("scripts", user_scheme)
    # `pip install --target DIR` puts them into DIR/bin.
    yield os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")
