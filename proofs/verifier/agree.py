"""The verifier's decoder and SLEIGH agree: length of an instruction, registers that it writes, how it reaches memory."""

import json
from collections import Counter

from proofs.report import Claim, Timer, claim
from proofs.verifier.meaning import Unknown, meaning

AT = 0x1000
SPECIFICATION = "decoder and p-code agree on its length, the registers it writes, and whether and how it reaches memory"

# Kinds whose operand in memory is not reached.
WITHOUT_ACCESS = ("Address", "Nothing")

# Where p-code reads the operand in memory and does not write it: an error of SLEIGH.
WITHOUT_STORE = ("VEX_Vpextrw_r32m16_xmm_imm8",)

# Kinds that can leave a register's bits as they were, for some operands: p-code then has the term from before.
MAY_KEEP = ("Move", "MoveIf", "And", "Add", "Subtract", "Compute", "Search", "ShiftLeft", "ShiftRight")


def difference(line, said):
    """What p-code says otherwise, or nothing. `said` is what the decoder says."""
    of = meaning(line["bytes"], AT)
    if of.length * 2 != len(said["bytes"]):
        return f"length {of.length}"
    written = set(of.registers)
    if not written <= set(said["writes"]):
        return f"it writes {sorted(written)}, and the decoder says {said['writes']}"
    kept = set(said["writes"]) - written
    if kept and line["kind"] not in MAY_KEEP:
        return f"it does not write {sorted(kept)}"
    if line["kind"] in WITHOUT_ACCESS:
        return "it reaches memory" if of.accesses else ""
    reads = [access for access in of.accesses if access.loaded is not None]
    stores = [access for access in of.accesses if access.stored is not None]
    if line["encoding"] in WITHOUT_STORE and line["stores"]:
        raise Unknown("p-code lacks its store")
    if reads and not said["reads"]:
        return "it reads memory"
    if bool(stores) != said["stores"]:
        return "it writes memory" if stores else "it does not write memory"
    longest = max([access.size for access in of.accesses], default=0)
    if longest > said["access"]:
        return f"it reaches {longest} bytes, and the decoder says {said['access']}"
    return ""


WRONG = {
    "each instruction has a byte more": lambda said: {**said, "bytes": said["bytes"] + "90"},
    "none writes a register": lambda said: {**said, "writes": []},
    "none writes memory": lambda said: {**said, "stores": False},
    "none reaches more than four bytes": lambda said: {**said, "access": min(said["access"], 4)},
}


def prove(lines):
    timer = Timer()
    counts, encodings, unknown, failures, refuted = Counter(), set(), set(), [], set()
    for text in lines:
        line = json.loads(text)
        try:
            different = difference(line, line)
        except Unknown:
            unknown.add(line["encoding"])
            continue
        counts[line["from"]] += 1
        encodings.add(line["encoding"])
        if different:
            failures.append(f"{line['encoding']} {line['bytes']}: {different}")
        for name, change in WRONG.items():
            if name not in refuted and difference(line, change(line)):
                refuted.add(name)
    failure = f"{failures[0]} ({len(failures)} differ)" if failures else ""
    if len(refuted) < len(WRONG):
        failure = failure or f"these wrong answers were accepted: {sorted(set(WRONG) - refuted)}"
    claim(
        Claim(
            part="rules",
            decision="decoder",
            specification=SPECIFICATION,
            bound=f"{counts['compiled']:,} different instructions of compiled modules, {counts['drawn']:,} drawn, "
            f"{len(encodings)} encodings; no p-code: {', '.join(sorted(unknown))}",
            assumptions=["pcode"],
            wrong=sorted(refuted),
            seconds=timer.seconds(),
            failure=failure,
        )
    )
