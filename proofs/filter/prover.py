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
            f"call {int(value(call.number), 16)}({arguments}) from {value(call.pointer)} by architecture {value(call.architecture)} "
            f"is answered by {value(found)}, the policy says {value(self.expected)}"
        )


class Checker:
    """The check of `wave-sandbox`, by its example `check_filter`."""

    def __init__(self):
        self.process = subprocess.Popen([binary("examples/check_filter", "CHECK_FILTER")], stdin=-1, stdout=-1, text=True)

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


def binary(name: str, variable: str) -> Path:
    """A program that cargo built, or the one that a variable of the environment names."""
    if named := os.environ.get(variable):
        return Path(named)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for profile in PROFILES:
        if (path := target / profile / name).exists():
            return path
    raise SystemExit(f"there is no {name} under {target}: build it with cargo, or set {variable}")
