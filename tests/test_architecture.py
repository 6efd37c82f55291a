"""The rules of the house, read from the source: who imports whom, who may ask the time, and the like."""

from __future__ import annotations

import ast
import re
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import agent

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(agent.__file__).parent
MODULES = sorted(
    ".".join(("agent", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)

ROOMS = {"capture", "vision", "events", "clips", "backbone", "doctor", "city", "card"}
LEVELS = {"base": 0, "device": 1, **dict.fromkeys(ROOMS, 2), "app": 3, "cli": 4}
"""Who may import whom: always downwards; within `base`, `device`, `app`, `cli` and a room freely."""

LONGEST = 400

TOP = {"pyproject.toml", "agent", "firmware-config", "systemd", "scripts", "tests", "README.md"}
TOP |= {"LICENSE", "NOTICE", "SECURITY.md", "CHANGELOG.md", "uv.lock"}

PURE = {"vision", "events"}
IMPURE = {
    "threading",
    "asyncio",
    "multiprocessing",
    "time",
    "socket",
    "random",
    "secrets",
    "sqlite3",
    "subprocess",
}
READERS = {"agent.vision.models", "agent.vision.detector", "agent.vision.runtime"}
"""They load the detector's model once, at start; nothing else of the pure rooms opens a file."""
FILE_CALLS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "imread",
    "imwrite",
    "load",
    "save",
}

CLOCK = "agent.device.clock"
WALL_CLOCK = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "localtime"),
    ("time", "gmtime"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}

BROAD_EXCEPTS = {
    # The unit's error is handed whole to whoever waits for its future.
    "agent.database:_commit",
    # The same, of a call that may hang.
    "agent.capture.bounded_call:_run",
    # Tops of threads: the error is kept for the owner, who ends the process with it.
    "agent.app.platform:_run",
    "agent.app.stages:_top",
    "agent.app.hatch:_run",
    "agent.backbone.courier:_run",
    "agent.backbone.lane:_run",
    "agent.backbone.inbox:_run",
    "agent.backbone.link:_run",
    "agent.capture.live:run",
    # Top of an order: it is answered as failed, and logged; a fault in one must not end the recording.
    "agent.backbone.commands:_do",
    # A check with a flaw of its own is told as a failure, and does not end the others.
    "agent.doctor.runner:_ask",
}

OURS = {name.rsplit(".", 1)[-1] for name in MODULES} | {"_random"}
"""Not the standard library's, though some have such names; the last is the link's own generator."""

THE_PROCESS = {"sys", "excepthook"}
"""What a test may set for all threads: the command line and its streams, and who hears how they died."""


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(source(module))


def source(module: str) -> str:
    path = ROOT.joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text(encoding="utf-8")


def room(module: str) -> str:
    """The level's name: the second part, or `base` for the modules at the top of the package."""
    if module == "agent.__main__":
        return "cli"
    second = module.split(".")[1] if "." in module else ""
    return second if second in LEVELS else "base"


def imports(module: str) -> Iterator[str]:
    """Every module that it imports, inside functions and for type checkers too."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in MODULES else node.module


def calls(module: str) -> Iterator[str]:
    """The last name of each thing that is called: `open` of `path.open(...)`."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name


def test_every_module_is_looked_at() -> None:
    """No rule is kept by looking away: each room is seen, and each directory of modules is a package."""
    assert {"base", "device", "app", "cli"} | ROOMS == {room(module) for module in MODULES}
    for path in ROOT.rglob("*.py"):
        assert (path.parent / "__init__.py").is_file()


@pytest.mark.parametrize("module", MODULES)
def test_import_direction(module: str) -> None:
    """A module imports only what lies below it, and a room never another room of its level."""
    own = room(module)
    for other in imports(module):
        if other.split(".")[0] == "agent":
            theirs = room(other)
            assert own == theirs or LEVELS[theirs] < LEVELS[own], f"{module} imports {other}"


@pytest.mark.parametrize("module", MODULES)
def test_one_module_reads_the_wall_clock(module: str) -> None:
    """Only the clock module asks what time it is, however the question is imported."""
    asked = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute):
            place = (ast.unparse(node.value).split(".")[-1], node.attr)
            asked |= {place} & WALL_CLOCK
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            asked |= {("time", name.name) for name in node.names} & WALL_CLOCK
        if isinstance(node, ast.alias) and node.name in {"time", "datetime"}:
            assert node.asname is None, f"{module} hides {node.name} behind another name"
    assert (asked != set()) == (module == CLOCK), asked


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module: str) -> None:
    """A module that needs more lines owns more than one noun."""
    assert len(source(module).splitlines()) <= LONGEST


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are(module: str) -> None:
    """Every package and module begins with a sentence."""
    assert ast.get_docstring(tree(module))


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in PURE])
def test_pure_rooms(module: str) -> None:
    """Vision and events compute: no threads, clock, disk, network or chance."""
    used = {name.split(".")[0] for name in imports(module)}
    assert set() == used & IMPURE
    assert "random" not in {n.attr for n in ast.walk(tree(module)) if isinstance(n, ast.Attribute)}
    if module not in READERS:
        assert set() == set(calls(module)) & FILE_CALLS


def broad_excepts() -> Iterator[str]:
    """`module:function` of each handler that takes everything and does not raise it on."""
    for module in MODULES:
        for function in ast.walk(tree(module)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.ExceptHandler) and is_broad(node):
                        yield f"{module}:{function.name}"


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = re.findall(r"\w+", ast.unparse(handler.type)) if handler.type else ["BaseException"]
    last = handler.body[-1]
    raised_on = isinstance(last, ast.Raise) and last.exc is None
    return bool({"Exception", "BaseException"} & set(caught)) and not raised_on


def test_broad_excepts_stand_where_they_may() -> None:
    """Only at the top of a thread, or to hand an error on; each place is listed with its reason."""
    assert BROAD_EXCEPTS == set(broad_excepts())


def patched(file: Path) -> Iterator[str]:
    """The standard library's own names that a test sets, as `os.fsync`."""
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match call:
            case ast.Call(
                func=ast.Attribute(attr="setattr" | "delattr" | "object"),
                args=[ast.Name(module) | ast.Attribute(attr=module), ast.Constant(str(name)), *_],
            ):
                parts = [module, name]
            case ast.Call(
                func=ast.Attribute(attr="setattr" | "delattr" | "patch"), args=[ast.Constant(str(path)), *_]
            ) if "." in path:
                parts = path.split(".")[-2:]
            case _:
                continue
        if parts[0] in sys.stdlib_module_names - OURS and not THE_PROCESS & set(parts):
            yield ".".join(parts)


@pytest.mark.parametrize("file", sorted(Path(__file__).parent.glob("*.py")), ids=lambda file: file.stem)
def test_the_standard_library_stays_as_it_is(file: Path) -> None:
    """A patched `time.sleep` is every thread's; `standin` changes a module for the code under test alone."""
    assert [] == list(patched(file))


def test_the_top_level_is_fixed() -> None:
    """What a run by hand leaves at the top is seen before it is committed with the rest."""
    ignored = [line.strip("/") for line in (ROOT.parent / ".gitignore").read_text().splitlines()]
    there = {path.name for path in ROOT.parent.iterdir() if not path.name.startswith(".")}
    assert TOP == {name for name in there if not any(fnmatch(name, pattern) for pattern in ignored)}
