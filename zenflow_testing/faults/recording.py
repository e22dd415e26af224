"""Outcomes that were asked for, so that a life that anything drew can be written down and played again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from zenflow_testing.outcomes import (
    APPROVAL_DELAY,
    ApprovalRefused,
    Decision,
    JobEnding,
    NeverDecided,
    Outcomes,
)
from zenflow_testing.outcomes_file import NEVER


class Recorded:
    """As `base` has it; remembers every answer."""

    def __init__(self, base: Outcomes) -> None:
        self._base = base
        self._jobs: dict[str, dict[int, JobEnding]] = {}
        self._approvals: dict[str, Decision] = {}
        self._config: dict[str, dict[str, str | None]] = {}
        self._suspended: dict[str, timedelta | None] = {}

    def job(self, step: str, attempt: int) -> JobEnding:
        ending = self._base.job(step, attempt)
        self._jobs.setdefault(step, {})[attempt] = ending
        return ending

    def approval(self, step: str) -> Decision:
        return self._approvals.setdefault(step, self._base.approval(step))

    def config_map(self, name: str, key: str) -> str | None:
        value = self._base.config_map(name, key)
        self._config.setdefault(name, {})[key] = value
        return value

    def suspended(self, step: str) -> timedelta | None:
        return self._suspended.setdefault(step, self._base.suspended(step))

    def document(self) -> dict[str, Any]:
        """What was answered, as an outcomes file has it."""
        found: dict[str, Any] = {}
        if self._jobs:
            found["steps"] = {step: self._runs(step, runs) for step, runs in self._jobs.items()}
        if self._approvals:
            found["approvals"] = {step: _decision(each) for step, each in self._approvals.items()}
        if self._config:
            found["configMaps"] = {name: dict(keys) for name, keys in self._config.items()}
        if self._suspended:
            found["suspended"] = {
                step: NEVER if each is None else _duration(each) for step, each in self._suspended.items()
            }
        return found

    def _runs(self, step: str, runs: dict[int, JobEnding]) -> list[dict[str, Any]]:
        return [_ending(runs.get(n) or self._base.job(step, n)) for n in range(1, max(runs) + 1)]


def _ending(ending: JobEnding) -> dict[str, Any]:
    told: dict[str, Any] = {"after": _duration(ending.after)}
    told |= {"exitCode": ending.exit_code} if ending.exit_code else {}
    told |= {} if ending.outputs is None else {"outputs": dict(ending.outputs)}
    told |= {} if ending.message is None else {"message": ending.message}
    told |= {"reason": ending.reason} if ending.reason else {}
    return told | ({"disruption": ending.disruption} if ending.disruption else {})


def _decision(decision: Decision) -> Any:
    if isinstance(decision, NeverDecided):
        return NEVER
    told: dict[str, Any] = {} if decision.after == APPROVAL_DELAY else {"after": _duration(decision.after)}
    if isinstance(decision, ApprovalRefused):
        told["reject"] = decision.why
    return told | ({"by": decision.by} if decision.by else {})


def _duration(duration: timedelta) -> str:
    return f"{duration // timedelta(seconds=1)}s"
