"""`zenflow logs`: what the containers of a flow's steps have written, by step, attempt and container."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import anyio
from attrs import frozen

from zenflow_core.names import (
    ANNOTATION_DEFAULT_CONTAINER,
    ANNOTATION_STEP,
    LABEL_ATTEMPT,
    LABEL_FLOW_UID,
    LABEL_MANAGED_BY,
    LABEL_STEP,
    MANAGED_BY,
    label_value,
)
from zenflow_core.nearest import instead
from zenflow_core.reading import main_container
from zenflow_core.styled import Span, Style, line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, find_flow, on_cluster, tell
from zenflow_runtime.cli.following import follow, is_passing
from zenflow_runtime.cli.list_flows import since_of
from zenflow_runtime.cli.standing import is_over, step_names
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.failures import GONE, RequestFailed
from zenflow_runtime.kube import POD, Object

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ")
_LOOK_SECONDS: Final = 1.0
"""Between two looks at the Pods of a flow that is followed."""
_PAUSE_SECONDS: Final = 2.0
_SETTLED: Final = frozenset({"Succeeded", "Failed", "Skipped"})


@frozen
class Wanted:
    """Which logs, as the options say."""

    step: str | None = None
    attempt: int | None = None
    all_attempts: bool = False
    container: str | None = None
    follow: bool = False
    since: str | None = None
    tail: int | None = None
    timestamps: bool = False


@frozen
class Source:
    """One container of one Pod of one attempt of one step."""

    step: str
    attempt: int
    pod: str
    container: str
    began: str
    has_written: bool
    """It runs or has run: before that, there is no log to ask for."""


def show_logs(terminal: Terminal, where: Where, flow: str, wanted: Wanted) -> int:
    """Print them; 0, 4 if there is no such flow, step, attempt or container."""
    since = since_of(wanted.since) if wanted.since is not None else None
    if isinstance(since, Trouble):
        return tell(terminal, since)
    query = {"sinceSeconds": str(max(int(since.total_seconds()), 1))} if since is not None else {}
    if wanted.tail is not None:
        query["tailLines"] = str(max(wanted.tail, 0))

    async def see(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        steps = step_names(obj)
        if wanted.step is not None and wanted.step not in steps:
            fix = instead(wanted.step, steps, "it has no steps")
            what = f"flow {obj['metadata']['name']} has no step {wanted.step!r}"
            return tell(terminal, Trouble(what, fix, exits.NOT_FOUND))
        reader = _Reader(terminal, connection, obj, wanted, query)
        return await (reader.go_on() if wanted.follow else reader.once())

    return on_cluster(terminal, where, see)


class _Reader:
    def __init__(
        self, terminal: Terminal, connection: Connection, flow: Object, wanted: Wanted, query: Mapping[str, str]
    ) -> None:
        self._terminal = terminal
        self._connection = connection
        self._flow = flow
        self._wanted = wanted
        self._query = dict(query)

    async def once(self) -> int:
        """What there is by now, one container after the other, in the order in which they began."""
        pods = await self._pods()
        found = list(sources(pods, self._wanted))
        if not found:
            return tell(self._terminal, self._nothing(pods))
        several = len({(each.pod, each.container) for each in found}) > 1
        waiting = [each for each in found if not each.has_written]
        for each in found:
            if each.has_written:
                await self._print(each, prefix=self._prefix(each, found, several=several), query=self._query)
        for each in waiting:
            self._say(f"{each.step}: container {each.container} of Pod {each.pod} has not started yet")
        return exits.OK

    async def go_on(self) -> int:
        """What there is, and what is written until the flow (or the step) is over."""
        over = anyio.Event()

        def saw(flow: Object) -> bool:
            self._flow = flow
            return self._is_over(flow)

        async def see_end() -> None:
            await follow(self._connection, self._flow, saw, lambda why: self._say(f"connection lost: {why}", why))
            over.set()

        begun: set[tuple[str, str]] = set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(see_end)
            while True:
                last = over.is_set()  # asked before the Pods are: then they are all there
                try:
                    pods = await self._pods()
                except RequestFailed as error:
                    if not is_passing(error):
                        raise
                    await anyio.sleep(_PAUSE_SECONDS)
                    continue
                found = list(sources(pods, self._wanted))
                for each in found:
                    if each.has_written and (each.pod, each.container) not in begun:
                        begun.add((each.pod, each.container))
                        several = self._wanted.step is None or len(found) > 1
                        tasks.start_soon(self._stream, each, self._prefix(each, found, several=several))
                if last:
                    break
                with anyio.move_on_after(_LOOK_SECONDS):
                    await over.wait()
        return exits.OK if begun else tell(self._terminal, self._nothing(await self._pods()))

    async def _pods(self) -> list[Object]:
        labels = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_FLOW_UID}={self._flow['metadata']['uid']}"
        if self._wanted.step is not None:
            labels += f",{LABEL_STEP}={label_value(self._wanted.step)}"
        return await self._connection.kube.list_all(POD, self._connection.namespace, labels=labels)

    def _is_over(self, flow: Object) -> bool:
        if is_over(flow):
            return True
        rows = (flow.get("status") or {}).get("steps") or ()
        return any(row.get("name") == self._wanted.step and row.get("phase") in _SETTLED for row in rows)

    async def _stream(self, source: Source, prefix: str) -> None:
        """Follow one log to its end, through lost connections: again from the second of the last line that was read."""
        last = ""
        while True:
            query = {**self._query, "follow": "true", "timestamps": "true"}
            if last:
                query = {"follow": "true", "timestamps": "true", "sinceTime": f"{last[:19]}Z"}
            try:
                async for text in self._lines(source, query):
                    stamp = _STAMP.match(text)
                    if stamp is None:
                        self._put(prefix, text)
                        continue
                    if stamp[1] > last:
                        last = stamp[1]
                        self._put(prefix, text if self._wanted.timestamps else text[stamp.end() :])
                return
            except RequestFailed as error:
                if not is_passing(error):
                    self._say(f"{source.step}: {error.message}")
                    return
                await anyio.sleep(_PAUSE_SECONDS)

    async def _print(self, source: Source, *, prefix: str, query: Mapping[str, str]) -> None:
        stamps = {"timestamps": "true"} if self._wanted.timestamps else {}
        try:
            async for text in self._lines(source, {**query, **stamps}):
                self._put(prefix, text)
        except RequestFailed as error:
            if error.code not in (GONE, 400):
                raise
            self._say(f"{source.step}: the log of Pod {source.pod} cannot be read: {error.message}")

    async def _lines(self, source: Source, query: Mapping[str, str]) -> AsyncIterator[str]:
        path = f"{POD.path(self._connection.namespace, source.pod)}/log"
        async with self._connection.kube.lines(path, {**query, "container": source.container}) as found:
            async for text in found:
                yield text

    def _prefix(self, source: Source, found: Iterable[Source], *, several: bool) -> str:
        """What tells one log from the others."""
        if not several:
            return ""
        mates = [each for each in found if each.step == source.step]
        label = source.step
        if any(each.attempt != source.attempt for each in mates) or source.attempt > 1:
            label += f"/{source.attempt}"
        if any(each.attempt == source.attempt and each.pod != source.pod for each in mates):
            label += f" {source.pod.rpartition('-')[2]}"
        if any(each.pod == source.pod and each.container != source.container for each in mates):
            label += f" {source.container}"
        return f"{label} | "

    def _put(self, prefix: str, text: str) -> None:
        if self._terminal.is_terminal:
            # Colours would only be escapes; all else that steers a terminal is shown as what it is.
            shown = _COLOURS.sub("", text.removesuffix("\r")).expandtabs()
            self._terminal.print([line(Span(prefix, Style.DIM), shown)])
        else:
            self._terminal.text(f"{prefix}{text}\n")

    def _say(self, text: str, why: str = " ") -> None:
        if why:
            self._terminal.print_error([line(Span(f"zenflow: {text}", Style.WAIT))])

    def _nothing(self, pods: list[Object]) -> Trouble:
        name, step = self._flow["metadata"]["name"], self._wanted.step
        whose = f"step {step}" if step is not None else f"flow {name}"
        if not pods:
            what = f"there is no Pod of {whose} (any more)"
            return Trouble(what, f"zenflow explain {name}{f' {step}' if step else ''} says why", exits.NOT_FOUND)
        if self._wanted.attempt is not None and not any(attempt_of(pod) == self._wanted.attempt for pod in pods):
            there = sorted({attempt_of(pod) for pod in pods})
            what = f"there is no Pod of attempt {self._wanted.attempt} of {whose}"
            return Trouble(what, f"there are Pods of: {', '.join(map(str, there))}", exits.NOT_FOUND)
        names = sorted({each for pod in pods for each in containers_of(pod)})
        wanted = self._wanted.container or ""
        return Trouble(f"{whose} has no container {wanted!r}", instead(wanted, names, "it has none"), exits.NOT_FOUND)


def sources(pods: Iterable[Object], wanted: Wanted) -> list[Source]:
    """The logs that are meant: of the latest attempt of each step if nothing else is said."""
    found: list[Source] = []
    for pod in pods:
        container = wanted.container if wanted.container is not None else default_container(pod)
        if container not in containers_of(pod):
            continue
        metadata, status = pod["metadata"], pod.get("status") or {}
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        step = annotations.get(ANNOTATION_STEP) or labels.get(LABEL_STEP, "")
        found.append(
            Source(
                step,
                attempt_of(pod),
                metadata["name"],
                container=container,
                began=status.get("startTime") or metadata["creationTimestamp"],
                has_written=_has_written(status, container),
            )
        )
    if wanted.attempt is not None:
        found = [each for each in found if each.attempt == wanted.attempt]
    elif not wanted.all_attempts:
        latest: dict[str, int] = {}
        for each in found:
            latest[each.step] = max(latest.get(each.step, 0), each.attempt)
        found = [each for each in found if each.attempt == latest[each.step]]
    return sorted(found, key=lambda each: (each.began, each.step, each.attempt, each.pod))


def attempt_of(pod: Object) -> int:
    """Of which attempt a Pod is."""
    text = (pod["metadata"].get("labels") or {}).get(LABEL_ATTEMPT, "")
    return int(text) if text.isdecimal() else 1


def containers_of(pod: Object) -> list[str]:
    """The names of all containers of a Pod."""
    spec: Any = pod.get("spec") or {}
    return [str(each.get("name")) for kind in ("initContainers", "containers") for each in spec.get(kind) or ()]


def default_container(pod: Object) -> str:
    """The container that does the step's work."""
    named = (pod["metadata"].get("annotations") or {}).get(ANNOTATION_DEFAULT_CONTAINER)
    return str(named or main_container(pod.get("spec") or {}))


def _has_written(status: Mapping[str, Any], container: str) -> bool:
    known = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for each in known:
        if each.get("name") == container:
            state = each.get("state") or {}
            return "running" in state or "terminated" in state or bool(each.get("lastState"))
    return False
