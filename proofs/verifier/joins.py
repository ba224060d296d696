"""Conditions, joins and implications: what is known on an edge, and where paths meet, describes each machine there."""

import z3

from proofs.verifier.gamma import STATUS, Concrete, World, compared, low
from proofs.verifier.meaning import TEXT, meaning
from proofs.verifier.transfer import Refuted, Solver


def describes(world: World, machine: Concrete, state):
    """That a state describes a machine, of which more is known by another state: claims with their names."""
    for number, value in state["registers"]:
        yield f"register {number} is {value}", world.holds(value, machine.registers[number])
    for number, home in state["copies"]:
        other = machine.registers[home[1]] if home[0] == "Register" else machine.get(home[1], 8)
        yield f"register {number} is a copy of {home}", machine.registers[number] == other
    for at, value in state["words"]:
        yield f"word {at} is {value}", world.holds(value, machine.get(at, 8))
    kind, *args = state["flags"]
    if kind == "Tested":
        yield "the zero flag is that of the status", (machine.flags["ZF"] == 1) == (STATUS == 0)
    elif kind == "Compared":
        if machine.state["flags"][0] != "Compared":
            raise Refuted("a comparison that did not happen")
        left, right, size = args
        for name, (register, value), bits in zip(("left", "right"), (left, right), machine.sides, strict=True):
            yield f"the {name} side is {value}", world.holds(value, bits)
            if register is not None:
                own = machine.registers[register]
                yield f"register {register} is the {name} side", low(own, size) == low(bits, size)
        yield "the flags are those of the comparison", compared(*machine.sides, size, machine.flags)
    if state["checked"]:
        yield "the signature was compared", world.checked(state["checked"])
    if state["longer"]:
        yield "the table is longer", world.longer(state["longer"])
    if state["room"] is not None:
        yield "there is room for the host", world.room(state["room"])
    if not state["pending"]:
        yield "the status is zero", STATUS == 0
    if state["touched"] < machine.state["touched"]:
        raise Refuted(f"{state['touched']} was not touched")


def prove_condition(world: World, solver: Solver, line):
    """What is known on an edge of a conditional branch, which p-code takes if its condition holds."""
    machine = Concrete(world, line["before"])
    [(taken, _)] = meaning(line["bytes"], world.layout["at"]).jumps
    known = world.assumed() + machine.known + [taken if line["held"] else z3.Not(taken)]
    solver.prove(known, describes(world, machine, line["after"]))


def prove_join(world: World, solver: Solver, line):
    """Both values are among what their join and their hull describe; if one implies the other, it is among that."""
    for value in line["values"]:
        bits, known = world.some(value, "bits")
        claims = [(f"{name} of {line['values']}", world.holds(line[name], bits)) for name in ("join", "hull")]
        solver.prove(world.assumed() + known, claims)
    if line["implies"]:
        one, other = line["values"]
        bits, known = world.some(one, "bits")
        solver.prove(world.assumed() + known, [(f"{one} implies {other}", world.holds(other, bits))])


def prove_states(world: World, solver: Solver, line):
    """Both states' machines are among those that their join describes."""
    pairs = [(line["one"], line["joined"]), (line["other"], line["joined"])]
    if line["implies"]:
        pairs.append((line["one"], line["other"]))
    for state, joined in pairs:
        machine = Concrete(world, state)
        solver.prove(world.assumed() + machine.known, describes(world, machine, joined))


def prove_control(world: World, line):
    """Instructions that leave for elsewhere: they change nothing but the stack pointer, as `step.rs` says."""
    of = meaning(line["bytes"], world.layout["at"])
    kind = line["kind"]
    stack = {"Call": -8, "CallIndirect": -8, "Return": 8 + line["popped"]}.get(kind, 0)
    rsp = z3.BitVec("RSP", 64)
    claims = [of.registers.get(4, rsp) == rsp + stack, z3.BoolVal(set(of.registers) <= {4} and not of.flags)]
    stores = [access for access in of.accesses if access.stored is not None]
    following = z3.BitVecVal(of_next(world, of), 64)
    if kind in ("Call", "CallIndirect"):
        claims += [z3.And(access.address == rsp - 8, access.stored == following) for access in stores]
        claims.append(z3.BoolVal(len(stores) == 1))
    else:
        claims.append(z3.BoolVal(not stores))
    if line["target"] is not None:
        [(_, target)] = of.jumps
        claims.append(z3.BoolVal(target == of_text(line["target"])))
    if kind == "Return":
        [(_, target)] = of.jumps
        loaded = [access for access in of.accesses if access.loaded is not None]
        claims += [z3.And(access.address == rsp, access.loaded == target) for access in loaded]
        claims.append(z3.BoolVal(len(loaded) == 1))
    for claim in claims:
        if not z3.is_true(z3.simplify(claim)):
            raise Refuted(f"{kind}: {z3.simplify(claim)}")


def of_text(offset):
    """The address of an offset in the text."""
    return TEXT + offset


def of_next(world, of):
    """The address of the instruction behind."""
    return of_text(world.layout["at"] + of.length)
