"""Placeholders of a Job template: found once, filled in without ever being able to change the template's shape.

Only string leaves of the parsed template hold placeholders, and a value only ever becomes part of such a leaf (or, in
a field that is a number or a boolean, the whole of it). Values are never looked through for placeholders, so they are
data whatever they contain. Map keys are not looked at.

Kubernetes itself expands `$(NAME)` and reads `$$` as `$` in commands, args, env values and subPathExpr. A value has to
arrive there byte for byte, so `expandable` follows Kubernetes' own reading of the finished text and doubles each `$`
that would otherwise begin something: one of the value before `$` or `(`, and one of the template that only meets its
`(` or `$` in the value. What the template itself says (`$(HOME)`, `$$`) keeps its meaning. Fields that Kubernetes does
not expand get values as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from zenflow_core.jsonpath import render
from zenflow_core.limits import OBJECT_BYTES
from zenflow_core.nearest import instead
from zenflow_core.placeholder_values import FIXES, FieldType, Inserted, SecretReference, Value, convert, expandable
from zenflow_core.problems import below

Path: TypeAlias = tuple[str | int, ...]
TypeOfField: TypeAlias = Callable[[Path], FieldType | None]
"""What type the field at a path of the Job manifest has; None if unknown, which is taken as string."""


@frozen
class FlowNames:
    """What `{{.JobFlow.Name}}`, `{{.JobFlow.Namespace}}` and `{{.StepName}}` stand for."""

    name: str
    namespace: str
    step: str


@frozen
class PlaceholderProblem:
    """One placeholder that cannot be filled in: its field within the template, what is wrong, how to put it right."""

    path: str
    what: str
    fix: str


@frozen
class SecretUse:
    """A container that reads a Secret's value through an env var, which its manifest has to be given.

    It has to stand before the container's own env vars: Kubernetes expands `$(NAME)` from earlier ones only.
    """

    containers: str
    """The field of the Pod spec: containers, initContainers or ephemeralContainers."""
    index: int
    env_name: str


@frozen
class Rendered:
    """The template filled in. What has no placeholder is the template's own object, not a copy: never change it."""

    document: Mapping[str, Any]
    secrets: tuple[SecretUse, ...] = ()


__all__ = [
    "FieldType",
    "FlowNames",
    "PlaceholderProblem",
    "Rendered",
    "SecretReference",
    "SecretUse",
    "Template",
    "TypeOfField",
    "Value",
    "compile_template",
    "path_text",
]

_NAME: Final = r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)"
_HOLE: Final = re.compile(
    rf"\{{\{{\s*(?:(?:\.[pP]|p)arameters\.{_NAME}|\.(JobFlow\.Name|JobFlow\.Namespace|StepName))\s*\}}\}}"
    rf"|\$\{{\s*parameters\.{_NAME}\s*\}}"
)
_CONTAINERS: Final = frozenset({"containers", "initContainers", "ephemeralContainers"})
_PROBES: Final = frozenset({"livenessProbe", "readinessProbe", "startupProbe"})
_SHOWN: Final = 60


@frozen
class _Hole:
    """A placeholder: a parameter, or one of the names of the flow."""

    name: str
    is_parameter: bool
    source: str


_Piece: TypeAlias = str | _Hole


@frozen
class _Leaf:
    """A string with placeholders."""

    path: Path
    pieces: tuple[_Piece, ...]
    type: FieldType
    expanded: bool
    """Whether Kubernetes expands `$(NAME)` in this field."""
    container: tuple[str, int] | None
    """The container whose env a secret may come from; None where a secret may not stand."""
    plain: bool
    """Whether no `$` of the template stands right before a placeholder."""

    @property
    def where(self) -> str:
        return path_text(self.path)

    @property
    def holes(self) -> Iterable[_Hole]:
        return (piece for piece in self.pieces if isinstance(piece, _Hole))


@frozen
class _Branch:
    """A mapping or list some of whose entries hold placeholders."""

    base: dict[str, Any] | list[Any]
    changed: tuple[tuple[Any, _Branch | _Leaf], ...]


@frozen
class Template:
    """A Job manifest whose placeholders have been found."""

    source: Mapping[str, Any]
    parameters: frozenset[str]
    """The parameters its placeholders name."""
    leaves: tuple[_Leaf, ...] = field(repr=False)
    _root: _Branch | None = field(repr=False)
    _uses: Mapping[str, int] = field(repr=False)

    def unknown(self, names: Collection[str]) -> tuple[PlaceholderProblem, ...]:
        """What can be seen to be wrong before any value is known, given the names of the step's parameters.

        Placeholders for other parameters, and placeholders in text where a number or a boolean has to stand.
        """
        problems = [
            _unknown(leaf, hole.name, names)
            for leaf in self.leaves
            for hole in leaf.holes
            if hole.is_parameter and hole.name not in names
        ]
        problems += [
            PlaceholderProblem(
                leaf.where,
                f"has text around a placeholder, but the field has type {leaf.type}",
                "let the placeholder be the whole value",
            )
            for leaf in self.leaves
            if leaf.type in ("integer", "boolean", "number") and len(leaf.pieces) > 1
        ]
        return tuple(problems)

    def misplaced_secrets(self, secrets: Collection[str]) -> tuple[PlaceholderProblem, ...]:
        """Placeholders of the parameters `secrets`, bound to Secrets, where no container could resolve them."""
        return tuple(
            _misplaced(leaf, hole.name)
            for leaf in self.leaves
            for hole in leaf.holes
            if hole.is_parameter and hole.name in secrets and leaf.container is None
        )

    def render(self, values: Mapping[str, Value], names: FlowNames) -> Rendered | tuple[PlaceholderProblem, ...]:
        """Fill in the placeholders, or say all that stands against it. About 10 us for three placeholders.

        A template without placeholders is returned as it is. Values that no placeholder names are ignored.
        """
        if self._root is None:
            return Rendered(self.source)
        texts: dict[str, str | SecretReference] = {
            "JobFlow.Name": names.name,
            "JobFlow.Namespace": names.namespace,
            "StepName": names.step,
        }
        size = 0
        for name, count in self._uses.items():
            if name in values:
                value = values[name]
                text = value if isinstance(value, str | SecretReference) else render(value)
                # No name of the flow's begins with a dot, so parameters cannot be taken for them.
                texts[f".{name}"] = text
                size += count * len(text) if isinstance(text, str) else 0
        if size > OBJECT_BYTES:
            return (
                PlaceholderProblem(
                    "", f"its values have {size} characters, more than an object of the API may have",
                    "mount a ConfigMap instead of passing large values",
                ),
            )  # fmt: skip
        filling = _Filling(texts, values.keys(), problems=[], secrets={})
        document = filling.branch(self._root)
        if filling.problems:
            return tuple(filling.problems)
        assert isinstance(document, dict), "the root of a template is a mapping"
        return Rendered(document, tuple(filling.secrets))


def _key(hole: _Hole) -> str:
    return f".{hole.name}" if hole.is_parameter else hole.name


@frozen
class _Filling:
    """One rendering under way."""

    texts: Mapping[str, str | SecretReference]
    names: Collection[str]
    problems: list[PlaceholderProblem]
    secrets: dict[SecretUse, None]
    """Serves as an ordered set."""

    def branch(self, branch: _Branch) -> dict[str, Any] | list[Any]:
        copied = branch.base.copy()
        for key, child in branch.changed:
            copied[key] = self.branch(child) if isinstance(child, _Branch) else self.leaf(child)
        return copied

    def leaf(self, leaf: _Leaf) -> Any:
        parts: list[str | SecretReference] = []
        simple = leaf.plain
        for piece in leaf.pieces:
            if isinstance(piece, str):
                parts.append(piece)
                continue
            part = self.texts.get(_key(piece))
            if part is None:
                self.problems.append(_unknown(leaf, piece.name, self.names))
                return None
            if isinstance(part, SecretReference):
                if leaf.container is None:
                    self.problems.append(_misplaced(leaf, piece.name))
                    return None
                self.secrets[SecretUse(*leaf.container, env_name=part.env_name)] = None
                simple = False
            elif simple and leaf.expanded and "$" in part:
                simple = False
            parts.append(part)
        if leaf.type in ("string", "quantity"):
            if simple or not leaf.expanded:
                return "".join(parts)  # type: ignore[arg-type]  # a secret clears `simple`, and stands only where expanded
            return expandable(
                tuple(
                    part if isinstance(piece, str) or isinstance(part, SecretReference) else Inserted(part)
                    for piece, part in zip(leaf.pieces, parts, strict=True)
                )
            )
        text = "".join(part for part in parts if isinstance(part, str))
        converted = convert(text, leaf.type) if len(parts) == 1 else None
        if converted is None:
            self.problems.append(
                PlaceholderProblem(leaf.where, f"has type {leaf.type}, but {leaf_text(leaf)} gives {_show(text)}",
                                   FIXES[leaf.type])
            )  # fmt: skip
        return converted


def compile_template(template: Mapping[str, Any], *, field_type: TypeOfField | None = None) -> Template:
    """Find the placeholders of a parsed Job manifest (`apiVersion`, `kind`, `metadata`, `spec`).

    The template is kept, not copied, and must not be changed afterwards. `field_type` is only asked about fields that
    hold placeholders. Nested as deep as a manifest may be (`SOURCE_DEPTH`). Linear in the template, some 5 us a KiB.
    """
    leaves: list[_Leaf] = []
    root = _find(template, (), field_type, leaves)
    assert root is None or isinstance(root, _Branch), "a mapping has no placeholders but in its entries"
    uses: dict[str, int] = {}
    for leaf in leaves:
        for hole in leaf.holes:
            if hole.is_parameter:
                uses[hole.name] = uses.get(hole.name, 0) + 1
    return Template(template, frozenset(uses), leaves=tuple(leaves), root=root, uses=uses)


def _find(value: Any, path: Path, field_type: TypeOfField | None, leaves: list[_Leaf]) -> _Branch | _Leaf | None:
    if isinstance(value, str):
        if "{{" not in value and "${" not in value:
            return None
        leaf = _leaf(value, path, field_type)
        if leaf is not None:
            leaves.append(leaf)
        return leaf
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return None
    changed = []
    for key, item in items:
        if isinstance(item, str | Mapping | list | tuple):
            child = _find(item, (*path, key), field_type, leaves)
            if child is not None:
                changed.append((key, child))
    if not changed:
        return None
    return _Branch(dict(value) if isinstance(value, Mapping) else list(value), tuple(changed))


def _leaf(text: str, path: Path, field_type: TypeOfField | None) -> _Leaf | None:
    pieces: list[_Piece] = []
    end = 0
    plain = True
    for found in _HOLE.finditer(text):
        if found.start() > end:
            pieces.append(text[end : found.start()])
            plain = plain and text[found.start() - 1] != "$"
        dotted, fixed, shell = found.groups()
        name = dotted or shell or fixed
        pieces.append(_Hole(name, fixed is None, source=found.group()))
        end = found.end()
    if not pieces:
        return None
    if end < len(text):
        pieces.append(text[end:])
    expanded, container = _place(path)
    of_type = (field_type(path) if field_type is not None else None) or "string"
    if of_type == "int-or-string" and len(pieces) > 1:
        of_type = "string"
    return _Leaf(path, tuple(pieces), type=of_type, expanded=expanded, container=container, plain=plain)


def _place(path: Path) -> tuple[bool, tuple[str, int] | None]:
    """Whether Kubernetes expands the field at `path`, and the container whose secrets may stand there."""
    match path:
        case ("spec", "template", "spec", str(containers), int(index), *rest) if containers in _CONTAINERS:
            match rest:
                case ("command" | "args", int()) | ("env", int(), "value"):
                    return True, (containers, index)
                case ("volumeMounts", int(), "subPathExpr"):
                    return True, None
                case (str(probe), "exec", "command", int()) if probe in _PROBES:
                    # Expanded with the env values of the manifest only, so a secret would come out empty.
                    return True, None
                case _:
                    return False, None
        case _:
            return False, None


def _unknown(leaf: _Leaf, name: str, names: Collection[str]) -> PlaceholderProblem:
    return PlaceholderProblem(
        leaf.where,
        f"has a placeholder for parameter {name!r}, which this step does not have",
        instead(name, names, f"add it to the step's inputs.parameters, with a value or a valueFrom: {name}"),
    )


def _misplaced(leaf: _Leaf, name: str) -> PlaceholderProblem:
    return PlaceholderProblem(
        leaf.where,
        f"has a placeholder for parameter {name!r}, whose value comes from a Secret",
        "use it in command, args or env values of a container only; elsewhere refer to the Secret itself",
    )


def leaf_text(leaf: _Leaf) -> str:
    """The leaf as the template has it."""
    return "".join(piece if isinstance(piece, str) else piece.source for piece in leaf.pieces)


def path_text(path: Path) -> str:
    """A path as messages show it: `spec.template.spec.containers[0].args[1]`."""
    text = ""
    for key in path:
        text = below(text, key)
    return text


def _show(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
