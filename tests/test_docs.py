"""The documents say what is there, and all of it."""

from __future__ import annotations

import hashlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main

from agent import __version__, errors
from agent.backbone.contract.table import MESSAGES
from agent.backbone.orders import ORDERS
from agent.backbone.topics import GROUP, Topics
from agent.cli import INTERRUPTED, USAGE, app

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTICE = (ROOT / "NOTICE").read_text(encoding="utf-8")
SHIPPED = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("agent", "tests/data")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".mp4", ".tflite", ".jpg", ".png", ".ttf"}
)


def first_column(heading: str) -> list[str]:
    """The first cells of the table under a heading of README, without their code marks."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    return [row.strip("`") for row in rows[1:]]


def commands(command: click.Command, name: str) -> Iterator[str]:
    children: dict[str, click.Command] = getattr(command, "commands", {})
    if not children:
        yield name
    for child, below in children.items():
        yield from commands(below, f"{name} {child}")


def test_commands() -> None:
    """README's table has every command of the command line, and no other."""
    assert sorted(commands(typer.main.get_command(app), "stairwell")) == sorted(first_column("Commands"))


def test_benches() -> None:
    """README's table has every bench."""
    named = re.findall(r'app\.command\("(\w+)"\)', (ROOT / "scripts/benches/main.py").read_text("utf-8"))
    assert sorted(named) == sorted(first_column("Benches"))


def test_exit_codes() -> None:
    """README's table has every exit code: of the error tree, of a wrong command line and of the shell."""
    tree = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.StairwellError)
    }
    assert sorted({0, USAGE, INTERRUPTED} | tree) == [int(code) for code in first_column("Exit codes")]


def test_topics() -> None:
    """README's table has every topic that the kit sends or hears, and the contract has its message."""
    topics = Topics("51", "odesa", "kyivskyi", "0000000000")
    known = set()
    for name in vars(Topics):
        if name.startswith("_") or name in {"base", *Topics.__dataclass_fields__}:
            continue
        topic = getattr(topics, name)
        if callable(topic):
            topic = topic(*["{}"] * len(inspect.signature(topic).parameters))
        known.add(topic.removeprefix(topics.base + "/").removeprefix("bm/v1/51/odesa/kyivskyi/"))
    documented = [re.sub(r"\{\w+\}", "{}", row) for row in first_column("Messages")]
    assert sorted(known) == sorted(documented)
    assert {name.split(".")[0] for name in MESSAGES} == {
        topic.removeprefix(GROUP + "/").split("/")[0] for topic in known
    }


def test_remote_commands() -> None:
    """README's table has every order, and says of each whether it is signed."""
    section = README.split("\n## Remote commands\n")[1].split("\n## ", maxsplit=1)[0]
    rows = re.findall(r"^\| `(\S+)` \| (yes|no) \|", section, re.MULTILINE)
    assert {name: kind.signed for name, kind in ORDERS.items()} == {
        name: signed == "yes" for name, signed in rows
    }


def test_links() -> None:
    """Every file that a document links or names in its layout is there."""
    for document in ("README.md", "CHANGELOG.md", "SECURITY.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / target).exists(), f"{document}: {target}"
    for row in first_column("Layout"):
        for name in re.findall(r"[\w./-]+", row):
            assert (ROOT / name).exists(), name


def test_every_room_is_in_the_layout() -> None:
    """A new directory of the package is explained."""
    rooms = {
        f"agent/{path.name}/" for path in (ROOT / "agent").iterdir() if path.is_dir() and path.name[0] != "_"
    }
    assert rooms <= set(re.findall(r"agent/\w+/", "\n".join(first_column("Layout"))))


def test_first_two_commands() -> None:
    """Who reads README sees the demonstration first and the tests second, in both languages."""
    for heading in ("Quick start", "Швидкий старт"):
        block = README.split(f"\n## {heading}\n")[1].split("```sh\n")[1].split("```")[0]
        assert ["scripts/demo", "scripts/test"] == [line.split()[0] for line in block.splitlines()]


@pytest.mark.parametrize("path", SHIPPED)
def test_notice_has_what_is_shipped(path: str) -> None:
    """Each foreign file stands in NOTICE with its source, its licence and the hash that it has."""
    entry = NOTICE.split(f"\n{path}\n")[1].split("\n\n", maxsplit=1)[0]
    digest = hashlib.sha256((ROOT / path).read_bytes()).hexdigest()
    assert f"  sha256   {digest}" in entry
    assert re.search(r"^  source   \S", entry, re.MULTILINE)
    assert re.search(r"^  licence  \S", entry, re.MULTILINE)


def test_notice_has_nothing_else() -> None:
    """What is no longer shipped is no longer named."""
    named = re.findall(r"^((?:agent|tests)/\S+)$", NOTICE, re.MULTILINE)
    assert SHIPPED == sorted(named)


def test_version() -> None:
    """The version stands in three places, and is the same in each."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{__version__}"\n' in project
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(Unreleased|" + re.escape(__version__) + r")\]", changelog, re.MULTILINE)
