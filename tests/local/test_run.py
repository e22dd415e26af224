"""Flows that really run: exit codes, output, files and time are those of processes of this machine."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from zenflow_core import compile_plan, read_flow
from zenflow_core.plan import Plan
from zenflow_core.reasons import OutputMissing
from zenflow_core.settings import Settings
from zenflow_core.spec import JobFlow, StepName
from zenflow_testing.local import saved
from zenflow_testing.local.engine import Containers, Engine, Processes
from zenflow_testing.local.run import Answer, Ending, How, Listener, LocalRun


def a_job(command: str, *, backoff_limit: int = 0, pod: Any = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "none:1", "command": ["sh", "-c", command]}
    body = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **(pod or {})}
    return {"spec": {"backoffLimit": backoff_limit, "template": {"spec": body}, **spec}}


def a_step(name: str, command: str, *after: str, job: Any = None, **fields: Any) -> dict[str, Any]:
    template = a_job(command, **(job or {}))
    return {"name": name, **({"dependencies": list(after)} if after else {}), "template": template, **fields}


def compiled(*steps: Any, **spec: Any) -> tuple[JobFlow, Plan]:
    manifest = {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": "local"},
        "spec": {"steps": list(steps), **spec},
    }
    flow = read_flow(manifest)
    assert not isinstance(flow, tuple), flow
    plan = compile_plan(flow, settings=Settings(artifact_image="none"))
    assert not isinstance(plan, tuple), plan
    return flow, plan


def run(
    folder: Path, *steps: Any, engine: Engine | None = None, objects: Sequence[Any] = (), **spec: Any
) -> tuple[Ending, dict[str, list[str]]]:
    """How a flow ended, and what each step wrote."""
    flow, plan = compiled(*steps, **spec)
    wrote: dict[str, list[str]] = {}
    listener = Listener(wrote=lambda step, line: wrote.setdefault(step, []).append(line))
    local = LocalRun(flow, plan, folder=folder, engine=engine or Processes(), objects=objects, listener=listener)
    return local.run(), wrote


def phases(ending: Ending) -> dict[str, str]:
    state = ending.life.state
    return {step.name: state.records[step.rank].phase.value for step in state.plan.steps}


def test_steps_run_in_order_and_a_value_goes_from_one_to_the_next(tmp_path: Path) -> None:
    value = 'it\'s "quoted" $HOME {{x}} $(y) ünï\\n'
    made = a_step(
        "make",
        """printf '%s' "$VALUE" > /dev/termination-log""",
        outputs={"parameters": [{"name": "v", "valueFrom": {"jsonPath": "$.result"}}]},
    )
    made["template"]["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "VALUE", "value": value.replace("$", "$$")}
    ]
    used = a_step(
        "use",
        "printf '%s\\n' \"$GOT\"",
        "make",
        inputs={"parameters": [{"name": "v", "valueFrom": {"jsonPath": "make:$.result"}}]},
    )
    used["template"]["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "GOT", "value": "{{.parameters.v}}"}
    ]

    ending, wrote = run(tmp_path, made, used)

    assert phases(ending) == {"make": "Succeeded", "use": "Succeeded"}
    assert wrote["use"] == [value]


@pytest.mark.parametrize(
    ("helpers", "then"),
    [
        pytest.param(2, "Succeeded", id="three containers have 4,096 bytes each"),
        pytest.param(3, "Failed", id="four have 3,072, and what was cut is no result"),
    ],
)
def test_a_message_has_its_share_of_what_a_pod_may_say(helpers: int, then: str, tmp_path: Path) -> None:
    step = a_step(
        "make",
        "head -c 3500 /dev/zero | tr '\\0' x > /dev/termination-log",
        outputs={"parameters": [{"name": "v", "valueFrom": {"jsonPath": "$.result"}}]},
    )
    pod = step["template"]["spec"]["template"]["spec"]
    pod["containers"] += [{"name": f"h{n}", "image": "none:1", "command": ["true"]} for n in range(helpers)]

    ending, _ = run(tmp_path, step)

    assert phases(ending) == {"make": then}
    if then == "Failed":
        cause = ending.life.state.records[0].cause
        assert isinstance(cause, OutputMissing)
        assert "3072 bytes at which it is cut off, its share of the Pod's 12 KiB" in cause.message


def test_files_go_from_step_to_step_and_an_archive_to_and_from_the_claim(tmp_path: Path) -> None:
    made = a_step(
        "make",
        "mkdir -p /out/d && echo one > /out/d/f && echo two > /out/single",
        outputs={"artifacts": [{"name": "d", "path": "/out/d"}, {"name": "s", "path": "/out/single"}]},
    )
    used = a_step(
        "use",
        "cat /in/d/f /in/s",
        "make",
        inputs={
            "artifacts": [
                {"name": "d", "from": "make/d", "path": "/in/d"},
                {"name": "s", "from": "make/s", "path": "/in/s"},
            ]
        },
    )

    ending, wrote = run(tmp_path, made, used)

    assert phases(ending) == {"make": "Succeeded", "use": "Succeeded"}
    assert wrote["use"][-2:] == ["one", "two"]


def test_a_failed_attempt_is_tried_again_after_its_pause(tmp_path: Path) -> None:
    once = tmp_path / "once"
    step = a_step(
        "flaky",
        f"test -e {once} || {{ touch {once}; exit 3; }}",
        retryPolicy={"limit": 1, "backoff": {"type": "Fixed", "duration": "1s"}},
    )

    ending, _ = run(tmp_path / "work", step)

    assert phases(ending) == {"flaky": "Succeeded"}
    first, second = ending.life.attempts[StepName("flaky")]
    assert first.finished_at is not None
    assert (second.started_at - first.finished_at).total_seconds() >= 1


def _is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_timeout_ends_the_command_and_everything_it_has_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    step = a_step("slow", f"trap '' TERM; sleep 600 & echo $! $$$$ > {pids}; wait; sleep 600", timeoutSeconds=1)

    ending, _ = run(tmp_path / "work", step)

    assert phases(ending) == {"slow": "Failed"}
    assert not any(_is_alive(int(pid)) for pid in pids.read_text().split())


def test_a_command_that_does_not_exist_fails_and_its_log_says_so(tmp_path: Path) -> None:
    step = a_step("broken", "true")
    step["template"]["spec"]["template"]["spec"]["containers"][0]["command"] = ["/no/such/program"]

    ending, _ = run(tmp_path, step)

    assert phases(ending) == {"broken": "Failed"}
    (log,) = tmp_path.glob("steps/broken/1/logs/*.log")
    assert log.read_text() == "cannot start /no/such/program: no such file or directory\n"


def test_an_indexed_job_runs_each_index(tmp_path: Path) -> None:
    step = a_step(
        "each", "echo $JOB_COMPLETION_INDEX", job={"completions": 4, "parallelism": 2, "completionMode": "Indexed"}
    )

    ending, wrote = run(tmp_path, step)

    assert phases(ending) == {"each": "Succeeded"}
    assert sorted(wrote["each"]) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("action", "code", "phase", "runs"),
    [("FailJob", 42, "Failed", 1), ("Ignore", 42, "Succeeded", 2)],
)
def test_a_pod_failure_policy_decides_by_the_real_exit_code(
    action: str, code: int, phase: str, runs: int, tmp_path: Path
) -> None:
    rule = {"action": action, "onExitCodes": {"operator": "In", "values": [42]}}
    count = tmp_path / "count"
    step = a_step(
        "ruled",
        f"echo x >> {count}; test $(wc -l < {count}) -gt 1 || exit {code}",
        job={"backoff_limit": 3, "podFailurePolicy": {"rules": [rule]}},
    )

    ending, _ = run(tmp_path / "work", step)

    assert phases(ending) == {"ruled": phase}
    assert len(count.read_text().split()) == runs


def test_init_containers_come_first_and_a_sidecar_ends_with_the_rest(tmp_path: Path) -> None:
    def container(name: str, command: str, **more: Any) -> dict[str, Any]:
        mounts = [{"name": "shared", "mountPath": "/shared"}]
        return {"name": name, "image": "none:1", "command": ["sh", "-c", command], "volumeMounts": mounts, **more}

    pod = {
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "initContainers": [
            container("side", "echo $$$$ > /shared/side; exec sleep 600", restartPolicy="Always"),
            container("prepare", "while ! test -e /shared/side; do sleep 0.01; done; echo ready > /shared/file"),
        ],
        "containers": [container("main", "cat /shared/file; cat /shared/side")],
    }

    ending, wrote = run(tmp_path, a_step("pod", "", job={"pod": pod}))

    assert phases(ending) == {"pod": "Succeeded"}
    assert wrote["pod"][0] == "ready"
    assert not _is_alive(int(wrote["pod"][1]))


def test_a_container_runs_to_its_end_beside_one_that_has_failed(tmp_path: Path) -> None:
    containers = [
        {"name": "main", "image": "none:1", "command": ["sh", "-c", "exit 4"]},
        {"name": "beside", "image": "none:1", "command": ["sh", "-c", "sleep 0.3; echo done"]},
    ]

    ending, wrote = run(tmp_path, a_step("two", "", job={"pod": {"containers": containers}}))

    assert phases(ending) == {"two": "Failed"}
    assert wrote["two"] == ["done"]


def test_config_maps_and_secrets_come_from_the_given_objects(tmp_path: Path) -> None:
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"greeting": "hello"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"token": "s3cret"}},
    ]
    step = a_step(
        "reads",
        "echo {{.parameters.greeting}} {{.parameters.token}}",
        inputs={
            "parameters": [
                {"name": "greeting", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "greeting"}}},
                {"name": "token", "valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}},
            ]
        },
    )

    ending, wrote = run(tmp_path, step, objects=objects)

    assert phases(ending) == {"reads": "Succeeded"}
    assert wrote["reads"] == ["hello s3cret"]
    assert not any("s3cret" in path.read_text() for path in tmp_path.rglob("*.json"))


@pytest.mark.parametrize(("is_given", "phase"), [(True, "Succeeded"), (False, "Failed")])
def test_an_approval_is_asked_for_and_the_answer_counts(is_given: bool, phase: str, tmp_path: Path) -> None:
    flow, plan = compiled({"name": "agree", "type": "Manual", "message": "Sure?"}, a_step("go", "true", "agree"))
    asked: list[str] = []

    def ask(step: StepName, message: str) -> bool:
        asked.append(message)
        threading.Timer(0.05, local.answer, [Answer(step, is_given=is_given, why="no")]).start()
        return True

    local = LocalRun(flow, plan, folder=tmp_path, engine=Processes(), listener=Listener(asked=ask))
    ending = local.run()

    assert asked == ["Sure?"]
    assert phases(ending)["agree"] == phase
    assert ending.how is How.OVER


def test_a_flow_that_waits_for_an_answer_that_nobody_gives_is_stuck_and_can_be_resumed(tmp_path: Path) -> None:
    steps = ({"name": "agree", "type": "Manual"}, a_step("go", "true", "agree"))
    first, _ = run(tmp_path, *steps)
    flow, plan = compiled(*steps)

    def ask(step: StepName, _message: str) -> bool:
        local.answer(Answer(step, is_given=True))
        return True

    local = LocalRun(
        flow, plan, folder=tmp_path, engine=Processes(), listener=Listener(asked=ask), resumed=saved.load(tmp_path)
    )
    second = local.run()

    assert first.how is How.STUCK
    assert phases(second) == {"agree": "Succeeded", "go": "Succeeded"}


def test_an_interrupted_run_goes_on_without_doing_again_what_had_succeeded(tmp_path: Path) -> None:
    count, work = tmp_path / "count", tmp_path / "work"
    steps = (
        a_step("once", f"echo once >> {count}"),
        a_step("long", f"echo long >> {count}; test -e {tmp_path}/go || sleep 600", "once"),
    )
    flow, plan = compiled(*steps)

    def interrupt(step: StepName) -> None:
        while not count.exists() or "long" not in count.read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, args=(StepName("long"),), daemon=True).start()
    # Whoever started the tests in the background of a shell has had the signal ignored.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        first = LocalRun(flow, plan, folder=work, engine=Processes()).run()
    finally:
        signal.signal(signal.SIGINT, handler)
    (tmp_path / "go").touch()
    second = LocalRun(flow, plan, folder=work, engine=Processes(), resumed=saved.load(work)).run()

    assert first.how is How.INTERRUPTED
    assert [step for step, _ in first.running] == ["long"]
    assert second.how is How.OVER
    assert phases(second) == {"once": "Succeeded", "long": "Succeeded"}
    assert count.read_text().split() == ["once", "long", "long"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file"),
        ("{", "was not written by zenflow"),
        ('{"format": 99, "objects": {}}', "is of format 99"),
        ('{"format": 1, "objects": {"JobFlow": []}}', "was not written by zenflow"),
    ],
)
def test_a_folder_that_has_no_run_says_so(content: str | None, why: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / saved.FILE).write_text(content)
    with pytest.raises(saved.NotSavedError, match=why):
        saved.load(tmp_path)


def test_a_container_engine_is_given_image_mounts_and_names_of_variables_but_no_values(tmp_path: Path) -> None:
    program = tmp_path / "podman"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; printf "value %s\\n" "$TOKEN"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    step = a_step("boxed", "echo hi")
    container = step["template"]["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "TOKEN", "value": "s3cret"}]

    ending, wrote = run(tmp_path / "work", step, engine=Containers(str(program)))

    said = wrote["boxed"]
    assert phases(ending) == {"boxed": "Succeeded"}
    assert said[:2] == ["run", "--rm"]
    assert "--env=TOKEN" in said
    assert said[-1] == "value s3cret"
    assert "s3cret" not in "".join(said[:-1])
    assert said[-5:-1] == ["--entrypoint=sh", "none:1", "-c", "echo hi"]
    assert any(line.startswith("--volume=") and line.endswith(":/dev/termination-log") for line in said)


def test_a_chain_costs_a_process_and_little_more(tmp_path: Path) -> None:
    """Not a matter of seconds: each step is one process, and the status is not saved for each of them."""
    steps = [a_step(f"s{n}", "true", *([f"s{n - 1}"] if n else [])) for n in range(30)]

    ending, _ = run(tmp_path, *steps)

    assert set(phases(ending).values()) == {"Succeeded"}
    assert len(list(tmp_path.glob("steps/*/1/logs/*.log"))) == 30
