"""The border between JSON and the values of `spec`: strict, and all problems at once.

Nothing is converted that the API server would not take as it is: `name: 3` is
no text, `"false"` no boolean, `true` no number, 5.0 no whole number. An unknown
field is a problem, not a field that silently does nothing. `null` means "not
given", as it does to the API server.

cattrs makes a reader for each class when it is first needed and gathers what
goes wrong; the words are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from itertools import islice
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Final, NewType, TypeAlias, get_args, get_origin

from attrs import Attribute, AttrsInstance, fields, has, resolve_types
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from zenflow_core.codec_problems import (
    UINT64_MAX,
    Wrong,
    WrongItems,
    key_is_not_text,
    problems_of,
    shown,
    unlike,
    wire_name,
)
from zenflow_core.limits import INT64_MAX, PROBLEMS, SOURCE_DEPTH
from zenflow_core.nearest import nearest
from zenflow_core.problems import Problem
from zenflow_core.spec import API_VERSION, KIND, ArtifactStore, JobFlow, JobFlowSpec, ObjectMeta, OwnerReference


def read_flow(data: Any) -> JobFlow | tuple[Problem, ...]:
    """A JobFlow object as parsed from YAML or JSON, or everything wrong with its shape.

    Judges types, names, required fields, enums and ranges, in the order of the
    spec, at most `limits.PROBLEMS` of them; what the values mean together is
    `validation`'s. Of `metadata` only what zenflow reads is kept; `status` is
    kept as it is. Free-form parts (templates, status) are shared with `data`.
    Costs about 10 µs a step.
    """
    foreign = _foreign(data)
    if foreign:
        return foreign
    try:
        return _converter().structure(data, JobFlow)
    except (ClassValidationError, Wrong) as error:
        return tuple(islice(problems_of(error, ""), PROBLEMS))


def write_flow(flow: JobFlow) -> dict[str, Any]:
    """The JSON of a flow, without what is not given or is the default.

    `read_flow(write_flow(flow)) == flow`. Free-form parts are shared with `flow`.
    """
    written: dict[str, Any] = _converter().unstructure(flow)
    return written


def write_spec(spec: JobFlowSpec) -> dict[str, Any]:
    """The JSON of a spec alone, as `write_flow` has it under `spec`."""
    written: dict[str, Any] = _converter().unstructure(spec)
    return written


def read_artifact_store(data: Any) -> ArtifactStore | tuple[Problem, ...]:
    """A default store as parsed from YAML or JSON, or everything wrong with its shape."""
    try:
        return _converter().structure(data, ArtifactStore)
    except (ClassValidationError, Wrong) as error:
        return tuple(islice(problems_of(error, ""), PROBLEMS))


def write_artifact_store(store: ArtifactStore) -> dict[str, Any]:
    """The JSON of a default store; `read_artifact_store` gives it back."""
    written: dict[str, Any] = _converter().unstructure(store)
    return written


def _foreign(data: Any) -> tuple[Problem, ...]:
    """What makes `data` something else than a JobFlow, so that nothing more can be said about it."""
    if type(data) is not dict:
        what = f"found {shown(data)}, expected a JobFlow object"
        return (Problem("", what, f"begin with 'apiVersion: {API_VERSION}' and 'kind: {KIND}'", rule="ZF107"),)
    problems = []
    for name, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        found = data.get(name)
        if found is None:
            problems.append(Problem(name, "missing", f"add '{name}: {expected}'", rule="ZF107"))
        elif found != expected:
            what = f"found {shown(found)}, expected {expected!r}"
            problems.append(Problem(name, what, f"write '{name}: {expected}'", rule="ZF107"))
    return tuple(problems)


@cache
def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook_factory(has, _object_reader)
    converter.register_unstructure_hook_factory(has, _object_writer)
    return converter


# Readers take a value of JSON and answer with the value of the spec, or raise. The second argument is cattrs' and
# always the type they were made for.

_Reader: TypeAlias = Callable[[Any, Any], Any]
_Writer: TypeAlias = Callable[[Any], Any]


def _object_reader(kind: type[AttrsInstance], converter: Converter) -> _Reader:
    resolve_types(kind)
    by_field = {
        attribute.name: override(
            rename=wire_name(attribute),
            struct_hook=_bounded_reader(attribute) or _reader(attribute.type, converter),
        )
        for attribute in fields(kind)
    }
    read = make_dict_structure_fn(
        kind,
        converter,
        _cattrs_forbid_extra_keys=kind not in _OPEN,
        _cattrs_detailed_validation=True,
        **by_field,  # type: ignore[arg-type] # one ** for flags and fields; these are fields
    )

    def read_object(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise unlike("a mapping", value)
        if None in value.values():
            value = {name: entry for name, entry in value.items() if entry is not None}
        return read(value, kind)

    return read_object


def _reader(kind: Any, converter: Converter) -> _Reader:
    """The reader for the type of a field, or of what is in it."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    simple = _SIMPLE_READERS.get(kind)
    if simple is not None:
        return simple
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _choice_reader(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType and NoneType in inner:
        # A null never comes this far: `_object_reader` takes it for "not given".
        return _reader(next(each for each in inner if each is not NoneType), converter)
    if origin is tuple:
        return _list_reader(_reader(inner[0], converter))
    if origin is Mapping:
        return _read_free_form if inner[1] is Any else _mapping_reader(_reader(inner[1], converter))
    assert has(kind), f"spec has a type that the codec does not know: {kind}"
    read: _Reader = converter.get_structure_hook(kind)
    return read


def _bounded_reader(attribute: Attribute[Any]) -> _Reader | None:
    """A reader that holds a whole number to the field's own bounds; None for a field without."""
    minimum, maximum = attribute.metadata.get("minimum"), attribute.metadata.get("maximum")
    if minimum is None or maximum is None:
        return None

    def read_bounded(value: Any, _: Any) -> int:
        return _whole(value, minimum, maximum)

    return read_bounded


def _list_reader(read: _Reader) -> _Reader:
    def read_list(value: Any, _: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise unlike("a list", value)
        found: list[Any] = []
        wrong: list[tuple[int | str, Exception]] = []
        for index, item in enumerate(value):
            try:
                found.append(read(item, None))
            except (ClassValidationError, Wrong, WrongItems) as error:
                wrong.append((index, error))
                if len(wrong) == PROBLEMS:
                    break
        if wrong:
            raise WrongItems(wrong)
        return tuple(found)

    return read_list


def _mapping_reader(read: _Reader) -> _Reader:
    def read_mapping(value: Any, _: Any) -> Mapping[str, Any]:
        if type(value) is not dict:
            raise unlike("a mapping", value)
        found: dict[str, Any] = {}
        wrong: list[tuple[int | str, Exception]] = []
        for key, entry in value.items():
            try:
                if type(key) is not str:
                    raise key_is_not_text(key)
                found[key] = read(entry, None)
            except (ClassValidationError, Wrong, WrongItems) as error:
                wrong.append((str(key), error))
                if len(wrong) == PROBLEMS:
                    break
        if wrong:
            raise WrongItems(wrong)
        return found

    return read_mapping


def _choice_reader(choices: type[StrEnum]) -> _Reader:
    by_name = {choice.value: choice for choice in choices}
    *first, last = by_name
    listed = f"{', '.join(first)} or {last}"

    def read_choice(value: Any, _: Any) -> StrEnum:
        if type(value) is not str:
            raise unlike(listed, value)
        if value in by_name:
            return by_name[value]
        same = (name for name in by_name if name.lower() == value.lower())
        close = next(same, None) or nearest(value, by_name)
        fix = f"did you mean {close!r}?" if close else f"write {listed}"
        raise Wrong(f"found {shown(value)}, expected {listed}", fix, "ZF104")

    return read_choice


def _read_text(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise unlike("text", value)
    return value


def _read_boolean(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise unlike("true or false", value)
    return value


def _read_whole(value: Any, _: Any) -> int:
    return _whole(value, -INT64_MAX - 1, INT64_MAX)


def _whole(value: Any, minimum: int, maximum: int) -> int:
    if type(value) is not int:
        raise unlike("a whole number", value)
    if not minimum <= value <= maximum:
        what = f"found {shown(value)}, expected a whole number from {minimum} to {maximum}"
        raise Wrong(what, f"write a number from {minimum} to {maximum}", "ZF105")
    return value


def _read_number(value: Any, _: Any) -> float:
    if type(value) is int and abs(value) <= INT64_MAX:
        return float(value)
    if type(value) is not float or not isfinite(value):
        raise unlike("a finite number", value)
    return value


def _read_free_form(value: Any, _: Any) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise unlike("a mapping", value)
    if not _is_json(value, SOURCE_DEPTH):
        raise WrongItems([*_without_json(value, SOURCE_DEPTH)])
    return value


_SIMPLE_READERS: Final[Mapping[Any, _Reader]] = {
    str: _read_text,
    bool: _read_boolean,
    int: _read_whole,
    float: _read_number,
}
_OPEN: Final = (ObjectMeta, OwnerReference)
"""Objects of which zenflow reads a part: the rest belongs to Kubernetes, which may add to it."""


def _is_json(container: Any, depth: int) -> bool:
    """Whether a mapping or list holds nothing but JSON, nested less than `depth` deep. The quick look."""
    if depth == 0:
        return False
    entries = container
    if type(container) is dict:
        for key in container:
            if type(key) is not str:
                return False
        entries = container.values()
    for value in entries:
        kind = type(value)
        if kind is str or kind is bool or value is None:
            continue
        if kind is dict or kind is list:
            if not _is_json(value, depth - 1):
                return False
        elif kind is int:
            if not -INT64_MAX - 1 <= value <= UINT64_MAX:
                return False
        elif kind is not float or not isfinite(value):
            return False
    return True


def _without_json(container: Any, depth: int) -> Iterator[tuple[int | str, Exception]]:
    """What `_is_json` stumbled over, entry by entry. The thorough look."""
    for key, value in container.items() if type(container) is dict else enumerate(container):
        if type(key) is not str and type(container) is dict:
            yield str(key), key_is_not_text(key)
        elif isinstance(value, dict | list) and depth > 1:
            inner = list(islice(_without_json(value, depth - 1), PROBLEMS))
            if inner:
                yield key, WrongItems(inner)
        elif not _is_json([value], 2 if depth > 1 else 1):
            yield key, _no_json(value)


def _no_json(value: Any) -> Wrong:
    if isinstance(value, dict | list):
        return Wrong(f"nested deeper than {SOURCE_DEPTH} levels", "flatten it", "ZF004")
    what = f"found {shown(value)}, which JSON cannot hold"
    return Wrong(what, "put it in quotes if it is text, else write a finite number of 64 bits", "ZF106")


# Writers.


def _object_writer(kind: type[AttrsInstance], converter: Converter) -> _Writer:
    resolve_types(kind)
    by_field = {
        attribute.name: override(
            rename=wire_name(attribute),
            unstruct_hook=_writer(attribute.type, converter),
            # A manifest without apiVersion and kind is none, whatever they default to in Python.
            omit_if_default=attribute.name not in _ALWAYS,
        )
        for attribute in fields(kind)
    }
    return make_dict_unstructure_fn(kind, converter, **by_field)  # type: ignore[arg-type] # as in _object_reader


def _writer(kind: Any, converter: Converter) -> _Writer:
    """The writer for the type of a field: what its reader reads. A None is left out before it is asked."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return str
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType and NoneType in inner:
        return _writer(next(each for each in inner if each is not NoneType), converter)
    if origin is tuple:
        write = _writer(inner[0], converter)
        return lambda items: [write(item) for item in items]
    if kind in _SIMPLE_READERS or origin is Mapping:
        return _as_it_is
    assert has(kind), f"spec has a type that the codec does not know: {kind}"
    return converter.get_unstructure_hook(kind)


_ALWAYS: Final = ("api_version", "kind")


def _as_it_is(value: Any) -> Any:
    return value
