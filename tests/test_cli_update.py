"""`stairwell update` and `stairwell ca release-key`, `sign-release`: from a key to a release on trial."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from programs import Programs
from typer.testing import CliRunner

import agent
from agent.app.update import machine
from agent.cli import USAGE, app
from agent.cli.update import start_anew
from agent.device.releases import Releases, Trial
from agent.errors import ConfigError, UpdateError

ARCHITECTURE, PYTHON = machine()
SUITE = "bookworm" if PYTHON == "3.11" else "trixie"


def say(*words: str | Path) -> str:
    """Give a command; what it said."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert 0 == done.exit_code, done.output
    return done.stdout


def sign(directory: Path, tree: Path, version: str = agent.__version__) -> Path:
    out = directory / "release"
    facts = ("--version", version, "--counter", "9", "--suite", SUITE, "--arch", ARCHITECTURE)
    where = ("--key", directory / "release.key", "--out", out, "--level", "0")
    said = say("ca", "sign-release", tree, *facts, "--python", PYTHON, *where)
    assert f"{version}-9, " in said
    return out


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the city's key, and a kit's settings that know it."""
    # Where the agent's user exists it may not enter the tests' directories.
    monkeypatch.setattr("agent.app.update.USER", None)
    public = say("ca", "release-key", "--key", tmp_path / "release.key", "--open-key").splitlines()[-1]
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", public)
    assert public == say("ca", "release-key", "--key", tmp_path / "release.key").strip()
    (tmp_path / "agent.toml").write_text(
        f'[update]\nrelease_keys = ["{public}"]\n[state]\ndir = "{tmp_path / "state"}"\n'
        '[kit]\nid = "k7f3k2qx4m"\n[site]\noblast = "51"\ncity = "odesa"\ndistrict = "kyivskyi"\n'
        '[backbone]\nhost = "localhost"\ntls = false\n'
        '[capture]\nsource = "synthetic:"\n[clips]\nseal = "none"\n'
    )
    return tmp_path


def update(city: Path, *words: str | Path) -> str:
    return say("update", *words, "--config", city / "agent.toml", "--home", city / "home", "--no-restart")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """This very agent as a release; its packages are those of the tests."""
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "*.po")
    shutil.copytree(Path(agent.__file__).parent, tree / "agent", ignore=ignored)
    return tree


def test_a_release_that_runs_here(city: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed, unpacked, tried by its own commands, and on trial; then the kit tells how things stand."""
    name = f"{agent.__version__}-9"
    said = update(city, sign(city, tree))
    assert f"{name}: installed, and on trial from the agent's next start\n" == said
    assert Trial(name, "-", 9) == Releases(city / "home").trial()
    assert any((city / "home/current/lib/agent").glob("__pycache__/*.pyc"))
    assert f"{name} runs already\n" == update(city, city / "release")
    told = update(city)
    assert f"runs:   {name}\ntrial:  0 starts, 0 of 15 minutes; before it ran -\n" in told
    monkeypatch.setenv("LANGUAGE", "uk")
    assert f"працює:  {name}\nпроба:   запусків 0, хвилин 0 з 15" in update(city)


BROKEN = "import sys\n\n\ndef main():\n    {}\n"


@pytest.mark.parametrize(
    ("main", "message"),
    [
        ("pass\nimport nothing_of_this_name", "its modules failed: ModuleNotFoundError"),
        ("print('0.9')", r"99\.0-9 says that it is 0\.9"),
        (
            "print('99.0') if '--version' in sys.argv else sys.exit('no model')",
            "`stairwell models check` failed",
        ),
        ("print('99.0')", "the doctor of .* could not run"),
    ],
)
def test_a_release_that_does_not(city: Path, tmp_path: Path, main: str, message: str) -> None:
    """What is broken in it is told, and it never comes near running."""
    tree = tmp_path / "broken"
    for name in ("__init__", "app/__init__", "app/live", "cli/run", "cli/update", "cli/__init__"):
        (tree / f"agent/{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (tree / f"agent/{name}.py").write_text(BROKEN.format(main) if name == "cli/__init__" else "")
    with pytest.raises(UpdateError, match=message):
        update(city, sign(city, tree, "99.0"))
    assert (None, None) == (Releases(city / "home").current(), Releases(city / "home").trial())


def test_a_bundle_beside_an_order(city: Path) -> None:
    """What was ordered is fetched by the agent: a file beside it is a slip of the hand."""
    done = CliRunner().invoke(app, ["update", str(city / "release"), "--asked"])
    assert USAGE == done.exit_code
    assert "the release that was ordered is taken" in done.output


def test_an_agent_that_does_not_start_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has installed a release hears that it does not run, and that it is taken back by itself."""
    programs = Programs(tmp_path, monkeypatch)
    programs.put("systemctl", when="'restart stairwell-agent.service'")
    start_anew()
    programs.put("systemctl", code=1)
    with pytest.raises(UpdateError, match="did not start anew: systemctl ended with 1"):
        start_anew()


def test_facts_that_are_none(city: Path) -> None:
    """Facts that make no sense are told by the option's name."""
    with pytest.raises(ConfigError, match="--suite buster"):
        say(
            *("ca", "sign-release", city, "--version", "1.0", "--counter", "1", "--suite", "buster"),
            *("--arch", "arm64", "--python", "3.11", "--out", city / "never", "--key", city / "release.key"),
        )
    assert not (city / "never").exists()
