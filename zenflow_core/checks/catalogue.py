"""Every rule of validation: id, title, how grave it is, what it finds and what to do about it.

ZF0xx (text) and ZF1xx (shape) belong to the readers; the meaning starts here at
ZF2xx. An id never changes its meaning and is never used again. The page
`docs/validation-rules.md` is this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from zenflow_core.problems import Severity


@frozen
class RuleInfo:
    """What a rule is called and means; the message of a finding has the details."""

    title: str
    severity: Severity
    what: str
    fix: str


def _error(title: str, what: str, fix: str) -> RuleInfo:
    return RuleInfo(title, Severity.ERROR, what, fix)


def _warning(title: str, what: str, fix: str) -> RuleInfo:
    return RuleInfo(title, Severity.WARNING, what, fix)


RULES: Final[Mapping[str, RuleInfo]] = {
    # names and the graph
    "ZF201": _error("no-steps", "The flow has no steps.", "Add a step to `spec.steps`."),
    "ZF202": _error(
        "duplicate-name",
        "Two steps, parameters, templates, outputs or artifacts of one list have the same name.",
        "Rename one of them.",
    ),
    "ZF203": _error(
        "step-name",
        "A step's name is no DNS-1123 subdomain (small letters, digits, `-`, `.`; at most 253 characters).",
        "Use such a name; more than 63 characters are fine, Job names and labels are shortened.",
    ),
    "ZF204": _error("unknown-dependency", "A dependency names no step of the flow.", "Name one of its steps."),
    "ZF205": _error("self-dependency", "A step depends on itself.", "Remove the dependency."),
    "ZF206": _warning("duplicate-dependency", "A dependency is listed twice.", "Remove one of the two."),
    "ZF207": _error(
        "dependency-cycle",
        "Steps wait for each other in a circle, step by step.",
        "Remove a dependency.",
    ),
    "ZF208": _error(
        "dependency-across-segments",
        "A step of `steps` depends on one of `finally`, or the other way round.",
        "`finally` starts when all of `steps` is settled: remove the dependency, or move the step.",
    ),
    "ZF209": _error("too-many-steps", "The flow has more than 3,146 steps.", "Split it into several flows."),
    "ZF210": _error("flow-name", "The flow's name or generateName is missing or illegal.", "Write a legal one."),
    "ZF211": _error("label", "A label or annotation has an illegal key or value.", "Write a legal one."),
    "ZF212": _error(
        "annotations-too-large", "The annotations are larger together than 256 KiB.", "Move data into a ConfigMap."
    ),
    # conditions
    "ZF301": _error(
        "when",
        "`when` cannot be read as a condition, or names a step, parameter or phase that does not exist.",
        "Follow the message.",
    ),
    "ZF302": _error(
        "when-not-upstream",
        "`when` names a step that this step does not wait for, so its phase is not settled.",
        "Add the step to `dependencies`.",
    ),
    # parameters
    "ZF401": _error(
        "parameter-name",
        "A parameter or artifact has an illegal name (letters, digits, `-` and `.`).",
        "Rename it; `imageTag` and `image-tag` are fine.",
    ),
    "ZF402": _error("no-source", "An input has no `value` and no source in `valueFrom`.", "Give it one."),
    "ZF403": _error("several-sources", "An input has more than one source.", "Keep one."),
    "ZF404": _error("json-path", "A jsonPath cannot be read.", "Follow the message."),
    "ZF405": _error("reference-without-step", "The jsonPath of an input names no step.", "Write `step:$.path`."),
    "ZF406": _error("unknown-step", "An input reads from a step that does not exist.", "Name a step of the flow."),
    "ZF407": _error(
        "not-upstream", "An input reads from a step that this step does not wait for.", "Add it to `dependencies`."
    ),
    "ZF408": _error(
        "no-document", "An input or output reads from a Manual step, which has no Job.", "Read from a Job step."
    ),
    "ZF409": _error("key-reference", "A ConfigMap or Secret reference lacks a legal name or key.", "Give both."),
    "ZF410": _error("unknown-parameter", "`valueFrom.parameter` names no parameter of the flow.", "Declare it."),
    "ZF411": _error("enum", "The value of a flow parameter is none that its `enum` lists.", "Use a listed value."),
    "ZF412": _error("parameter-without-value", "A flow parameter has no value.", "Give it one, or use `--set`."),
    "ZF413": _error("unknown-placeholder", "A placeholder names no input parameter of its step.", "Declare the input."),
    "ZF414": _error(
        "secret-placeholder",
        "The placeholder of a Secret stands outside command, args and env, where Kubernetes replaces no reference.",
        "Use it in command, args or env.",
    ),
    "ZF415": _error(
        "placeholder-value", "A value cannot become what the field needs, for instance a number.", "Correct the value."
    ),
    "ZF416": _error("value-too-large", "A value has more than 32 KiB.", "Put it into a ConfigMap or a file."),
    "ZF417": _warning("unused-input", "No placeholder uses an input.", "Use it, or remove it."),
    "ZF418": _warning("default-without-effect", "A `default` can never be used.", "Remove it."),
    "ZF419": _error("default-of-secret", "A Secret's input has a `default`, which would be no secret.", "Remove it."),
    # templates
    "ZF501": _error("no-template", "A step of type Job has no template.", "Give it `template` or `templateRef`."),
    "ZF502": _error("two-templates", "A step has both `template` and `templateRef`.", "Keep one."),
    "ZF503": _error("unknown-template", "`templateRef` names no shared template.", "Name one of `spec.templates`."),
    "ZF504": _warning("manual-with-template", "A Manual step has a template that never runs.", "Remove it."),
    "ZF505": _warning(
        "implicit-approval",
        "A step without type, template and message is an approval: perhaps `template` is misspelt.",
        "Write `type: Manual`, or add the template.",
    ),
    "ZF506": _error("not-a-job", "A template is of another kind than a batch/v1 Job.", "Write a Job."),
    "ZF507": _error("template-type", "A field of a template has a value of the wrong type.", "Follow the message."),
    "ZF508": _warning(
        "template-unknown-field", "A field of a template is unknown to Kubernetes, which would drop it.", "Correct it."
    ),
    "ZF509": _error(
        "restart-policy",
        "A template's `restartPolicy` is missing or Always, which the API server refuses for a Job.",
        "Write Never or OnFailure.",
    ),
    "ZF510": _error("no-containers", "A template has no containers.", "Add one."),
    "ZF511": _error("container", "A container has an illegal or repeated name, or no image.", "Follow the message."),
    "ZF512": _error("job-number", "A number of the Job spec is out of range.", "Follow the message."),
    "ZF513": _error("resources", "Resource quantities are illegal or contradict each other.", "Follow the message."),
    "ZF514": _error("job-mode", "Fields of the Job spec do not fit each other.", "Follow the message."),
    "ZF515": _error("volume", "A mount names no volume, or volumes are wrong.", "Follow the message."),
    "ZF516": _warning(
        "copied-from-live-object",
        "A template holds what belongs to a live Job (uid, resourceVersion, selector and so on).",
        "Remove it; it is left out of new Jobs.",
    ),
    "ZF517": _error("selector", "A `manualSelector` that the API server would refuse.", "Follow the message."),
    "ZF518": _error("template-failure-policy", "A template's `podFailurePolicy` is illegal.", "Follow the message."),
    "ZF519": _warning("unused-template", "No step uses a shared template.", "Remove it."),
    # policies
    "ZF601": _error("failure-policy-empty", "`podFailurePolicy` has no rules.", "Add a rule, or remove the policy."),
    "ZF602": _error("exit-codes", "`onExitCodes.values` is empty or has a value outside 0..255.", "Correct it."),
    "ZF603": _warning(
        "failure-policy-unusable",
        "No step can carry the flow's `podFailurePolicy`, or some cannot.",
        "Use `restartPolicy: Never` in their templates.",
    ),
    "ZF604": _error("duration", "A duration cannot be read, is not above zero, or longer than 720h.", "Correct it."),
    "ZF605": _error("factor", "`backoff.factor` is below 1.0 or no finite number.", "Use 1.0 or more."),
    "ZF606": _error("step-timeout", "`timeoutSeconds` is longer than 30 days.", "Use at most 2592000."),
    "ZF607": _warning(
        "retries-multiply",
        "Retries of the step and of its Job multiply.",
        "Set the template's `backoffLimit` to 0, or remove `retryPolicy`.",
    ),
    "ZF608": _warning("manual-with-retry", "A Manual step has a `retryPolicy`.", "Remove it."),
    "ZF609": _warning("field-without-effect", "A field can have no effect here.", "Remove it."),
    "ZF610": _error("concurrency-group", "`concurrencyGroup` is empty.", "Name a group, or remove the field."),
    "ZF611": _warning(
        "job-deadline-never-reached",
        "A Job's `activeDeadlineSeconds` is not below the step's `timeoutSeconds`, which ends it first.",
        "Keep one of the two.",
    ),
    # artifacts
    "ZF701": _error("artifact-path", "An artifact's path is not absolute, or has a `..` segment.", "Correct it."),
    "ZF702": _error(
        "artifact-source",
        "An input artifact has not exactly one source, or something that does not go with it.",
        "Keep one, and what belongs to it.",
    ),
    "ZF703": _error("artifact-from", "`from` is not of the form `step/artifact`.", "Write both."),
    "ZF704": _error("artifact-unknown", "`from` names a step or an artifact that does not exist.", "Correct it."),
    "ZF705": _error("artifact-not-upstream", "`from` names a step that this one does not wait for.", "Depend on it."),
    "ZF706": _error("artifact-url", "The URL or a header of an artifact's page cannot be asked for.", "Correct it."),
    "ZF707": _error("artifact-s3", "An S3 location lacks a part, or a part of it is wrong.", "Follow the message."),
    "ZF708": _error(
        "artifact-container",
        "The template of a step with output artifacts does not fit: one regular container, without probes and hooks.",
        "Follow the message.",
    ),
    "ZF709": _error("artifact-manual", "A Manual step has artifacts.", "Move them to a Job step."),
    "ZF710": _error("artifact-overlap", "Two artifacts of one list have the same path.", "Give each its own path."),
    "ZF711": _error(
        "artifact-report",
        "The report on a step's output artifacts may not fit into a termination message (4,096 bytes).",
        "Make several files one artifact: a directory.",
    ),
    "ZF712": _error(
        "artifact-unmoved",
        "A step has artifacts, and the operator that is to run the flow moves none.",
        "Take them out, or start the operator with `--artifact-image`.",
    ),
    "ZF713": _error(
        "artifact-bounds",
        "`sha256` or `sizeLimit` of an input artifact cannot be read.",
        "Write 64 hexadecimal digits, or a quantity above 0.",
    ),
    "ZF714": _error(
        "artifact-gc",
        "`artifactGC` is asked for where other flows may store, too, or where there is nothing in S3.",
        "Let `s3.key` end in `/`, or remove it.",
    ),
    # resources and size
    "ZF801": _error(
        "claim-template",
        "A volume claim template lacks what the API server asks for, or is called as the claim for artifacts is.",
        "Follow the message.",
    ),
    "ZF802": _error("config-map-template", "A ConfigMap template is illegal.", "Correct it."),
    "ZF803": _error(
        "object-too-large",
        "The flow with its status will not fit into one object of the API server (1.5 MiB).",
        "Share Job templates by `spec.templates` and `templateRef`, or split the flow.",
    ),
}


READING_RULES: Final[Mapping[str, RuleInfo]] = {
    "ZF001": _error(
        "yaml-syntax", "The text is not YAML.", "Follow the message; the position is where reading failed."
    ),
    "ZF002": _error("duplicate-key", "A mapping has the same key twice.", "Remove one of the two."),
    "ZF003": _error("not-utf8-text", "The file is not UTF-8 text.", "Save it as UTF-8."),
    "ZF004": _error("too-large", "The file has more bytes, nodes or nesting than is read.", "Split it."),
    "ZF005": _error("yaml-tag", "A YAML tag stands for something that JSON does not have.", "Write plain values."),
    "ZF006": _error("key-is-not-text", "The key of a mapping is not text.", "Put it in quotes."),
    "ZF007": _error("yaml-alias", "A YAML alias is unknown, or would make the document explode.", "Write it out."),
    "ZF008": _error("not-a-manifest", "A document is no mapping, or the file is empty.", "Write a JobFlow."),
    "ZF101": _error("wrong-type", "A value has another type than its field.", "Write what the message says."),
    "ZF102": _error("unknown-field", "A field does not exist.", "Correct its name, or remove it."),
    "ZF103": _error("missing-field", "A required field is missing.", "Add it."),
    "ZF104": _error("unknown-value", "A value is none of those that its field takes.", "Use one of them."),
    "ZF105": _error("out-of-range", "A number is too small or too large for its field.", "Correct it."),
    "ZF106": _error("not-json", "A value cannot be written as JSON.", "Write text, numbers, lists or mappings."),
    "ZF107": _error("not-a-jobflow", "The object is of another kind or version.", "Write kind: JobFlow."),
}
"""Rules of `source` and `codec`, for the page; `problems.RULE_TITLES` has their titles."""

_GROUPS: Final = (
    ("ZF0", "Text"),
    ("ZF1", "Shape"),
    ("ZF2", "Names and the graph"),
    ("ZF3", "Conditions"),
    ("ZF4", "Parameters"),
    ("ZF5", "Job templates"),
    ("ZF6", "Policies"),
    ("ZF7", "Artifacts"),
    ("ZF8", "Resources and size"),
)


def as_markdown() -> str:
    """The page `docs/validation-rules.md`."""
    rules = {**READING_RULES, **RULES}
    lines = [
        "# Validation rules",
        "",
        "Every finding names its rule. An error keeps a flow from running; a warning says what is probably not meant.",
        "An id never changes its meaning and is never used again. This page is written by",
        "`python tools/make_validation_rules.py`.",
    ]
    for prefix, heading in _GROUPS:
        lines += ["", f"## {heading}", "", "| rule | name | | finds | fix |", "| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {rule} | `{info.title}` | {info.severity} | {info.what} | {info.fix} |"
            for rule, info in rules.items()
            if rule.startswith(prefix)
        ]
    return "\n".join(lines) + "\n"
