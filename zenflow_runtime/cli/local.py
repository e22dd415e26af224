"""`zenflow run --local`: the flow really runs on this machine, and one sees it run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from zenflow_core.compile import compile_plan
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.settings import Settings
from zenflow_core.source import load_documents
from zenflow_core.state import FlowPhase
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.files import Unread, read_file
from zenflow_runtime.cli.findings import say_findings
from zenflow_runtime.cli.flows import Runnable, read_runnable
from zenflow_runtime.cli.local_view import Show, interrupted, intro, told_end
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.kinds import Object
from zenflow_testing.local import saved
from zenflow_testing.local.engine import Engine, EngineName, engine_of, obstacles
from zenflow_testing.local.run import Ending, How, LocalRun

FOLDER: Final = Path(".zenflow")
"""Where runs have their work directories."""
_IMAGE: Final = "of-this-machine"
"""Containers that move artifacts have no image here."""
_KINDS: Final = ("ConfigMap", "Secret", "PersistentVolumeClaim")


@frozen(kw_only=True)
class Choices:
    """What the command line asks for."""

    engine: EngineName = EngineName.PROCESS
    given_with: tuple[str, ...] = ()
    folder: str | None = None
    resume: bool = False
    fresh: bool = False
    keep: bool = False
    approve: tuple[str, ...] = ()
    yes: bool = False
    logs: bool = False
    output: str = "text"


@frozen
class _Prepared:
    runnable: Runnable
    engine: Engine
    objects: tuple[Object, ...]
    folder: Path
    resumed: saved.Saved | None = None


def run_local(terminal: Terminal, file: str, *, name: str | None, given: tuple[str, ...], choices: Choices) -> int:
    """Run it to its end; 0 Succeeded, 1 Failed, 2 invalid, 3 waits for what cannot come, 130 interrupted."""
    prepared = _prepare(terminal, file, name=name, given=given, choices=choices)
    if isinstance(prepared, int):
        return prepared
    show = Show(terminal, prepared.runnable.plan, logs=choices.logs, approve=_approved(prepared.runnable.plan, choices))
    try:
        run = LocalRun(
            prepared.runnable.flow,
            prepared.runnable.plan,
            folder=prepared.folder,
            engine=prepared.engine,
            objects=prepared.objects,
            listener=show.listener(live=choices.output == "text"),
            resumed=prepared.resumed,
        )
    except OSError as error:
        terminal.fail(f"cannot write {error.filename}: {(error.strerror or str(error)).lower()}")
        return exits.INVALID
    show.answer = run.answer
    if choices.output == "text":
        terminal.print(wrapped_lines(intro(prepared.runnable.plan, prepared.folder, choices.engine), terminal.wrap))
    ending = run.run()
    told = told_end(ending, prepared.folder, output=choices.output, columns=terminal.columns)
    terminal.text(told) if isinstance(told, str) else terminal.print(wrapped_lines(told, terminal.wrap))
    if ending.how is How.INTERRUPTED:
        terminal.print_error(wrapped_lines(interrupted(ending, prepared.folder, file, choices.folder), terminal.wrap))
    code = _exit_code(ending)
    if code == exits.OK and not choices.keep:
        shutil.rmtree(prepared.folder, ignore_errors=True)
    return code


def _exit_code(ending: Ending) -> int:
    match ending.how:
        case How.INTERRUPTED:
            return exits.INTERRUPTED
        case How.STUCK:
            return exits.UNENDING
        case How.OVER:
            return exits.OK if ending.life.state.record.phase is FlowPhase.SUCCEEDED else exits.NO


# --- before ----------------------------------------------------------------------------------------------------------


def _prepare(
    terminal: Terminal, file: str, *, name: str | None, given: tuple[str, ...], choices: Choices
) -> _Prepared | int:
    runnable = read_runnable(terminal, file, name=name, given=given)
    if isinstance(runnable, int):
        return runnable
    plan = compile_plan(runnable.flow, settings=Settings(artifact_image=_IMAGE))
    assert isinstance(plan, Plan), "it was valid without an image"
    runnable = evolve(runnable, plan=plan)
    known = {step.name for step in plan.steps if step.manual}
    unknown = [step for step in choices.approve if step not in known]
    if unknown:
        manual = ", ".join(sorted(known)) or "none"
        terminal.fail(f"--approve {unknown[0]}: there is no such manual step", f"manual steps are: {manual}")
        return exits.NOT_FOUND
    engine = engine_of(choices.engine)
    if isinstance(engine, str):
        terminal.fail(f"--engine {choices.engine.value}: {engine}", "install it, or leave --engine out")
        return exits.INVALID
    wrong = list(obstacles(_containers(plan), engine))
    if wrong:
        for step, what, fix in wrong:
            terminal.fail(f"step {step}: {what}", fix)
        return exits.INVALID
    objects = _objects(terminal, choices.given_with)
    if isinstance(objects, int):
        return objects
    folder = (Path(choices.folder) if choices.folder else FOLDER / runnable.name).resolve()
    resumed = _resumed(terminal, folder, choices)
    if isinstance(resumed, int):
        return resumed
    return _Prepared(runnable, engine, objects, folder, resumed)


def _approved(plan: Plan, choices: Choices) -> frozenset[str]:
    """Manual steps that are approved as soon as they ask."""
    return frozenset(step.name for step in plan.steps if step.manual) if choices.yes else frozenset(choices.approve)


def _containers(plan: Plan) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for step in plan.steps:
        if step.template is not None:
            pod = step.template.source["spec"]["template"]["spec"]
            found[step.name] = [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]
    return found


def _objects(terminal: Terminal, files: tuple[str, ...]) -> tuple[Object, ...] | int:
    """The objects of the files of `--with`."""
    found: list[Object] = []
    for file in files:
        text = read_file(file)
        if isinstance(text, Unread):
            terminal.fail(f"cannot read {text.file}: {text.why}")
            return exits.INVALID
        documents = load_documents(text, file=file)
        problems = tuple(each for each in documents if isinstance(each, Problem))
        if problems:
            say_findings(terminal, problems, file=file, text=text)
            return exits.INVALID
        for document in documents:
            assert not isinstance(document, Problem), "problems were told above"
            data = document.data
            kind = data.get("kind")
            if kind not in _KINDS or not isinstance((data.get("metadata") or {}).get("name"), str):
                terminal.fail(
                    f"{file} has a {kind or 'document without a kind'} in it",
                    f"--with takes {', '.join(_KINDS)}, each with metadata.name",
                )
                return exits.INVALID
            found.append(data)
    return tuple(found)


def _resumed(terminal: Terminal, folder: Path, choices: Choices) -> saved.Saved | int | None:
    """What an earlier run left, if it is to go on; the folder is empty otherwise."""
    if not choices.resume:
        if folder.exists() and not choices.fresh and _is_unfinished(folder):
            fix = "go on with it by --resume, or begin anew by --fresh"
            terminal.fail(f"{folder} has a run that was interrupted", fix)
            return exits.INVALID
        if (folder / saved.FILE).exists() or choices.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.exists() and any(folder.iterdir()):
            terminal.fail(f"{folder} is not empty and no work directory of a flow", "name another one with --dir")
            return exits.INVALID
        return None
    try:
        return saved.load(folder)
    except saved.NotSavedError as error:
        terminal.fail(f"there is nothing to resume: {error}", "leave --resume out")
        return exits.NOT_FOUND


def _is_unfinished(folder: Path) -> bool:
    try:
        return not (saved.load(folder).flow.get("status") or {}).get("completionTime")
    except saved.NotSavedError:
        return False
