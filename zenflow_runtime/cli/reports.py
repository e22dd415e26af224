"""Findings for machines: our own JSON, GitHub's workflow commands, SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from zenflow_core.checks.catalogue import RULES
from zenflow_core.problems import RULE_TITLES, Problem, Severity
from zenflow_core.version import VERSION
from zenflow_runtime.cli.bounds import bounds_json
from zenflow_runtime.cli.validate import CheckedFile, CheckedFlow


def to_json(value: Any) -> str:
    """One JSON document for machines and diffs: keys sorted, two blanks, a line feed at its end."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def title_of(rule: str) -> str:
    """What a rule is called, for instance `unknown-dependency`; empty for none of ours."""
    known = RULES.get(rule)
    return known.title if known is not None else RULE_TITLES.get(rule, "")


def json_report(checked: tuple[CheckedFile, ...]) -> str:
    """`files[]`: file, valid, flows[] (with their bounds), findings[], skipped[]; and `valid`, `version`."""
    return to_json(
        {
            "files": [_file(each) for each in checked],
            "valid": all(each.valid for each in checked),
            "version": VERSION,
        }
    )


def _file(checked: CheckedFile) -> dict[str, Any]:
    out: dict[str, Any] = {
        "file": checked.file,
        "valid": checked.valid,
        "flows": [_flow(flow) for flow in checked.flows],
        "findings": [_finding(each) for each in checked.findings],
        "skipped": [{"kind": each.kind, "name": each.name} for each in checked.skipped],
    }
    return out | {"unread": checked.unread} if checked.unread else out


def _flow(flow: CheckedFlow) -> dict[str, Any]:
    out = {"name": flow.name, "namespace": flow.namespace, "steps": flow.steps, "valid": flow.valid}
    return out if flow.bounds is None else out | {"bounds": bounds_json(flow.bounds)}


def _finding(problem: Problem) -> dict[str, Any]:
    return {
        "severity": problem.severity.value,
        "rule": problem.rule,
        "title": title_of(problem.rule),
        "path": problem.path,
        "line": problem.position.line if problem.position else None,
        "column": problem.position.column if problem.position else None,
        "what": problem.what,
        "fix": problem.fix,
    }


def github_report(checked: tuple[CheckedFile, ...]) -> str:
    """Workflow commands that GitHub Actions shows beside the lines of a pull request."""
    lines = [_annotation(file.file, each) for file in checked for each in file.findings]
    lines += [
        f"::error file={_property(file.file)}::cannot be read: {_data(file.unread)}\n"
        for file in checked
        if file.unread
    ]
    return "".join(lines)


def _annotation(file: str, problem: Problem) -> str:
    place = f",line={problem.position.line},col={problem.position.column}" if problem.position else ""
    title = _property(f"{problem.rule} {title_of(problem.rule)}".strip())
    what = f"{problem.path}{': ' if problem.path else ''}{problem.what}\nfix: {problem.fix}"
    return f"::{problem.severity} file={_property(file)}{place},title={title}::{_data(what)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif_report(checked: tuple[CheckedFile, ...]) -> str:
    """SARIF 2.1.0, as code scanning and editors read it; the rules that were met come with their texts."""
    used = sorted({each.rule for file in checked for each in file.findings if each.rule})
    index = {rule: place for place, rule in enumerate(used)}
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "zenflow", "version": VERSION, "rules": [_rule(rule) for rule in used]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(file.file, each, index) for file in checked for each in file.findings],
    }
    unread = [
        {"level": "error", "message": {"text": f"cannot read {file.file}: {file.unread}"}}
        for file in checked
        if file.unread
    ]
    run["invocations"] = [{"executionSuccessful": not unread, "toolExecutionNotifications": unread}]
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return to_json({"$schema": schema, "version": "2.1.0", "runs": [run]})


def _rule(rule: str) -> dict[str, Any]:
    title = title_of(rule)
    out: dict[str, Any] = {"id": rule, "name": "".join(part.title() for part in title.split("-")) or rule}
    known = RULES.get(rule)
    text = known.what if known is not None else f"{title.replace('-', ' ')}."
    out["shortDescription"] = {"text": text}
    if known is not None:
        out["help"] = {"text": known.fix}
        out["defaultConfiguration"] = {"level": known.severity.value}
    return out


def _result(file: str, problem: Problem, index: Mapping[str, int]) -> dict[str, Any]:
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": quote(file)}}}
    if problem.position:
        place["physicalLocation"]["region"] = {
            "startLine": problem.position.line,
            "startColumn": problem.position.column,
        }
    if problem.path:
        place["logicalLocations"] = [{"fullyQualifiedName": problem.path}]
    out: dict[str, Any] = {
        "level": "error" if problem.severity is Severity.ERROR else "warning",
        "message": {"text": f"{problem.what}\nfix: {problem.fix}"},
        "locations": [place],
    }
    if problem.rule:
        out |= {"ruleId": problem.rule, "ruleIndex": index[problem.rule]}
    return out
