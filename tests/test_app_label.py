"""The label of a kit: whatever it is printed from, its code is read back."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from app_parts import KIT, SITE, settings, toml
from commandline import done, stairwell

from agent.device.identity import KEYS, PUBLIC_NAME, PublicKey

if TYPE_CHECKING:
    from pathlib import Path

RAW = bytes(range(32))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Of a kit that has its key."""
    (tmp_path / KEYS).mkdir()
    (tmp_path / KEYS / PUBLIC_NAME).write_bytes(PublicKey.of(RAW).pem)
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path)), "utf-8")
    return path


def code_in(picture: Path) -> str:
    """What a reader that is not our own code reads."""
    seen = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    assert seen is not None
    return str(cv2.QRCodeDetector().detectAndDecode(np.asarray(seen, np.uint8))[0])


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_its_code_is_read_back(config: Path, tmp_path: Path, ending: str) -> None:
    """The kit and its key's fingerprint, off a picture and off the printed page."""
    out = tmp_path / f"label.{ending}"

    assert f"{out}\n" == done("commission", "label", "-o", out, "--config", config)
    if ending == "pdf":
        command = ["pdftoppm", "-png", "-r", "150", "-singlefile", out, tmp_path / "page"]
        subprocess.run(command, check=True)
        said = subprocess.run(["pdftotext", out, "-"], check=True, capture_output=True, text=True).stdout
        assert (True, True) == (KIT in said, SITE["building"] in said)

    shown = tmp_path / "page.png" if ending == "pdf" else out
    assert f"stairwell:{KIT}:{PublicKey.of(RAW).fingerprint}" == code_in(shown)


def test_another_ending_is_refused(config: Path, tmp_path: Path) -> None:
    """Before anything is written; a place that is not there is told as one."""
    odd = stairwell("commission", "label", "-o", tmp_path / "label.bmp", "--config", config)
    nowhere = stairwell("commission", "label", "-o", tmp_path / "none" / "label.svg", "--config", config)

    assert (64, True) == (odd.returncode, ".svg, .png and .pdf are known" in odd.stderr)
    assert (6, True) == (nowhere.returncode, "cannot be written" in nowhere.stderr)
