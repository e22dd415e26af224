"""Causes and holds as JSON and back: `reason` is the class name, the fields follow in camelCase.

A fact that this version does not know (another zenflow wrote it) is carried
along as `UnknownCause` or `UnknownHold`; it is never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, get_args

import attrs

from zenflow_core import reasons
from zenflow_core.instants import instant, rfc3339
from zenflow_core.plan import ConfigMapKey
from zenflow_core.reasons import (
    AttemptFailure,
    Cause,
    FlowCause,
    FlowHold,
    Hold,
    Instant,
    UnknownCause,
    UnknownHold,
)

Encoder: TypeAlias = Callable[[Any], Any]
_REASON = "reason"
_NOT_STORED = frozenset({"outputs", "reads", "artifacts"})
"""Fields of JobComplete that live in the record instead."""


def camel(name: str) -> str:
    """The wire name of a field. `reason` is the fact's own name, so a field called so is `because`."""
    if name == _REASON:
        return "because"
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _same(value: Any) -> Any:
    return value


def _listed(value: tuple[Any, ...]) -> list[Any]:
    return list(value)


def _keys(value: tuple[ConfigMapKey, ...]) -> list[dict[str, str]]:
    return [{"name": ref.name, "key": ref.key} for ref in value]


def _failure(value: AttemptFailure) -> dict[str, Any]:
    return {_REASON: type(value).__name__} | fields_of(value)


def _read_instant(value: Any) -> Instant:
    return instant(_text(value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {value!r}, expected a text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"found {value!r}, expected an integer")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in value)


def _read_keys(value: Any) -> tuple[ConfigMapKey, ...]:
    return tuple(ConfigMapKey(_text(item["name"]), _text(item["key"])) for item in value)


def read_failure(value: Mapping[str, Any]) -> AttemptFailure:
    """How an attempt failed; raises KeyError, TypeError or ValueError on anything else."""
    if not isinstance(value, Mapping):
        raise TypeError(f"found {value!r}, expected how an attempt failed")
    rest = {key: item for key, item in value.items() if key != _REASON}
    found = _build(_FAILURES[value[_REASON]], rest)
    assert isinstance(found, reasons.JobFailed | reasons.JobLost | reasons.StepTimedOut)
    return found


def recall_failure(value: Mapping[str, Any], *, at: Instant) -> AttemptFailure:
    """The same, but total: a failure of another version is a JobFailed of that reason, so that its retry goes on."""
    try:
        return read_failure(value)
    except (KeyError, TypeError, ValueError):
        return reasons.JobFailed(at, str(value.get(_REASON, "")), str(value.get("message", "")))


_CODECS: Mapping[Any, tuple[Encoder, Encoder]] = {
    "Instant": (rfc3339, _read_instant),
    "str": (_same, _text),
    "StepName": (_same, _text),
    "int": (_same, _number),
    "tuple[StepName, ...]": (_listed, _texts),
    "tuple[str, ...]": (_listed, _texts),
    "tuple[ConfigMapKey, ...]": (_keys, _read_keys),
    "AttemptFailure": (_failure, read_failure),
}


def _named(union: Any) -> Mapping[str, type[Any]]:
    unknown = (UnknownCause, UnknownHold)
    return {cls.__name__: cls for cls in get_args(union) if cls not in unknown}


_FAILURES = _named(AttemptFailure)
CAUSES = _named(Cause)
HOLDS = _named(Hold)
FLOW_CAUSES = _named(FlowCause)
FLOW_HOLDS = _named(FlowHold)
_FIELDS: Mapping[type[Any], tuple[tuple[str, str, Encoder, Encoder, Any], ...]] = {
    cls: tuple(
        (a.name, camel(a.name), *_CODECS[a.type], a.default) for a in attrs.fields(cls) if a.name not in _NOT_STORED
    )
    for known in (CAUSES, HOLDS, FLOW_CAUSES, FLOW_HOLDS)
    for cls in known.values()
}


def fields_of(fact: Any) -> dict[str, Any]:
    """The data of a fact without its reason; fields that have their default are left out."""
    if isinstance(fact, UnknownCause | UnknownHold):
        return dict(fact.data)
    out: dict[str, Any] = {}
    for name, wire, encode, _, default in _FIELDS[type(fact)]:
        value = getattr(fact, name)
        if value != default:
            out[wire] = encode(value)
    return out


def reason_of(fact: Cause | Hold | FlowCause | FlowHold) -> str:
    """The CamelCase reason that users see."""
    return fact.name if isinstance(fact, UnknownCause | UnknownHold) else type(fact).__name__


def write_fact(fact: Cause | Hold | FlowCause | FlowHold) -> dict[str, Any]:
    """A fact as one JSON object."""
    return {_REASON: reason_of(fact)} | fields_of(fact)


def _build(cls: type[Any], data: Mapping[str, Any]) -> Any:
    left = dict(data)
    given = {}
    for name, wire, _, decode, _ in _FIELDS[cls]:
        if wire in left:
            given[name] = decode(left.pop(wire))
    if left:
        raise ValueError(f"{cls.__name__} has no field {next(iter(left))}")
    return cls(**given)


def read_cause(reason: str, data: Mapping[str, Any], known: Mapping[str, type[Any]], *, at: Instant) -> Any:
    """The cause of that reason; what this version cannot read is an `UnknownCause` of the instant `at`."""
    cls = known.get(reason)
    if cls is not None:
        try:
            return _build(cls, data)
        except (KeyError, TypeError, ValueError):
            pass
    return UnknownCause(reason, at, dict(data))


def read_hold(data: Mapping[str, Any], known: Mapping[str, type[Any]]) -> Any:
    """The hold that `data` describes, or an `UnknownHold`."""
    reason = str(data.get(_REASON, ""))
    rest = {key: value for key, value in data.items() if key != _REASON}
    cls = known.get(reason)
    if cls is not None:
        try:
            return _build(cls, rest)
        except (KeyError, TypeError, ValueError):
            pass
    return UnknownHold(reason, rest)


def is_instant(value: object) -> bool:
    """Whether a field holds an instant (used by the law of translation)."""
    return isinstance(value, datetime)
