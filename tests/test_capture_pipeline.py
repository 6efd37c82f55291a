"""From raw pictures to frames and packets."""

from __future__ import annotations

import numpy as np
import pytest

from agent.capture.pipeline import Pipeline, Sampler
from agent.config import Capture, Mask
from agent.picture import Picture
from agent.types import Frame, Packet, StreamInfo

LEFT = Mask(name="left", polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))


def picture(width: int = 64, height: int = 48) -> Picture:
    half = np.full((height // 2, width // 2), 90, np.uint8)
    return Picture(np.full((height, width), 180, np.uint8), half, half)


def taken(fps: float, times: list[float]) -> list[float]:
    sampler = Sampler(fps)
    return [t for t in times if sampler.take(t)]


@pytest.mark.parametrize(
    ("rate", "fps", "expected"), [(10, 10, 100), (5, 10, 50), (12.5, 10, 100), (25, 10, 100), (30, 7, 70)]
)
def test_the_sampler_keeps_the_rate(rate: float, fps: float, expected: int) -> None:
    """Ten seconds of any source give the analysis rate, or the source's own where that is lower."""
    assert expected == pytest.approx(len(taken(fps, [n / rate for n in range(int(10 * rate))])), abs=1)


def test_the_sampler_stands_tremble() -> None:
    """Stamps that tremble around the analysis rate cost no frame."""
    random = np.random.default_rng(1)
    times = [n / 10 + float(random.uniform(-0.02, 0.02)) for n in range(100)]
    assert times == taken(10, times)


def test_the_sampler_does_not_catch_up() -> None:
    """After a pause no burst: the rate is never exceeded by much in any second."""
    times = [n / 50 for n in range(50)] + [10 + n / 50 for n in range(50)]
    found = taken(10, times)
    assert len([t for t in found if t >= 10]) <= 11


def test_only_due_pictures_are_developed() -> None:
    """Without an encoder, a picture between two frames costs nothing, yet it counts."""
    made = []
    pipeline = Pipeline(Capture(fps=5), ())
    pipeline.begin(None)
    frames = [item for n in range(20) for item in pipeline.push(n / 20, lambda: made.append(1) or picture())]
    assert [0, 4, 8, 12, 16] == [f.index for f in frames if isinstance(f, Frame)]
    assert len(frames) == len(made)


def test_a_skipped_picture_counts() -> None:
    """The index stays that of the source's pictures."""
    pipeline = Pipeline(Capture(), ())
    pipeline.skip()
    (frame,) = pipeline.push(0.0, picture)
    assert isinstance(frame, Frame)
    assert frame.index == 1


def test_every_picture_is_encoded_and_frames_follow_their_packet() -> None:
    """Recording keeps all pictures; StreamInfo comes first."""
    pipeline = Pipeline(Capture(fps=5), ())
    pipeline.begin(10)
    items = [item for n in range(4) for item in pipeline.push(n / 10, picture)] + pipeline.finish()
    assert [StreamInfo, Packet, Frame, Packet, Packet, Frame, Packet] == [type(i) for i in items]


def test_masks_reach_frame_and_luma() -> None:
    """What is analysed is what is recorded: masked."""
    pipeline = Pipeline(Capture(), (LEFT,))
    (frame,) = pipeline.push(0.0, picture)
    assert isinstance(frame, Frame)
    assert [16, 180] == [int(frame.luma[24, 8]), int(frame.luma[24, 56])]
    assert [16, 180] == [int(frame.picture.y[24, 8]), int(frame.picture.y[24, 56])]


def test_key_frames_come_as_configured() -> None:
    """By `capture.gop_s`."""
    pipeline = Pipeline(Capture(gop_s=0.5), ())
    pipeline.begin(10)
    items = [item for n in range(11) for item in pipeline.push(n / 10, picture)]
    assert [0.0, 0.5, 1.0] == [i.t for i in items if isinstance(i, Packet) and i.keyframe]


def test_a_new_size_is_a_new_stream() -> None:
    """Packets before and after a change of size have their own StreamInfo."""
    pipeline = Pipeline(Capture(), ())
    pipeline.begin(10)
    items = [*pipeline.push(0.0, picture), *pipeline.push(0.1, lambda: picture(96, 64))]
    assert [(64, 48), (96, 64)] == [(i.width, i.height) for i in items if isinstance(i, StreamInfo)]
