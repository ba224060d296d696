"""Proves the filters and the Landlock rulesets: `python -m proofs.filter [PART…]`, by default all of PARTS."""

import sys
import tempfile
from pathlib import Path
from typing import Iterable

from proofs.filter import constants, live, mutants, policy, rulesets, sources
from proofs.filter.prover import Checker, Refused, Solver
from proofs.filter.sources import Filter
from proofs.report import Claim, Timer, claim, finish

# Mutants of one filter that both provers are asked about, and of how many filters.
MUTANTS = 50
MUTATED_FILTERS = 24

EQUAL = (
    "answers each call (number, architecture, instruction pointer, six 64-bit arguments) as the text of its policy says"
)
READING = ["z3", "policy_text", "kernel_bpf"]


def prove_equal(filters: Iterable[Filter], checker: Checker, decision: str, bound: str) -> list[Filter]:
    """Claims that filters are equal to their policies, by Z3 and by the checker. Returns the different ones of them."""
    timer = Timer()
    different: dict[tuple, Filter] = {}
    count, queries, failures = 0, 0, []
    refuted: dict[str, int] = {}
    try:
        for subject in filters:
            count += 1
            key = (tuple(subject.program), repr(subject.rules))
            if key in different:
                continue
            different[key] = subject
            solver = Solver(subject.rules)
            checker.plan(subject.plan)
            for prover, difference in (("Z3", solver.difference), ("the checker", checker.difference)):
                if found := difference(subject.program):
                    failures.append(f"{subject.name}, by {prover}: {found}")
            queries += solver.queries
    except Refused as refusal:
        failures.append(f"the seal would refuse: {refusal}")
    proved = list(different.values())
    # The wrong specifications of one filter in five, and of the last.
    for subject in {id(subject): subject for subject in [*proved[::5], *proved[-1:]]}.values():
        for name, rules in mutants.of_rules(subject.rules):
            solver = Solver(rules)
            queries += 1
            if solver.difference(subject.program):
                refuted[name] = refuted.get(name, 0) + 1
            else:
                failures.append(f"{subject.name}: the wrong specification that {name} was not refuted")
    if not count:
        failures.append("there is no filter")
    sizes = [len(subject.program) for subject in proved] or [0]
    claim(
        Claim(
            part="filter",
            decision=decision,
            specification=(
                f"each of {count} filters ({len(proved)} different ones, {min(sizes)} to {max(sizes)} instructions) "
                f"{EQUAL}"
            ),
            bound=bound,
            assumptions=READING,
            wrong=[f"{name} ({times}×)" for name, times in sorted(refuted.items())],
            queries=queries,
            seconds=timer.seconds(),
            failure="; ".join(failures[:5]),
        )
    )
    return proved


def prove_agreement(filters: Iterable[Filter], checker: Checker) -> None:
    """Claims that both provers refute the same mutants."""
    timer = Timer()
    count, refuted, queries, failures = 0, 0, 0, []
    try:
        chosen = list(filters)
    except Refused as refusal:
        chosen = []
        failures.append(f"the seal would refuse: {refusal}")
    chosen = chosen[:: max(1, len(chosen) // MUTATED_FILTERS)]
    for seed, subject in enumerate(chosen):
        solver = Solver(subject.rules)
        checker.plan(subject.plan)
        for at, program in mutants.of_program(subject.program, MUTANTS, seed):
            by_z3, by_checker = solver.difference(program), checker.difference(program)
            count += 1
            refuted += bool(by_z3)
            if bool(by_z3) != bool(by_checker):
                what = f"{subject.name}, instruction {at}: {subject.program[at]} -> {program[at]}"
                failures.append(f"{what}: Z3: {by_z3 or 'equal'}; the checker: {by_checker or 'equal'}")
        queries += solver.queries
    if refuted < count // 2 or not count:
        failures.append(f"only {refuted} of {count} mutants were refuted")
    claim(
        Claim(
            part="filter",
            decision="checker",
            specification=(
                f"the check of each seal and Z3 refute the same {refuted} of {count} mutants of {len(chosen)} filters, "
                f"and accept the same {count - refuted}"
            ),
            bound="these mutants: one instruction has another constant, jump, comparison, offset or answer",
            assumptions=READING,
            wrong=[f"{refuted} mutants"],
            queries=queries,
            seconds=timer.seconds(),
            failure="; ".join(failures[:5]),
        )
    )


def prove_constants() -> None:
    """Claims that the constants of the table are the kernel's."""
    timer = Timer()
    table = policy.table()["constants"]
    failures = constants.wrong()
    refuted = []
    for name in ("PROT_WRITE", "MAP_KIND"):
        right = table[name]
        table[name] = right ^ 1
        if any(name in problem for problem in constants.wrong()):
            refuted.append(f"{name} differs by one bit")
        else:
            failures.append(f"a wrong {name} was not noticed")
        table[name] = right
    claim(
        Claim(
            part="filter",
            decision="constants",
            specification=f"the {len(table)} constants of policies/syscalls.toml are those of the kernel's headers",
            bound="none",
            assumptions=["headers"],
            wrong=refuted,
            seconds=timer.seconds(),
            failure="; ".join(failures),
        )
    )


PARTS = ("constants", "exported", "seals", "processes", "rulesets", "checker")


def main(parts: list[str]) -> None:
    """The claims of these parts, or of all."""
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"unknown: {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    chosen = [part for part in PARTS if not parts or part in parts]
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        # Sealed processes are of another user.
        work.chmod(0o755)
        checker = Checker()
        filters: list[Filter] = []
        for part in chosen:
            if part in ("processes", "rulesets") and not live.is_root():
                print(f"NOT RUN {part}: looking into another process needs root", flush=True)
            elif part == "constants":
                prove_constants()
            elif part == "exported":
                bound = "none; all examples, profiles, shapes and WASI functions × resolvers × grants × listeners × connections"
                filters += prove_equal(sources.exported(work), checker, part, bound)
            elif part == "seals":
                bound = "none; two memories, three ranges of code, levels, resolvers, results, connections, an old kernel, compiler, broker"
                filters += prove_equal(sources.of_seals(work, checker), checker, part, bound)
            elif part == "processes":
                bound = "none; filters of 16 sealed guests and a compiler's process, read back from the kernel"
                filters += prove_equal(live.all_processes(work), checker, part, bound)
            elif part == "rulesets":
                rulesets.prove(work)
            else:
                prove_agreement(filters or sources.of_seals(work, checker), checker)
        checker.close()
    finish()


if __name__ == "__main__":
    main(sys.argv[1:])
