"""What can be changed about a recorded life, as one text each: `TARGET=VALUE`.

spec.executionPolicy.parallelism=4         a field of the flow; lists of named things by name or index
settings.artifactImage=registry/image:1    a setting of the operator
steps.test.2=Complete after 5m             how a Job ends: Complete or Failed (REASON); without number each attempt
approvals.deploy=rejected after 1h         approved, rejected or never
configMaps.release-notes.text=fixed it     a key of a ConfigMap; null: it is not there
clock=+30s                                 the operator's clock, against the API server's
news.12=lost                               what decision 12 was told of Jobs never arrived
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

from attrs import frozen

from zenflow_core.dump import Dump
from zenflow_core.durations import MalformedDuration, parse_duration
from zenflow_core.nearest import instead
from zenflow_core.plan import ConfigMapKey
from zenflow_core.problems import Problem
from zenflow_core.spec import StepName


@frozen
class FieldChanged:
    """A field of the flow's spec, from the beginning."""

    path: tuple[str, ...]
    value: Any
    """None: without it."""


@frozen
class SettingChanged:
    """A setting of the operator, from the beginning."""

    name: str
    value: Any


@frozen
class JobEnds:
    """How the Job of a step ends."""

    step: StepName
    attempt: int | None
    """None: each attempt."""
    complete: bool
    reason: str = ""
    after: timedelta | None = None
    """From its creation; None: when it ended in the record, else when it is assumed to."""


@frozen
class PersonDecides:
    """What becomes of an approval."""

    step: StepName
    approved: bool | None
    """None: nobody ever decides."""
    after: timedelta | None = None
    """From the request; None: at once."""


@frozen
class KeyHolds:
    """What a key of a ConfigMap holds."""

    ref: ConfigMapKey
    value: str | None
    """None: it is not there."""


@frozen
class ClockShifted:
    """The operator's clock is off against the API server's."""

    by: timedelta


@frozen
class NewsLost:
    """What one decision was told of Jobs never arrived; what came later did."""

    number: int


Change: TypeAlias = FieldChanged | SettingChanged | JobEnds | PersonDecides | KeyHolds | ClockShifted | NewsLost

_ENDING: Final = re.compile(r"(Complete|Failed)(?: ?\(([A-Za-z0-9]+)\))?(?: after (\S+))?")
_DECISION: Final = re.compile(r"(approved|rejected|never)(?: after (\S+))?")
_DECIDED: Final[Mapping[str, bool | None]] = {"approved": True, "rejected": False, "never": None}
_SETTINGS: Final = ("artifactImage", "artifactClaim", "unmoved")
_TARGETS: Final = ("spec", "settings", "steps", "approvals", "configMaps", "clock", "news")


class _Wrong(Exception):  # noqa: N818 - a fact about a text, carried to `read_change`
    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def read_change(text: str, dump: Dump) -> Change | Problem:
    """The change that a text names, or what is wrong with it."""
    target, equals, value = text.partition("=")
    kind, _, rest = target.strip().partition(".")
    try:
        if not equals:
            raise _Wrong("has no '='", "write --change TARGET=VALUE, for instance --change steps.build=Failed")
        read = _READERS.get(kind)
        if read is None:
            raise _Wrong(f"{kind!r} is nothing that can be changed", instead(kind, _TARGETS, "begin with spec."))
        return read(rest, value.strip(), dump)
    except _Wrong as wrong:
        return Problem(f"--change {text}:", wrong.what, wrong.fix)


def _field(path: str, value: str, _dump: Dump) -> Change:
    if not path:
        raise _Wrong("names no field", "write for instance spec.executionPolicy.parallelism=4")
    return FieldChanged(tuple(path.split(".")), _json(value))


def _setting(name: str, value: str, _dump: Dump) -> Change:
    if name not in _SETTINGS:
        raise _Wrong(f"there is no setting {name!r}", instead(name, _SETTINGS, "remove it"))
    return SettingChanged(re.sub("([A-Z])", lambda found: f"_{found[1].lower()}", name), _json(value))


def _job(name: str, value: str, dump: Dump) -> Change:
    runs = [step.name for step in dump.plan.steps if not step.manual]
    attempt: int | None = None
    if name not in runs:
        head, _, number = name.rpartition(".")
        if head in runs and number.isascii() and number.isdecimal() and len(number) < 6:
            name, attempt = head, int(number)
    if name not in runs:
        raise _Wrong(f"the flow has no step {name!r} with a Job", instead(name, runs, "it has none"))
    found = _ENDING.fullmatch(value)
    if found is None:
        raise _Wrong(f"found {value!r}", "write Complete, Failed or Failed (REASON), and maybe 'after 5m'")
    complete = found[1] == "Complete"
    return JobEnds(StepName(name), attempt, complete, reason=found[2] or "", after=_after(found[3]))


def _approval(name: str, value: str, dump: Dump) -> Change:
    manual = [step.name for step in dump.plan.steps if step.manual]
    if name not in manual:
        raise _Wrong(f"the flow has no Manual step {name!r}", instead(name, manual, "it has none"))
    found = _DECISION.fullmatch(value)
    if found is None:
        raise _Wrong(f"found {value!r}", "write approved, rejected or never, and maybe 'after 1h'")
    return PersonDecides(StepName(name), _DECIDED[found[1]], _after(found[2]))


def _key(name: str, value: str, dump: Dump) -> Change:
    known = {f"{ref.name}.{ref.key}": ref for step in dump.steps for ref in step.observed.inputs}
    if name not in known:
        raise _Wrong(f"no key {name!r} was read in this dump", instead(name, tuple(known), "none was read at all"))
    return KeyHolds(known[name], None if value == "null" else value)


def _clock(name: str, value: str, _dump: Dump) -> Change:
    if name:
        raise _Wrong("there is one clock", "write clock=+30s or clock=-30s")
    by = parse_duration(value.removeprefix("+"))
    if isinstance(by, MalformedDuration):
        raise _Wrong(by.what, by.fix)
    return ClockShifted(timedelta(seconds=int(by.total_seconds())))


def _news(number: str, value: str, dump: Dump) -> Change:
    count = len(dump.steps)
    if not (number.isascii() and number.isdecimal() and len(number) < 9 and 0 < int(number) <= count):
        raise _Wrong(f"there are decisions 1 to {count}, found {number!r}", "zenflow replay --at N shows one")
    if value != "lost":
        raise _Wrong(f"found {value!r}", f"write news.{number}=lost")
    return NewsLost(int(number))


def _after(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = parse_duration(text)
    if isinstance(found, MalformedDuration):
        raise _Wrong(found.what, found.fix)
    return found


def _json(text: str) -> Any:
    """A value as JSON has it; what is no JSON is a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


_READERS: Final[Mapping[str, Callable[[str, str, Dump], Change]]] = {
    "spec": _field,
    "settings": _setting,
    "steps": _job,
    "approvals": _approval,
    "configMaps": _key,
    "clock": _clock,
    "news": _news,
}


def with_field(manifest: Mapping[str, Any], change: FieldChanged) -> Mapping[str, Any] | Problem:
    """The flow with one field of its spec replaced, added or (None) taken away."""
    where = f"spec.{'.'.join(change.path)}"
    try:
        return {**manifest, "spec": _replaced(manifest["spec"], change.path, change.value)}
    except _Wrong as wrong:
        return Problem(f"--change {where}:", wrong.what, wrong.fix)


def _replaced(data: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    head, *rest = path
    if isinstance(data, list):
        index = _index(data, head)
        if not rest and value is None:
            return [*data[:index], *data[index + 1 :]]
        return [*data[:index], _replaced(data[index], tuple(rest), value), *data[index + 1 :]]
    if data is not None and not isinstance(data, dict):
        raise _Wrong(f"there is nothing below {data!r}", f"end the path before {head!r}")
    found = dict(data or {})
    if not rest and value is None:
        found.pop(head, None)
        return found
    return {**found, head: _replaced(found.get(head), tuple(rest), value)}


def _index(items: list[Any], name: str) -> int:
    names = [each.get("name", "") if isinstance(each, dict) else "" for each in items]
    if name in names:
        return names.index(name)
    if name.isascii() and name.isdecimal() and len(name) < 6 and int(name) < len(items):
        return int(name)
    raise _Wrong(f"there is no item {name!r}", instead(name, [each for each in names if each], "give its index"))
