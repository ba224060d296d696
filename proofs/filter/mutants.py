"""Programs that differ from a filter in one place, and rules that differ from a policy in one place."""

import copy
import dataclasses
import random
from typing import Iterator

from proofs.filter.bpf import AND, JUMP, JUMP_AT_LEAST, JUMP_EQUAL, JUMP_GREATER, LOAD, RETURN, Instruction, Program
from proofs.filter.policy import ALLOW, ERRNO, TRAP, Rules

COMPARISONS = (JUMP_EQUAL, JUMP_GREATER, JUMP_AT_LEAST)
KILL_THREAD, LOG = 0x00000000, 0x7FFC0000


def of_program(program: Program, count: int, seed: int) -> Iterator[tuple[int, Program]]:
    """Changed programs, and where each is changed: constants, jumps, comparisons, offsets and answers."""
    chance = random.Random(seed)
    while count:
        at = chance.randrange(len(program))
        changed = _changed(program[at], chance)
        if changed != program[at]:
            count -= 1
            yield at, [*program[:at], changed, *program[at + 1 :]]


def _changed(instruction: Instruction, chance: random.Random) -> Instruction:
    code, jt, jf, k = instruction
    if code == RETURN:
        return instruction._replace(k=chance.choice([ALLOW, TRAP, KILL_THREAD, LOG, ERRNO | 1, k ^ 1, k ^ 0x10000]))
    if code == LOAD:
        return instruction._replace(k=(k + chance.choice([-8, -4, 4, 8, 1])) % 68)
    if code == JUMP:
        return instruction._replace(k=max(0, k + chance.choice([-1, 1])))
    if code == AND:
        return instruction._replace(k=k ^ 1 << chance.randrange(32))
    kind = chance.randrange(5)
    if kind == 0:
        return instruction._replace(code=chance.choice(COMPARISONS))
    if kind == 1:
        return instruction._replace(jt=jf, jf=jt)
    if kind == 2:
        return instruction._replace(jt=(jt + chance.choice([-1, 1])) % 256)
    if kind == 3:
        return instruction._replace(jf=(jf + chance.choice([-1, 1])) % 256)
    return instruction._replace(k=chance.choice([k ^ 1 << chance.randrange(32), (k + 1) % 2**32, (k - 1) % 2**32]))


def of_rules(rules: Rules) -> Iterator[tuple[str, Rules]]:
    """Wrong specifications with their names. Each of them must be refuted."""
    number = next(iter(rules.permitted))
    changed = copy.deepcopy(rules)
    del changed.permitted[number]
    yield "a call of the policy is not permitted", changed

    changed = copy.deepcopy(rules)
    changed.permit(max(rules.permitted) + 1000, [])
    yield "a call that is not in the policy is permitted", changed

    changed = copy.deepcopy(rules)
    error = next(iter(rules.errors))
    changed.errors[error] += 1
    yield "the self-test has another error number", changed

    for number, alternatives in rules.permitted.items():
        conditions = alternatives[0]
        # With an alternative beside it, a condition may be needless.
        if not conditions or len(alternatives) > 1:
            continue
        for index, condition in enumerate(conditions):
            wrong = dataclasses.replace(condition, value=condition.value + 1)
            changed = copy.deepcopy(rules)
            changed.permitted[number] = [[*conditions[:index], wrong, *conditions[index + 1 :]]]
            yield f"a value is one larger ({condition.operator})", changed
            changed = copy.deepcopy(rules)
            changed.permitted[number] = [[*conditions[:index], *conditions[index + 1 :]]]
            yield "a condition is left out", changed

    if rules.denied_origin:
        start, length = rules.denied_origin
        longer = dataclasses.replace(rules, denied_origin=(start, length + 1))
        yield "the range of the guest's code is a byte longer", longer
        yield "calls from the guest's code are permitted", dataclasses.replace(rules, denied_origin=None)
