"""What happens in a simulated world: how Jobs end, what people decide, what ConfigMaps hold.

The idea: an outcome is looked up, never rolled. It depends on the seed and on the name it is about alone,
so the same question always has the same answer, and a step that is added to a flow, or an attempt that is
made in another order, changes nothing for anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, Protocol, TypeAlias

from attrs import field, frozen

from zenflow_core.artifact_store import STORE
from zenflow_core.reasons import StoredArtifact

JOB_DURATION: Final = timedelta(seconds=10)
"""How long a Job runs unless a seed or a script says otherwise."""

APPROVAL_DELAY: Final = timedelta(seconds=60)
"""How long after it is asked for an approval is given, unless a script says otherwise."""

EXIT_CODES: Final = (1, 137, 143)
"""How seeded Jobs fail: an error of the program, SIGKILL (as when out of memory), SIGTERM (as when evicted)."""

_LONGEST_SECONDS: Final = 600
_FAILS_ONE_IN: Final = 10
_REJECTED_ONE_IN: Final = 10
_MISSING_ONE_IN: Final = 20


@frozen
class JobEnding:
    """How one run of a step's Pod ends, `after` so long from its start.

    `outputs` are laid over what the flow asks of the step (`demands.Demand.result`); `message` is the
    termination message word for word, and then there are no outputs. Both None: just what is asked.
    `disruption` is the reason of a `DisruptionTarget` condition of the Pod, for instance
    `PreemptionByScheduler`; empty for none. `reason` is the container's, empty for Completed or Error.
    """

    after: timedelta = JOB_DURATION
    exit_code: int = 0
    outputs: Mapping[str, Any] | None = field(default=None, kw_only=True)
    message: str | None = field(default=None, kw_only=True)
    reason: str = field(default="", kw_only=True)
    disruption: str = field(default="", kw_only=True)
    artifacts: Mapping[str, StoredArtifact | None] = field(factory=dict, kw_only=True)
    """How output artifacts were stored, None: not at all; any other one as `artifacts.stored_by` makes it up.
    Only asked where a Job carries artifacts."""
    upload_failure: str = field(default="", kw_only=True)
    """Why the artifacts of a run that succeeded could not be stored; empty: they were."""


@frozen
class ApprovalGiven:
    """Somebody approves, so long after it is asked for; `by` is recorded as the approver unless it is empty."""

    after: timedelta = APPROVAL_DELAY
    by: str = ""


@frozen
class ApprovalRefused:
    """Somebody rejects the step and says why."""

    after: timedelta
    why: str
    by: str = ""


@frozen
class NeverDecided:
    """Nobody ever answers."""


Decision: TypeAlias = ApprovalGiven | ApprovalRefused | NeverDecided


class Outcomes(Protocol):
    """All that a simulated world has to be told. Answers must depend on the arguments alone."""

    def job(self, step: str, attempt: int) -> JobEnding:
        """How run number `attempt` of the step ends, from 1.

        A run is an attempt; a Pod that a podFailurePolicy has ignored counts as one more.
        """

    def approval(self, step: str) -> Decision:
        """What becomes of the request to approve the step."""

    def config_map(self, name: str, key: str) -> str | None:
        """The value of a key of a ConfigMap that no object in the cluster has; None: it does not exist."""

    def suspended(self, step: str) -> timedelta | None:
        """How long a Job of the step that is suspended stays so; None: nobody resumes it."""


@frozen
class CalmOutcomes:
    """Nothing goes wrong: Jobs succeed after 10 s, approvals come after 60 s, keys exist, Jobs are resumed at once."""

    def job(self, step: str, attempt: int) -> JobEnding:
        """Success after 10 s."""
        return _CALM_ENDING

    def approval(self, step: str) -> Decision:
        """Given 60 s after it is asked for."""
        return _CALM_APPROVAL

    def config_map(self, name: str, key: str) -> str | None:
        """`<name>.<key>`."""
        return _made_up(name, key)

    def suspended(self, step: str) -> timedelta | None:
        """Not at all: it is resumed at once."""
        return _AT_ONCE


def _made_up(name: str, key: str) -> str | None:
    """A value for any key that a flow may name; a namespace has no store for artifacts unless somebody says one."""
    return None if (name, key) == (STORE.name, STORE.key) else f"{name}.{key}"


_CALM_ENDING: Final = JobEnding()
_CALM_APPROVAL: Final = ApprovalGiven()
_AT_ONCE: Final = timedelta(0)


@frozen
class SeededOutcomes:
    """A rough world, the same for the same seed.

    Drawn from the seed and the name alone: runs of 1 to 600 s, one in ten of which fails with exit code 1,
    137 or 143; one approval in ten is rejected; one ConfigMap key in twenty is missing. About 5 us a draw.
    """

    seed: int

    def job(self, step: str, attempt: int) -> JobEnding:
        """Drawn from the seed, the step's name and the number of the run."""
        draw = self._draw("job", step, str(attempt))
        seconds = 1 + draw[0] % _LONGEST_SECONDS
        exit_code = EXIT_CODES[draw[2] % len(EXIT_CODES)] if draw[1] % _FAILS_ONE_IN == 0 else 0
        return JobEnding(timedelta(seconds=seconds), exit_code)

    def approval(self, step: str) -> Decision:
        """Drawn from the seed and the step's name; 60 s after it is asked for either way."""
        if self._draw("approval", step)[0] % _REJECTED_ONE_IN == 0:
            return ApprovalRefused(APPROVAL_DELAY, f"rejected by seed {self.seed}")
        return _CALM_APPROVAL

    def config_map(self, name: str, key: str) -> str | None:
        """Drawn from the seed, the ConfigMap's name and the key."""
        return None if self._draw("configMap", name, key)[0] % _MISSING_ONE_IN == 0 else _made_up(name, key)

    def suspended(self, step: str) -> timedelta | None:
        """Not at all: it is resumed at once."""
        return _AT_ONCE

    def _draw(self, *about: str) -> tuple[int, int, int]:
        # A hash and not `random`: its output is a standard, the same in every version of Python.
        digest = sha256("\0".join((str(self.seed), *about)).encode("utf-8", "surrogatepass")).digest()
        return (
            int.from_bytes(digest[:8], "big"),
            int.from_bytes(digest[8:16], "big"),
            int.from_bytes(digest[16:24], "big"),
        )


@frozen
class ScriptedEnding:
    """One entry of a step's list in a script; `after` None follows the fallback."""

    after: timedelta | None = None
    exit_code: int = 0
    outputs: Mapping[str, Any] | None = field(default=None, kw_only=True)
    message: str | None = field(default=None, kw_only=True)
    reason: str = field(default="", kw_only=True)
    disruption: str = field(default="", kw_only=True)
    artifacts: Mapping[str, StoredArtifact | None] = field(factory=dict, kw_only=True)
    upload_failure: str = field(default="", kw_only=True)


@frozen
class ScriptedApproval:
    """One entry of `approvals`: given unless `reject` says why not; `after` None is 60 s."""

    after: timedelta | None = None
    reject: str | None = None
    by: str = ""


@frozen
class Script:
    """What an outcomes file says.

    `None` is the word `never` in `approvals` and `suspended`, and in `config_maps` a key that does not exist.
    """

    steps: Mapping[str, tuple[ScriptedEnding, ...]] = field(factory=dict)
    approvals: Mapping[str, ScriptedApproval | None] = field(factory=dict)
    config_maps: Mapping[str, Mapping[str, str | None]] = field(factory=dict)
    suspended: Mapping[str, timedelta | None] = field(factory=dict)


@frozen
class ScriptedOutcomes:
    """What a script says, and for all else what `fallback` does.

    The entries of a step's list are its runs in order; runs beyond the list follow the fallback, so that
    `[{exitCode: 1}]` is one failure and not one for ever.
    """

    script: Script
    fallback: Outcomes = field(factory=CalmOutcomes)

    def job(self, step: str, attempt: int) -> JobEnding:
        """Entry number `attempt` of the step's list, else the fallback's answer."""
        entries = self.script.steps.get(step, ())
        if attempt > len(entries):
            return self.fallback.job(step, attempt)
        entry = entries[attempt - 1]
        return JobEnding(
            self.fallback.job(step, attempt).after if entry.after is None else entry.after,
            entry.exit_code,
            outputs=entry.outputs,
            message=entry.message,
            reason=entry.reason,
            disruption=entry.disruption,
            artifacts=entry.artifacts,
            upload_failure=entry.upload_failure,
        )

    def approval(self, step: str) -> Decision:
        """What the script says, else the fallback's answer."""
        if step not in self.script.approvals:
            return self.fallback.approval(step)
        entry = self.script.approvals[step]
        if entry is None:
            return NeverDecided()
        after = APPROVAL_DELAY if entry.after is None else entry.after
        return (
            ApprovalGiven(after, entry.by) if entry.reject is None else ApprovalRefused(after, entry.reject, entry.by)
        )

    def config_map(self, name: str, key: str) -> str | None:
        """The scripted value, None for a key scripted as null, else the fallback's answer."""
        keys = self.script.config_maps.get(name, {})
        return keys[key] if key in keys else self.fallback.config_map(name, key)

    def suspended(self, step: str) -> timedelta | None:
        """What the script says, else the fallback's answer."""
        if step in self.script.suspended:
            return self.script.suspended[step]
        return self.fallback.suspended(step)
