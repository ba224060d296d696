"""Proves hostcalls on the machine code of a binary: `python -m proofs.hostcalls [NAME…]`.

The binary is the one that WAVE_BINARY names, or target/dist/wave.
"""

import os
import sys
from collections.abc import Callable

from proofs.hostcalls import close
from proofs.hostcalls.machine import Hints, Machine
from proofs.hostcalls.world import World
from proofs.prove.prover import Failure, Program
from proofs.report import Claim, Timer, claim, finish

Prove = Callable[[Program, World, Hints, str], Machine]
# The name of each hostcall, the specification in a line, how it is proved, and wrong specifications.
HOSTCALLS: dict[str, tuple[str, Prove, tuple[str, ...]]] = {"fd_close": (close.SPECIFICATION, close.prove, close.WRONG)}
ASSUMPTIONS = ["pcode", "z3", "hostcall-memory", "hostcall-layout", "hostcall-ends", "hostcall-calls"]


def _prove(program: Program, world: World, name: str) -> None:
    specification, prove, wrong = HOSTCALLS[name]
    timer, hints, failure, queries = Timer(), Hints(), "", 0
    try:
        queries = prove(program, world, hints, "").queries
    except Failure as reason:
        failure = str(reason)
    refuted = []
    for other in wrong if not failure else ():
        try:
            prove(program, world, hints, other)
            failure = f"the wrong specification `{other}` was proved, too"
        except Failure:
            refuted.append(other)
    claim(
        Claim(
            part="hostcalls",
            decision=name,
            specification=specification,
            bound="none",
            assumptions=ASSUMPTIONS,
            wrong=refuted,
            queries=queries,
            seconds=timer.seconds(),
            failure=failure,
        )
    )


def main() -> None:
    """Proves the hostcalls that are named, or all."""
    program, world = Program(os.environ.get("WAVE_BINARY", "target/dist/wave")), World()
    for name in sys.argv[1:] or HOSTCALLS:
        if name not in HOSTCALLS:
            sys.exit(f"no proof of {name}; there are {', '.join(HOSTCALLS)}")
        _prove(program, world, name)
    finish()


main()
