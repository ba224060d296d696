"""The heads of the loops of a function, from its control flow alone.

Every cycle of the control flow goes through a head, since each is the target of an edge that leads back on a path of a
depth-first search. A head that is not the head of a loop does no harm: an invariant is asked for where none is needed,
and without one the proof fails.
"""

from proofs.prove.code import Code
from proofs.prove.elf import Function


def successors(code: Code, address: int) -> list[int]:
    """Where an instruction can lead to within its function. Calls return; jumps through a register lead to no known
    place."""
    instruction = code.at(address)
    targets, falls_through = [], True
    for operation in instruction.operations:
        target = operation.inputs[0] if operation.inputs else None
        if operation.name in ("BRANCH", "CBRANCH") and target.space == "ram":
            targets.append(target.offset)
        if operation.name in ("BRANCHIND", "RETURN") or operation.name == "BRANCH" and target.space == "ram":
            falls_through = False
    if falls_through:
        targets.append(instruction.next)
    return targets


def heads(code: Code, function: Function) -> set[int]:
    """The heads of all loops between the first and the last instruction of a function."""
    end = function.address + function.size
    addresses, at = [], function.address
    while at < end:
        addresses.append(at)
        at = code.at(at).next
    inside = set(addresses)
    found: set[int] = set()
    visited: set[int] = set()
    # What only a jump through a table reaches is a root of its own.
    for root in addresses:
        if root not in visited:
            _search(code, root, inside, visited, found)
    return found


def _search(code: Code, root: int, inside: set[int], visited: set[int], found: set[int]) -> None:
    on_path = {root}
    visited.add(root)
    stack = [(root, iter(successors(code, root)))]
    while stack:
        address, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            stack.pop()
            on_path.discard(address)
        elif following == address:
            # An instruction with a prefix that repeats it: no loop of the program.
            continue
        elif following in on_path:
            found.add(following)
        elif following in inside and following not in visited:
            visited.add(following)
            on_path.add(following)
            stack.append((following, iter(successors(code, following))))


def body(code: Code, function: Function, head: int) -> set[int]:
    """The instructions that are reached from `head` and lead back to it."""
    forward, work = {head}, [head]
    before: dict[int, set[int]] = {}
    while work:
        address = work.pop()
        for following in successors(code, address):
            if function.address <= following < function.address + function.size:
                before.setdefault(following, set()).add(address)
                if following not in forward:
                    forward.add(following)
                    work.append(following)
    found, work = {head}, [head]
    while work:
        for earlier in before.get(work.pop(), ()):
            if earlier not in found:
                found.add(earlier)
                work.append(earlier)
    return found
