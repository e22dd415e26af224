"""The kubelet of a simulated world: it starts Pods, ends them, and leaves their results behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from zenflow_core.instants import rfc3339
from zenflow_core.spec import StepName
from zenflow_testing import job_controller as controller
from zenflow_testing.artifacts import UPLOAD_EXIT_CODE, report_of
from zenflow_testing.cluster import Cluster
from zenflow_testing.demands import NOTHING_ASKED, Demand, message_of
from zenflow_testing.job_controller import JOB_TRACKING, PodEnd
from zenflow_testing.kinds import Object
from zenflow_testing.lives import Life


class Kubelet:
    """Writes Pods: one that runs, one that has ended, and what its containers say at their end."""

    def __init__(self, cluster: Cluster, demands: Mapping[StepName, Demand]) -> None:
        self._cluster = cluster
        self._demands = demands

    def start(self, life: Life, job: Object) -> None:
        """Let the Job's next Pod appear and run."""
        pod = controller.new_pod(job, life.pods)
        name = pod["metadata"]["name"]
        self._cluster.create("Pod", pod, namespace=life.namespace)
        life.pod = name
        status = controller.running(pod["spec"], at=rfc3339(self._cluster.clock.now))
        self._cluster.patch_json("Pod", life.namespace, name, [{"op": "replace", "path": "/status", "value": status}])

    def ending(self, life: Life, job: Object) -> PodEnd:
        """How the present run of a Job ends, with what it leaves behind."""
        ending = life.ending
        end = PodEnd(ending.exit_code, self._message(life), reason=ending.reason, disruption=ending.disruption)
        if life.moves_artifacts and not ending.exit_code:
            end = self._stored(life, job, end)
        return end

    def _stored(self, life: Life, job: Object, end: PodEnd) -> PodEnd:
        """The end of a Pod whose main container has succeeded, so that its artifacts are stored."""
        report = report_of(
            job["spec"]["template"]["spec"],
            flow_uid=life.flow_uid,
            step=life.step,
            attempt=life.attempt,
            said=life.ending.artifacts,
        )
        if report is None:
            return end
        if life.ending.upload_failure:
            report = UPLOAD_EXIT_CODE, life.ending.upload_failure
        return evolve(end, exit_code=report[0], transfer=report[1])

    def _message(self, life: Life) -> str:
        """The termination message of a run."""
        ending = life.ending
        if ending.message is not None:
            return ending.message
        demand = self._demands.get(life.step)
        if ending.outputs is None and (demand is None or ending.exit_code):
            return ""
        result = (demand or NOTHING_ASKED).result(ending.outputs or {})
        return "" if result == {} else message_of(result)

    def end(self, namespace: str, name: str, end: PodEnd) -> None:
        """Write a Pod's end, and let the Job count it. One that was deleted is gone by that."""
        pod = self._cluster.get("Pod", namespace, name)
        at = rfc3339(self._cluster.clock.now)
        status = controller.terminated(pod["spec"], pod["status"], end, at=at)
        operations: list[dict[str, Any]] = [{"op": "replace", "path": "/status", "value": status}]
        finalizers = pod["metadata"].get("finalizers") or ()
        if JOB_TRACKING in finalizers:
            others = [each for each in finalizers if each != JOB_TRACKING]
            operations.append({"op": "replace", "path": "/metadata/finalizers", "value": others})
        self._cluster.patch_json("Pod", namespace, name, operations)
