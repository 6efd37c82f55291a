"""agent.vision.models and agent.vision.runtime: cards, hashes, runtimes."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.errors import ModelError
from agent.vision.models import SHIPPED, load_card, verify
from agent.vision.runtime import open_model

if TYPE_CHECKING:
    from pathlib import Path


def card_file(folder: Path, **changes: str) -> Path:
    """A copy of the default card with some lines replaced; its model file is a few bytes."""
    (folder / "tiny.tflite").write_bytes(b"no model at all")
    values = {
        "file": '"tiny.tflite"',
        "sha256": f'"{hashlib.sha256(b"no model at all").hexdigest()}"',
        "side": "300",
        "fit": '"stretch"',
        "dtype": '"uint8"',
        "decode": '"ssd"',
        "threshold": "0.5",
        "nms_iou": "0.5",
        "licence": '"CC0-1.0"',
        "source": '"a test"',
        "purpose": '"a test"',
    } | changes
    path = folder / "tiny.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in values.items() if value), encoding="utf-8")
    return path


def test_every_shipped_model_has_a_card_and_every_card_its_model() -> None:
    """No model ships without its licence, no card without its model."""
    cards = [load_card(path.stem) for path in SHIPPED.glob("*.toml")]

    assert {"ssdlite", "nanodet"} == {card.name for card in cards}
    assert set(SHIPPED.glob("*.tflite")) == {card.path for card in cards}
    assert all(card.licence and card.source for card in cards)


@pytest.mark.parametrize("name", ["ssdlite", "nanodet"])
def test_shipped_models_are_unaltered(name: str) -> None:
    """The hash in the card is the hash of the file, and README.md tells the same one."""
    card = load_card(name)

    assert card.sha256 == hashlib.sha256(verify(card)).hexdigest()
    assert card.sha256 in (SHIPPED / "README.md").read_text(encoding="utf-8")


def test_label_is_name_and_short_hash() -> None:
    """A message names its model so that nobody must guess which build it was."""
    assert "ssdlite@b1ec7047" == load_card("ssdlite").label


def test_a_card_of_ones_own_is_read_by_path(tmp_path: Path) -> None:
    """Another model is a card beside its file."""
    card = load_card(str(card_file(tmp_path, threshold="0.25")))

    assert ("tiny", 0.25, tmp_path / "tiny.tflite") == (card.name, card.threshold, card.path)
    assert b"no model at all" == verify(card)


def test_a_card_cannot_be_changed() -> None:
    """Cards travel between stages: they are frozen."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_card("ssdlite").threshold = 0.1  # type: ignore[misc]


def test_an_unknown_model_names_the_known_ones() -> None:
    """The fix of a mistyped name is in the error."""
    with pytest.raises(ModelError, match=r"'ssdlight'.*nanodet, ssdlite"):
        load_card("ssdlight")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"threshold": "1.5"}, "threshold"),
        ({"fit": '"crop"'}, "fit"),
        ({"sha256": '"abc"'}, "sha256"),
        ({"side": ""}, "side"),
        ({"file": ""}, "file = None"),
        ({"file": '""'}, "file = ''"),
        ({"colour": '"red"'}, "colour"),
        ({"side": "= 3"}, "cannot be read"),
    ],
)
def test_a_wrong_card_names_the_key(tmp_path: Path, changes: dict[str, str], told: str) -> None:
    """Whoever writes a card is told what is wrong with it."""
    with pytest.raises(ModelError) as caught:
        load_card(str(card_file(tmp_path, **changes)))

    assert told in caught.value.problem
    assert "tiny.toml" in caught.value.problem


def test_a_missing_model_file_is_told(tmp_path: Path) -> None:
    """Installed without its model, the agent says so and where it should be."""
    card = load_card(str(card_file(tmp_path)))
    card.path.unlink()

    with pytest.raises(ModelError, match=r"tiny@.*tiny\.tflite cannot be read"):
        verify(card)


def test_an_altered_model_file_is_refused(tmp_path: Path) -> None:
    """A swapped model would blind the kit in silence."""
    card = load_card(str(card_file(tmp_path)))
    card.path.write_bytes(b"another model")

    with pytest.raises(ModelError, match="altered"):
        verify(card)


def test_the_runtime_refuses_what_is_no_model() -> None:
    """A file with the right hash may still be rubbish."""
    with pytest.raises(ModelError, match="model x@1: the runtime refuses it"):
        open_model(b"no model at all", "x@1", "auto", 1)


def test_no_runtime_is_told_with_each_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a runtime there is no detector; the error names what was tried."""
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)

    with pytest.raises(ModelError, match=r"'auto'.*ai_edge_litert.*tflite_runtime.*install ai-edge-litert"):
        open_model(b"", "x@1", "auto", 1)


def test_auto_takes_tflite_where_only_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The second choice works the same, and is said in the log."""
    import ai_edge_litert.interpreter as litert  # noqa: PLC0415 - the real runtime under the other one's name

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", litert)
    monkeypatch.setattr(np, "__version__", "1.26.4")
    card = load_card("ssdlite")

    model = open_model(verify(card), card.label, "auto", 1)

    assert [1, 300, 300, 3] == model.get_input_details()[0]["shape"].tolist()
    assert "tflite-runtime" in caplog.text


def test_tflite_with_numpy_2_is_refused_before_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """tflite-runtime imports with numpy 2 and dies at its first use: it is not taken."""
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", sys)
    monkeypatch.setattr(np, "__version__", "2.3.1")

    with pytest.raises(ModelError, match="works with numpy 1 only"):
        open_model(b"", "x@1", "tflite", 1)
