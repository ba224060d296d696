"""`python -m proofs.monitor [NAME…]`: proves decisions of the monitor on machine code; without names, all of them."""

import importlib
import pkgutil
import sys

import proofs.monitor
from proofs.monitor.frame import Decision, World
from proofs.report import claim, finish

NO_DECISIONS = ("__main__", "frame", "policy", "wasi")


def decisions() -> dict[str, Decision]:
    """All decisions, by name."""
    found: dict[str, Decision] = {}
    for module in pkgutil.iter_modules(proofs.monitor.__path__):
        if module.name not in NO_DECISIONS:
            for decision in getattr(importlib.import_module(f"proofs.monitor.{module.name}"), "DECISIONS", ()):
                found[decision.name] = decision
    return found


def main() -> None:
    """Proves what the arguments name."""
    known = decisions()
    wanted = sys.argv[1:] or list(known)
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"no decision is named {', '.join(unknown)}; there are {', '.join(known)}")
    world = World()
    for name in wanted:
        claim(known[name].prove(world))
    finish()


if __name__ == "__main__":
    main()
