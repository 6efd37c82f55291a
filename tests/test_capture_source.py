"""The source that `capture.source` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from agent.capture.file import FileSource
from agent.capture.kind import RECORDED, Network, source_kind
from agent.capture.live import LiveSource
from agent.capture.picamera import PicameraSource
from agent.capture.source import open_source
from agent.capture.synthetic import SyntheticSource
from agent.config import Capture
from agent.errors import ConfigError, SourceError
from agent.types import Frame, Packet, StreamInfo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("synthetic:", SyntheticSource),
        ("picamera:", PicameraSource),
        ("picamera:imx708", PicameraSource),
        ("/dev/video0", LiveSource),
        *((f"{scheme}://cam/1", LiveSource) for scheme in get_args(Network)),
    ],
)
def test_the_kind_follows_the_name(source: str, kind: type) -> None:
    """Each kind of name has its source."""
    assert isinstance(open_source(Capture(source=source)), kind)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("rtsp://user:secret@10.0.0.4/stairs", "rtsp"),
        ("rtsps://10.0.0.4/stairs", "rtsps"),
        ("http://10.0.0.4/stairs", "http"),
        ("https://10.0.0.4/stairs", "https"),
        ("tcp://127.0.0.1:8888", "tcp"),
        ("udp://239.0.0.1:1234", "udp"),
        ("synthetic:?seconds=5", "synthetic"),
        ("picamera:1", "picamera"),
        ("/dev/v4l/by-id/usb-cam", "v4l2"),
        ("/home/kit/night.mp4", "file"),
        ("odd:name.mp4", "file"),
    ],
)
def test_the_kind_tells_no_secret(source: str, kind: str) -> None:
    """Only the kind is told, never address or password; footage and what is drawn is no present."""
    assert kind == source_kind(source)
    assert (kind in {"file", "synthetic"}) == (source_kind(source) in RECORDED)


def test_the_shipped_sample_plays(samples: Path) -> None:
    """220 pictures, as packets and as frames, in video time."""
    source = open_source(Capture(source=str(samples / "demo_light.mp4")))
    assert isinstance(source, FileSource)
    items = list(source.items())
    shown = [i for i in items if isinstance(i, Frame)]
    assert isinstance(items[0], StreamInfo)
    assert 220 == len(shown) == len([i for i in items if isinstance(i, Packet)])
    assert [n / 10 for n in range(220)] == pytest.approx([f.t for f in shown])
    assert (240, 320) == shown[0].luma.shape
    assert (480, 640) == shown[0].picture.y.shape
    assert source.corrupt == 0


def test_unknown_kinds_are_refused() -> None:
    """With what is possible."""
    with pytest.raises(ConfigError, match="ftp://") as error:
        open_source(Capture(source="ftp://host/a.mp4"))
    assert "rtsp://" in error.value.fix


def test_a_missing_file_is_told_at_once() -> None:
    """Before anything is started."""
    with pytest.raises(SourceError, match="no such file"):
        open_source(Capture(source="missing.mp4"))
