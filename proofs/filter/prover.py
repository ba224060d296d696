"""Whether a program answers every call as rules do: by Z3, and by the check that each seal makes."""

import os
import subprocess
from pathlib import Path

import z3

from proofs.filter.bpf import Call, Program, answer, to_hex
from proofs.filter.policy import ROOT, Rules

TIMEOUT_MS = 60_000
PROFILES = ("dist", "release", "debug")


class Unknown(Exception):
    """Z3 gave no answer."""


class Refused(Exception):
    """The checker of wave-sandbox did not do what it was asked for."""


class Solver:
    """Compares programs with rules, for all numbers, architectures, instruction pointers and arguments."""

    def __init__(self, rules: Rules):
        self.call = Call.any()
        self.expected = rules.answer(self.call)
        self.queries = 0

    def difference(self, program: Program) -> str:
        """A call that the program answers differently, in words; empty if there is none."""
        found = answer(program, self.call)
        solver = z3.SolverFor("QF_BV")
        solver.set("timeout", TIMEOUT_MS)
        solver.add(found != self.expected)
        self.queries += 1
        verdict = solver.check()
        if verdict == z3.unsat:
            return ""
        if verdict != z3.sat:
            raise Unknown(solver.reason_unknown())
        model = solver.model()

        def value(term: z3.BitVecRef) -> str:
            return hex(model.eval(term, model_completion=True).as_long())

        call = self.call
        arguments = ", ".join(value(argument) for argument in call.arguments)
        return (
            f"call {int(value(call.number), 16)}({arguments}) from {value(call.pointer)} "
            f"by architecture {value(call.architecture)} "
            f"is answered by {value(found)}, the policy says {value(self.expected)}"
        )


class Checker:
    """The check of `wave-sandbox`, by its example `check_filter`."""

    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([_check_filter()], text=True, **pipes)

    def ask(self, request: str) -> str:
        """One line of request, one line of answer."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().rstrip("\n")
        if not line or line.startswith("error"):
            raise Refused(f"{request[:120]}: {line.removeprefix('error ') or 'it ended'}")
        return line

    def plan(self, words: str) -> None:
        """Says which filter the next questions are about."""
        self.ask(f"plan {words}")

    def filter(self) -> bytes:
        """The filter that a seal would install."""
        return bytes.fromhex(self.ask("filter"))

    def difference(self, program: Program) -> str:
        """As Solver.difference."""
        verdict = self.ask(f"check {to_hex(program)}")
        return "" if verdict.startswith("equal ") else verdict

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def _check_filter() -> Path:
    """The example, built now unless CHECK_FILTER names it: an older one would have another check."""
    if named := os.environ.get("CHECK_FILTER"):
        return Path(named)
    command = ["cargo", "build", "--quiet", "--profile", "dist", "-p", "wave-sandbox", "--example", "check_filter"]
    subprocess.run(command, cwd=ROOT, check=True)
    return _target() / "dist/examples/check_filter"


def wave_binary() -> Path:
    """The program: what WAVE_BINARY names, or what cargo built."""
    if named := os.environ.get("WAVE_BINARY"):
        return Path(named)
    for profile in PROFILES:
        if (path := _target() / profile / "wave").exists():
            return path
    raise SystemExit(f"there is no wave under {_target()}: build it by cargo, or set WAVE_BINARY")


def _target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
