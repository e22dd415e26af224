"""What things are called: names, labels and annotations, as pure functions of what they belong to.

A name is never drawn or counted: the same flow, step and attempt always give
the same name, so that a create that is sent twice finds the first one. What
fits is left as people expect it; what does not fit keeps a readable head and
gets a hash over everything it stands for.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, Protocol

from zenflow_core.limits import LABEL_CHARACTERS, NAME_CHARACTERS
from zenflow_core.spec import GROUP

LABEL_FLOW: Final = f"{GROUP}/flow"
LABEL_STEP: Final = f"{GROUP}/step"
LABEL_MANAGED_BY: Final = f"{GROUP}/managed-by"
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
LABEL_FLOW_UID: Final = f"{GROUP}/flow-uid"

MANAGED_BY: Final = "zen-flow"
"""Value of `LABEL_MANAGED_BY`, as it has always been."""

ANNOTATION_FLOW: Final = f"{GROUP}/flow"
"""The flow's full name, where the label of the same key may be shortened."""

ANNOTATION_STEP: Final = f"{GROUP}/step"
"""The step's full name, where the label of the same key may be shortened."""

ANNOTATION_TTL: Final = f"{GROUP}/ttl-seconds-after-finished"
"""A template's own `ttlSecondsAfterFinished`, which zenflow carries out once the result is recorded."""

ANNOTATION_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
"""The container that `kubectl logs` and `kubectl exec` mean when they are told none."""

ORPHANING: Final = "orphan"
"""The finalizer with which the garbage collector is to let the dependents of an object live."""

APPROVED_PREFIX: Final = f"approved.{GROUP}/"
REJECTED_PREFIX: Final = f"rejected.{GROUP}/"
APPROVER_PREFIX: Final = f"approver.{GROUP}/"
LEGACY_APPROVED_PREFIX: Final = f"{GROUP}/approved/"
"""Two slashes: no API server stores such a key, but files and fakes can hold it."""

INPUTS_CONTAINER: Final = "zenflow-inputs"
"""The init container that fetches a step's input artifacts."""

OUTPUTS_CONTAINER: Final = "zenflow-outputs"
"""The container that stores a step's output artifacts once the step's own has succeeded."""

REMOVAL_CONTAINER: Final = "zenflow-removal"
"""The container that removes what a deleted flow has stored, where its artifacts ask for that."""

ARTIFACTS_CLAIM: Final = "zenflow-artifacts"
"""Template name of the flow-owned claim for artifacts that go to no other store."""

UID_CHARACTERS: Final = 8
"""How much of a flow's uid stands in the names of its Jobs."""

_HASH_BYTES: Final = 6
"""48 bits: in 10,000 shortened names two are alike with a probability of 2 in ten million."""
_HASH_CHARACTERS: Final = 2 * _HASH_BYTES

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_QUALIFIED: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_NOT_QUALIFIED: Final = re.compile(r"[^-A-Za-z0-9_.]")
_NOT_NAME: Final = re.compile(r"[^-a-z0-9.]")
_JOINTS: Final = re.compile(r"[-.]*\.[-.]*")


class FlowIdentity(Protocol):
    """What a name needs to know of a flow; `observation.FlowSeen` has it."""

    @property
    def name(self) -> str: ...

    @property
    def uid(self) -> str: ...


def job_name(flow: FlowIdentity, step: str, attempt: int, *, indexed_highest: int | None = None) -> str:
    """Name of the Job that is attempt number `attempt` (from 1) of `step`.

    `<flow>-<step>-<uid[:8]>`, a retry with `-r<n>` behind it. Over 63 characters
    (the name becomes a Pod label) flow and step are cut and a hash over flow
    uid, step and attempt takes the place of the uid. `indexed_highest` is the
    highest completion index of an Indexed Job: its name has no dots and leaves
    room for `-<highest>`, as it becomes a host name (Job API, completionMode).

    Two Jobs of one namespace get one name only if the hash collides, or if the
    uids of two flows begin with the same 8 characters. Cost: 1 to 4 µs.
    """
    suffix = "" if attempt == 1 else f"-r{attempt - 1}"
    name = f"{flow.name}-{step}-{flow.uid[:UID_CHARACTERS]}{suffix}"
    indexed = indexed_highest is not None
    room = LABEL_CHARACTERS - (1 + len(str(indexed_highest)) if indexed else 0)
    if len(name) <= room and _SUBDOMAIN.fullmatch(name) and not (indexed and "." in name):
        return name
    end = f"-{_digest(flow.uid, step, str(attempt))}{suffix}"
    head = _head(_plain(flow.name), _plain(step), room - len(end))
    return (head.replace(".", "-") if indexed else head) + end


def resource_name(flow_name: str, template_name: str) -> str:
    """Name of an object of `resourceTemplates`: `<flow>-<name>`, so that Pod templates can mount it by that name.

    Over 253 characters both are cut and a hash over both is added; it does not
    depend on the flow's uid, since a manifest has to be able to name it.
    """
    name = f"{flow_name}-{template_name}"
    if len(name) <= NAME_CHARACTERS:
        return name
    end = f"-{_digest(flow_name, template_name)}"
    return _head(flow_name, template_name, NAME_CHARACTERS - len(end)) + end


def label_value(text: str) -> str:
    """`text` as a label value or as the name part of an annotation key: itself if it is legal there.

    Otherwise its readable head, `_` and a hash. No object name has a `_`, so a
    shortened name is never taken for another, shorter one. Cost: 0.3 µs as it is, 2 µs shortened.
    """
    if len(text) <= LABEL_CHARACTERS and (not text or _QUALIFIED.fullmatch(text)):
        return text
    head = _NOT_QUALIFIED.sub("-", text[: LABEL_CHARACTERS - 1 - _HASH_CHARACTERS]).strip("-_.")
    return f"{head}_{_digest(text)}" if head else _digest(text)


def approval_key(step: str) -> str:
    """Annotation that approves the Manual step `step`, with the value `true`."""
    return APPROVED_PREFIX + label_value(step)


def rejection_key(step: str) -> str:
    """Annotation that rejects the Manual step `step`; its value says why."""
    return REJECTED_PREFIX + label_value(step)


def approver_key(step: str) -> str:
    """Annotation that names who approved or rejected; admission allows it only to that user."""
    return APPROVER_PREFIX + label_value(step)


def legacy_approval_key(step: str) -> str:
    """The key of old documentation; only files and in-memory clusters can hold it."""
    return LEGACY_APPROVED_PREFIX + step


def is_qualified_name(key: str) -> bool:
    """Whether the API server takes `key` as a label or annotation key (`[prefix/]name`)."""
    prefix, slash, name = key.rpartition("/")
    if slash and not is_subdomain(prefix):
        return False
    return len(name) <= LABEL_CHARACTERS and _QUALIFIED.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    """Whether the API server takes `text` as a label value; the empty one is legal."""
    return len(text) <= LABEL_CHARACTERS and (not text or _QUALIFIED.fullmatch(text) is not None)


def is_subdomain(text: str) -> bool:
    """Whether `text` is a DNS-1123 subdomain of at most 253 characters, as object names are."""
    return len(text) <= NAME_CHARACTERS and _SUBDOMAIN.fullmatch(text) is not None


def _digest(*parts: str) -> str:
    """Hash of all parts; none of them can hold a NUL, so the parts cannot run into each other."""
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).hexdigest()


def _plain(text: str) -> str:
    """`text` if it is a legal object name, else one made of it (a file may hold anything)."""
    if _SUBDOMAIN.fullmatch(text):
        return text
    return _JOINTS.sub(".", _NOT_NAME.sub("-", text.lower())).strip("-.") or "x"


def _head(first: str, second: str, space: int) -> str:
    """`first-second` cut to `space`: each has half, and what one does not need the other gets."""
    space -= 1
    half = space // 2
    keep = max(half, space - len(second))
    first = first[:keep].rstrip("-.")
    return f"{first}-{second[: space - len(first)].rstrip('-.')}"
