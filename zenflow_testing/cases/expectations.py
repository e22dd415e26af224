"""What must be true in a case: one class an assertion, its fields as the file has them.

Judging them is `judging`'s; here is only what may be written. All keys of one
entry have to hold. Names in mappings are steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import field, frozen

from zenflow_core.problems import below
from zenflow_testing.cases.reading import Reader, words, words_by_name

TOLERANCE_SECONDS: Final = 2.0
"""How much earlier or later a thing may come than an assertion says, unless it says `tol`."""

UNSET: Final = object()
"""In place of a value that an assertion does not name; null is a value."""

POLICIES: Final[Mapping[str, str]] = {
    "skip": "satisfy",
    "siblings": "drain",
    "edit": "refuse",
    "tolerated": "succeeded",
}
"""Which of several sound designs zenflow follows; an entry with another `policy` does not concern it."""

_POLICY_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "skip": ("propagate", "satisfy"),
    "siblings": ("stop", "drain"),
    "edit": ("frozen", "refuse", "live"),
    "tolerated": ("succeeded", "failed"),
}


class Admission(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@frozen(kw_only=True)
class Bounds:
    """A number from `min` to `max`; None: any."""

    min: int | None = None
    max: int | None = None

    def holds(self, number: int) -> bool:
        return (self.min is None or number >= self.min) and (self.max is None or number <= self.max)

    def __str__(self) -> str:
        if self.min == self.max:
            return str(self.min)
        if self.max is None:
            return f"at least {self.min}"
        return f"at most {self.max}" if self.min is None else f"{self.min} to {self.max}"


def _bounds(reader: Reader, value: Any, path: str) -> Any:
    data = reader.mapping(value, path)
    if data is None:
        return {}
    found: dict[str, Any] = {}
    for key, each in data.items():
        if type(each) is int:
            found[key] = Bounds(min=each, max=each)
        else:
            found[key] = reader.object(Bounds, each, below(path, key))
    return found


def _duration_spans(reader: Reader, value: Any, path: str) -> Any:
    spans = reader.value(tuple[tuple[float, ...], ...], value, path)
    if isinstance(spans, tuple):
        for index, span in enumerate(spans):
            if isinstance(span, tuple) and len(span) != 2:
                reader.add(below(path, index), f"found {len(span)} numbers", "write [from, to]", "ZF101")
    return spans


@frozen(kw_only=True)
class Attempt:
    """A Job of a step: the `attempt`-th that was created for it, else the latest."""

    step: str
    attempt: int | None = None


@frozen(kw_only=True)
class TimedAttempt(Attempt):
    """A Job, and when something happened to it."""

    from_: float | None = field(default=None, metadata={"wire": "from"})
    to: float | None = None
    tol: float | None = None


@frozen(kw_only=True)
class FieldOf:
    """A field of an object: dotted names, `[n]` for lists, `["key"]` for keys with dots or slashes."""

    path: str
    equals: Any = UNSET
    matches: str | None = None
    absent: bool | None = None
    present: bool | None = None
    max_length: int | None = None


@frozen(kw_only=True)
class JobField(FieldOf):
    step: str
    attempt: int | None = None


@frozen(kw_only=True)
class Requests:
    """A bound on requests of one kind in the last so many seconds."""

    verb: str
    kind: str
    max: int
    seconds: float


@frozen(kw_only=True)
class Never:
    """What held at no instant up to now."""

    flow: tuple[str, ...] = field(default=(), metadata={"read": words})
    steps: Mapping[str, tuple[str, ...]] = field(factory=dict, metadata={"read": words_by_name})
    active_jobs_above: int | None = None
    create_during: tuple[tuple[float, ...], ...] = field(default=(), metadata={"read": _duration_spans})


def _blocks(reader: Reader, value: Any, path: str) -> Any:
    return reader.value(tuple[Block, ...], value, path)


@frozen(kw_only=True)
class Block:
    """Assertions that hold together."""

    of: str | None = None
    admission: Admission | None = None
    error_matches: str | None = None
    flow: tuple[str, ...] | None = field(default=None, metadata={"read": words})
    flow_exists: bool | None = None
    flow_reason: tuple[str, ...] | None = field(default=None, metadata={"read": words})
    steps: Mapping[str, tuple[str, ...]] = field(factory=dict, metadata={"read": words_by_name})
    retry_count: Mapping[str, int] = field(factory=dict)
    message: Mapping[str, str] = field(factory=dict)
    creates: Mapping[str, Bounds] = field(factory=dict, metadata={"read": _bounds})
    create_requests: Mapping[str, Bounds] = field(factory=dict, metadata={"read": _bounds})
    creates_total: int | None = None
    created: tuple[TimedAttempt, ...] = ()
    deleted_by_engine: tuple[TimedAttempt, ...] = ()
    jobs_present: Mapping[str, int] = field(factory=dict)
    active_jobs: int | None = None
    job_spec_untouched: tuple[Attempt, ...] = ()
    flow_field: tuple[FieldOf, ...] = ()
    job_field: tuple[JobField, ...] = ()
    distinct_names: bool | None = None
    untouched: tuple[Attempt, ...] = ()
    wake_by: float | None = None
    requests: Requests | None = None
    object_bytes_max: int | None = None
    never: Never | None = None
    running: tuple[str, ...] = ()
    any_of: tuple[Block, ...] = field(default=(), metadata={"read": _blocks})
    tol: float | None = None


@frozen(kw_only=True)
class Expectation(Block):
    """An entry of `expect`: its assertions, when they have to hold, and for which designs."""

    at: float | None = None
    end: bool | None = None
    policy: Mapping[str, str] = field(factory=dict)

    @property
    def concerns_us(self) -> bool:
        """Whether it holds for the designs that zenflow documents."""
        return all(POLICIES[name] == value for name, value in self.policy.items())


def read_expectation(reader: Reader, value: Any, path: str) -> Expectation | None:
    """An entry of `expect`; None once what is wrong with it has been noted."""
    entry = reader.object(Expectation, value, path)
    if entry is None:
        return None
    if (entry.at is None) is (not entry.end):
        reader.add(path, "says not when, or twice", "add 'at: SECONDS' or 'end: true'", "ZF103")
    for name, choice in entry.policy.items():
        values = _POLICY_VALUES.get(name)
        where = below(below(path, "policy"), name)
        if values is None:
            reader.add(where, "no such policy", f"policies are {', '.join(_POLICY_VALUES)}", "ZF104")
        elif choice not in values:
            reader.add(where, f"found {choice!r}, expected {' or '.join(values)}", "write one of them", "ZF104")
    return entry
