"""The Job controller for Pods that really run: it makes them, counts their ends, and says how their Jobs end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from zenflow_core.instants import rfc3339
from zenflow_core.reading import parse_attempt
from zenflow_testing import job_controller as controller
from zenflow_testing.cluster import Cluster, Event, EventType
from zenflow_testing.errors import ApiError
from zenflow_testing.job_controller import End, JobReason, PodEnd, Result
from zenflow_testing.kinds import Object
from zenflow_testing.local.engine import Engine
from zenflow_testing.local.pod import Place, PodRun
from zenflow_testing.local.processes import Starter

BACKOFF: Final = timedelta(seconds=10)
"""The Job controller's pause before a Pod that replaces one that failed; it doubles, up to `BACKOFF_MOST`."""
BACKOFF_MOST: Final = timedelta(minutes=6)
BACKOFF_LIMIT: Final = 6


@define(eq=False)
class _Job:
    """A Job that is not over."""

    obj: Object
    attempt: Path
    pods: list[PodRun] = field(factory=list)
    """Those that are not over."""
    made: int = 0
    succeeded: set[int] = field(factory=set)
    """Indexes that are done; of a Job without them, numbers counted up."""
    failed: int = 0
    again_at: datetime | None = None
    deadline: datetime | None = None
    end: End | None = None
    """How it will end, once its Pods have."""
    is_gone: bool = False

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.obj["spec"]
        return spec


class LocalJobs:
    """Runs every Job of a flow that is created in the cluster. `folder` gets a folder for each attempt of each step."""

    def __init__(self, cluster: Cluster, engine: Engine, starter: Starter, *, folder: Path) -> None:
        self._cluster = cluster
        self._engine = engine
        self._starter = starter
        self._folder = folder
        self._jobs: dict[str, _Job] = {}
        cluster.subscribe(self._saw)

    @property
    def is_idle(self) -> bool:
        """No Pod is there any more."""
        return not any(job.pods for job in self._jobs.values())

    def running(self) -> Iterator[tuple[str, PodRun]]:
        """Job names and Pods that run."""
        return ((job.name, pod) for job in self._jobs.values() for pod in job.pods)

    def step_of(self, token: int) -> str:
        """The step whose process has this token; empty if it has ended."""
        for job in self._jobs.values():
            for pod in job.pods:
                if token in pod.tokens:
                    return job.attempt.parent.name
        return ""

    def next_due(self) -> datetime | None:
        """When something is to happen by itself."""
        due: list[datetime | None] = []
        for job in self._jobs.values():
            due += [job.again_at, job.deadline if job.end is None else None, *(pod.next_due() for pod in job.pods)]
        return min((at for at in due if at is not None), default=None)

    def run_due(self) -> None:
        """Do what is due now."""
        now = self._cluster.clock.now
        for job in list(self._jobs.values()):
            for pod in list(job.pods):
                pod.run_due(now)
            if job.deadline is not None and now >= job.deadline and job.end is None:
                self._ends(job, controller.failure_of(JobReason.DEADLINE_EXCEEDED), now)
            self._sync(job, now)

    def ended(self, token: int, exit_code: int) -> None:
        """A process has ended."""
        now = self._cluster.clock.now
        for job in list(self._jobs.values()):
            if any(pod.ended(token, exit_code, now) for pod in job.pods):
                self._sync(job, now)
                return

    def stop(self) -> None:
        """Ask everything to end."""
        now = self._cluster.clock.now
        for job in self._jobs.values():
            job.is_gone = True
            for pod in job.pods:
                pod.stop(now)

    def forget_grace(self) -> None:
        """Kill what still runs."""
        for job in self._jobs.values():
            for pod in job.pods:
                pod.run_due(datetime.max.replace(tzinfo=self._cluster.clock.now.tzinfo))

    # --- watching ----------------------------------------------------------------------------------------------------

    def _saw(self, event: Event) -> None:
        if event.kind != "Job":
            return
        if event.type is EventType.ADDED:
            identity = parse_attempt(event.object)
            if identity is not None:
                attempt = self._folder / identity.step / str(identity.attempt)
                self._jobs[event.uid] = _Job(event.object, attempt)
        elif event.uid in self._jobs:
            job = self._jobs[event.uid]
            deleted = event.type is EventType.DELETED or event.object["metadata"].get("deletionTimestamp")
            if deleted and not job.is_gone:
                job.is_gone = True
                for pod in job.pods:
                    pod.stop(self._cluster.clock.now)
            job.obj = event.object

    def start_new(self) -> None:
        """Start Jobs that were created since; not while the cluster is in the middle of a write."""
        now = self._cluster.clock.now
        for uid, job in list(self._jobs.items()):
            if job.made or job.is_gone or job.again_at is not None:
                continue
            if controller.is_over(job.obj.get("status") or {}):  # of an interrupted run
                del self._jobs[uid]
                continue
            _recall(job)
            self._sync(job, now)

    # --- one Job -----------------------------------------------------------------------------------------------------

    def _sync(self, job: _Job, now: datetime) -> None:
        """Count Pods that have ended, make those that are missing, end the Job if it is over."""
        if job.made == 0 and not job.is_gone and job.deadline is None:
            seconds = job.spec.get("activeDeadlineSeconds")
            job.deadline = None if seconds is None else now + timedelta(seconds=seconds)
            if job.spec.get("suspend") is True:
                self._patch_spec(job, {"suspend": False})
        for pod in [pod for pod in job.pods if pod.over is not None]:
            job.pods.remove(pod)
            if not job.is_gone and not (pod.is_stopping and job.end is not None):
                self._count(job, pod, now)
        if job.is_gone:
            if not job.pods:
                self._jobs.pop(str(job.obj["metadata"]["uid"]), None)
            return
        if job.end is None and len(job.succeeded) >= controller.completions_of(job.spec):
            job.end = controller.success_of(job.spec, self._cluster.version)
        if job.end is None:
            restarts = sum(pod.restarts for pod in job.pods)
            if restarts > job.spec.get("backoffLimit", BACKOFF_LIMIT):
                self._ends(job, controller.failure_of(JobReason.BACKOFF_LIMIT_EXCEEDED), now)
        if job.end is None and (job.again_at is None or job.again_at <= now):
            job.again_at = None
            self._make_missing(job, now)
        self._write(job, now)

    def _count(self, job: _Job, pod: PodRun, now: datetime) -> None:
        if pod.over == 0:
            job.succeeded.add(_index_of(pod) if _is_indexed(job.spec) else len(job.succeeded))
            return
        name = f"{job.obj['metadata'].get('namespace', '')}/{pod.name}"
        verdict = controller.verdict(job.spec, PodEnd(pod.over or 1), container=pod.failed_container, pod=name)
        if verdict is None:  # ignored: another one takes its place at once
            return
        job.failed += 1
        if verdict.reason == JobReason.POD_FAILURE_POLICY or job.failed > job.spec.get("backoffLimit", BACKOFF_LIMIT):
            self._ends(job, verdict, now)
        else:
            job.again_at = now + min(BACKOFF * 2 ** (job.failed - 1), BACKOFF_MOST)

    def _ends(self, job: _Job, end: End, now: datetime) -> None:
        job.end, job.again_at = end, None
        for pod in job.pods:
            pod.stop(now)

    def _make_missing(self, job: _Job, now: datetime) -> None:
        wanted = controller.completions_of(job.spec) - len(job.succeeded)
        room = min(job.spec.get("parallelism", 1), wanted) - len(job.pods)
        indexes = _free_indexes(job)
        for _ in range(max(room, 0)):
            self._make(job, next(indexes, None), now)

    def _make(self, job: _Job, index: int | None, now: datetime) -> None:
        body = controller.new_pod(job.obj, job.made)
        job.made += 1
        spec = body["spec"]
        if index is not None and _is_indexed(job.spec):
            body["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = str(index)
            body["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] = str(index)
            spec = {**spec, "containers": [_with_index(each, index) for each in spec["containers"]]}
        # Nobody else counts its end: without the finalizer it goes with its Job.
        body["metadata"].pop("finalizers")
        namespace = str(job.obj["metadata"]["namespace"])
        obj = self._cluster.create("Pod", {**body, "spec": spec}, namespace=namespace)
        pod = PodRun(
            obj,
            Place(job.attempt, self._folder.parent / "claims"),
            self._engine,
            self._starter,
            self._reader(namespace),
            self._writer(namespace, obj["metadata"]["name"]),
            began=now,
        )
        job.pods.append(pod)
        pod.start(now)

    def _reader(self, namespace: str) -> Callable[[str, str], Object | None]:
        def read(kind: str, name: str) -> Object | None:
            try:
                return self._cluster.get(kind, namespace, name)
            except ApiError:
                return None

        return read

    def _writer(self, namespace: str, name: str) -> Callable[[Mapping[str, Any]], None]:
        def write(status: Mapping[str, Any]) -> None:
            operation = {"op": "replace", "path": "/status", "value": status}
            try:
                self._cluster.patch_json("Pod", namespace, name, [operation])
            except ApiError as error:
                if error.code != 404:  # it was deleted while its processes were ending
                    raise

        return write

    def _write(self, job: _Job, now: datetime) -> None:
        """The Job's status as it is now; nothing if it says so already."""
        at = rfc3339(now)
        status: dict[str, Any] = dict(job.obj.get("status") or {})
        status.setdefault("startTime", at)
        active = [pod for pod in job.pods if pod.over is None]
        counts = {"active": len(active), "succeeded": len(job.succeeded), "failed": job.failed}
        for key, count in counts.items():
            if count:
                status[key] = count
            else:
                status.pop(key, None)
        status["ready"] = len(active)
        if _is_indexed(job.spec) and job.succeeded:
            status["completedIndexes"] = ",".join(map(str, sorted(job.succeeded)))
        if job.end is not None and not _has(status, _announcement(job.end)):
            status = controller.announced(status, job.end, at=at)
        if job.end is not None and not job.pods:
            status = controller.ended(status, job.end, at=at)
            self._jobs.pop(str(job.obj["metadata"]["uid"]), None)
        if status != job.obj.get("status"):
            operation = {"op": "replace", "path": "/status", "value": status}
            namespace = str(job.obj["metadata"]["namespace"])
            job.obj = self._cluster.patch_json("Job", namespace, job.name, [operation], subresource="status")

    def _patch_spec(self, job: _Job, spec: Mapping[str, Any]) -> None:
        namespace = str(job.obj["metadata"]["namespace"])
        job.obj = self._cluster.patch_merge("Job", namespace, job.name, {"spec": spec})


def _recall(job: _Job) -> None:
    """What its status counts already: a Job of an interrupted run goes on where it was, with new Pods."""
    status = job.obj.get("status") or {}
    done = status.get("completedIndexes")
    job.succeeded = set(map(int, done.split(","))) if done else set(range(status.get("succeeded", 0)))
    job.failed = status.get("failed", 0)


def _announcement(end: End) -> str:
    return "SuccessCriteriaMet" if end.result is Result.COMPLETE else "FailureTarget"


def _has(status: Mapping[str, Any], kind: str) -> bool:
    return any(each.get("type") == kind for each in status.get("conditions") or ())


def _is_indexed(spec: Mapping[str, Any]) -> bool:
    return spec.get("completionMode") == "Indexed"


def _index_of(pod: PodRun) -> int:
    return int(pod.obj["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])


def _free_indexes(job: _Job) -> Iterator[int]:
    taken = {*job.succeeded, *(_index_of(pod) for pod in job.pods)} if _is_indexed(job.spec) else set()
    return (index for index in range(controller.completions_of(job.spec)) if index not in taken)


def _with_index(container: Mapping[str, Any], index: int) -> dict[str, Any]:
    env = [*(container.get("env") or ()), {"name": "JOB_COMPLETION_INDEX", "value": str(index)}]
    return {**container, "env": env}
