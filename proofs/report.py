"""What a proof reports: one claim, with everything a reader needs to judge it.

A proof is a module that is run by `python -m`; it calls `claim` once for each thing that it proves and exits with 1 if one of
them fails. The claims go to the file that WAVE_PROOFS_REPORT names, one JSON object a line; `proofs/run` makes the table from it.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field


@dataclass
class Claim:
    """One thing that was proved, or not."""

    part: str  # filter, landlock, monitor, hostcalls, rules, state
    decision: str  # what it is about: the name of the function, of the rule, of the filter
    specification: str  # in one line of plain English
    bound: str  # "none", or for which inputs alone it holds
    assumptions: list[str] = field(default_factory=list)  # keys of ASSUMPTIONS in assumptions.py
    wrong: list[str] = field(default_factory=list)  # wrong specifications that the same proof refuted, by name
    queries: int = 0  # questions to the solver; 0 without one
    paths: int = 0  # ways through the machine code; 0 without any
    obligations: int = 0  # conditions that had to hold on them, and do
    seconds: float = 0.0
    failure: str = ""  # empty if it is proved; otherwise why not, with the counterexample


class Timer:
    """Seconds since it was made."""

    def __init__(self):
        self.start = time.monotonic()

    def seconds(self):
        return round(time.monotonic() - self.start, 2)


_failed = False


def claim(proved: Claim):
    """Writes a claim down, and prints it."""
    global _failed
    _failed = _failed or bool(proved.failure)
    verdict = "FAILED" if proved.failure else "proved"
    line = f"{verdict} {proved.part}/{proved.decision}: {proved.specification} [{proved.seconds:.1f} s]"
    print(line + (f"\n  {proved.failure}" if proved.failure else ""), flush=True)
    path = os.environ.get("WAVE_PROOFS_REPORT")
    if path:
        with open(path, "a", encoding="utf-8") as report:
            report.write(json.dumps(asdict(proved)) + "\n")


def finish():
    """Ends the program: 0 if every claim was proved."""
    sys.exit(1 if _failed else 0)
