"""The server runs what a model wrote, and nothing that it writes has an effect outside. clients/python/build runs this, too.

`WAVE_BINARY` names `wave`, if it is not the installed one; `WAVE_CPYTHON` and `WAVE_QUICKJS` name the modules of requirements.txt.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, List

import pytest
from client import Client


@pytest.fixture(scope="session")
def flags() -> List[str]:
    names = ["WAVE_CPYTHON", "WAVE_QUICKJS"]
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        why = f"NOT RUN: set {', '.join(missing)}"
        if "WAVE_CI" in os.environ:
            pytest.fail(why)
        pytest.skip(why)
    given = ["--python", os.environ[names[0]], "--quickjs", os.environ[names[1]]]
    return [*given, "--wave", os.environ["WAVE_BINARY"]] if os.environ.get("WAVE_BINARY") else given


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all servers."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def serve(flags: List[str], cache: Path) -> Callable[..., None]:
    """Starts a server, does something with it, and stops it."""

    def run(work: Callable[[Client], Awaitable[None]], *more: str) -> None:
        async def whole() -> None:
            client = await Client.start(*flags, *more, env={**os.environ, "XDG_CACHE_HOME": str(cache)})
            try:
                await asyncio.wait_for(work(client), 120)
            finally:
                assert await client.stop() == 0

        asyncio.run(whole())

    return run


async def facts(call: Awaitable[Dict[str, Any]]) -> Dict[str, Any]:
    found: Dict[str, Any] = (await call)["result"]["structuredContent"]
    return found


def test_the_handshake(serve: Callable[..., None]) -> None:
    async def work(client: Client) -> None:
        begun = await client.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}})
        assert begun["result"]["serverInfo"]["name"] == "wave"
        client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        tools = (await client.ask("tools/list", {}))["result"]["tools"]
        assert [tool["name"] for tool in tools] == ["run_python", "run_javascript"]

    serve(work)


def test_code_runs_and_its_end_is_told(serve: Callable[..., None]) -> None:
    async def work(client: Client) -> None:
        printed = await client.call("run_python", "print(int(input()) * 7)", stdin="6")
        assert printed["result"]["isError"] is False
        assert json.loads(printed["result"]["content"][0]["text"])["stdout"] == "42\n"
        javascript = await facts(client.call("run_javascript", "console.log(std.in.readAsString(), 6 * 7)", stdin="a"))
        assert (javascript["code"], javascript["stdout"]) == (0, "a 42\n")
        failed = await client.call("run_python", "import sys; print('{\"kind\": \"exited\", \"code\": 0}'); sys.exit(3)")
        assert failed["result"]["isError"] is True
        assert (await facts(client.call("run_python", "import sys; sys.exit(124)")))["kind"] == "exited"

    serve(work)


def test_limits_hold(serve: Callable[..., None]) -> None:
    async def work(client: Client) -> None:
        assert (await facts(client.call("run_python", "while True: pass")))["kind"] == "time_limit"
        assert (await facts(client.call("run_javascript", "for (;;);")))["kind"] == "time_limit"
        memory = await facts(client.call("run_python", "x = bytearray(1 << 30)"))
        assert memory["stderr"].endswith("MemoryError\n")
        floods = await facts(client.call("run_javascript", "for (let i = 0; i < 100000; i++) console.log(i)"))
        assert len(floods["stdout"]) == 64 << 10

    serve(work, "--timeout", "1")


def test_nothing_of_the_host_is_reached(serve: Callable[..., None]) -> None:
    attempts = [
        ("run_python", "print(open('/etc/passwd').read())"),
        ("run_python", "import socket; socket.create_connection(('127.0.0.1', 22))"),
        ("run_python", "import subprocess; subprocess.run(['id'])"),
        ("run_python", "import os; os.kill(1, 9)"),
        ("run_javascript", "if (std.open('/etc/passwd', 'r') === null) throw new Error('no file')"),
        ("run_javascript", "const [names, error] = os.readdir('/'); if (error) throw new Error('no directory')"),
    ]

    async def work(client: Client) -> None:
        for tool, code in attempts:
            found = await facts(client.call(tool, code))
            assert (found["kind"], found["code"], found["stdout"]) == ("exited", 1, ""), code
        environment = await facts(client.call("run_python", "import os; print(dict(os.environ))"))
        assert environment["stdout"] == "{}\n"

    serve(work)


def test_wrong_messages_are_answered_and_the_server_goes_on(serve: Callable[..., None]) -> None:
    wrong = [
        ("tools/call", {"name": "run_perl", "arguments": {"code": "1"}}, -32602),
        ("tools/call", {"name": ["run_python"], "arguments": {"code": "1"}}, -32602),
        ("tools/call", {"name": "run_python", "arguments": {"code": 1}}, -32602),
        ("tools/call", {"name": "run_python"}, -32602),
        ("tools/call", {"name": "run_python", "arguments": {"code": "a\0b"}}, -32602),
        ("tools/call", {"name": "run_python", "arguments": {"code": "\ud800"}}, -32602),
        ("tools/call", {"name": "run_python", "arguments": {"code": "#" * (128 << 10)}}, -32602),
        ("tools/call", [], -32600),
        ("resources/list", {}, -32601),
    ]

    async def work(client: Client) -> None:
        for method, params, code in wrong:
            assert (await client.ask(method, params))["error"]["code"] == code, params
        long = await client.call("run_javascript", "//" + "#" * (128 << 10))
        assert long["result"]["isError"] is True
        for message in ([1], {"id": {}, "method": "ping"}, {"id": 1.5, "method": "ping"}):
            answer = client._answers[None] = asyncio.get_running_loop().create_future()
            client.send(message)
            assert (await answer)["error"]["code"] == -32600
        assert (await facts(client.call("run_python", "print(1)")))["stdout"] == "1\n"

    serve(work)


def test_a_call_that_is_cancelled_frees_its_place(serve: Callable[..., None]) -> None:
    async def work(client: Client) -> None:
        client.ask_as("a", "tools/call", {"name": "run_javascript", "arguments": {"code": "for (;;);"}})
        client.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a"}})
        # It would take longer than the test has otherwise: one run at a time.
        assert (await facts(client.call("run_javascript", "console.log(1)")))["stdout"] == "1\n"

    serve(work, "--at-once", "1", "--timeout", "1000")


def test_a_hundred_runs_at_once_do_not_mix(serve: Callable[..., None]) -> None:
    async def work(client: Client) -> None:
        python = [client.call("run_python", f"print({number} ** 2)") for number in range(50)]
        javascript = [client.call("run_javascript", f"console.log({number} * 3)") for number in range(50)]
        squares = [(await facts(call))["stdout"] for call in python]
        triples = [(await facts(call))["stdout"] for call in javascript]
        assert squares == [f"{number ** 2}\n" for number in range(50)]
        assert triples == [f"{number * 3}\n" for number in range(50)]

    serve(work, "--timeout", "120")
