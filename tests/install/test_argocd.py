"""The health check for Argo CD, run by Lua on the statuses that flows have."""

from __future__ import annotations

from typing import Any, Final

import lupa  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from tests.install.objects import DEPLOY
from zenflow_core.state import FlowPhase

SCRIPT: Final = (DEPLOY / "argocd" / "health.lua").read_text(encoding="utf-8")
READY: Final = {"type": "Ready", "status": "True", "message": "3 of 6 steps"}


def health(flow: dict[str, Any]) -> tuple[str, str]:
    """What Argo CD gets: it calls the script with the object in `obj`."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals()["obj"] = lua.table_from(flow, recursive=True)
    answer = lua.execute(SCRIPT)
    return answer["status"], answer["message"]


def a_flow(phase: str | None, *conditions: dict[str, str], generation: int = 1, seen: int = 1) -> dict[str, Any]:
    status: dict[str, Any] = {"observedGeneration": seen, "conditions": list(conditions)}
    return {"metadata": {"generation": generation}, "status": status | ({"phase": phase} if phase else {})}


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        pytest.param({"metadata": {"generation": 1}}, "Progressing", id="nobody has looked at it"),
        pytest.param(a_flow(None), "Progressing", id="no phase yet"),
        pytest.param(a_flow("Pending"), "Progressing", id="pending"),
        pytest.param(a_flow("Running", READY), "Progressing", id="running"),
        pytest.param(a_flow("Paused"), "Suspended", id="a person is asked"),
        pytest.param(a_flow("Suspended"), "Suspended", id="suspended"),
        pytest.param(a_flow("Succeeded"), "Healthy", id="succeeded"),
        pytest.param(a_flow("Failed"), "Degraded", id="failed"),
        pytest.param(a_flow("Paused", generation=2), "Progressing", id="a change that nobody has seen"),
        pytest.param(a_flow("Succeeded", generation=2), "Healthy", id="an edit after the end"),
        pytest.param(a_flow("Unheard"), "Progressing", id="a phase of a later version"),
    ],
)
def test_health(flow: dict[str, Any], expected: str) -> None:
    assert health(flow)[0] == expected


def test_every_phase_has_a_health_of_its_own_choice() -> None:
    expected = {
        FlowPhase.PENDING: "Progressing",
        FlowPhase.RUNNING: "Progressing",
        FlowPhase.PAUSED: "Suspended",
        FlowPhase.SUSPENDED: "Suspended",
        FlowPhase.SUCCEEDED: "Healthy",
        FlowPhase.FAILED: "Degraded",
    }
    assert {phase: health(a_flow(phase.value))[0] for phase in FlowPhase} == expected


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ((READY,), "3 of 6 steps"),
        ((READY, {"type": "Failed", "status": "True", "message": "step b failed"}), "step b failed"),
        (({"type": "Failed", "status": "True", "message": "step b failed"}, READY), "step b failed"),
    ],
)
def test_the_message_is_the_flows_own(conditions: tuple[dict[str, str], ...], message: str) -> None:
    assert health(a_flow("Failed", *conditions)) == ("Degraded", message)


def test_the_config_map_has_the_script() -> None:
    (config,) = yaml.safe_load_all((DEPLOY / "argocd" / "argocd-cm.yaml").read_text(encoding="utf-8"))
    assert config["data"] == {"resource.customizations.health.workflow.kube-zen.io_JobFlow": SCRIPT}
