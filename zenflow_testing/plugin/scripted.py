"""How Jobs end in a test: step by step as it is scripted, else as the outcomes that were given, or well."""

from __future__ import annotations

from datetime import timedelta

from zenflow_testing.outcomes import (
    Decision,
    JobEnding,
    NeverDecided,
    Outcomes,
    Script,
    ScriptedEnding,
    ScriptedOutcomes,
)


class Endings:
    """Outcomes that can be added to, step by step."""

    def __init__(self, fallback: Outcomes, *, people: bool) -> None:
        self.steps: dict[str, tuple[ScriptedEnding, ...]] = {}
        self._fallback = fallback
        self._people = people
        """Whether people decide as `fallback` says; else nobody does but the test."""

    def job(self, step: str, attempt: int) -> JobEnding:
        """As the step's list says, else the fallback."""
        return ScriptedOutcomes(Script(steps=self.steps), self._fallback).job(step, attempt)

    def approval(self, step: str) -> Decision:
        """As given outcomes say; without any, nobody decides but the test."""
        if isinstance(self._fallback, ScriptedOutcomes) and step not in self._fallback.script.approvals:
            return NeverDecided()
        return self._fallback.approval(step) if self._people else NeverDecided()

    def config_map(self, name: str, key: str) -> str | None:
        """The fallback's."""
        return self._fallback.config_map(name, key)

    def suspended(self, step: str) -> timedelta | None:
        """The fallback's."""
        return self._fallback.suspended(step)
