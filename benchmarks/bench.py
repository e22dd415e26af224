"""What users wait for, measured: CPU seconds and memory, as JSON, beside a fixed loop of pure Python.

    nox -s bench            every figure
    python benchmarks/bench.py chain help        some of them

CPU time, not wall time, and never a test: machines differ and are busy. The
`loop` figure is the same work everywhere; divide by it to compare machines.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

TEMPLATE: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", "exit 0"]}],
            }
        }
    },
}
RUNS = 3
LAYER = 50


def flow(steps: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    """A JobFlow manifest of these steps."""
    return {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": "bench"},
        "spec": {**spec, "steps": steps},
    }


def chain(n: int) -> dict[str, Any]:
    """Each step after the one before it."""
    return flow(
        [
            {"name": f"step-{i}", "template": TEMPLATE} | ({"dependencies": [f"step-{i - 1}"]} if i else {})
            for i in range(n)
        ]
    )


def fan_out(n: int) -> dict[str, Any]:
    """Steps side by side, and one that waits for them all."""
    names = [f"step-{i}" for i in range(n)]
    steps: list[dict[str, Any]] = [{"name": name, "template": TEMPLATE} for name in names]
    return flow([*steps, {"name": "join", "dependencies": names, "template": TEMPLATE}])


def layers(n: int) -> dict[str, Any]:
    """Layers of 50, two dependencies a step, 50 slots."""
    steps: list[dict[str, Any]] = []
    for i in range(n):
        layer, place = divmod(i, LAYER)
        step: dict[str, Any] = {"name": f"step-{i}", "templateRef": "work"}
        if layer:
            step["dependencies"] = [f"step-{(layer - 1) * LAYER + (place + k) % LAYER}" for k in (0, 1)]
        steps.append(step)
    return flow(steps, templates=[{"name": "work", "template": TEMPLATE}], executionPolicy={"parallelism": LAYER})


def wide(n: int, *, size: int, when: bool) -> dict[str, Any]:
    """`n` steps with a template each, of about `size` bytes of YAML together."""
    manifest = chain(n)
    text = "x" * max(0, size // n - 235)
    for i, step in enumerate(manifest["spec"]["steps"]):
        step["template"] = json.loads(json.dumps(TEMPLATE))
        step["template"]["spec"]["template"]["spec"]["containers"][0]["command"][2] = f"exit 0 # {i} {text}"
        if when and i:
            step["when"] = f"steps['step-{i - 1}'].phase == 'Succeeded' && flow.name != 'other-{i}'"
    return manifest


def write_yaml(manifest: dict[str, Any], path: Path) -> int:
    """Write block style YAML; returns its size in bytes."""
    import yaml

    path.write_text(yaml.dump(manifest, sort_keys=False, default_flow_style=False, width=1000))
    return path.stat().st_size


def command(*arguments: str) -> float:
    """CPU seconds of one `zenflow` process, the median of three."""
    figures = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("zenflow")), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            raise SystemExit(f"zenflow {' '.join(arguments)}: exit {done.returncode}\n{done.stderr.decode()}")
        figures.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return round(statistics.median(figures), 3)


def core(n: int) -> dict[str, Any]:
    """Core and cluster model alone, object limits lifted: every Job is started and completed, one by one."""
    from attrs import evolve

    from zenflow_core.codec import read_flow
    from zenflow_core.compile import plan_of
    from zenflow_core.plan import Plan
    from zenflow_core.spec import JobFlow
    from zenflow_core.validation import examine
    from zenflow_runtime import deciding
    from zenflow_testing.clock import VirtualClock
    from zenflow_testing.cluster import Cluster, ClusterLimits, Event, EventType
    from zenflow_testing.operator import Operator

    manifest = layers(n)
    parsed = read_flow(manifest)
    assert isinstance(parsed, JobFlow)
    plan = plan_of(evolve(examine(parsed), problems=()))  # the object limit is lifted here too
    assert isinstance(plan, Plan)
    figures: list[float] = []
    real = getattr(deciding, "advance")  # noqa: B009 - not exported, but what `decide` calls

    def timed(*arguments: Any) -> Any:
        begin = time.process_time()
        decision = real(*arguments)
        figures.append(time.process_time() - begin)
        return decision

    setattr(deciding, "advance", timed)  # noqa: B010 - the same function, with a stopwatch around it
    clock = VirtualClock()
    cluster = Cluster(clock, limits=ClusterLimits(object_bytes=None))
    runner = Operator(cluster, compile_with=lambda _: plan)
    waiting: deque[str] = deque()

    def saw(event: Event) -> None:
        if event.kind == "Job" and event.type is EventType.ADDED:
            waiting.append(event.name)

    cluster.subscribe(saw)
    begin = time.process_time()
    cluster.create("JobFlow", manifest, namespace="default")
    runner.call()
    while waiting:
        name = waiting.popleft()
        clock.advance(1)
        for status in job_statuses(clock.now.strftime("%Y-%m-%dT%H:%M:%SZ")):
            cluster.patch_merge("Job", "default", name, {"status": status}, subresource="status")
            runner.call()
        cluster.compact(cluster.resource_version)
    spent = time.process_time() - begin
    state = next(iter(runner.flows.values())).state
    assert state is not None
    assert state.record.phase == "Succeeded", state.record.phase
    setattr(deciding, "advance", real)  # noqa: B010 - see above
    return {
        "steps": n,
        "cpu_seconds": round(spent, 2),
        "advance_median_us": round(statistics.median(figures) * 1e6),
        "advance_p99_us": round(sorted(figures)[int(len(figures) * 0.99)] * 1e6),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def job_statuses(at: str) -> Iterable[dict[str, Any]]:
    """What the Job controller writes: started, then complete."""
    yield {"startTime": at, "active": 1, "ready": 1}
    done = [{"type": kind, "status": "True", "lastTransitionTime": at} for kind in ("SuccessCriteriaMet", "Complete")]
    yield {"active": 0, "ready": 0, "succeeded": 1, "completionTime": at, "conditions": done}


def loop() -> float:
    """A fixed pure-Python loop, in CPU seconds."""
    figures = []
    for _ in range(RUNS):
        begin = time.process_time()
        total = 0
        for i in range(3_000_000):
            total += i & 7
        figures.append(time.process_time() - begin)
    return round(statistics.median(figures), 3)


def alone(name: str) -> Any:
    """A figure measured in a process of its own, so that its memory is its own."""
    done = subprocess.run([sys.executable, __file__, name, "--inside"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def lives(*options: str) -> Any:
    """Whole lives with every law checked at each decision."""
    script = Path(__file__).with_name("lives.py")
    done = subprocess.run([sys.executable, str(script), *options], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def figures(folder: Path) -> dict[str, Callable[[], Any]]:
    """Every figure by name."""

    def simulated(manifest: dict[str, Any], *options: str) -> dict[str, Any]:
        path = folder / "flow.yaml"
        return {"bytes": write_yaml(manifest, path), "cpu_seconds": command("simulate", str(path), *options)}

    def validated(manifest: dict[str, Any]) -> dict[str, Any]:
        path = folder / "flow.yaml"
        return {"bytes": write_yaml(manifest, path), "cpu_seconds": command("validate", str(path))}

    one_by_one = folder / "one-by-one.yaml"
    one_by_one.write_text(
        json.dumps({"steps": {f"step-{i}": [{"exitCode": 0, "after": f"{i + 1}s"}] for i in range(500)}})
    )
    return {
        "loop": loop,
        "help": lambda: {"cpu_seconds": command("--help")},
        "complete": lambda: {"cpu_seconds": command("__complete", "get", "--")},
        "chain": lambda: simulated(chain(500)),
        "fan-out": lambda: simulated(fan_out(500), "--outcomes", str(one_by_one)),
        "validate": lambda: validated(wide(1000, size=250_000, when=False)),
        "validate-when": lambda: validated(wide(1000, size=700_000, when=True)),
        "core-1000": lambda: alone("core-1000"),
        "core-10000": lambda: alone("core-10000"),
        "lives": lambda: lives(),
        "lives-faulty": lambda: lives("--faulty"),
        "lives-served": lambda: lives("--served"),
    }


def main(arguments: list[str]) -> None:
    """Print the figures asked for, all by default."""
    os.environ.setdefault("NO_COLOR", "1")
    if "--inside" in arguments:
        print(json.dumps(core(int(arguments[0].removeprefix("core-")))))
        return
    with tempfile.TemporaryDirectory() as folder:
        known = figures(Path(folder))
        unknown = [name for name in arguments if name not in known]
        if unknown:
            raise SystemExit(f"unknown figure {unknown[0]!r}; there are {', '.join(known)}")
        out = {}
        for name in arguments or list(known):
            print(f"measuring {name} ...", file=sys.stderr)
            out[name] = known[name]()
    if "core-1000" in out and "core-10000" in out:
        out["core-ratio"] = round(out["core-10000"]["cpu_seconds"] / out["core-1000"]["cpu_seconds"], 1)
    print(json.dumps(out, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
