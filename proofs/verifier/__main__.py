"""Proves what the verifier's rules answer, and that wrong answers are refuted. Start: `python -m proofs.verifier`.

WAVE_RULES names the program that prints the answers; without it, cargo builds and starts it. Arguments choose some of
the rules (`condition`, `join`) and kinds of instructions (`Add`), for who works on these; others are then not proved.
"""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from time import process_time

import z3

from proofs.report import Claim, Timer, claim, finish
from proofs.verifier import agree, joins, transfer, wrong
from proofs.verifier.gamma import World
from proofs.verifier.meaning import Unknown, meaning
from proofs.verifier.transfer import Refuted, Solver

SPECIFICATIONS = {
    "transfer": "what is known before and p-code imply what is known after; memory only where claimed; "
    "other registers stay",
    "control": "branches, calls and returns change nothing but the stack pointer, and lead where the decoder says",
    "condition": "what is known on each edge of a branch describes every machine that takes it",
    "join": "join and hull describe what both values do; a value that implies another describes less",
    "states": "a join describes what both states do; a state that implies another describes less",
}


def answers(what):
    """The lines of the program that asks the rules."""
    program = os.environ.get("WAVE_RULES")
    command = [program, what] if program else ["cargo", "run", "--quiet", "--package", "wave-rules", "--", what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield from process.stdout
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed")


class Family:
    """The answers of one kind of rule."""

    def __init__(self):
        self.count, self.failures, self.seconds, self.solver = 0, [], 0.0, Solver()

    def prove(self, world, line):
        start = process_time()
        try:
            PROVE[line["rule"]](world, self.solver, line)
        except Refuted as refuted:
            self.failures.append(f"{describe(line)}: {refuted}")
        finally:
            self.count += 1
            self.seconds += process_time() - start


def prove_control(world, _, line):
    joins.prove_control(world, line)


PROVE = {
    "transfer": transfer.prove_line,
    "control": prove_control,
    "condition": joins.prove_condition,
    "join": joins.prove_join,
    "states": joins.prove_states,
}


def describe(line):
    """An answer in a line: what was asked, and what differs behind it."""
    if line["rule"] == "join":
        return f"{line['values']} join {line['join']} hull {line['hull']}"
    if line["rule"] == "states":
        return f"{line['one']} and {line['other']} join {line['joined']}"
    words = [line["encoding"], line["bytes"]]
    if "before" in line:
        before, after = line["before"], line["after"]
        words += [f"{key} {before[key]} -> {after[key]}" for key in before if before[key] != after[key]]
    return " ".join(words)


class Run:
    """One pass over all answers."""

    def __init__(self, chosen):
        self.chosen = chosen
        self.families = defaultdict(Family)
        self.encodings, self.open, self.extended, self.unknown = set(), defaultdict(set), set(), set()
        self.refused, self.edges, self.wrong = Counter(), 0, wrong.Wrong()
        self.worlds = {}

    def read(self, lines):
        world = None
        for text in lines:
            line = json.loads(text)
            if "layout" in line:
                world = self.worlds[line["layout"]] = World(line)
                continue
            rule = line["rule"]
            if rule == "edges":
                self.edges += line["count"]
                continue
            if rule in ("transfer", "control", "condition", "refused"):
                self.encodings.add(line["encoding"])
            if rule == "refused":
                self.refused[line["why"].split(":")[0]] += 1
                continue
            if self.chosen and not self.chosen.intersection([rule, line.get("kind")]):
                continue
            self._prove(self.worlds["arg"] if rule in ("join", "states") else world, line)

    def _prove(self, world, line):
        name = f"{line['rule']} {line['kind']}" if line["rule"] == "transfer" else line["rule"]
        try:
            self.families[name].prove(world, line)
        except Unknown:
            self.unknown.add(line["encoding"])
            return
        self.wrong.offer(world, line)
        if line["rule"] == "transfer":
            found = meaning(line["bytes"], world.layout["at"])
            for operation in found.open:
                self.open[operation].add(line["encoding"])
            if found.extended:
                self.extended.add(line["encoding"])


def bound(run, name, family):
    """For which answers alone a claim holds."""
    text = f"{family.count:,} answers: each kind of value, numbers at the bounds where rules change"
    solver = family.solver
    if solver.sampled:
        text += f"; {solver.vacuous} of {solver.sampled} sampled questions are about no machine at all"
    if name == "condition":
        text += f"; on {run.edges:,} further edges nothing follows"
    return text


def vacuous(solver):
    """Why the questions prove nothing, if so."""
    if solver.sampled and solver.vacuous * 2 > solver.sampled:
        return f"{solver.vacuous} of {solver.sampled} sampled questions are about no machine"
    return ""


def main():
    timer = Timer()
    run = Run(set(sys.argv[1:]))
    run.read(answers("rules"))
    missed = {} if run.chosen else run.wrong.finish()
    for name, family in sorted(run.families.items()):
        rule = name.split()[0]
        failure = family.failures[0] + f" ({len(family.failures)} of {family.count})" if family.failures else ""
        claim(
            Claim(
                part="rules",
                decision=name,
                specification=SPECIFICATIONS[rule],
                bound=bound(run, name, family),
                assumptions=["pcode", "z3", "objects_apart"],
                wrong=run.wrong.refuted[rule],
                queries=family.solver.queries,
                seconds=round(family.seconds, 1),
                failure=failure or missed.get(rule, "") or vacuous(family.solver),
            )
        )
    if run.chosen:
        finish()
    unknown = ", ".join(sorted(run.unknown))
    extended = ", ".join(sorted(run.extended))
    claim(
        Claim(
            part="rules",
            decision="encodings",
            specification="every allowed encoding is asked about, and all but those listed are described by p-code",
            bound=f"no p-code: {unknown}; p-code leaves out that 32 bits are extended by zeros: {extended}; "
            f"left open, so any value: {', '.join(sorted(run.open))}",
            assumptions=["pcode"],
            failure=coverage(run),
        )
    )
    print(f"{sum(run.refused.values()):,} instructions were refused: {dict(run.refused)}; {timer.seconds()} s so far")
    agree.prove(answers("instructions"))
    print(f"all in {timer.seconds()} s")
    finish()


# What p-code does not describe: moves between a vector and a register of 64 bits that names fewer.
WITHOUT = {
    "VEX_Vpextrb_r64m8_xmm_imm8",
    "VEX_Vpextrw_r64_xmm_imm8",
    "VEX_Vpextrw_r64m16_xmm_imm8",
    "VEX_Vpinsrb_xmm_xmm_r64m8_imm8",
    "VEX_Vpinsrw_xmm_xmm_r64m16_imm8",
}


def coverage(run):
    """Why the encodings are not all covered, if so."""
    if run.unknown != WITHOUT:
        return f"p-code does not describe {sorted(run.unknown ^ WITHOUT)}"
    if len(run.encodings) != ENCODINGS:
        return f"{len(run.encodings)} encodings were asked about, not {ENCODINGS}"
    return ""


# How many encodings are allowed, so that one that is lost is noticed.
ENCODINGS = 685

if __name__ == "__main__":
    z3.set_param("memory_max_size", 4096)
    main()
