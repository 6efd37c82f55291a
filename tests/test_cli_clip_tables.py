"""What a technician sees of clips on a terminal of 80 columns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from rich.console import Console

from agent.cli import clip_tables
from agent.clips.check import Code, Finding
from agent.clips.verify import Kind, Verdict
from agent.words import LANGUAGES, say, verbatim

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agent.words import Language

CLIP = "01M8E22XHHQYQ7YNHS1H2DH1B3"
SHA256 = "0123456789abcdef" * 4


def lines(*shown: RenderableType) -> list[str]:
    """As a terminal of 80 columns shows it."""
    console = Console(width=80, file=io.StringIO(), highlight=False)
    for each in shown:
        console.print(each)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def clip(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {
        "clip": CLIP,
        "events": ["a", "b"],
        "start": {"boot": "9922d1ee", "ts": "2026-11-27T08:31:19.124Z"},
        "dur": 1106.3,
        "part": 1,
        "truncated": False,
        "file": {"bytes": 123_456_789, "sha256": SHA256, "sealed": "age", "recipients": ["[red]", "x"]},
        "manifest": {"sha256": SHA256},
        "held": False,
        "announced": True,
        "readback": "good",
        **fields,
    }


MARKS = {
    "en": "DAMAGED open held cut unsent part 12",
    "uk": "ПОШКОДЖЕНО відкрито утримано обірвано не надіслано частина 12",
}
HEADINGS = {
    "en": "clip begins (UTC) seconds MB events",
    "uk": "кліп початок (UTC) секунди МБ подій",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_shows_ids_and_times_whole(language: Language) -> None:
    """Whatever the marks are: they wrap between words, nothing else does."""
    file = {"bytes": 1_000_000, "sealed": "none"}
    worst = clip(held=True, truncated=True, announced=False, part=12, readback="mismatch", file=file)
    found = [clip(), worst, clip(start={"boot": "9922d1ee", "ts": None})]
    shown = lines(clip_tables.listed(found, language))

    assert HEADINGS[language].split() == shown[0].split()
    assert [CLIP, "2026-11-27", "08:31:19", "1106.3", "123.5", "2"] == shown[1].split()
    assert MARKS[language].split() == " ".join(shown[2:-1]).split()[6:]
    assert [CLIP, "?", "1106.3", "123.5", "2"] == shown[-1].split()
    assert max(map(len, shown)) <= 80


def test_hashes_are_shown_whole() -> None:
    """On one line; what looks like markup is not taken for it."""
    shown = lines(clip_tables.shown(clip()))
    assert f"manifest.sha256 {SHA256}" in shown
    assert "file.recipients [red] x" in shown
    assert {"events          a b", "held            false"} <= set(shown)


GONE = say("number {n} of the chain is not here", n=3)
TOLD = {
    "en": (
        "missing link 3.0 to 8.0 number 3 of the chain is not here",
        "authentic the sealed file",
        "authentic in full",
        "missing, repaired",
        "missing",
        "its file has gone. Fix: find [out]",
    ),
    "uk": (
        "бракує ланки від 3.0 до 8.0 тут немає номера 3 з ланцюга",
        "справжній запечатаний файл",
        "справжній повністю",
        "зник, виправлено",
        "зник",
        "його файл зник. Що робити: find [out]",
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_verdicts_and_findings_are_read_without_scrolling(language: Language) -> None:
    """Every word is there, and no line is longer than the terminal."""
    broken, sealed, whole, mended, missing, what = TOLD[language]
    verdicts = [
        Verdict(CLIP, Path("x"), "missing link", GONE, ((3.0, 8.0),)),
        Verdict(CLIP, Path("x"), "authentic"),
        Verdict(CLIP, Path("x"), "authentic", full=True),
    ]
    for verdict, expected in zip(verdicts, (broken, sealed, whole), strict=True):
        [_, *shown] = lines(clip_tables.judged([verdict], language))
        assert sorted(f"{CLIP} {expected}".split()) == sorted(" ".join(shown).split())
    told = lines(clip_tables.judged(verdicts, language))
    assert max(map(len, told)) <= 80
    assert "…" not in "".join(told)

    finding = Finding(
        "missing", f"{CLIP}.mp4.age", say("its file has gone"), verbatim("find [out] who took it, when " * 4)
    )
    told = lines(*clip_tables.found([finding], [finding], language))
    assert [f"{mended}  {CLIP}.mp4.age", f"{missing}  {CLIP}.mp4.age"] == told[:2]
    assert what in told[2]
    assert max(map(len, told)) <= 80


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", get_args(Kind))
def test_each_verdict_has_its_label_whole(kind: Kind, language: Language) -> None:
    """Beside an id and seconds there is room for it; English has the kind itself."""
    verdict = Verdict(CLIP, Path("x"), kind, GONE, ((103.0, 108.0), (203.0, 208.0)))
    shown = lines(clip_tables.judged([verdict], language))
    assert shown[1].startswith(f"{CLIP}  {verdict.label.told(language)}  ")
    assert max(map(len, shown)) <= 80
    assert verdict.label.en == kind != verdict.label.uk


@pytest.mark.parametrize("code", get_args(Code))
def test_each_finding_has_its_label(code: Code) -> None:
    """English has the code itself."""
    label = Finding(code, "x", GONE, GONE).label
    assert label.en == code != label.uk
