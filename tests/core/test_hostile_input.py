"""Whatever a file holds, the answer comes soon, without a traceback, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from tests.bounded import bounded
from zenflow_core.codec import read_flow
from zenflow_core.limits import PROBLEMS, SOURCE_ANCHORS, SOURCE_BYTES, SOURCE_DEPTH, SOURCE_DOCUMENTS
from zenflow_core.problems import Problem
from zenflow_core.source import Document, load_documents

HEAD: Final = "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: f}\n"


def filled(unit: str, *, before: str = "", after: str = "") -> str:
    """As many of `unit` as one file may hold."""
    return before + unit * ((SOURCE_BYTES - len(before) - len(after)) // len(unit)) + after


def laughs(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines)


def numbered(line: str) -> str:
    """Eight MiB of a line with a number in it."""
    return "".join(line.format(n) for n in range(SOURCE_BYTES // (len(line) + 5)))


def block(depth: int) -> str:
    return "".join(f"{' ' * level}a:\n" for level in range(depth)) + " " * depth + "a: 1"


REFUSED: Final[list[tuple[str, str, Callable[[], str | bytes]]]] = [
    # Size
    ("ten megabytes", "ZF004", lambda: "x" * 10_000_000),
    ("ten megabytes of bytes", "ZF004", lambda: b"\xff" * 10_000_000),
    ("four-byte letters count as four", "ZF004", lambda: "😀" * 3_000_000),
    # Depth
    ("open brackets without end", "ZF001", lambda: filled("[")),
    ("open braces without end", "ZF004", lambda: filled("{a: ")),
    ("dashes without end", "ZF004", lambda: filled("- ")),
    ("question marks without end", "ZF006", lambda: filled("? ")),
    ("JSON objects without end", "ZF004", lambda: filled('{"a":')),
    ("JSON lists without end", "ZF001", lambda: filled("[", before='{"a":')),
    ("valid JSON nested 100,000 deep", "ZF004", lambda: '{"a":' * 100_000 + "1" + "}" * 100_000),
    ("valid brackets one too deep", "ZF004", lambda: "a: " + "[" * SOURCE_DEPTH + "]" * SOURCE_DEPTH),
    ("valid indentation 4,000 deep", "ZF004", lambda: block(4000)),
    ("aliases that nest too deep", "ZF004",
     lambda: "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40),
    # Width
    ("a list without end", "ZF004", lambda: filled("- 1\n", before="a:\n")),
    ("a mapping without end", "ZF004", lambda: numbered("k{}: 1\n")),
    ("one key without end", "ZF004", lambda: filled("a: 1\n")),
    ("a JSON list without end", "ZF004", lambda: filled("1,", before='{"a":[', after="1]}")),
    ("JSON objects side by side", "ZF004", lambda: filled("{},", before='{"a":[', after="{}]}")),
    ("documents without end", "ZF004", lambda: filled("---\na: 1\n")),
    ("empty documents without end", "ZF004", lambda: filled("---\n")),
    ("anchors without end", "ZF004", lambda: numbered("- &a{} 1\n")),
    ("%TAG directives without end", "ZF004", lambda: numbered("%TAG !a{}! b\n")),
    # Aliases
    ("a billion laughs", "ZF004", lambda: laughs(30)),
    ("one long text many times", "ZF004", lambda: f"a: &a {'x' * 1_000_000}\nb: [{'*a, ' * 100}]"),
    ("one big mapping merged many times", "ZF004",
     lambda: "a: &a {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}\n" + numbered("b{}: {{<<: *a}}\n")),
    ("an anchor within itself", "ZF007", lambda: "a: &a {b: *a}"),
    ("a mapping merged into itself", "ZF007", lambda: "a: &a {<<: *a}"),
    # Scalars
    ("a number of 5,000 digits", "ZF105", lambda: "a: " + "1" * 5000),
    ("a number of eight million digits", "ZF105", lambda: filled("1", before="a: ")),
    ("a JSON number of 5,000 digits", "ZF105", lambda: '{"a": ' + "1" * 5000 + "}"),
    ("a hexadecimal one", "ZF105", lambda: filled("f", before="a: 0x")),
    ("long numbers without end", "ZF105", lambda: filled("- " + "1" * 100 + "\n", before="a:\n")),
    ("a key of eight megabytes", "ZF001", lambda: filled("k", after=": 1")),
    # Encodings
    ("NULs", "ZF003", lambda: "\0" * 1_000_000),
    ("every byte there is", "ZF003", lambda: bytes(range(256)) * 30_000),
    ("UTF-16", "ZF003", lambda: ("a: 1\n" * 500_000).encode("utf-16")),
    ("UTF-16 without a mark", "ZF003", lambda: ("a: 1\n" * 500_000).encode("utf-16-le")),
    ("UTF-8 cut off", "ZF003", lambda: "a: é".encode()[:-1]),
    ("a program", "ZF003", lambda: b"\x7fELF\x02\x01\x01" + bytes(100_000)),
    # What only repeats
    ("tags of Python without end", "ZF005", lambda: filled("- !!python/name:os.system x\n")),
    ("binary tags without end", "ZF005", lambda: filled("- !!binary aGk=\n")),
    ("booleans as keys without end", "ZF006", lambda: filled("yes: 1\n")),
    ("nulls as keys without end", "ZF006", lambda: filled("?\n")),
    ("the same key again and again", "ZF002", lambda: "a: 1\n" * 200_000),
    ("duplicates everywhere", "ZF002", lambda: "".join(f"k{n}: {{a: 1, a: 2}}\n" for n in range(50_000))),
    ("nothing but comments", "ZF008", lambda: filled("# x\n")),
    ("nothing but line ends", "ZF008", lambda: filled("\n")),
    ("nothing but tabs", "ZF001", lambda: filled("\t")),
    ("nothing but colons", "ZF001", lambda: filled(": ")),
    ("nothing but quotes", "ZF008", lambda: filled("'")),
    ("nothing but directives", "ZF001", lambda: filled("%FOO a\n")),
]  # fmt: skip

ACCEPTED: Final[list[tuple[str, Callable[[], str]]]] = [
    ("a text of eight megabytes", lambda: filled("x", before="a: ")),
    ("a quoted one over many lines", lambda: filled("x\n ", before='a: "', after='"')),
    ("a block of text", lambda: filled("  x\n", before="a: |\n")),
    ("escapes", lambda: filled("\\x41", before='a: "', after='"')),
    ("a JSON text of eight megabytes", lambda: filled("x", before='{"a": "', after='"}')),
    ("brackets as deep as allowed", lambda: "a: " + "[" * (SOURCE_DEPTH - 1) + "]" * (SOURCE_DEPTH - 1)),
    ("as many anchors as allowed", lambda: "a:\n" + "".join(f"- &a{n} 1\n" for n in range(SOURCE_ANCHORS))),
    ("as many documents as allowed", lambda: "---\na: 1\n" * SOURCE_DOCUMENTS),
    ("a fraction of six million digits", lambda: "a: 1." + "1" * 6_000_000),
    ("a key of a megabyte", lambda: f"? {'k' * 1_000_000}\n: 1"),
    ("ten aliases of ten", lambda: laughs(4)),
]


@pytest.mark.parametrize(("rule", "text"), [pytest.param(rule, text, id=name) for name, rule, text in REFUSED])
def test_hostile_text_is_refused_in_time(rule: str, text: Callable[[], str | bytes]) -> None:
    made = text()
    read = bounded(lambda: load_documents(made, file="f.yaml"))
    assert 0 < len(read) <= PROBLEMS
    for problem in read:
        assert isinstance(problem, Problem), str(problem)[:500]
        assert problem.rule == rule, str(problem)[:500]
        assert problem.position is not None
        assert len(str(problem)) < 1000


def test_what_aliases_stand_for_is_counted() -> None:
    (problem,) = load_documents(laughs(30), file="f.yaml")
    assert isinstance(problem, Problem)
    assert "more than 500,000 values once aliases are followed" in problem.what


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in ACCEPTED])
def test_odd_but_bounded_text_is_read_in_time(text: Callable[[], str]) -> None:
    made = text()
    read = bounded(lambda: load_documents(made, file="f.yaml"))
    for document in read:
        assert isinstance(document, Document), str(document)[:500]
    positions = bounded(lambda: [each.position("a") for each in read if isinstance(each, Document)])
    assert None not in positions


FLOWS: Final[list[tuple[str, Callable[[], str]]]] = [
    ("steps that are numbers", lambda: HEAD + "spec: {steps: [" + "1, " * 200_000 + "]}"),
    ("steps without a name", lambda: HEAD + "spec: {steps: [" + "{}, " * 200_000 + "]}"),
    ("unknown fields", lambda: HEAD + "spec:\n" + "".join(f"  stepz{n}: 1\n" for n in range(100_000))),
    ("one unknown field of a megabyte", lambda: HEAD + f"spec:\n  ? {'s' * 1_000_000}\n  : 1\n"),
    ("labels that are numbers", lambda: HEAD + "spec: {steps: [{name: a, metadata: {labels: {"
     + ", ".join(f"k{n}: 1" for n in range(100_000)) + "}}}]}"),
    ("dependencies that are numbers",
     lambda: HEAD + "spec: {steps: [{name: a, dependencies: [" + "1, " * 200_000 + "]}]}"),
    ("a choice of a megabyte", lambda: HEAD + "spec: {steps: [{name: a, type: " + "J" * 1_000_000 + "}]}"),
    ("a shared template in every step", lambda: HEAD + "x: &x {a: [1, 2, 3]}\nspec:\n  steps:\n"
     + "".join(f"  - {{name: s{n}, template: *x, zzz: 1}}\n" for n in range(20_000))),
]  # fmt: skip


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in FLOWS])
def test_a_hostile_flow_is_refused_in_time(text: Callable[[], str]) -> None:
    (document,) = load_documents(text(), file="f.yaml")
    assert isinstance(document, Document), str(document)
    problems = bounded(lambda: read_flow(document.data))
    assert isinstance(problems, tuple)
    placed = bounded(lambda: document.placed(problems))
    assert 0 < len(placed) <= PROBLEMS
    for problem in placed:
        assert problem.position is not None
        assert len(str(problem)) < 1000


MEBIBYTES: Final = 256
"""What reading may take at most, the interpreter and its libraries included; today it takes 120."""

BROADEST: Final = {
    "a mapping without end", "a list without end", "JSON objects side by side", "a JSON list without end",
    "documents without end", "one big mapping merged many times", "one long text many times", "a billion laughs",
    "duplicates everywhere", "a key of eight megabytes", "a text of eight megabytes", "a JSON text of eight megabytes",
    "steps without a name", "a shared template in every step",
}  # fmt: skip

_CHILD: Final = """
import importlib.util, resource, sys
spec = importlib.util.spec_from_file_location("hostile", sys.argv[1])
hostile = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hostile)
limit = hostile.MEBIBYTES * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
read = set()
for name, *_, text in hostile.REFUSED + hostile.ACCEPTED + hostile.FLOWS:
    if name in hostile.BROADEST:
        read.add(name)
        for document in hostile.load_documents(text(), file="f"):
            if isinstance(document, hostile.Document):
                problems = hostile.read_flow(document.data)
                document.placed(problems)
print(len(read))
"""


def test_memory_is_bounded() -> None:
    """The broadest files above, one after the other, in a process that may not grow further."""
    done = subprocess.run([sys.executable, "-c", _CHILD, __file__], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(BROADEST))), done.stderr[-2000:]
