"""What a life on a real server is told by: Events, metrics, probes and logs, also over a crash."""

from __future__ import annotations

from collections import Counter

import lightkube
from lightkube.resources.core_v1 import Event
from lightkube.types import PatchType

from tests.cluster.controlplane import ControlPlane, JobFlow, eventually
from tests.cluster.operators import Operating, a_flow, a_step, ended, operator, reached


def reasons(client: lightkube.Client, flow: str) -> Counter[str]:
    """The Events about a flow, by reason, each as often as it counts."""
    events = [each.to_dict() for each in client.list(Event)]
    mine = [each for each in events if each["involvedObject"].get("name") == flow]
    return Counter({each["reason"]: 0 for each in mine}) + Counter(
        [each["reason"] for each in mine for _ in range(each["count"])]
    )


def gauge(operating: Operating, name: str, namespace: str) -> dict[str, float]:
    """A gauge by phase in a namespace."""
    lines = operating.page("/metrics")[1].splitlines()
    mine = [line for line in lines if line.startswith(f"{name}{{") and f'namespace="{namespace}"' in line]
    return {line.split('phase="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in mine}


def test_events_metrics_and_logs_of_a_life_that_two_processes_share(
    plane: ControlPlane, client: lightkube.Client, namespace: str
) -> None:
    """Counted after a crash: nothing is told twice, and gauges are what is stored."""
    retry = {"limit": 1, "backoff": {"type": "Fixed", "duration": "1s"}}
    flaky = a_step("flaky", plays={"exit-code": "1,0", "series": "flaky", "seconds": "0"}, retryPolicy=retry)
    ask = {"name": "ask", "type": "Manual", "dependencies": ["flaky"]}
    with operator(plane, "--leader-election-mode", "disabled") as first:
        client.create(a_flow("told", flaky, ask, a_step("last", "ask")))
        reached(client, "told", "Paused")
        wanted = {"StepCreated": 2, "StepRetry": 1, "StepPendingApproval": 1, "FlowPaused": 1}
        eventually(lambda: reasons(client, "told") == wanted, "the Events so far")
        moved = [each for each in first.said() if each["msg"] == "step moved" and each["flow"] == f"{namespace}/told"]
        assert {(each["step"], each["attempt"]) for each in moved} >= {("flaky", 1), ("flaky", 2), ("ask", 0)}
        first.kill()
    with operator(plane, "--leader-election-mode", "disabled") as second:
        assert gauge(second, "zen_flow_jobflows", namespace) == {"Paused": 1}
        annotation = {"metadata": {"annotations": {"approved.workflow.kube-zen.io/ask": "true"}}}
        client.patch(JobFlow, "told", annotation, patch_type=PatchType.MERGE)
        assert ended(client, "told")["phase"] == "Succeeded"
        wanted |= {"StepCreated": 3, "StepApproved": 1, "FlowResumed": 1, "JobFlowCompleted": 1}
        eventually(lambda: reasons(client, "told") == wanted, "the Events of the whole life")
        eventually(
            lambda: gauge(second, "zen_flow_jobflows", namespace) == {"Succeeded": 1}, "the gauge to say it has ended"
        )
        assert gauge(second, "zen_flow_steps", namespace) == {"Succeeded": 3}
        assert second.page("/healthz") == (200, "ok\n")
        assert second.page("/readyz") == (200, "ok\n")
        client.delete(JobFlow, "told")
        eventually(lambda: gauge(second, "zen_flow_jobflows", namespace) == {}, "the gauge to forget the flow")
