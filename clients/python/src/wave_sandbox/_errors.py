"""Why there is no outcome."""

from __future__ import annotations


class Error(Exception):
    """There is no outcome. A program that fails is no error: its outcome says so."""


class NoOutcome(Error):
    """`wave` ended without an outcome, or with one that cannot be read: it does not know a flag, or it was killed."""

    def __init__(self, what: str, exit_code: int, stderr: bytes) -> None:
        printed = stderr.decode(errors="replace").strip()
        super().__init__(f"{what} (exit code {exit_code})" + (f": {printed}" if printed else ""))
        self.exit_code = exit_code
        self.stderr = stderr


class TooMuchOutput(Error):
    """The run printed more than it may, and was killed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the run printed more than {limit} bytes, and was killed")
        self.limit = limit
