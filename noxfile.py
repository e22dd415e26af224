"""What CI runs, tier by tier; and, at the end, a table of what this machine could not run and why.

A *tier* is one kind of check with needs of its own: an interpreter, Go, root. `TIERS` lists them all. A bare `nox` runs
each tier the machine can run and closes with a table of the others, so nothing is left out in silence. With
`ZENFLOW_ALL_TIERS=1` a tier left out is a failure. A new tier is a session and a row in `TIERS`.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nox

ROOT = Path(__file__).parent
REPORTS = ROOT / ".nox" / "reports"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

OLDEST = "3.11"
NEWER = ("3.12", "3.13")

# tests/docs is the tier `docs`, tests/cluster and tests/install are `control_plane`, tests/node is `node`. The newer
# interpreters run the tests of core and harness, which is all but what is named here: so a new folder of tests is not
# forgotten.
NOT_IN_TESTS = ("tests/docs", "tests/cluster", "tests/install", "tests/node", "tests/pictures")
OLDEST_ONLY = ("tests/artifacts", "tests/cli", "tests/image", "tests/local", "tests/runtime")

CONTROL_PLANE = ROOT / "tests" / "cluster" / "build.py"

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv" if shutil.which("uv") else "virtualenv"
nox.options.reuse_existing_virtualenvs = True
# A missing interpreter is a row of the table (and, with ZENFLOW_ALL_TIERS=1, a failure there), in CI as elsewhere.
nox.options.error_on_missing_interpreters = False

# uv must use the interpreters that are here: the tiers say which are missing, a download would hide it.
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")


@functools.cache
def find_python(version: str) -> Path | None:
    """The first interpreter of this version that really runs, or None.

    A file called `python3.12` on PATH proves nothing: a pyenv shim is there for versions that are not selected, and
    Debian's python may lack `ensurepip`. So each candidate is asked for its version.
    """
    name = f"python{version}"
    on_path = (Path(directory) / name for directory in os.get_exec_path())
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [*on_path, *sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True)]
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        candidates.insert(0, Path(sys.executable))
    return next((path for path in candidates if _runs(path, version=version)), None)


def _runs(path: Path, *, version: str) -> bool:
    if not path.is_file():
        return False
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([path, "-c", ask], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version


def put_on_path(version: str) -> None:
    """Make sure that nox, which looks on PATH only, finds the interpreter that `find_python` found."""
    found = find_python(version)
    if found is None or shutil.which(f"python{version}") == str(found):
        return
    # A link of that one name: the interpreter's own directory may hold another `python3` too.
    links = ROOT / ".nox" / "interpreters"
    links.mkdir(parents=True, exist_ok=True)
    link = links / f"python{version}"
    if not link.is_symlink() or link.resolve() != found.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(found.resolve())
    if str(links) not in os.get_exec_path():
        os.environ["PATH"] = f"{links}{os.pathsep}{os.environ['PATH']}"


def always() -> str | None:
    """Needs nothing but what nox brings."""
    return None


def needs_python(version: str) -> Callable[[], str | None]:
    """Needs an interpreter of this version that runs."""

    def why_not() -> str | None:
        if find_python(version):
            return None
        return f"no Python {version} that runs (looked for python{version} on PATH and in pyenv)"

    return why_not


def needs_control_plane() -> str | None:
    """Needs Kubernetes' control plane: built before, or Go and a source of Go modules."""
    ask = [sys.executable, str(CONTROL_PLANE), "--why-not"]
    answer = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False)
    return answer.stdout.strip() or (answer.stderr.strip() if answer.returncode else None)


def needs_chromium() -> str | None:
    """Needs the browser in which pages are opened."""
    if any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        return None
    return "no Chromium on PATH (Debian: apt-get install chromium)"


def needs_node() -> str | None:
    """Needs what a control plane needs, and root and programs of Debian to run containers with; or any cluster."""
    if os.environ.get("ZENFLOW_NODE", "build") != "build":
        return None
    ask = [sys.executable, "-m", "tests.node.needs"]
    answer = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    lacks = answer.stdout.strip() or (answer.stderr.strip() if answer.returncode else "")
    return f"{lacks}; or name any cluster's kubeconfig file in ZENFLOW_NODE" if lacks else needs_control_plane()


@dataclass(frozen=True)
class Tier:
    """One kind of check: the session that runs it, and `why_not`, which answers what this machine lacks for it."""

    session: str
    checks: str
    why_not: Callable[[], str | None] = always


TIERS = (
    Tier("lint", "style, formatting, import contracts"),
    Tier("types", "mypy --strict on sources and tests", needs_python(OLDEST)),
    Tier(f"tests-{OLDEST}", "all tests", needs_python(OLDEST)),
    *(Tier(f"tests-{version}", "tests of core and harness", needs_python(version)) for version in NEWER),
    Tier("docs", "links, flows and commands in the documentation", needs_python(OLDEST)),
    Tier("pictures", "pages in a headless browser", needs_chromium),
    Tier("control_plane", "the operator and the cluster in memory against real Kubernetes", needs_control_plane),
    Tier("node", "the operator's image, artifacts and parameters in real containers", needs_node),
)

for _version in (OLDEST, *NEWER):
    put_on_path(_version)

LEFT_OUT = {tier: reason for tier in TIERS if (reason := tier.why_not())}

# `tiers` comes first: it is what prints the table when nox is done, also when a later session fails.
nox.options.sessions = ["tiers", *(tier.session for tier in TIERS if tier not in LEFT_OUT)]


@nox.session(python=False)
def tiers(session: nox.Session) -> None:
    """Print at the end which tiers were left out and why; with ZENFLOW_ALL_TIERS=1 that is a failure."""
    atexit.register(print_tiers)
    if LEFT_OUT and os.environ.get("ZENFLOW_ALL_TIERS") == "1":
        session.error(f"ZENFLOW_ALL_TIERS=1, but left out: {', '.join(tier.session for tier in LEFT_OUT)}")


def print_tiers() -> None:
    """The table of the tiers left out. It goes to stdout, after nox's own summary on stderr."""
    sys.stderr.flush()
    if not LEFT_OUT:
        print(f"Tiers left out: none of {len(TIERS)}.", flush=True)
        return
    width = max(len(tier.session) for tier in LEFT_OUT)
    print(f"Tiers left out: {len(LEFT_OUT)} of {len(TIERS)}.")
    for tier, reason in LEFT_OUT.items():
        print(f"  {tier.session:<{width}}  {reason} [{tier.checks}]")
    sys.stdout.flush()


def install(session: nox.Session, *requirements: str, groups: tuple[str, ...] = ()) -> None:
    """Install requirements and dependency groups in the versions of `constraints.txt`.

    "." is the package, built from the checkout and installed the way a user gets it, and anew each time.
    """
    wanted = [*requirements, *nox.project.dependency_groups(PYPROJECT, *groups)]
    # uv would keep a build of the same version; pip always builds a local directory anew.
    again = ["--reinstall-package=zenflow"] if session.venv_backend == "uv" else []
    session.install("-q", "-c", "constraints.txt", *again, *wanted)


def pytest(session: nox.Session, *args: str, workers: int = 2, **environment: str) -> None:
    """Run pytest on both cores, with hypothesis' fixed "ci" profile and a junit file that `.ci/run` counts."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    junit = REPORTS / f"{session.name}.xml"
    junit.unlink(missing_ok=True)
    # `pytest`, not `python -m pytest`: the latter would put the checkout before the installed package.
    environment["HYPOTHESIS_PROFILE"] = "ci"
    session.run("pytest", "-q", "-n", str(workers), f"--junitxml={junit}", *args, env=environment)


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Style, formatting and import contracts."""
    install(session, groups=("lint",))
    session.run("ruff", "check", "--quiet", ".")
    session.run("ruff", "format", "--check", "--quiet", ".")
    session.run("lint-imports", env={"PYTHONPATH": str(ROOT)}, silent=True)


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """mypy --strict on the three packages, the tests and this file."""
    install(session, ".[all]", groups=("types", "tests"))
    session.run("mypy")


@nox.session(python=[OLDEST, *NEWER])
def tests(session: nox.Session) -> None:
    """All tests on the oldest Python; those of core and harness on the newer ones. Arguments go to pytest."""
    install(session, ".[all]", groups=("tests",))
    left_out = NOT_IN_TESTS if session.python == OLDEST else (*NOT_IN_TESTS, *OLDEST_ONLY)
    pytest(session, *(session.posargs or ("tests", "examples/tests", *(f"--ignore={folder}" for folder in left_out))))


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """Links resolve, flows validate, commands run and end as the documentation says; the site is built into `site/`."""
    install(session, ".[all]", groups=("docs", "tests"))
    pytest(session, *(session.posargs or ("tests/docs",)))
    session.run("python", "-m", "tools.site")


@nox.session(python=OLDEST)
def pictures(session: nox.Session) -> None:
    """Pages of flows, opened in a headless Chromium."""
    install(session, ".[all]", groups=("tests",))
    pytest(session, *(session.posargs or ("tests/pictures",)))


@nox.session(python=OLDEST, name="control_plane")
def newest_control_plane(session: nox.Session) -> None:
    """Test against a real API server, controllers and scheduler; the first time they are compiled, for minutes."""
    test_against(session, "1.35")


@nox.session(python=OLDEST, name="control_plane-1.34", default=False)
def older_control_plane(session: nox.Session) -> None:
    """The same with Kubernetes 1.34."""
    test_against(session, "1.34")


@nox.session(python=OLDEST)
def node(session: nox.Session) -> None:
    """Install the operator on a real node from its own image, and run flows in real containers."""
    install(session, ".[all]", groups=("tests", "image"))
    where = os.environ.get("ZENFLOW_NODE", "build")
    if where == "build":
        session.run("python", str(CONTROL_PLANE))
    pytest(session, *(session.posargs or ("tests/node",)), workers=0, ZENFLOW_NODE=where)


@nox.session(python=OLDEST, default=False)
def image(session: nox.Session) -> None:
    """Build the image for amd64 and arm64 into dist/, from wheels and Debian packages. Arguments go to the builder."""
    install(session, groups=("image",))
    session.run("python", "-m", "tools.image.build", *session.posargs)


def test_against(session: nox.Session, kubernetes: str) -> None:
    """Build the control plane, or wait for who builds it already; then run the tests that need one."""
    install(session, ".[all]", groups=("tests",))
    build = ("python", str(CONTROL_PLANE), "--kubernetes", kubernetes)
    session.run(*build)
    binary = session.run(*build, silent=True)
    assert isinstance(binary, str)
    # One process: a second worker would start a second control plane.
    wanted = session.posargs or ("tests/cluster", "tests/install")
    pytest(session, *wanted, workers=0, ZENFLOW_CONTROL_PLANE=binary.strip(), ZENFLOW_HELM="build")


@nox.session(python=OLDEST, default=False)
def bench(session: nox.Session) -> None:
    """Measure; prints one JSON document. Not part of a bare `nox`: figures from a busy machine decide nothing."""
    install(session, ".[all]")
    session.run("python", "-P", "benchmarks/bench.py", *session.posargs)


@nox.session(python=OLDEST, default=False)
def soak(session: nox.Session) -> None:
    """Lives under random faults for as long as asked: `nox -s soak -- --minutes 30`. A violation leaves a case file."""
    install(session, ".[all]")
    session.run("python", "-m", "zenflow_testing.faults.soak", *(session.posargs or ("--minutes", "10")))


@nox.session(python=OLDEST, default=False)
def mutants(session: nox.Session) -> None:
    """Change what decides, place by place; each change has to be noticed by a test. Some 35 minutes on 2 cores.

    Arguments are a command of mutmut about the last run: `-- show NAME`, `-- browse`, `-- run 'zenflow_core.wave*'`.
    """
    install(session, ".[all]", groups=("tests", "mutants"))
    if session.posargs:
        session.run("mutmut", *session.posargs, env={"HYPOTHESIS_PROFILE": "ci"})
        return
    # mutmut would keep what it knows of functions that have not changed, though the tests may have.
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    session.run("mutmut", "run", env={"HYPOTHESIS_PROFILE": "ci"})
    session.run("python", "-m", "tests.mutation.verdict")


@nox.session(python=OLDEST, default=False)
def bench_cluster(session: nox.Session) -> None:
    """Measure the operator on a real control plane; prints one JSON document. Not part of a bare `nox`, either."""
    install(session, ".[all]", groups=("tests",))
    # The checkout is on the path for `tests`; the packages are those of the checkout then, too.
    session.run("python", "-m", "tests.cluster.bench", *session.posargs)


@nox.session(python=OLDEST, default=False)
def schemas(session: nox.Session) -> None:
    """Write again what is generated from the installed libraries and from the core: each `tools/make_*.py`."""
    install(session, ".[all]")
    for tool in sorted(ROOT.glob("tools/make_*.py")):
        # A module, since tools share code; the checkout is on the path then, and is what is installed.
        session.run("python", "-m", f"tools.{tool.stem}")
