"""The data of a `when`: of all that is known only what the expression reads, each output as the kind it is read as."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeAlias

from zenflow_core.condition_names import ReadAs, shorten, stand_in
from zenflow_core.jsonpath import render
from zenflow_core.limits import SOURCE_DEPTH

WhenData: TypeAlias = Mapping[str, Mapping[str, Any]]
"""`{"steps": {name: {"phase": ..., "outputs": {"parameters": {...}}}}, "parameters": {...}, "flow": {...}}`, values as
JSON has them; for a property (`Place.PROPERTY`) steps have `attempts`, too. Only what `reads_of` names is looked at;
what is missing may be left out."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,400}")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


def activation_of(
    data: WhenData,
    *,
    steps: tuple[str, ...],
    parameters: Collection[str],
    outputs: Collection[tuple[str, str, ReadAs]],
    flow: Collection[str],
) -> tuple[dict[str, Any], list[str]] | str:
    """What CEL sees, and a note on each thing that is not there or not of its kind; or why it cannot be shown to CEL.

    `steps` in the order of the text, by which the compiled expression knows them.
    """
    rows = data.get("steps", {})
    given = data.get("parameters", {})
    known = data.get("flow", {})
    notes: list[str] = []
    seen: dict[str, dict[str, Any]] = {}
    for step in steps:
        one: dict[str, Any] = {"outputs": {"parameters": {}}}
        seen[step] = one
        phase = rows.get(step, {}).get("phase")
        if phase is None:
            notes.append(f"the phase of step {step!r} is not known")
        else:
            one["phase"] = str(phase)
        if "attempts" in rows.get(step, {}):
            one["attempts"] = rows[step]["attempts"]
    for step, parameter, read_as in outputs:
        recorded = rows.get(step, {}).get("outputs", {}).get("parameters", {})
        if parameter not in recorded:
            notes.append(f"step {step!r} has no output {parameter!r}")
            continue
        value = recorded[parameter]
        if _too_deep(value):
            return f"output {parameter!r} of step {step!r} is nested more than {SOURCE_DEPTH} levels deep"
        # `has()` asks for the plain form, whatever else the expression does with the output.
        seen[step]["outputs"]["parameters"][parameter] = _as_cel(value)
        if read_as is ReadAs.JSON:
            continue
        converted = _convert(value, read_as)
        if converted is None:
            said = "a number" if read_as is ReadAs.NUMBER else "true or false"
            notes.append(f"output {parameter!r} of step {step!r} is not {said}: {shorten(render(value))}")
        else:
            seen[step].setdefault(read_as.value, {})[parameter] = converted
    activation: dict[str, Any] = {
        "steps": {stand_in(place): seen[step] for place, step in enumerate(steps)},
        "parameters": {name: render(given[name]) for name in parameters if name in given},
    }
    for name in flow:
        if name in known:
            value = known[name]
            activation[f"flow.{name}"] = dict(value) if isinstance(value, Mapping) else str(value)
    return activation, notes


def _too_deep(value: Any) -> bool:
    """Whether a value is nested too deep to be walked by functions that call themselves, CEL's among them."""
    level = [value]
    for _ in range(SOURCE_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, list | tuple | dict)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _as_cel(value: Any) -> Any:
    """A JSON value as CEL takes it: no integers beyond 64 bits, no tuples, no half surrogate pairs."""
    if isinstance(value, str):
        return render(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 2**1023 else float("inf") * (1 if value > 0 else -1)
    if isinstance(value, list | tuple):
        return [_as_cel(item) for item in value]
    if isinstance(value, Mapping):
        return {render(key): _as_cel(item) for key, item in value.items()}
    return value


def _convert(value: Any, read_as: ReadAs) -> bool | int | float | str | None:
    """An output as the kind it is read as, or None if it is none of that kind."""
    match read_as:
        case ReadAs.TEXT:
            return render(value)
        case ReadAs.TRUTH:
            if isinstance(value, bool):
                return value
            return {"true": True, "false": False}.get(value) if isinstance(value, str) else None
        case ReadAs.NUMBER:
            if isinstance(value, bool):
                return None
            if isinstance(value, str):
                value = value.strip()
                if _INTEGER.fullmatch(value):
                    value = int(value)
                elif len(value) <= 400 and _DECIMAL.fullmatch(value):
                    value = float(value)
            number = _as_cel(value)
            return number if isinstance(number, int | float) else None
        case ReadAs.JSON:
            raise AssertionError("plain outputs are not converted")


def characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + characters(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(1 + characters(item) for item in value)
    return 1
