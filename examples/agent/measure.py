#!/usr/bin/env python3
"""Measures the server: many calls at once, with one cache.

  measure.py --rounds 3 -- --python python.wasm --quickjs quickjs.wasm [FLAGS OF THE SERVER]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

from client import Client

WORK = [
    ("run_javascript", "console.log(6 * 7)"),
    ("run_javascript", "let n = 0; for (let i = 0; i < 1e6; i++) n += i * i; console.log(n)"),
    ("run_python", "print(6 * 7)"),
    ("run_python", "import json; print(json.dumps([sum(i * i for i in range(100_000))]))"),
]

# Code that waits until all others have begun, for their memory.
WAITS = [
    ("run_javascript", "os.sleep({seconds} * 1000)"),
    ("run_python", "import time; time.sleep({seconds})"),
]


async def at_once(client: Client, tool: str, code: str, count: int) -> Tuple[float, List[float], List[Dict[str, Any]]]:
    """Sends so many calls. Returns how long all took, how long each took, and what they returned."""
    begun = time.perf_counter()

    async def one() -> Tuple[float, Dict[str, Any]]:
        answer = await client.call(tool, code)
        return time.perf_counter() - begun, answer["result"]["structuredContent"]

    answers = await asyncio.gather(*(one() for _ in range(count)))
    assert all(facts["kind"] == "exited" and facts["code"] == 0 for _, facts in answers), answers[0]
    return time.perf_counter() - begun, [seconds for seconds, _ in answers], [facts for _, facts in answers]


async def one_by_one(client: Client, tool: str, code: str, count: int) -> float:
    """The median time of calls that wait for each other."""
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        await client.call(tool, code)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def memory(server: int) -> Tuple[int, int]:
    """The processes of all runs, and their memory in bytes: pages that several of them share count once (PSS)."""
    work, processes, kilobytes = [server], 0, 0
    while work:
        process = work.pop()
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{process}/task").iterdir():
                work += [int(child) for child in (task / "children").read_text().split()]
            if process != server:
                processes += 1
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
                kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return processes, kilobytes << 10


async def sampled(client: Client, tool: str, code: str, count: int) -> Tuple[int, int, List[Dict[str, Any]]]:
    """The most processes at a time and their memory, while so many calls run, and what those returned."""
    task = asyncio.ensure_future(at_once(client, tool, code, count))
    most = (0, 0)
    while not task.done():
        # Looking takes time from the runs.
        await asyncio.sleep(1)
        seen = await asyncio.to_thread(memory, client.process.pid)
        most = max(most[0], seen[0]), max(most[1], seen[1])
    return most[0], most[1], (await task)[2]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wait", type=int, default=20, metavar="SECONDS", help="until all calls have begun [default: 20]")
    parser.add_argument("flags", nargs="+", help="flags of the server, after --")
    given = parser.parse_args()
    begun = time.perf_counter()
    client = await Client.start(*given.flags, "--timeout", str(2 * given.wait))
    await client.ask("ping", {})
    print(f"the server answers after {time.perf_counter() - begun:.2f} s; load {os.getloadavg()[0]:.1f}\n")
    print("| code | alone | all | runs/s | half of them | 95 of 100 | processor time of one |\n|---|---|---|---|---|---|---|")
    for tool, code in WORK:
        alone = await one_by_one(client, tool, code, 9)
        rounds = [await at_once(client, tool, code, given.calls) for _ in range(given.rounds)]
        seconds, times, facts = min(rounds, key=lambda one: one[0])
        times.sort()
        half, most = times[len(times) // 2], times[len(times) * 95 // 100]
        processor = statistics.median(fact["processor_seconds"] for fact in facts)
        print(
            f"| `{code}` | {alone * 1e3:.0f} ms | {seconds:.2f} s | {given.calls / seconds:.1f} "
            f"| {half:.2f} s | {most:.2f} s | {processor * 1e3:.0f} ms |",
            flush=True,
        )
    print("\n| all at the same time | processes | memory of all, shared pages once | largest process |\n|---|---|---|---|")
    for tool, code in WAITS:
        most_processes, together, facts = await sampled(client, tool, code.format(seconds=given.wait), given.calls)
        largest = max(fact["memory_bytes"] for fact in facts)
        print(f"| `{code}` | {most_processes} | {together / 1e6:.0f} MB | {largest / 1e6:.0f} MB |", flush=True)
    await client.stop()


if __name__ == "__main__":
    asyncio.run(main())
