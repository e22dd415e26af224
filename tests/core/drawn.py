"""Drawn facts and records: every field of every cause and hold, by the type that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, get_args

import attrs
from hypothesis import strategies as st

from tests.core.builders import at
from zenflow_core import reasons as r
from zenflow_core.plan import ConfigMapKey
from zenflow_core.reasons import AttemptFailure, Cause, FlowCause, FlowHold, Hold, OutputValue, StoredArtifact
from zenflow_core.spec import ArtifactGC, ArtifactStore, KeySelector, S3Location
from zenflow_core.state import Condition, FlowPhase, FlowRecord, JobRef, StepPhase, StepRecord, Stopwatch

UNKNOWN = (r.UnknownCause, r.UnknownHold)
NOT_STORED = ("outputs", "reads", "artifacts")

instants = st.integers(-100_000, 10_000_000).map(lambda s: at("10:00:00") + timedelta(seconds=s))
texts = st.text(st.characters(codec="utf-8"), max_size=12)
counts = st.integers(0, 10_000)


def plain(union: Any) -> tuple[type[Any], ...]:
    """The classes of a union but the unknown ones."""
    return tuple(cls for cls in get_args(union) if cls not in UNKNOWN)


def one_of_each(classes: Iterable[type[Any]]) -> st.SearchStrategy[Any]:
    return st.one_of([drawn(cls) for cls in classes])


def drawn(cls: type[Any]) -> st.SearchStrategy[Any]:
    """A value of the class; outputs of a JobComplete are left out, since they are stored elsewhere."""
    fields = {a.name: _FIELDS[str(a.type)]() for a in attrs.fields(cls) if a.name not in NOT_STORED}
    return st.builds(cls, **fields)


_FIELDS: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
    "Instant": lambda: instants,
    "str": lambda: texts,
    "StepName": lambda: texts,
    "int": lambda: counts,
    "tuple[StepName, ...]": lambda: st.lists(texts, max_size=3).map(tuple),
    "tuple[str, ...]": lambda: st.lists(texts, max_size=3).map(tuple),
    "tuple[ConfigMapKey, ...]": lambda: st.lists(st.builds(ConfigMapKey, texts, texts), max_size=3).map(tuple),
    "AttemptFailure": lambda: one_of_each(plain(AttemptFailure)),
}

causes = one_of_each(plain(Cause))
holds = one_of_each(plain(Hold))
flow_causes = one_of_each(plain(FlowCause))
flow_holds = one_of_each(plain(FlowHold))
failures = one_of_each(plain(AttemptFailure))
values = st.builds(OutputValue, texts, json=st.booleans())
stored = st.builds(StoredArtifact, st.text("0123456789abcdef", min_size=64, max_size=64), counts, texts)
watches = st.builds(Stopwatch, counts.map(lambda s: timedelta(seconds=s)), st.none() | instants)

records: st.SearchStrategy[StepRecord] = st.builds(
    StepRecord,
    phase=st.sampled_from(StepPhase),
    attempt=st.integers(0, 5),
    started_at=st.none() | instants,
    finished_at=st.none() | instants,
    watch=st.none() | watches,
    retry_at=st.none() | instants,
    refusals=st.integers(0, 9),
    condition_met=st.booleans(),
    job=st.none() | st.builds(JobRef, texts, texts),
    failure=st.none() | failures,
    outputs=st.none() | st.dictionaries(texts, values, min_size=1, max_size=3),
    reads=st.none() | st.dictionaries(texts, values, min_size=1, max_size=3),
    artifacts=st.none() | st.dictionaries(texts, stored, min_size=1, max_size=3),
    approver=texts,
    cause=st.none() | causes,
    holds=st.lists(holds, max_size=3).map(tuple),
)
conditions = st.builds(
    Condition,
    st.sampled_from(("Complete", "Failed", "Ready", "Reconciling", "Stalled")),
    st.booleans(),
    reason=texts,
    since=instants,
    message=texts,
)
keys = st.builds(KeySelector, texts, texts, st.none() | st.booleans())
locations = st.builds(
    S3Location,
    texts,
    texts,
    endpoint=st.none() | texts,
    region=st.none() | texts,
    access_key_id_secret_ref=st.none() | keys,
    secret_access_key_secret_ref=st.none() | keys,
    session_token_secret_ref=st.none() | keys,
    force_path_style=st.none() | st.booleans(),
    ca_config_map_ref=st.none() | keys,
)
stores = st.builds(ArtifactStore, locations, st.none() | st.sampled_from(ArtifactGC))
flow_records: st.SearchStrategy[FlowRecord] = st.builds(
    FlowRecord,
    started_at=st.none() | instants,
    completed_at=st.none() | instants,
    ended=st.none() | flow_causes,
    phase=st.sampled_from(FlowPhase),
    conditions=st.lists(conditions, max_size=4).map(tuple),
    holds=st.lists(flow_holds, max_size=2).map(tuple),
    artifact_store=st.none() | stores,
    fingerprint=texts,
    observed_generation=counts,
)
