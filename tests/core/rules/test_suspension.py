"""`spec.suspend`: nothing new starts."""

from __future__ import annotations

from tests.core.builders import Around, pending
from zenflow_core.reasons import Suspended
from zenflow_core.rules.suspension import suspension


def test_a_suspended_flow_holds_what_would_start() -> None:
    assert suspension(pending(around=Around(suspend=True))) == Suspended()


def test_any_other_flow_holds_nothing() -> None:
    assert suspension(pending()) is None
