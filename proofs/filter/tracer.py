"""Runs a program and hands over each of its system calls, and those of the processes that it starts: ptrace(2)."""

import ctypes
import os
import signal
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

WAIT_ALL = 0x40000000  # __WALL
PTRACE_TRACEME, PTRACE_SYSCALL, PTRACE_SETOPTIONS, PTRACE_GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
SYSCALL_GOOD, FOLLOW, EXIT_KILL = 1, 2 | 4 | 8, 1 << 20  # options; fork, vfork and clone are followed
ENTRY, EXIT = 1, 2  # struct ptrace_syscall_info
PATIENCE_SECONDS = 60


@dataclass
class SystemCall:
    """A call that a process is about to make."""

    pid: int
    number: int
    arguments: tuple[int, ...]

    def memory(self, address: int, length: int) -> bytes:
        """Bytes of the process."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(length)

    def file(self, descriptor: int) -> tuple[int, int]:
        """Device and inode of an open file."""
        found = os.stat(f"/proc/{self.pid}/fd/{descriptor}")
        return found.st_dev, found.st_ino


def ptrace(request: int, pid: int, address: int, data: object) -> int:
    """The call of that name; an OSError if it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    result = libc.ptrace(request, pid, address, data)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace({request:#x}): {os.strerror(error)}")
    return result


def trace(
    command: list[str | Path],
    on_entry: Callable[[SystemCall], object],
    on_exit: Callable[[object, int], None],
) -> int:
    """Runs a program to its end and returns its status.

    What `on_entry` returns for a call is handed to `on_exit` with the result of the call.
    """
    child = os.fork()
    if child == 0:
        _become(command)
    os.waitpid(child, WAIT_ALL)
    ptrace(PTRACE_SETOPTIONS, child, 0, SYSCALL_GOOD | FOLLOW | EXIT_KILL)
    _resume(child, 0)
    entered: dict[int, object] = {}
    signal.alarm(PATIENCE_SECONDS)  # ends this process, and by EXIT_KILL all that it traces
    try:
        while True:
            pid, status = os.waitpid(-1, WAIT_ALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if pid == child:
                    return os.waitstatus_to_exitcode(status)
                continue
            stopped = os.WSTOPSIG(status)
            if stopped == signal.SIGTRAP | 0x80:
                # It may have been killed meanwhile. Then it makes no call, and what it was at is not handed over.
                with suppress(ProcessLookupError):
                    _hand_over(pid, entered, on_entry, on_exit)
            # A process that starts and the event that it was started are no signals.
            is_event = status >> 16 or stopped in (signal.SIGTRAP | 0x80, signal.SIGTRAP, signal.SIGSTOP)
            _resume(pid, 0 if is_event else stopped)
    finally:
        signal.alarm(0)


def _become(command: list[str | Path]) -> None:
    try:
        ptrace(PTRACE_TRACEME, 0, 0, None)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.execv(command[0], [str(word) for word in command])
    finally:
        os._exit(127)


def _resume(pid: int, number: int) -> None:
    # It may have been killed meanwhile.
    with suppress(ProcessLookupError):
        ptrace(PTRACE_SYSCALL, pid, 0, number)


def _hand_over(
    pid: int,
    entered: dict[int, object],
    on_entry: Callable[[SystemCall], object],
    on_exit: Callable[[object, int], None],
) -> None:
    buffer = ctypes.create_string_buffer(88)
    ptrace(PTRACE_GET_SYSCALL_INFO, pid, len(buffer), buffer)
    kind = buffer.raw[0]
    if kind == ENTRY:
        number, *arguments = struct.unpack_from("<7Q", buffer.raw, 24)
        entered[pid] = on_entry(SystemCall(pid, number, tuple(arguments)))
    elif kind == EXIT:
        (result,) = struct.unpack_from("<q", buffer.raw, 24)
        on_exit(entered.pop(pid, None), result)
