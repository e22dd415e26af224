"""The same HTTP requests, carried out by a real API server and by the cluster in memory, and their answers compared.

A request is a value. What it takes from an earlier answer (a version, a uid) it names with `Of`. Of an answer remain
the code, the reason, the words and the fields at fault, or else the object, without what no two servers could agree
on: uids, instants and versions become `uid-1`, `<instant>`, `version-2`, counted in the order in which they show up,
so that a write which must not change the version is still told from one which must.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx2
import msgspec
from attrs import field, frozen
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import SingleConfig

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"

PLURALS: Final[Mapping[str, str]] = {
    "Sample": "apis/testing.kube-zen.io/v1/namespaces/{ns}/samples",
    "JobFlow": "apis/workflow.kube-zen.io/v1alpha1/namespaces/{ns}/jobflows",
    "Job": "apis/batch/v1/namespaces/{ns}/jobs",
    "Pod": "api/v1/namespaces/{ns}/pods",
    "ConfigMap": "api/v1/namespaces/{ns}/configmaps",
    "Secret": "api/v1/namespaces/{ns}/secrets",
    "PersistentVolumeClaim": "api/v1/namespaces/{ns}/persistentvolumeclaims",
    "Lease": "apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
    "Event": "api/v1/namespaces/{ns}/events",
}


@frozen
class Of:
    """A value in the answer to an earlier request of the same scenario, counted from 0."""

    answer: int
    path: str
    """Names with dots between them."""

    def found(self, answers: Sequence[Any]) -> Any:
        """The value."""
        here: Any = answers[self.answer]
        for token in self.path.split("."):
            assert isinstance(here, dict), f"answer {self.answer} has no {self.path}: {answers[self.answer]}"
            assert token in here, f"answer {self.answer} has no {self.path}: {answers[self.answer]}"
            here = here[token]
        return here


@frozen
class Ask:
    """One request. `body` is a JSON value that may hold `Of`s and the text `{ns}`, or bytes as they are."""

    method: str
    path: str
    body: Any = None
    media: str = JSON
    query: Mapping[str, Any] = field(factory=dict)
    watch: bool = False
    accept: str = JSON
    """The form of the answer that is asked for."""


def at(kind: str, name: str = "", sub: str = "") -> str:
    """The path of a kind, of an object, or of its subresource."""
    return "/" + "/".join(part for part in (PLURALS[kind], name, sub) if part)


def create(kind: str, body: Any, **query: str) -> Ask:
    """POST."""
    return Ask("POST", at(kind), body, query=query)


def get(kind: str, name: str, sub: str = "") -> Ask:
    """GET of one object."""
    return Ask("GET", at(kind, name, sub))


def listed(kind: str, **query: str) -> Ask:
    """GET of a collection."""
    return Ask("GET", at(kind), query=query)


def put(kind: str, name: str, body: Any, sub: str = "", **query: str) -> Ask:
    """PUT."""
    return Ask("PUT", at(kind, name, sub), body, query=query)


def patch(kind: str, name: str, body: Any, sub: str = "", media: str = JSON_PATCH) -> Ask:
    """PATCH; a JSON Patch unless it says otherwise."""
    return Ask("PATCH", at(kind, name, sub), body, media=media)


def merge(kind: str, name: str, body: Any, sub: str = "") -> Ask:
    """PATCH by a merge patch."""
    return patch(kind, name, body, sub, MERGE_PATCH)


def delete(kind: str, name: str, **options: Any) -> Ask:
    """DELETE with options in its body, if there are any."""
    body = {"kind": "DeleteOptions", "apiVersion": "v1", **options} if options else None
    return Ask("DELETE", at(kind, name), body)


def watched(kind: str, version: Any, **query: str) -> Ask:
    """A watch from a version on, which the server ends after two seconds: its events."""
    return Ask(
        "GET", at(kind), {"resourceVersion": version, "watch": "true", "timeoutSeconds": "2", **query}, watch=True
    )


@frozen
class Answer:
    """What is left of an answer once it has been made comparable."""

    code: int
    reason: str = ""
    message: str = ""
    causes: tuple[tuple[str, str], ...] = ()
    """Reason and field of each cause, sorted; a server may say the same of one field twice."""
    body: Any = None


async def asked(
    config: SingleConfig, transport: httpx2.AsyncBaseTransport, scenario: Sequence[Ask], *, namespace: str
) -> list[Answer]:
    """Carry out the requests one after the other, by lightkube's own HTTP client."""
    answers: list[Any] = []
    symbols = Symbols(namespace)
    comparable: list[Answer] = []
    parameters = ConnectionParams(
        transport=transport,  # type: ignore[arg-type]  # lightkube declares the blocking one for both of its clients
        trust_env=False,
    )
    async with AsyncClient(config, parameters) as http:
        for ask in scenario:
            body = _filled(ask.body, answers, namespace)
            query = _filled(dict(ask.query), answers, namespace)
            if ask.watch:
                query, body = {**query, **body}, None
            content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
            headers = {"accept": ask.accept, **({"content-type": ask.media} if content is not None else {})}
            path = ask.path.replace("{ns}", namespace)
            response = await http.request(ask.method, path, content=content, headers=headers, params=query)
            if ask.watch and response.status_code == 200:
                found: Any = [msgspec.json.decode(line) for line in response.content.splitlines()]
            else:
                found = msgspec.json.decode(response.content)
            answers.append(found)
            comparable.append(symbols.answer(response.status_code, found))
    return comparable


def _filled(value: Any, answers: Sequence[Any], namespace: str) -> Any:
    match value:
        case Of():
            return value.found(answers)
        case "{ns}":
            return namespace
        case dict():
            return {name: _filled(each, answers, namespace) for name, each in value.items()}
        case list() | tuple():
            return [_filled(each, answers, namespace) for each in value]
        case _:
            return value


EXPLANATION: Final = "UnexpectedServerResponse"

_NUMBER: Final = re.compile(r"\(\d+\)")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Symbols:
    """Gives uids and versions names in the order in which they show up."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._known: dict[str, str] = {}
        self._counts = {"uid": 0, "version": 0}

    def _named(self, value: str, what: str) -> str:
        key = f"{what} {value}"
        if key not in self._known:
            self._counts[what] += 1
            self._known[key] = f"{what}-{self._counts[what]}"
        return self._known[key]

    def answer(self, code: int, body: Any) -> Answer:
        """The comparable form of an answer."""
        if isinstance(body, dict) and body.get("kind") == "Status" and body.get("status") == "Failure":
            return self._refusal(code, body)
        return Answer(code, body=self._plain(body))

    def _refusal(self, code: int, body: Mapping[str, Any]) -> Answer:
        details = body.get("details") or {}
        given = details.get("causes") or ()
        # By such a cause the fake explains what a server keeps to itself.
        explained = any(each.get("reason") == EXPLANATION for each in given)
        causes = ((each.get("reason", ""), each.get("field", "")) for each in given if not explained)
        assert body["code"] == code
        return Answer(
            code,
            body.get("reason", ""),
            message=self._text(body.get("message", "")),
            causes=tuple(sorted(set(causes))),
            body={} if explained else {name: self._plain(value) for name, value in details.items() if name != "causes"},
        )

    def _text(self, text: str) -> str:
        text = text.replace(self._namespace, "<namespace>")
        text = _NUMBER.sub("(<version>)", text)
        return _INSTANT.sub("<instant>", _UID.sub(lambda found: self._named(found[0], "uid"), text))

    def _plain(self, value: Any) -> Any:
        match value:
            case {"items": list()}:
                # The version of a list is that of the whole store, in which others write, too.
                return {
                    **{name: each for name, each in value.items() if name != "metadata"},
                    "items": self._plain(value["items"]),
                }
            case dict():
                return {
                    name: self._version(each) if name == "resourceVersion" else self._plain(each)
                    for name, each in generated(value).items()
                    if name != "managedFields"
                }
            case list():
                return [self._plain(each) for each in value]
            case str():
                return self._text(value)
            case _:
                return value

    def _version(self, value: Any) -> Any:
        return self._named(value, "version") if isinstance(value, str) else value


def generated(value: dict[str, Any]) -> dict[str, Any]:
    """Metadata with the random end of a generated name taken away."""
    name, prefix = value.get("name"), value.get("generateName")
    if not isinstance(name, str) or not prefix or not name.startswith(prefix[:58]) or name == prefix:
        return value
    return {**value, "name": name[:-5] + "<random>"} if len(name) == len(prefix[:58]) + 5 else value


def lacking(here: Any, there: Any, path: str = "") -> list[str]:
    """Where `here` says something that `there` does not say: so much may be left out here, and nothing may differ."""
    match here, there:
        case dict(), dict():
            return [
                problem
                for name, value in here.items()
                for problem in (
                    lacking(value, there[name], f"{path}.{name}") if name in there else [f"{path}.{name}: only here"]
                )
            ]
        case list(), list():
            if len(here) != len(there):
                return [f"{path}: {len(here)} items here, {len(there)} there"]
            return [p for i, (a, b) in enumerate(zip(here, there, strict=True)) for p in lacking(a, b, f"{path}[{i}]")]
        case _:
            return [] if here == there and type(here) is type(there) else [f"{path}: {here!r} here, {there!r} there"]
