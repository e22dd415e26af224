"""`executionPolicy.backoffLimit`: the retries that all steps together may use."""

from __future__ import annotations

import pytest

from tests.core.builders import at, flow
from zenflow_core.reasons import BackoffLimitExceeded
from zenflow_core.rules.budget import retry_budget
from zenflow_core.views import FlowView

OVER = BackoffLimitExceeded(at("10:05:00"), 6)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(flow("10:05:00", retries=0), None, id="no retries"),
        pytest.param(flow("10:05:00", retries=5), None, id="one below is within"),
        pytest.param(flow("10:05:00", retries=6), None, id="equal is still within"),
        pytest.param(flow("10:05:00", retries=7), OVER, id="one above ends the flow"),
        pytest.param(
            flow("10:05:00", retries=1, backoff_limit=0), BackoffLimitExceeded(at("10:05:00"), 0), id="limit 0"
        ),
        pytest.param(flow("10:05:00", retries=0, backoff_limit=0), None, id="limit 0 without a retry"),
        pytest.param(flow("10:05:00", retries=7, main_over="10:04:00"), None, id="finally has no budget"),
    ],
)
def test_retry_budget(given: FlowView, then: BackoffLimitExceeded | None) -> None:
    assert retry_budget(given) == then
