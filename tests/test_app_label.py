"""The label of a kit: whatever it is printed from, its code is read back."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from app_parts import KIT, settings, toml
from chromium import chromium
from commandline import done, stairwell

from agent.device.identity import KEYS, PUBLIC_NAME, PublicKey

if TYPE_CHECKING:
    from pathlib import Path

RAW = bytes(range(32))
BUILDING = "b-17 <A&B>"  # signs of XML are none of its


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Of a kit that has its key."""
    (tmp_path / KEYS).mkdir()
    (tmp_path / KEYS / PUBLIC_NAME).write_bytes(PublicKey.of(RAW).pem)
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path, site={"building": BUILDING})), "utf-8")
    return path


def code_in(picture: Path) -> str:
    """What a reader that is not our own code reads."""
    seen = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    assert seen is not None
    return str(cv2.QRCodeDetector().detectAndDecode(np.asarray(seen, np.uint8))[0])


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_its_code_is_read_back(config: Path, tmp_path: Path, ending: str) -> None:
    """The kit and its key's fingerprint, off a picture, off the printed page and out of a browser."""
    out, page = tmp_path / f"label.{ending}", tmp_path / "page.png"

    assert f"{out}\n" == done("commission", "label", "-o", out, "--config", config)
    said = f"{KIT} {BUILDING}"
    if ending == "pdf":
        subprocess.run(
            ["pdftoppm", "-png", "-r", "150", "-singlefile", out, page.with_suffix("")], check=True
        )
        said = subprocess.run(["pdftotext", out, "-"], check=True, capture_output=True, text=True).stdout
    if ending == "svg":
        with chromium() as opened:
            tab = opened(320, 160)  # 80 by 40 mm at 96 dpi are 302 by 151
            tab.open(out.as_uri())
            said = tab.ask("document.documentElement.textContent")
            tab.picture(page)

    assert (True, True) == (KIT in said, BUILDING in said)
    shown = out if ending == "png" else page
    assert f"stairwell:{KIT}:{PublicKey.of(RAW).fingerprint}" == code_in(shown)


def test_another_ending_is_refused(config: Path, tmp_path: Path) -> None:
    """Before anything is written; a place that is not there is told as one."""
    odd = stairwell("commission", "label", "-o", tmp_path / "label.bmp", "--config", config)
    nowhere = stairwell("commission", "label", "-o", tmp_path / "none" / "label.svg", "--config", config)

    assert (64, True) == (odd.returncode, ".svg, .png and .pdf are known" in odd.stderr)
    assert (6, True) == (nowhere.returncode, "cannot be written" in nowhere.stderr)
