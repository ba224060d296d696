"""Paths and link targets, where a decision takes their parser at its word. The parser has a proof of its own."""

from z3 import And, BitVec, BoolRef, Implies

from proofs.monitor.frame import Call, Row, known_bytes, refuses
from proofs.prove.failure import Failure
from proofs.prove.prover import Hook, Prover
from proofs.prove.state import State
from proofs.prove.types import Value

PARSER = "wave_monitor::paths::GuestPath::parse"
TARGET_PARSER = "wave_monitor::paths::LinkTarget::parse"


def answer(call: Call, name: str, result: str) -> Value:
    """What the parser answers for a slice: any value of its type."""
    type_ = call.world.types.find(f"core::result::Result<wave_monitor::paths::{result}, wave_monitor::errno::Errno>")
    if name not in call.answers:
        call.answers[name] = Value(type_, known_bytes(BitVec(f"{name}.parsed", 8 * type_.size)))
    return call.answers[name]


def parses(call: Call, result: str) -> Hook:
    """A hook for a parser: it must be given one of the slices of the call, and writes its answer where it is told."""

    def hook(prover: Prover, state: State) -> None:
        place, start, length = state["rdi"], state["rsi"], state["rdx"]
        for name, (its_start, its_length) in call.slices.items():
            if prover.holds(state, And(start == its_start, length == its_length)):
                value = answer(call, name, result)
                state.facts.append(value.valid())
                for index, byte in enumerate(value.bytes):
                    prover.store(state, place + index, byte)
                prover.return_from(state, rax=place)
                return
        raise Failure(f"{result} is parsed from what is no argument")

    return hook


def hooks(call: Call) -> dict[str, Hook]:
    """Both parsers at their word."""
    return {PARSER: parses(call, "GuestPath"), TARGET_PARSER: parses(call, "LinkTarget")}


def refused(call: Call, name: str, result: str = "GuestPath") -> Row:
    """What the parser refuses, with its errno."""
    value = answer(call, name, result)
    return Row(value.is_variant("Err"), refuses(value.variant("Err")._0.raw.number))


def path(call: Call, name: str) -> Value:
    """The parsed path."""
    return answer(call, name, "GuestPath").variant("Ok")._0


def is_place(call: Call, place: Value, fd, name: str) -> BoolRef:
    """Whether a place is a path under the directory of this descriptor."""
    return And(place.dir.number == call.entry(fd).host.number, place.path.same(path(call, name)))


def is_name(call: Call, value: Value, name: str, dot: int, dot_dot: int) -> BoolRef:
    """Whether a name is the last component of a path, or the errno for `.` and `..`."""
    last = path(call, name).last
    text = last.variant("Name")._0
    return And(
        value.is_variant("Ok") == last.is_variant("Name"),
        Implies(last.is_variant("Name"), value.variant("Ok")._0.same(text)),
        Implies(last.is_variant("Dot"), value.variant("Err")._0.raw.number == dot),
        Implies(last.is_variant("DotDot"), value.variant("Err")._0.raw.number == dot_dot),
    )
