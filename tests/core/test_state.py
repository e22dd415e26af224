"""Records with some fields replaced."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given

from tests.core.drawn import records
from zenflow_core.state import StepPhase, StepRecord, changed


@given(records)
def test_changed_is_evolve(record: StepRecord) -> None:
    assert changed(record) == record
    replaced = changed(record, phase=StepPhase.RUNNING, attempt=7, holds=())
    assert replaced == evolve(record, phase=StepPhase.RUNNING, attempt=7, holds=())


def test_an_unknown_field_is_our_bug() -> None:
    with pytest.raises(KeyError, match="fase"):
        changed(StepRecord(), fase=StepPhase.RUNNING)
