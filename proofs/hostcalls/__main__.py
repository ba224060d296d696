"""Proves `fd_close` on the machine code of a binary: `python -m proofs.hostcalls`.

The binary is the one that WAVE_BINARY names, or target/dist/wave.
"""

import os

from proofs.hostcalls import close
from proofs.hostcalls.world import World
from proofs.prove.failure import Failure
from proofs.prove.prover import Program
from proofs.report import Claim, Timer, claim, finish

ASSUMPTIONS = ["pcode", "z3", "hostcall-memory", "hostcall-layout", "hostcall-ends", "hostcall-calls"]


def main() -> None:
    """Proves the specification, and refutes the wrong ones."""
    program, world = Program(os.environ.get("WAVE_BINARY", "target/dist/wave")), World()
    timer = Timer()
    proved = Claim("hostcalls", "fd_close", close.SPECIFICATION, "none", ASSUMPTIONS)
    try:
        machine = close.prove(program, world)
        proved.queries, proved.paths, proved.obligations = machine.queries, machine.paths, machine.obligations
    except Failure as reason:
        proved.failure = str(reason)
    for wrong in close.WRONG if not proved.failure else ():
        try:
            close.prove(program, world, wrong)
            proved.failure = f"the wrong specification `{wrong}` was proved, too"
        except Failure as reason:
            print(f"refuted: {wrong}: {reason}")
            proved.wrong.append(wrong)
    proved.seconds = timer.seconds()
    claim(proved)
    finish()


if __name__ == "__main__":
    main()
