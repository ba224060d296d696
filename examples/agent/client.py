"""The other side of the server, for its test and its measurement: starts it, and calls its tools."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Dict, Optional

SERVER = Path(__file__).resolve().parent / "server.py"
LINE_BYTES = 16 << 20


class Client:
    """A server that was started, and the answers that are awaited."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._answers: Dict[Any, asyncio.Future[Dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())
        self._last = 0

    @classmethod
    async def start(cls, *flags: str, env: Optional[Dict[str, str]] = None) -> Client:
        pipe = asyncio.subprocess.PIPE
        line = [sys.executable, str(SERVER), *flags]
        return cls(await asyncio.create_subprocess_exec(*line, stdin=pipe, stdout=pipe, limit=LINE_BYTES, env=env))

    def send(self, message: Any) -> None:
        assert self.process.stdin, "it is a pipe"
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    def ask(self, method: str, params: Any) -> asyncio.Future[Dict[str, Any]]:
        """Sends a request. Its answer comes later."""
        self._last += 1
        return self.ask_as(self._last, method, params)

    def ask_as(self, number: Any, method: str, params: Any) -> asyncio.Future[Dict[str, Any]]:
        answer: asyncio.Future[Dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return answer

    def call(self, tool: str, code: str, **more: str) -> asyncio.Future[Dict[str, Any]]:
        return self.ask("tools/call", {"name": tool, "arguments": {"code": code, **more}})

    async def stop(self) -> int:
        """Closes the server's input, and waits for its end."""
        assert self.process.stdin, "it is a pipe"
        self.process.stdin.close()
        await self._reading
        return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout, "it is a pipe"
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            self._answers.pop(message["id"]).set_result(message)
        for answer in self._answers.values():
            answer.cancel()
