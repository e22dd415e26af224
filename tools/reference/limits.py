"""docs/reference/limits.md: every bound that users can meet, its number and its reason from where the code has them.

The reason is the docstring below the constant, so the two cannot part. What is said here, and only here, is what the
bound is on and what happens beyond it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from importlib import import_module
from inspect import getsource
from typing import Final

from attrs import frozen

from tools.reference.tables import table

CORE: Final = "zenflow_core.limits"
CONDITIONS: Final = "zenflow_core.condition_bounds"
PATHS: Final = "zenflow_core.jsonpath"
POLICIES: Final = "zenflow_core.pod_failure_policy"


@frozen
class Limit:
    """A constant by its name and module: what it bounds, and what comes of more."""

    name: str
    bounds: str
    beyond: str
    module: str = CORE


GROUPS: Final = {
    "A flow": (
        Limit("STEPS", "steps of a flow, `finally` included", "ZF209; the API server refuses it"),
        Limit("DEPENDENCIES", "`dependencies` of one step", "ZF209; the API server refuses it"),
        Limit("OBJECT_BYTES", "the flow with its status", "ZF803; refused all the same, it ends (`StatusTooLarge`)"),
        Limit("STATUS_BYTES_PER_STEP", "a step's row, as ZF803 counts it", ""),
        Limit("STATUS_BYTES_PER_ARTIFACT", "an output artifact, as ZF803 counts it", ""),
        Limit(
            "NAME_CHARACTERS",
            "names of flows, steps, templates and parameters",
            "ZF203, ZF210; the API server refuses it",
        ),
        Limit("LABEL_CHARACTERS", "Job names, values of zenflow's labels, keys of approvals", "shortened, with a hash"),
        Limit("MESSAGE_CHARACTERS", "a text of others in a status", "cut"),
        Limit("HELD_STEPS_NAMED", "steps that `WaitsFor` names", "counted"),
    ),
    "Time": (
        Limit("STEP_TIMEOUT_SECONDS", "`timeoutSeconds`", "ZF606; the API server refuses it"),
        Limit("BACKOFF_DURATION_MAX", "`backoff.duration`, `backoff.maxDuration`", "ZF604"),
        Limit("REFUSAL_DELAY_MAX", "the pause after a Job that the API server refused for now", ""),
        Limit("RESOURCE_REFUSAL_DELAY", "the pause after an object of `resourceTemplates` that was", ""),
        Limit("RETRY_AFTER_MAX", "what a `Retry-After` can ask for", "taken as this"),
    ),
    "Values and conditions": (
        Limit(
            "PARAMETER_VALUE_BYTES", "a parameter's value", "ZF416; `OutputMissing`, `InputInvalid` where it is read"
        ),
        Limit(
            "TERMINATION_MESSAGE_BYTES",
            "a step's result (its termination message)",
            "cut by the kubelet; outputs fail (`OutputMissing`)",
            module="zenflow_core.reading",
        ),
        Limit("JSON_PATH_CHARACTERS", "a `jsonPath`", "ZF404; the API server refuses it"),
        Limit("_SEGMENTS", "names and brackets in it", "ZF404", module=PATHS),
        Limit("_DESCENTS", "`..` in it", "ZF404", module=PATHS),
        Limit("EXPRESSION_CHARACTERS", "a `when`", "ZF301; the API server refuses it"),
        Limit("_JOINS", "`+` in it", "ZF301", module=CONDITIONS),
        Limit("_READ_BY_A_LINE", "what it reads, without loops", "`ConditionInvalid`", module=CONDITIONS),
        Limit("_READ_BY_A_LOOP", "what it reads, with one", "`ConditionInvalid`", module=CONDITIONS),
        Limit("_READ_WITHIN_A_LOOP", "what it reads for each item", "`ConditionInvalid`", module=CONDITIONS),
        Limit("_READ_WITHIN_LOOPS", "what it reads for each pair of items", "`ConditionInvalid`", module=CONDITIONS),
    ),
    "A Job's podFailurePolicy": (
        Limit("RULES_MAX", "rules", "ZF603; the step runs without the flow's policy", module=POLICIES),
        Limit("VALUES_MAX", "exit codes of a rule", "ZF602", module=POLICIES),
        Limit("PATTERNS_MAX", "conditions of a rule", "split into several rules", module=POLICIES),
    ),
    "Artifacts": (
        Limit(
            "LIMIT_BYTES",
            "an input, packed and unpacked, without `sizeLimit`",
            "the step's Pod fails",
            module="zenflow_runtime.artifacts.orders",
        ),
        Limit("ENTRIES", "files of one archive", "the step's Pod fails", module="zenflow_runtime.artifacts.unpack"),
        Limit(
            "ZIP_ENTRIES",
            "files that are packed as zip",
            "the step's Pod fails",
            module="zenflow_runtime.artifacts.pack",
        ),
        Limit("ARTIFACT_STORE_BYTES", "a default store, as JSON", "`ArtifactStoreInvalid`"),
        Limit("ARTIFACT_STORE_KEY_CHARACTERS", "the `key` of a default store", "`ArtifactStoreInvalid`"),
        Limit("DEPTH", "nesting of directories", "the step's Pod fails", module="zenflow_runtime.artifacts.tree"),
    ),
    "A file": (
        Limit("SOURCE_BYTES", "a manifest's file", "ZF004"),
        Limit("SOURCE_DOCUMENTS", "documents in it", "ZF004"),
        Limit("SOURCE_DEPTH", "nesting of lists and mappings", "ZF004"),
        Limit("SOURCE_NODES", "values in it", "ZF004"),
        Limit("SOURCE_ANCHORS", "`&anchors` of a document", "ZF004"),
        Limit("SOURCE_TAG_DIRECTIVES", "`%TAG` lines", "ZF004"),
        Limit("PROBLEMS", "problems that are told of a manifest", "not told"),
    ),
    "The operator": (
        Limit("DUMP_BYTES", "decisions kept of a flow, for `zenflow dump`", "the oldest are forgotten"),
        Limit("WAITING", "Events that wait to be sent", "dropped", module="zenflow_runtime.events"),
        Limit("BODY_BYTES", "a request to the webhook", "413", module="zenflow_runtime.webhook.app"),
        Limit(
            "BODY_SECONDS",
            "the time that one may take to arrive",
            "408",
            module="zenflow_runtime.webhook.app",
        ),
        Limit(
            "TOLD",
            "problems in the message of a refusal",
            "only in its causes",
            module="zenflow_runtime.webhook.review",
        ),
    ),
}

NOT_MET: Final = frozenset(
    {
        *("INT32_MAX", "INT64_MAX"),  # what numbers of the API can hold: with each field
        *("RETRY_LIMIT_DEFAULT", "FLOW_BACKOFF_LIMIT_DEFAULT", "TTL_SECONDS_DEFAULT"),  # defaults: with each field
        *("BACKOFF_FACTOR_DEFAULT", "BACKOFF_DURATION_DEFAULT"),
        "MOVES_PER_WAVE",  # more is a bug of ours
    }
)
"""Constants of `limits.py` that are on no row."""

_PAGE: Final = """\
# Limits

What can grow has a bound, so that one flow cannot take memory and time from the others, nor outgrow what Kubernetes
stores. This page is made from the code by `python -m tools.make_reference`. `ZF...` are
[rules](../validation-rules.md) of `zenflow validate`; names like `OutputMissing` are [reasons](reasons.md).
[Every field](fields.md) has its own bounds with it, and `zenflow validate` says what
[a flow can cost at most](../explore.md#bounds).
"""


def page() -> str:
    """The page."""
    parts = [_PAGE]
    for heading, limits in GROUPS.items():
        rows = [(each.bounds, value(each), each.beyond, reason(each)) for each in limits]
        parts += [f"## {heading}\n", table(("of", "at most", "beyond it", "what and why"), rows) + "\n"]
    return "\n".join(parts)


def value(limit: Limit) -> str:
    """The number with its unit, which is the end of the constant's name."""
    number = getattr(import_module(limit.module), limit.name)
    if isinstance(number, timedelta):
        return _time(int(number.total_seconds()))
    if limit.name.endswith("_SECONDS"):
        return _time(int(number))
    if "BYTES" in limit.name:
        return _bytes(number)
    return f"{number:,} characters" if "CHARACTERS" in limit.name or "_READ_" in limit.name else f"{number:,}"


def reason(limit: Limit) -> str:
    """The docstring of the constant."""
    found = docstrings(limit.module).get(limit.name, "")
    assert found, f"{limit.module}.{limit.name} does not say why it is that large"
    return found


@cache
def docstrings(module: str) -> dict[str, str]:
    """The constants of a module with the text right below each."""
    body = ast.parse(getsource(import_module(module))).body
    return dict(_documented(body))


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for at, statement in enumerate(body):
        match statement, body[at + 1] if at + 1 < len(body) else None:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
            case ast.AnnAssign(target=ast.Name(id=name)), _:
                yield name, ""


def _time(seconds: int) -> str:
    for unit, name in ((86_400, "days"), (3_600, "h")):
        if seconds >= unit and seconds % unit == 0 and (seconds > unit or name == "h"):
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _bytes(number: int) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= unit and number % (unit // 2) == 0:
            return f"{number / unit:g} {name}"
    return f"{number:,} bytes"
