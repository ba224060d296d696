"""Compares p-code with the processor: a sample that the oracle has written, instruction by instruction."""

import json
from collections import Counter
from dataclasses import dataclass, field

import pypcode

from proofs.oracle.pcode import FLAGS, REGISTERS, Elsewhere, Machine, NotModeled


@dataclass
class Outcome:
    """What the replay of a sample has found."""

    compared: int = 0
    mnemonics: Counter = field(default_factory=Counter)
    not_modeled: Counter = field(default_factory=Counter)
    known: Counter = field(default_factory=Counter)  # differences that DEVIATIONS explains
    differences: list = field(default_factory=list)


def finds_no_bit(name, record, differing):
    """BSF or BSR finds no bit: of 32 bits, p-code clears the upper half, and this processor changes nothing."""
    return name in ("BSF", "BSR") and record["flags_after"] & 1 << FLAGS["ZF"] and differing == "register"


def overflow_of_a_shift(name, record, differing):
    """SHR by one sets OF to the highest bit, which p-code forgets."""
    return name == "SHR" and differing == f"flags {1 << FLAGS['OF']:#x}"


def count_in_place(name, record, differing):
    """LZCNT whose source is its destination: p-code sets the flags by what was just written."""
    if name != "LZCNT" or not differing.startswith("flags"):
        return False
    code = bytes.fromhex(record["bytes"])
    rex, operands = (code[1] if code[1] & 0xF0 == 0x40 else 0), code[-1]
    return operands >> 6 == 3 and (rex >> 2 & 1, operands >> 3 & 7) == (rex & 1, operands & 7)


# What p-code and this processor are known to say differently; no rule of the verifier relies on either.
DEVIATIONS = {
    "BSF and BSR of 32 bits that find no bit leave the upper half, which p-code clears": finds_no_bit,
    "LZCNT of a register to itself sets flags by its source, p-code by its result": count_in_place,
    "SHR by one sets OF, which p-code clears": overflow_of_a_shift,
}


def flag_mask(record):
    """The flags that are compared: those that the instruction defines, of those that p-code models."""
    return sum(1 << bit for bit in FLAGS.values()) & ~record["undefined"]


def difference(machine, record, after):
    """What p-code says differently than the processor: what kind of thing, and in words. Both empty if nothing."""
    for name, own, other in zip(REGISTERS, machine.registers(), record["after"], strict=True):
        if own != other:
            return "register", f"{name} is {own:#x} by p-code, {other:#x} on the processor"
    differing = (machine.flags() ^ record["flags_after"]) & flag_mask(record)
    if differing:
        own, other = machine.flags(), record["flags_after"]
        return f"flags {differing:#x}", f"flags are {own:#x} by p-code, {other:#x} on the processor"
    if machine.memory.hex() != record["memory_after"]:
        return "memory", f"memory is {machine.memory.hex()} by p-code, {record['memory_after']} on the processor"
    if after != record["next"]:
        return "target", f"control goes to {after:#x} by p-code, to {record['next']:#x} on the processor"
    return "", ""


def replay(lines, machine=None, distort=None):
    """Replays a sample. `distort(machine, record, name)` changes what p-code says, for wrong semantics that must be found."""
    machine = machine or Machine()
    outcome = Outcome()
    for line in lines:
        record = json.loads(line)
        code = bytes.fromhex(record["bytes"])
        machine.set(record["before"], record["flags"], record["place"], bytes.fromhex(record["memory"]))
        name = machine.context.disassemble(code, record["at"]).instructions[0].mnem
        try:
            after = machine.run(code, record["at"])
        except NotModeled as why:
            outcome.not_modeled[f"{name}: {why}"] += 1
            continue
        except (Elsewhere, pypcode.BadDataError, pypcode.UnimplError) as why:
            outcome.differences.append((name, record, str(why)))
            continue
        if distort:
            distort(machine, record, name)
        outcome.compared += 1
        outcome.mnemonics[name] += 1
        differing, what = difference(machine, record, after)
        if not what:
            continue
        explained = [text for text, holds in DEVIATIONS.items() if holds(name, record, differing)]
        if explained:
            outcome.known[explained[0]] += 1
        else:
            outcome.differences.append((name, record, what))
    return outcome
