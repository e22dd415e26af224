"""A failing life made small: fewer faults first, then fewer steps of the flow, as long as it still fails alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

from zenflow_testing.faults.life import Life, Subject
from zenflow_testing.faults.script import Injection
from zenflow_testing.faults.swarm import Trial


def without_each(script: Sequence[Injection]) -> Iterator[tuple[Injection, ...]]:
    """The script without one of its faults, for each of them."""
    for index in range(len(script)):
        yield (*script[:index], *script[index + 1 :])


def kind_of(life: Life) -> str:
    """What failed, without the details that shrinking changes."""
    if not life.failures:
        return ""
    failure = life.failures[0]
    return f"{failure.path.partition('[')[0]}:{':'.join(failure.found.split(':')[:2])[:90]}"


def shrunk(trial: Trial, life: Life, *, tries: int = 300) -> tuple[Trial, Life]:
    """The smallest life found that fails as this one does; the trial that it is of."""
    wanted = kind_of(life)
    left = tries

    def fails(candidate: Trial) -> Life | None:
        nonlocal left
        left -= 1
        found = candidate.run() if left >= 0 else None
        return found if found is not None and kind_of(found) == wanted else None

    again = True
    while again and left > 0:
        again = False
        for candidate in _smaller(trial):
            found = fails(candidate)
            if found is not None:
                trial, life, again = candidate, found, True
                break
    return trial, life


def _smaller(trial: Trial) -> Iterator[Trial]:
    for script in without_each(trial.script):
        yield evolve(trial, script=script)
    for manifest in _smaller_flows(trial.subject.manifest):
        try:
            yield evolve(trial, subject=Subject.of(manifest))
        except ValueError:
            continue


def _smaller_flows(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    spec = manifest["spec"]
    for part in ("finally", "executionPolicy"):
        if part in spec:
            yield {**manifest, "spec": {key: value for key, value in spec.items() if key != part}}
    for index, step in enumerate(spec["steps"]):
        rest = [_without(each, step["name"]) for at, each in enumerate(spec["steps"]) if at != index]
        if rest:
            yield {**manifest, "spec": {**spec, "steps": rest}}
    for index, step in enumerate(spec["steps"]):
        for key in ("retryPolicy", "timeoutSeconds", "when", "outputs"):
            if key in step:
                less = {name: value for name, value in step.items() if name != key}
                yield {
                    **manifest,
                    "spec": {**spec, "steps": [*spec["steps"][:index], less, *spec["steps"][index + 1 :]]},
                }


def _without(step: Mapping[str, Any], name: str) -> dict[str, Any]:
    left = [each for each in step.get("dependencies", ()) if each != name]
    kept = {key: value for key, value in step.items() if key != "dependencies"}
    if name in str(kept.get("when", "")):
        kept.pop("when")
    return kept | ({"dependencies": left} if left else {})
