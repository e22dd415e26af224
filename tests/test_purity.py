"""The core is pure, and this file is where it is checked beyond what an import contract can see.

`impurities` walks a module's syntax tree. It knows names, not values: it finds the clock that somebody reads on
purpose, not one hidden behind three aliases. The import contract (`lint-imports`) stands beside it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import zenflow_core

CORE = Path(zenflow_core.__path__[0])

# Modules that are a clock, a source of randomness, I/O, a log or concurrency.
IMPURE_MODULES = frozenset(
    (
        *("time", "calendar", "sched"),
        *("random", "secrets", "uuid"),
        *("os", "io", "pathlib", "shutil", "glob", "tempfile", "fileinput", "mmap", "sqlite3", "pickle", "shelve"),
        *("socket", "ssl", "http", "urllib", "select", "subprocess", "signal", "ctypes"),
        *("logging", "warnings"),
        *("threading", "asyncio", "concurrent", "multiprocessing", "queue", "contextvars"),
    )
)
PURE_PARTS = frozenset({"urllib.parse"})
# Built-in functions that do I/O or run text, and the two whose answer differs from one process to the next.
IMPURE_BUILTINS = frozenset(
    {"open", "print", "input", "breakpoint", "exec", "eval", "compile", "__import__", "globals", "id", "hash"}
)
CLOCKS = frozenset({"now", "utcnow", "today"})
MUTATORS = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"}
    | {"setdefault", "update", "__setitem__"}
)


def impurities(source: str) -> list[str]:
    """What is impure in this source, as `line: what`, in the order of lines."""
    tree = ast.parse(source)
    found = [*_imports(tree), *_names(tree), *_instants(tree), *_coroutines(tree), *_shared_state(tree)]
    return [f"{line}: {what}" for line, what in sorted(set(found))]


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case _:
                continue
        impure = (name for name in modules if name not in PURE_PARTS and name.split(".")[0] in IMPURE_MODULES)
        yield from ((node.lineno, f"imports {name}") for name in impure)


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    # `__hash__` is where `hash` belongs: a dict asks for it, and what the dict answers does not depend on it.
    hashes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__hash__"]
    allowed = {node for function in hashes for node in ast.walk(function) if ast.unparse(node) == "hash"}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in IMPURE_BUILTINS and node not in allowed:
                yield node.lineno, f"uses {name}"
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr" | "stdin" | "argv" as name):
                yield node.lineno, f"uses sys.{name}"


def _instants(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Readings of the clock, and conversions that ask for the machine's time zone."""
    classes = {"datetime", "date", "datetime.datetime", "datetime.date"}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="datetime", names=names):
                classes |= {alias.asname for alias in names if alias.asname and alias.name in ("datetime", "date")}
            case ast.Import(names=names):
                aliases = [alias.asname for alias in names if alias.name == "datetime" and alias.asname]
                classes |= {f"{alias}.{kind}" for alias in aliases for kind in ("datetime", "date")}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=attr) if attr in CLOCKS and ast.unparse(value) in classes:
                yield node.lineno, f"reads the clock: {ast.unparse(node)}"
            case ast.Call(func=ast.Attribute(attr="astimezone"), args=[], keywords=[]):
                yield node.lineno, "asks for the local time zone: astimezone()"
            case ast.Call(func=ast.Attribute(attr="fromtimestamp"), args=[_], keywords=[]):
                yield node.lineno, "asks for the local time zone: fromtimestamp(x)"


def _coroutines(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.AsyncFunctionDef(name=name):
                yield node.lineno, f"async def {name}"
            case ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                yield node.lineno, "awaits"


def _shared_state(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """State that outlives a call: `global`, changed module-level containers, caches without a bound."""
    shared: set[str] = set()
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=targets):
                shared |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                shared.add(name)
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        local = _bound_in(function)
        for node in ast.walk(function):
            match node:
                case ast.Global(names=names):
                    yield node.lineno, f"global {', '.join(names)}"
                case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()) if name in shared - local:
                    yield node.lineno, f"changes the module-level {name}"
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if (
                    attr in MUTATORS and name in shared - local
                ):
                    yield node.lineno, f"changes the module-level {name}"
        if _has_arguments(function):
            yield from (
                (function.lineno, f"cache without a bound: {function.name}") for _ in _unbounded_caches(function)
            )


def _bound_in(function: ast.FunctionDef) -> set[str]:
    stored = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}


def _has_arguments(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.arg) for node in ast.walk(function.args))


def _unbounded_caches(function: ast.FunctionDef) -> Iterator[ast.expr]:
    for decorator in function.decorator_list:
        text = ast.unparse(decorator).removeprefix("functools.")
        if text == "cache" or text in ("lru_cache(None)", "lru_cache(maxsize=None)"):
            yield decorator


@pytest.mark.parametrize(
    ("source", "what"),
    [
        pytest.param("import time", "1: imports time", id="a clock module"),
        pytest.param("from time import monotonic", "1: imports time", id="a clock function"),
        pytest.param("def f():\n    import time as t", "2: imports time", id="an import inside a function"),
        pytest.param(
            "from datetime import datetime\nx = datetime.now(UTC)",
            "2: reads the clock: datetime.now",
            id="datetime.now",
        ),
        pytest.param(
            "from datetime import datetime as dt\nf = dt.utcnow",
            "2: reads the clock: dt.utcnow",
            id="a renamed class, not called",
        ),
        pytest.param(
            "import datetime\ndatetime.date.today()", "2: reads the clock: datetime.date.today", id="date.today"
        ),
        pytest.param(
            "import datetime as d\nd.datetime.now()", "2: reads the clock: d.datetime.now", id="a renamed module"
        ),
        pytest.param("x.astimezone()", "1: asks for the local time zone: astimezone()", id="the local zone"),
        pytest.param(
            "datetime.fromtimestamp(0)",
            "1: asks for the local time zone: fromtimestamp(x)",
            id="the local zone, by epoch",
        ),
        pytest.param("import random", "1: imports random", id="randomness"),
        pytest.param("from uuid import uuid4", "1: imports uuid", id="random identifiers"),
        pytest.param("k = hash('a')", "1: uses hash", id="a hash that differs from process to process"),
        pytest.param("k = id(x)", "1: uses id", id="an address"),
        pytest.param("open('f')", "1: uses open", id="a file"),
        pytest.param("list(map(print, x))", "1: uses print", id="print handed on"),
        pytest.param("import sys\nsys.stderr.write('x')", "2: uses sys.stderr", id="stderr"),
        pytest.param("import os.path", "1: imports os.path", id="the file system"),
        pytest.param("from urllib.request import urlopen", "1: imports urllib.request", id="the network"),
        pytest.param("from pathlib import Path", "1: imports pathlib", id="paths"),
        pytest.param("import logging", "1: imports logging", id="a log"),
        pytest.param("async def f(): ...", "1: async def f", id="a coroutine"),
        pytest.param("class A:\n    async def f(self): ...", "2: async def f", id="a coroutine method"),
        pytest.param("def f():\n    global last\n    last = 1", "2: global last", id="a global"),
        pytest.param(
            "seen = {}\ndef f(k):\n    seen[k] = 1", "3: changes the module-level seen", id="a module-level dict"
        ),
        pytest.param(
            "seen: set[str] = set()\ndef f(k):\n    seen.add(k)",
            "3: changes the module-level seen",
            id="a module-level set",
        ),
        pytest.param("@functools.cache\ndef f(x): ...", "2: cache without a bound: f", id="a cache that only grows"),
        pytest.param(
            "@lru_cache(maxsize=None)\ndef f(x): ...", "2: cache without a bound: f", id="the same, spelt out"
        ),
    ],
)
def test_a_planted_impurity_is_found(source: str, what: str) -> None:
    assert impurities(source) == [what]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "from datetime import UTC, datetime, timedelta\nEPOCH = datetime(1970, 1, 1, tzinfo=UTC)", id="instants"
        ),
        pytest.param("def f(view):\n    return view.now", id="a view's own now"),
        pytest.param("x.astimezone(UTC)\ndatetime.fromtimestamp(0, UTC)", id="conversions with a zone"),
        pytest.param("from urllib.parse import urlsplit", id="the part of urllib that only takes text apart"),
        pytest.param("import re\nP = re.compile('a')", id="re.compile is not compile"),
        pytest.param("RULES = {1: 2}\ndef f(k):\n    return RULES[k]", id="a table that is only read"),
        pytest.param("found = []\ndef f():\n    found = []\n    found.append(1)", id="a local of the same name"),
        pytest.param("@functools.cache\ndef env(): ...", id="one value, made once"),
        pytest.param("@lru_cache(maxsize=64)\ndef f(x): ...", id="a cache with a bound"),
        pytest.param("class A:\n    def __hash__(self):\n        return hash(self.x)", id="hash in __hash__"),
        pytest.param("class A:\n    def hash(self):\n        return self.hash", id="an attribute called hash"),
    ],
)
def test_pure_code_is_left_in_peace(source: str) -> None:
    assert impurities(source) == []


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_is_pure(path: Path) -> None:
    assert impurities(path.read_text(encoding="utf-8")) == []


def test_importing_the_core_loads_nothing_heavy() -> None:
    """`import zenflow_core` is what every command and every test pays for."""
    heavy = ("lightkube", "httpx2", "anyio", "cyclopts", "rich", "networkx", "yaml", "asyncio", "logging")
    ask = f"import sys, zenflow_core; print([name for name in {heavy!r} if name in sys.modules])"
    # -P: the package as installed, not the directory we happen to be in.
    answer = subprocess.run([sys.executable, "-P", "-c", ask], capture_output=True, text=True, check=False)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")
