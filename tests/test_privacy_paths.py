"""Masked pixels never leave: not in a clip, not in a snapshot, not to motion, not to the detector.

Two videos are alike but for what they show under the mask. Whatever leaves must be the same to the last bit:
then nothing of what is under a mask can be in it, by whatever way.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import av
import pyrage
import pytest
from app_parts import Hands, settings
from capture_videos import ffmpeg
from clips_keys import CITY, RECIPIENTS

from agent.app.analysis import Analyser
from agent.capture.ring import PacketRing
from agent.capture.snapshot import still
from agent.capture.source import open_source
from agent.clips.recorder import Recorder
from agent.types import Frame, Packet, StreamInfo
from agent.ulid import ulid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from agent.clips.fragment import Plaintext
    from agent.clips.journal import OpenClip
    from agent.picture import Picture
    from agent.types import ClipRecord, Detection, SourceItem
    from agent.vision.crops import Square

MASK = {"name": "flat-12", "polygon": [[0.0, 0.0], [0.4, 0.0], [0.4, 1.0], [0.0, 1.0]]}
SIZE, MASKED = "160x120", "64x120"


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A flat's door that opens and closes, and the same with a wall in its place; lossless."""
    directory = tmp_path_factory.mktemp("twins")
    shown = {"door": f"mandelbrot=size={MASKED}:rate=10", "wall": f"color=gray:size={MASKED}:rate=10"}
    for name, inside in shown.items():
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate=10:duration=3", "-f", "lavfi", "-i", inside,
               "-filter_complex", "[0][1]overlay=0:0:shortest=1,format=yuv420p",
               "-c:v", "libx264", "-qp", "0", "-g", "10", directory / f"{name}.mp4")  # fmt: skip
    return directory / "door.mp4", directory / "wall.mp4"


@dataclass
class Watcher:
    """A detector that finds nobody and keeps every crop that it is shown."""

    crops: list[bytes] = field(default_factory=list)

    def detect(self, picture: Picture, squares: Sequence[Square]) -> tuple[Detection, ...]:
        """See PersonDetector."""
        for square in squares:
            seen = square.inside(picture.width, picture.height)
            side = min(seen.side, picture.height)
            self.crops.append(picture.rgb(seen.x, seen.y, side, side).tobytes())
        return ()


class Journal:
    """Keeps nothing."""

    def opened(self, clip: OpenClip) -> None:
        """See ClipJournal."""

    def closed(self, clip: ClipRecord, plain: Plaintext) -> None:
        """See ClipJournal."""


@dataclass
class Left:
    """All that left: the clip opened by the city, snapshots, what motion and detector were shown."""

    clip: bytes
    snapshots: list[bytes]
    luma: list[bytes]
    crops: list[bytes]


def through_the_kit(video: Path, directory: Path, *, masked: bool) -> Left:
    """Play the video as a kit would that seals and, masked, encodes again."""
    directory.mkdir()
    chosen = settings(
        directory,
        capture={"source": str(video), "reencode": True},
        clips={"seal": "age", "recipients": RECIPIENTS},
        privacy={"masks": [MASK] if masked else []},
    )
    ring = PacketRing(10.0, 1 << 24)
    clock = Hands()
    recorder = Recorder(
        chosen.clips, directory, ring.since, lambda: ulid(1, bytes(10)), Journal(), clock.stamp
    )
    watcher = Watcher()
    analyser = Analyser(chosen, watcher)  # type: ignore[arg-type] # as far as it is asked
    frames: list[Frame] = []
    source = open_source(chosen.capture, masks=chosen.privacy.masks, pace="max")
    for item in source.items():
        take(item, ring, recorder)
        if isinstance(item, Frame):
            analyser.step(item)
            frames.append(item)
    recorder.close()
    (sealed,) = directory.glob("*.mp4.age")
    return Left(
        pyrage.decrypt(sealed.read_bytes(), [CITY]),
        [still(frame.picture).jpeg for frame in frames],
        [frame.luma.tobytes() for frame in frames],
        watcher.crops,
    )


def take(item: SourceItem, ring: PacketRing, recorder: Recorder) -> None:
    match item:
        case StreamInfo():
            ring.stream(item)
            recorder.stream(item)
            recorder.event_opened("e", 0.0)
        case Packet():
            ring.push(item)
            recorder.packet(item)


def test_nothing_of_what_is_masked_leaves(twins: tuple[Path, Path], tmp_path: Path) -> None:
    """With the mask both videos give the same clip, snapshots, luma and crops; without it none of these."""
    door, wall = (through_the_kit(video, tmp_path / video.stem, masked=True) for video in twins)
    assert (30, 30) == (len(door.snapshots), len(door.luma))
    assert len(door.crops) >= 3
    assert door == wall

    door, wall = (through_the_kit(video, tmp_path / f"open-{video.stem}", masked=False) for video in twins)
    assert door.clip != wall.clip
    assert door.crops != wall.crops
    assert all(a != b for a, b in zip(door.snapshots, wall.snapshots, strict=True))
    assert all(a != b for a, b in zip(door.luma, wall.luma, strict=True))


def test_the_masked_area_is_black_in_the_clip(twins: tuple[Path, Path], tmp_path: Path) -> None:
    """What the city sees there is nothing; beside it, the stairwell."""
    left = through_the_kit(twins[0], tmp_path / "kit", masked=True)
    with av.open(io.BytesIO(left.clip)) as container:
        shown: list[np.ndarray] = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert 30 == len(shown)
    assert max(picture[:, :60].max() for picture in shown) < 12
    assert min(picture[:, 72:].max() for picture in shown) > 150
