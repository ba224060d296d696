#!/usr/bin/env python3
"""Measures the server: many calls at once, with one cache.

  measure.py --rounds 3 -- --python python.wasm --quickjs quickjs.wasm [FLAGS OF THE SERVER]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

from client import Client

# What is called. The last one sleeps: all runs are there at the same time.
WORK = [
    ("run_javascript", "console.log(6 * 7)"),
    ("run_javascript", "let n = 0; for (let i = 0; i < 1e6; i++) n += i * i; console.log(n)"),
    ("run_python", "print(6 * 7)"),
    ("run_python", "import json; print(json.dumps([sum(i * i for i in range(100_000))]))"),
    ("run_python", "import time; time.sleep(8)"),
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


async def sampled(client: Client, tool: str, code: str, count: int) -> Tuple[int, int]:
    """The most processes at a time, and the most memory, while so many calls run. Looking takes time from them."""
    task = asyncio.ensure_future(at_once(client, tool, code, count))
    most = (0, 0)
    while not task.done():
        await asyncio.sleep(0.2)
        seen = await asyncio.to_thread(memory, client.process.pid)
        most = max(most[0], seen[0]), max(most[1], seen[1])
    await task
    return most


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("flags", nargs="+", help="flags of the server, after --")
    given = parser.parse_args()
    begun = time.perf_counter()
    client = await Client.start(*given.flags)
    await client.ask("ping", {})
    print(f"the server answers after {time.perf_counter() - begun:.2f} s\n")
    print("| code | alone | all | runs/s | half of them | 95 of 100 | the last | processes | their memory | largest |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for tool, code in WORK:
        alone = await one_by_one(client, tool, code, 3 if "sleep" in code else 9)
        rounds = [await at_once(client, tool, code, given.calls) for _ in range(given.rounds)]
        seconds, times, facts = min(rounds, key=lambda one: one[0])
        times.sort()
        half, most = times[len(times) // 2], times[len(times) * 95 // 100]
        processes, together = await sampled(client, tool, code, given.calls)
        largest = max(fact["memory_bytes"] for fact in facts)
        print(
            f"| `{code}` | {alone * 1e3:.0f} ms | {seconds:.2f} s | {given.calls / seconds:.1f} | {half:.2f} s | {most:.2f} s "
            f"| {times[-1]:.2f} s | {processes} | {together / 1e6:.0f} MB | {largest / 1e6:.0f} MB |",
            flush=True,
        )
    await client.stop()


if __name__ == "__main__":
    asyncio.run(main())
