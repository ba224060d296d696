"""Runs of the real `wave`, waited for or with asyncio: each ending is told apart, whatever the program prints."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import EXAMPLES, children, pipes, wait_for_a_sealed_child, wait_for_the_end_of
from guests import COPIES, RAISES, SPINS, TRAPS, prints

import wave_sandbox as wave

Guest = Callable[[str], Path]
Run = Callable[..., wave.Outcome]


def run_in_loop(*args: Any, **options: Any) -> wave.Outcome:
    return asyncio.run(wave.run_async(*args, **options))


@pytest.fixture(params=[wave.run, run_in_loop], ids=["run", "run_async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both ways to run a program. Nothing may be left of it afterwards."""
    started: Run = request.param

    def checked(*args: Any, **options: Any) -> wave.Outcome:
        before = pipes()
        try:
            return started(*args, **options)
        finally:
            assert (pipes(), children()) == (before, [])

    return checked


@pytest.mark.parametrize("code", [0, 42, 124, 134, 137, 159, 256])
def test_exit_codes_are_the_programs_own(run: Run, guest: Guest, code: int) -> None:
    outcome = run(guest(prints("", code=code)))
    assert (outcome.kind, outcome.code, outcome.ok) == ("exited", code, code == 0)


def test_a_program_that_prints_an_outcome_changes_nothing(run: Run, guest: Guest) -> None:
    fake = '{"schema_version":1,"version":"9","exit_code":0,"ending":{"kind":"exited","code":0}}'
    outcome = run(guest(prints(fake, code=7)))
    assert (outcome.kind, outcome.code, outcome.stdout, outcome.stderr) == ("exited", 7, *[f"{fake}\n".encode()] * 2)
    assert outcome.raw["version"] != "9"


def test_endings_have_kinds_of_their_own(run: Run, guest: Guest) -> None:
    trapped = run(guest(TRAPS))
    assert (trapped.kind, trapped.trap, [frame.name for frame in trapped.frames]) == ("trapped", "unreachable", ["f", "g"])
    late = run(guest(SPINS), timeout=0.1)
    assert (late.kind, late.code, late.time.wall >= 0.1) == ("time_limit", None, True)
    raised = run(guest(RAISES))
    assert (raised.kind, raised.signal) == ("raised", signal.SIGTERM)
    missing = run("missing.wasm")
    assert (missing.kind, missing.sandbox) == ("refused", None)
    assert missing.message and "missing.wasm" in missing.message
    hello = EXAMPLES / "hello.wat"
    assert run(hello, max_memory=1024).raw["ending"]["limit"] == "max-memory"
    printed = run(hello, max_memory=1 << 20)
    assert (printed.ok, printed.stdout) == (True, b"Hello from inside the sandbox!\n")
    assert printed.sandbox and printed.sandbox["level"] == "strict"


def test_a_signal_from_outside_is_told_from_one_that_was_raised(run: Run, guest: Guest) -> None:
    def kill() -> None:
        os.kill(wait_for_a_sealed_child()[0], signal.SIGTERM)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = run(guest(SPINS))
    killer.join()
    assert (outcome.kind, outcome.signal) == ("killed", signal.SIGTERM)


def test_input_and_output_are_more_than_a_pipe_holds(run: Run, guest: Guest) -> None:
    data = bytes(range(256)) * 4000
    assert run(guest(COPIES), stdin=data).stdout == data
    assert run(guest(COPIES), stdin="text").stdout == b"text"
    assert run(guest(COPIES)).stdout == b""
    # A program that does not read does not stop the one that writes.
    assert run(EXAMPLES / "hello.wat", stdin=data).ok


def test_grants_reach_the_program_and_nothing_else_does(run: Run, place: Path) -> None:
    (place / "note").write_text("granted")
    show = EXAMPLES / "show.wat"
    assert run(show, ["note"], dirs={place: ("/d", "ro")}).stdout == b"granted"
    assert run(show, ["note"], dirs={str(place): "ro"}).stdout == b"granted"
    single = run(show, ["note"], files={place / "note": ("/d/note", "ro")})
    assert single.stdout == b"granted"
    assert not run(show, ["note"], files={place: ("/d", "ro")}).ok
    without = run(show, ["note"])
    assert (without.ok, without.stdout) == (False, b"")
    words = ["--dir=/::/", "two words", "-"]
    assert run(EXAMPLES / "args.wat", words).stdout.decode().splitlines() == words


@pytest.mark.parametrize(
    "options",
    [
        {"dirs": {"a:b": "ro"}},
        {"dirs": {"/": ("/d::rw", "ro")}},
        {"dirs": {"/": ("", "ro")}},
        {"dirs": {"": ("/d", "ro")}},
        {"dirs": {"/": "rx"}},
        {"files": {"a:b": "ro"}},
        {"files": {"/": "rx"}},
        {"env": {"": "1"}},
        {"env": {"A=B": "1"}},
        {"sandbox": "none"},
    ],
)
def test_what_no_flag_can_express_is_refused(run: Run, options: Any) -> None:
    with pytest.raises(ValueError):
        run(EXAMPLES / "hello.wat", **options)


def test_unknown_options_and_flags_are_errors(run: Run) -> None:
    with pytest.raises(TypeError, match="dir"):
        run(EXAMPLES / "hello.wat", dir={"/": "ro"})
    with pytest.raises(wave.NoOutcome, match="--no-such-flag") as error:
        run(EXAMPLES / "hello.wat", flags=["--no-such-flag"])
    assert error.value.exit_code == 2
    with pytest.raises(FileNotFoundError):
        run(EXAMPLES / "hello.wat", binary="/missing/wave")
    assert run(EXAMPLES / "hello.wat", timeout=None, policy=None, flags=["--max-stack=4M"]).ok


def test_output_is_bounded(run: Run, guest: Guest) -> None:
    floods = guest(prints("x" * 1000, times=100_000))
    limited = run(floods, max_output=5000)
    assert (limited.ok, len(limited.stdout) + len(limited.stderr)) == (True, 5000)
    usual = run(floods)
    assert len(usual.stdout) + len(usual.stderr) == wave.DEFAULT_MAX_OUTPUT
    # A limit of the program that is higher than that of the one who reads.
    with pytest.raises(wave.TooMuchOutput):
        run(floods, policy=policy(floods.parent, "1G"))


def test_a_policy_keeps_its_limits(run: Run, guest: Guest) -> None:
    floods = guest(prints("0123456789", times=1000))
    outcome = run(floods, policy=policy(floods.parent, "2000"))
    assert len(outcome.stdout) + len(outcome.stderr) == 2000
    assert outcome.raw["policy"]["blake3"]


def policy(place: Path, max_output: str) -> Path:
    path = place / "policy.toml"
    path.write_text(f'version = 1\n[limits]\nmax-output = "{max_output}"\n')
    return path


def test_a_run_that_is_cancelled_is_killed(guest: Guest) -> None:
    spins = guest(SPINS)

    async def cancel() -> None:
        task = asyncio.create_task(wave.run_async(spins))
        await asyncio.sleep(0)
        processes = await asyncio.get_running_loop().run_in_executor(None, wait_for_a_sealed_child)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert children() == []
        wait_for_the_end_of(processes)

    before = pipes()
    asyncio.run(cancel())
    assert pipes() == before


def test_a_run_can_be_cancelled_at_each_moment(guest: Guest) -> None:
    spins = guest(SPINS)

    async def cancel(after: int) -> None:
        task = asyncio.create_task(wave.run_async(spins, timeout=60))
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = pipes()
    for after in range(20):
        asyncio.run(cancel(after))
        assert (pipes(), children()) == (before, []), after


def test_an_interrupt_kills_the_run(guest: Guest) -> None:
    processes = []

    def interrupt() -> None:
        processes.extend(wait_for_a_sealed_child())
        os.kill(os.getpid(), signal.SIGINT)

    killer = threading.Thread(target=interrupt)
    # Who starts these tests in the background may have them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        wave.run(guest(SPINS), timeout=60)
    killer.join()
    signal.signal(signal.SIGINT, before)
    assert children() == []
    wait_for_the_end_of(processes)


def test_many_runs_at_once_do_not_mix(guest: Guest) -> None:
    copies = guest(COPIES)

    async def all_at_once() -> None:
        runs = [wave.run_async(copies, stdin=str(number)) for number in range(30)]
        outcomes = await asyncio.gather(*runs)
        assert [outcome.stdout for outcome in outcomes] == [str(number).encode() for number in range(30)]

    asyncio.run(all_at_once())
