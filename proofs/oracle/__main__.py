"""The verifier beside the processor, and p-code beside the processor: `python -m proofs.oracle [--steps N] [--seed S] [--count N]`.

Runs the crate of this folder (WAVE_ORACLE names another build of it), which compares what the verifier says with what the processor does after every instruction, and
writes a sample of what it has executed. Then replays the sample by p-code.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from proofs.oracle.pcode import REGISTERS, Machine
from proofs.oracle.replay import DEVIATIONS, replay
from proofs.report import Claim, Timer, claim, finish

ROOT = Path(__file__).resolve().parent.parent.parent

# Each wrong semantics is tried on this many instructions.
WRONG = 20_000


def keep_upper_half(machine, record, name):
    """A register whose upper half was cleared keeps it."""
    registers = machine.registers()
    for number, (before, after) in enumerate(zip(record["before"], registers, strict=True)):
        if after != before and after >> 32 == 0:
            registers[number] = after | before >> 32 << 32
    machine.set(registers, machine.flags(), machine.place, machine.memory)


def clear_rest(machine, record, name):
    """A write of 8 or 16 bits clears the rest of a register."""
    registers = machine.registers()
    for number, (before, after) in enumerate(zip(record["before"], registers, strict=True)):
        if after != before and (after ^ before) >> 16 == 0:
            registers[number] = after & 0xFFFF
    machine.set(registers, machine.flags(), machine.place, machine.memory)


def push_up(machine, record, name):
    """The stack grows upwards."""
    registers = machine.registers()
    stack = REGISTERS.index("RSP")
    if registers[stack] == record["before"][stack] - 8:
        registers[stack] += 16
    machine.set(registers, machine.flags(), machine.place, machine.memory)


def borrow_as_carry(machine, record, name):
    """A comparison sets CF if the left side is not below."""
    if name == "CMP":
        machine.set(machine.registers(), machine.flags() ^ 1, machine.place, machine.memory)


WRONG_SEMANTICS = {
    "a write of 32 bits leaves the upper half": keep_upper_half,
    "a write of 16 bits clears the rest": clear_rest,
    "push moves the stack pointer up": push_up,
    "a comparison sets CF the other way round": borrow_as_carry,
}


def execute(steps, seed, count, sample):
    """Runs the oracle. Returns its output and whether it found no difference."""
    program = os.environ.get("WAVE_ORACLE")
    start = [program] if program else ["cargo", "run", "--quiet", "--release", "-p", "wave-oracle", "--"]
    choice = ["--steps", str(steps), "--seed", str(seed), "--sample", str(sample), str(count)]
    ran = subprocess.run([*start, *choice], cwd=ROOT, text=True, capture_output=True, check=False)
    return ran.stdout + ran.stderr, ran.returncode == 0


def states_describe(steps, seed, count, sample):
    """The first claim: each concrete state is one that the abstract state describes."""
    timer = Timer()
    output, is_right = execute(steps, seed, count, sample)
    found = re.search(r"(\d+) of (\d+) encodings", output)
    failure = "" if is_right else output[-2_000:]
    if is_right and (not found or found[1] != found[2]):
        failure = f"not all encodings were executed: {found[0] if found else output[-200:]}"
    claim(
        Claim(
            part="oracle",
            decision="every step",
            specification="after each instruction, this processor's state is one that the verifier's state describes, and "
            "memory was reached only where code may",
            bound=f"{steps} random steps, seed {seed}",
            failure=failure,
            seconds=timer.seconds(),
        )
    )


def semantics_agree(lines):
    """The second claim: p-code is what the processor does."""
    timer = Timer()
    machine = Machine()
    outcome = replay(lines, machine)
    failures = [f"{name} {record['bytes']}: {what}" for name, record, what in outcome.differences[:5]]
    if outcome.compared < len(lines) * 9 // 10:
        failures.append(f"only {outcome.compared} of {len(lines)} were compared")
    wrong = []
    for what, distort in WRONG_SEMANTICS.items():
        if replay(lines[:WRONG], machine, distort).differences:
            wrong.append(what)
        else:
            failures.append(f"nothing contradicts: {what}")
    print(f"{outcome.compared} instructions of {len(outcome.mnemonics)} mnemonics compared", flush=True)
    for what in DEVIATIONS:
        print(f"known difference, {outcome.known[what]} times: {what}")
    for what, count in sorted(outcome.not_modeled.items()):
        print(f"not modeled, {count} times: {what}")
    claim(
        Claim(
            part="oracle",
            decision="p-code",
            specification="p-code leaves the registers, defined flags, memory and next instruction that this processor leaves",
            bound=f"{outcome.compared} instructions of a run; {len(DEVIATIONS)} known differences",
            wrong=wrong,
            failure="; ".join(failures),
            seconds=timer.seconds(),
        )
    )


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=3_000_000)
    arguments.add_argument("--seed", type=int, default=16)
    arguments.add_argument("--count", type=int, default=100_000, help="instructions of the sample")
    given = arguments.parse_args()
    if given.count < WRONG:
        sys.exit(f"the sample has at least {WRONG} instructions")
    with tempfile.TemporaryDirectory() as place:
        sample = Path(place) / "sample.jsonl"
        states_describe(given.steps, given.seed, given.count, sample)
        semantics_agree(sample.read_text(encoding="utf-8").splitlines())
    finish()


if __name__ == "__main__":
    main()
