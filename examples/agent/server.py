#!/usr/bin/env python3
"""A tool server for agents: runs Python and JavaScript that a model wrote, and that nobody trusts.

It speaks the Model Context Protocol on its standard streams: one JSON-RPC message a line. Each call is a run of its own under
`wave --sandbox strict`, without any file, variable or connection, with limits on time, memory and output.

  server.py --python python.wasm --quickjs quickjs.wasm
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, List, Optional, Union

sys.path.append(str(Path(__file__).resolve().parents[2] / "clients" / "python" / "src"))
import wave_sandbox as wave  # noqa: E402

Identity = Union[int, str]
PROTOCOL = "2025-06-18"
LINE_BYTES = 1 << 20

# Errors of JSON-RPC 2.0.
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602


class Refused(Exception):
    """A message that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Tools:
    """The programs that run code, and what a run may use."""

    python: Optional[Path]
    quickjs: Optional[Path]
    options: wave.Options

    async def run_python(self, code: str, stdin: str) -> wave.Outcome:
        """Runs Python code in CPython, with its standard library, and returns what it prints."""
        assert self.python
        return await wave.python_async(code, interpreter=self.python, **self._given(stdin))

    async def run_javascript(self, code: str, stdin: str) -> wave.Outcome:
        """Runs JavaScript code in QuickJS, with its modules `std` and `os`, and returns what it prints."""
        assert self.quickjs
        return await wave.run_async(self.quickjs, ["--std", "-e", code], **self._given(stdin))

    def _given(self, stdin: str) -> wave.Options:
        return {**self.options, "stdin": stdin}

    def all(self) -> Dict[str, Callable[[str, str], Awaitable[wave.Outcome]]]:
        """The tools that there is a program for."""
        found: Dict[str, Callable[[str, str], Awaitable[wave.Outcome]]] = {}
        if self.python:
            found["run_python"] = self.run_python
        if self.quickjs:
            found["run_javascript"] = self.run_javascript
        return found

    def described(self) -> List[Dict[str, Any]]:
        text = {"type": "string"}
        schema = {"type": "object", "properties": {"code": text, "stdin": text}, "required": ["code"]}
        return [{"name": name, "description": run.__doc__, "inputSchema": schema} for name, run in self.all().items()]

    async def call(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """A call of a tool. Code that fails is a result, which the model should see."""
        name, given = params.get("name"), params.get("arguments")
        run = self.all().get(name) if isinstance(name, str) else None
        code, stdin = (given.get("code"), given.get("stdin", "")) if isinstance(given, dict) else (None, None)
        if run is None or not isinstance(code, str) or not isinstance(stdin, str):
            raise Refused(INVALID_PARAMS, "a call names a tool, and has a text as code")
        try:
            outcome = await run(code, stdin)
        except ValueError as error:
            raise Refused(INVALID_PARAMS, str(error)) from error
        except (OSError, wave.Error) as error:
            return {"content": [{"type": "text", "text": str(error)}], "isError": True}
        return described(outcome)


def described(outcome: wave.Outcome) -> Dict[str, Any]:
    """The result of a tool. How the run ended is beside what it printed: code can print what it likes."""
    facts = {
        "kind": outcome.kind,
        "code": outcome.code,
        "stdout": outcome.stdout.decode(errors="replace"),
        "stderr": outcome.stderr.decode(errors="replace"),
        "trap": outcome.trap,
        "seconds": outcome.time.wall,
        "processor_seconds": outcome.time.user + outcome.time.system,
        "memory_bytes": outcome.memory.process,
    }
    text = json.dumps(facts, ensure_ascii=False)
    return {"content": [{"type": "text", "text": text}], "structuredContent": facts, "isError": not outcome.ok}


class Server:
    """Reads messages and answers them, many at a time."""

    def __init__(self, tools: Tools, at_once: int) -> None:
        self._tools = tools
        self._free = asyncio.Semaphore(at_once)
        self._running: Dict[Identity, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Answers until the standard input ends. Runs that go on are killed then."""
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        # A line that is longer than the limit is no message, and ends the server.
        while line := await reader.readline():
            number = None
            try:
                message = json.loads(line)
                number = identity(message)
                await self._take(message, number)
            except (ValueError, RecursionError) as error:
                answer(None, error={"code": PARSE_ERROR, "message": str(error)})
            except Refused as error:
                answer(number, error={"code": error.code, "message": str(error)})
        left = list(self._running.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _take(self, message: Dict[str, Any], number: Optional[Identity]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if not isinstance(params, dict):
            raise Refused(INVALID_REQUEST, "params are an object")
        if method == "tools/call":
            if number is None or number in self._running:
                raise Refused(INVALID_REQUEST, "a call has an id of its own")
            # No more is read meanwhile.
            await self._free.acquire()
            task = self._running[number] = asyncio.create_task(self._call(number, params))
            # Not in the task itself: one that is cancelled at once never begins.
            task.add_done_callback(lambda _: self._end(number))
        elif method == "notifications/cancelled":
            for other, task in self._running.items():
                if other == params.get("requestId"):
                    task.cancel()
        elif method == "initialize":
            server = {"name": "wave", "version": "0.1.0"}
            answer(number, {"protocolVersion": PROTOCOL, "capabilities": {"tools": {}}, "serverInfo": server})
        elif method == "tools/list":
            answer(number, {"tools": self._tools.described()})
        elif method == "ping":
            answer(number, {})
        elif number is not None:
            raise Refused(METHOD_NOT_FOUND, f"there is no method {method}")

    async def _call(self, number: Identity, params: Dict[str, Any]) -> None:
        try:
            answer(number, await self._tools.call(params))
        except Refused as error:
            answer(number, error={"code": error.code, "message": str(error)})

    def _end(self, number: Identity) -> None:
        del self._running[number]
        self._free.release()


def identity(message: Any) -> Optional[Identity]:
    """The id of a message, if it expects an answer."""
    if not isinstance(message, dict):
        raise Refused(INVALID_REQUEST, "a message is an object")
    number = message.get("id")
    if number is not None and not isinstance(number, (int, str)):
        raise Refused(INVALID_REQUEST, "an id is a number or a text")
    return number


def answer(number: Any, result: Any = None, error: Any = None) -> None:
    what = {"error": error} if error else {"result": result}
    print(json.dumps({"jsonrpc": "2.0", "id": number, **what}), flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, metavar="FILE", help="CPython for WASI preview 1")
    parser.add_argument("--quickjs", type=Path, metavar="FILE", help="QuickJS for WASI preview 1")
    parser.add_argument("--wave", type=Path, metavar="FILE", help="the program `wave` [default: the installed one]")
    parser.add_argument("--timeout", type=float, default=10, metavar="SECONDS", help="of a run [default: 10]")
    parser.add_argument("--max-memory", type=int, default=256 << 20, metavar="BYTES", help="of a run [default: 256 MiB]")
    parser.add_argument("--max-output", type=int, default=64 << 10, metavar="BYTES", help="of a run [default: 64 KiB]")
    parser.add_argument("--at-once", type=int, default=100, metavar="N", help="runs at the same time [default: 100]")
    given = parser.parse_args()
    options: wave.Options = {
        "timeout": given.timeout,
        "max_memory": given.max_memory,
        "max_output": given.max_output,
        "sandbox": "strict",
        "binary": given.wave,
    }
    tools = Tools(given.python, given.quickjs, options)
    if not tools.all():
        parser.error("name a program that runs code: --python or --quickjs")
    # One run of each compiles it. All others find its code in the cache.
    for run in tools.all().values():
        outcome = await run("1", "")
        if not outcome.ok:
            sys.exit(f"a first run failed: {outcome.kind}: {outcome.message or outcome.stderr.decode(errors='replace')}")
    await Server(tools, given.at_once).serve()


if __name__ == "__main__":
    asyncio.run(main())
