"""The outcome has each ending of the schema, and reads what a later version adds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from wave_sandbox._outcome import Outcome, read

SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "outcome.schema.json").read_text())
ENDINGS = SCHEMA["properties"]["ending"]["oneOf"]


def least(schema: Dict[str, Any]) -> Any:
    """The least value that a schema describes, with every field."""
    if "const" in schema:
        return schema["const"]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if kinds[0] == "object":
        return {name: least(field) for name, field in schema.get("properties", {}).items()}
    return {"string": "", "integer": 0, "boolean": False}[kinds[0]] if kinds[0] != "array" else [least(schema["items"])]


def document(ending: Dict[str, Any]) -> Dict[str, Any]:
    fields = {**SCHEMA["properties"], "ending": ending}
    return {**least({"type": "object", "properties": fields}), "sandbox": None}


def outcome(raw: Dict[str, Any], exit_code: int = 0) -> Outcome:
    return read(json.dumps(raw).encode(), exit_code, b"", b"")


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: str(ending["properties"]["kind"]["const"]))
def test_each_ending_of_the_schema_is_read(ending: Dict[str, Any]) -> None:
    kind = ending["properties"]["kind"]["const"]
    found = outcome(document(ending))
    assert (found.kind, found.ok) == (kind, kind == "exited")
    assert (found.code is None) == (kind != "exited")
    names = {"what": "message", "trap": "trap", "signal": "signal"}
    for name in names.keys() & ending["properties"].keys():
        assert getattr(found, names[name]) is not None
    assert bool(found.frames) == ("frames" in ending["properties"])


def test_what_a_later_version_adds_is_read() -> None:
    raw = document(ENDINGS[0])
    raw["new"] = raw["ending"]["new"] = raw["time"]["new"] = 1
    assert outcome(raw).ok
    raw["ending"] = {"kind": "vanished"}
    assert (outcome(raw).kind, outcome(raw).ok) == ("vanished", False)


def damaged() -> List[Any]:
    raw = document(ENDINGS[0])
    without = [{name: value for name, value in raw.items() if name != missing} for missing in ("ending", "time", "exit_code")]
    return [*without, {**raw, "schema_version": 2}, {**raw, "exit_code": 1}, {**raw, "ending": 1}, [], 1, None]


@pytest.mark.parametrize("raw", damaged())
def test_another_schema_damage_and_another_exit_code_are_errors(raw: Any) -> None:
    with pytest.raises(ValueError):
        outcome(raw)
