"""The outcomes file: YAML that says how steps end, what people decide and what ConfigMaps hold.

    steps:
      build: [{exitCode: 1, after: 30s}, {outputs: {digest: sha256:12ab}}]
      train: [{exitCode: 143, disruption: PreemptionByScheduler}]
      report: [{message: not JSON}]
    approvals:
      deploy: {after: 1h, reject: not on a Friday, by: alice}
      audit: never
    configMaps:
      release-notes: {text: fixed it, old: null}
    suspended: {train: 10m, build: never}

Each section and each key may be left out. The list of a step has an entry for each run, in order: a run is
an attempt, or a Pod in place of one that a podFailurePolicy has ignored. Runs beyond the list, and whatever
else is not named, follow the fallback (the seed, or success). In an entry: `exitCode` 0 unless given;
`after` from the start of the run, else the fallback's; `outputs` by output name, or by member of the result,
laid over what the flow asks for; `message`, the termination message word for word, in place of `outputs`;
`reason` of the container (`OOMKilled`); `disruption`, the reason of a DisruptionTarget condition.
An approval is given after 60 s unless `after` says otherwise; `never`: nobody answers. A key that is null
does not exist. A suspended Job is resumed after so long, or `never`.

Nothing is guessed: an unknown key or step is a problem, and all problems are found at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any, Final, TypeVar

from zenflow_core.codec_problems import Wrong, shown, unlike
from zenflow_core.durations import MalformedDuration, parse_duration
from zenflow_core.limits import PROBLEMS
from zenflow_core.nearest import instead, nearest
from zenflow_core.problems import Problem, below
from zenflow_testing.outcomes import Script, ScriptedApproval, ScriptedEnding

NEVER: Final = "never"

LONGEST: Final = timedelta(days=3650)
"""Longest `after`: beyond it nobody waits, and dates of a simulation have to stay dates."""

_GUESSES: Final = 50
"""How often a nearest name is looked for: each look takes up to a millisecond, and a file may be all wrong."""

_SECTIONS: Final = ("steps", "approvals", "configMaps", "suspended")
_ENDING: Final = ("exitCode", "after", "outputs", "message", "reason", "disruption")
_APPROVAL: Final = ("after", "reject", "by")

_Value = TypeVar("_Value")


def read_outcomes(data: Any, *, steps: Collection[str], manual: Collection[str]) -> Script | tuple[Problem, ...]:
    """The script that an outcomes file holds, or everything wrong with it, in the order of the file.

    `data` is the parsed document, `steps` the flow's steps of both segments, `manual` those of them that are
    approved and not run. Positions are the caller's: `source.Document.placed`. At most `limits.PROBLEMS`.
    """
    reader = _Reader(frozenset(steps), frozenset(manual))
    script = reader.script(data)
    return tuple(islice(reader.problems, PROBLEMS)) if reader.problems else script


class _Reader:
    """Reads on after a problem, with a stand-in for what could not be read."""

    def __init__(self, steps: frozenset[str], manual: frozenset[str]) -> None:
        self._steps = steps
        self._manual = manual
        self._guesses = 0
        self.problems: list[Problem] = []

    def script(self, data: Any) -> Script:
        sections = self._mapping(data, "")
        self._only(sections, _SECTIONS, "")
        return Script(
            self._named(sections, "steps", self._endings, self._job_step),
            self._named(sections, "approvals", self._approval, self._manual_step),
            self._named(sections, "configMaps", self._keys, None),
            self._named(sections, "suspended", self._resumed, self._job_step),
        )

    def _named(
        self,
        sections: Mapping[Any, Any],
        section: str,
        read: Callable[[Any, str], _Value],
        judge: Callable[[str, str], None] | None,
    ) -> dict[str, _Value]:
        found: dict[str, _Value] = {}
        for name, value in self._mapping(sections.get(section), section).items():
            if not self._is_text(name, section):
                continue
            path = below(section, name)
            if judge is not None:
                judge(name, path)
            found[name] = read(value, path)
        return found

    # Which step a name may be

    def _job_step(self, name: str, path: str) -> None:
        if name in self._manual:
            self._add(
                path, f"step {name!r} is Manual: it runs no Job", "say under approvals what becomes of it", "ZF104"
            )
        elif name not in self._steps:
            self._unknown_step(name, path, self._steps - self._manual)

    def _manual_step(self, name: str, path: str) -> None:
        if name in self._steps and name not in self._manual:
            self._add(path, f"step {name!r} runs a Job: nobody is asked", "say under steps how its Jobs end", "ZF104")
        elif name not in self._steps:
            self._unknown_step(name, path, self._manual)

    def _unknown_step(self, name: str, path: str, known: Collection[str]) -> None:
        self._guesses += 1
        fix = instead(name, known if self._guesses <= _GUESSES else (), "remove it: the flow has no such step")
        self._add(path, f"the flow has no step {shown(name).removeprefix('the text ')}", fix, "ZF104")

    # The entries

    def _endings(self, value: Any, path: str) -> tuple[ScriptedEnding, ...]:
        if not isinstance(value, list):
            self._unlike("a list", value, path)
            return ()
        return tuple(self._ending(each, below(path, index)) for index, each in enumerate(value))

    def _ending(self, value: Any, path: str) -> ScriptedEnding:
        entry = self._mapping(value, path)
        self._only(entry, _ENDING, path)
        if entry.get("outputs") is not None and entry.get("message") is not None:
            what = "found outputs and message: the message of a Pod is one or the other"
            self._add(below(path, "message"), what, "remove one of them", "ZF101")
        outputs = entry.get("outputs")
        return ScriptedEnding(
            self._duration(entry.get("after"), below(path, "after")),
            self._exit_code(entry.get("exitCode"), below(path, "exitCode")),
            outputs=None if outputs is None else self._outputs(outputs, below(path, "outputs")),
            message=self._text(entry.get("message"), below(path, "message")),
            reason=self._text(entry.get("reason"), below(path, "reason")) or "",
            disruption=self._text(entry.get("disruption"), below(path, "disruption")) or "",
        )

    def _approval(self, value: Any, path: str) -> ScriptedApproval | None:
        if value == NEVER:
            return None
        entry = self._mapping(value, path)
        self._only(entry, _APPROVAL, path)
        reject = self._text(entry.get("reject"), below(path, "reject"))
        if reject == "":
            self._add(below(path, "reject"), "found no words", "say why it is rejected", "ZF105")
        return ScriptedApproval(
            self._duration(entry.get("after"), below(path, "after")),
            reject,
            self._text(entry.get("by"), below(path, "by")) or "",
        )

    def _keys(self, value: Any, path: str) -> Mapping[str, str | None]:
        keys = self._mapping(value, path)
        return {key: self._text(text, below(path, key)) for key, text in keys.items() if self._is_text(key, path)}

    def _resumed(self, value: Any, path: str) -> timedelta | None:
        if value is None:
            self._unlike("a duration or never", value, path)
        return None if value == NEVER else self._duration(value, path)

    # Values

    def _duration(self, value: Any, path: str) -> timedelta | None:
        if value is None:
            return None
        if type(value) is not str:
            found = f"found {shown(value)}, expected a duration"
            seconds = type(value) in (int, float) and 0 <= value < LONGEST.total_seconds()
            fix = f"write it with its unit: {value}s" if seconds else "write a duration such as 30s or 1h30m"
            self._add(path, found, fix, "ZF101")
            return None
        duration = parse_duration(value)
        if isinstance(duration, MalformedDuration):
            self._add(path, duration.what, duration.fix, "ZF101")
            return None
        if not timedelta(0) <= duration <= LONGEST:
            what = f"found {shown(value)}, expected a duration from 0s to {LONGEST // timedelta(hours=1)}h"
            self._add(path, what, "write one within these bounds", "ZF105")
            return None
        return duration

    def _exit_code(self, value: Any, path: str) -> int:
        if value is None:
            return 0
        if type(value) is not int:
            self._unlike("a whole number", value, path)
            return 0
        if not 0 <= value <= 255:
            what = f"found {shown(value)}, expected an exit code from 0 to 255"
            self._add(path, what, "write 0 for success, or the code of a failure, such as 1 or 137", "ZF105")
        return value

    def _outputs(self, value: Any, path: str) -> Mapping[str, Any]:
        outputs = self._mapping(value, path)
        return {key: each for key, each in outputs.items() if self._is_text(key, path)}

    def _text(self, value: Any, path: str) -> str | None:
        if value is None or type(value) is str:
            return value
        self._unlike("text", value, path)
        return None

    def _mapping(self, value: Any, path: str) -> Mapping[Any, Any]:
        """`value` if it is a mapping; an empty one in place of nothing, and of what is none."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._unlike("a mapping", value, path)
            return {}
        return value

    def _only(self, mapping: Mapping[Any, Any], known: tuple[str, ...], path: str) -> None:
        for key in mapping:
            if key in known or not self._is_text(key, path):
                continue
            close = nearest(key, known)
            fix = f"did you mean {close!r}?" if close else f"remove it; the keys here are {', '.join(known)}"
            self._add(below(path, key), "unknown key", fix, "ZF102")

    def _is_text(self, key: Any, path: str) -> bool:
        if type(key) is str:
            return True
        self._add(path, f"the key {shown(key)} is not text", "put the key in quotes", "ZF006")
        return False

    def _unlike(self, expected: str, value: Any, path: str) -> None:
        self._wrong(unlike(expected, value), path)

    def _wrong(self, wrong: Wrong, path: str) -> None:
        self._add(path, wrong.what, wrong.fix, wrong.rule)

    def _add(self, path: str, what: str, fix: str, rule: str) -> None:
        self.problems.append(Problem(path, what, fix, rule=rule))
