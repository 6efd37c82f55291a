"""The drawn source."""

from __future__ import annotations

import numpy as np
import pytest

from agent.capture.synthetic import Play, Stage, SyntheticSource, parse
from agent.config import Capture, Mask
from agent.device.clock import SystemClock
from agent.errors import ConfigError
from agent.types import Frame, Packet, SourceItem, StreamInfo

SHORT = "synthetic:?seconds=2&width=96&height=64"


def run(source: str = SHORT, **options: object) -> list[SourceItem]:
    return list(SyntheticSource(Capture(source=source), **options).items())  # type: ignore[arg-type]


def test_it_yields_what_a_camera_yields() -> None:
    """StreamInfo first, each packet before its frame, the same number of both."""
    items = run()
    assert [StreamInfo, Packet, Frame, Packet, Frame] == [type(i) for i in items[:5]]
    frames = [i for i in items if isinstance(i, Frame)]
    assert [n / 10 for n in range(20)] == [f.t for f in frames]
    assert list(range(20)) == [f.index for f in frames]
    assert len([i for i in items if isinstance(i, Packet)]) == 20


def test_the_same_options_give_the_same_pictures() -> None:
    """Bit by bit; another seed gives others."""
    first, again, other = (
        [i for i in run(f"{SHORT}&seed={seed}") if isinstance(i, Frame)] for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a.picture.y, b.picture.y) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].picture.y, other[0].picture.y)


def test_a_figure_comes_and_the_lamp_goes() -> None:
    """The visit changes the picture in one place, the lamp everywhere."""
    stage = Stage(Play(width=320, height=240))
    empty, visit, dark = (stage.draw(int(t * 10)).y.astype(int) for t in (2.0, 8.0, 16.0))
    changed = np.abs(visit - empty) > 25
    assert 0.01 < changed.mean() < 0.3
    assert dark.mean() < empty.mean() - 30


def test_without_packets_only_frames_come() -> None:
    """Nothing is encoded that nobody keeps."""
    assert {Frame} == {type(i) for i in run(keep_packets=False)}


def test_masks_are_burned_in() -> None:
    """As for any camera."""
    mask = Mask(name="all", polygon=((0, 0), (1, 0), (1, 1), (0, 1)))
    assert {16} == {int(i.luma.max()) for i in run(masks=(mask,)) if isinstance(i, Frame)}


def test_it_keeps_real_time() -> None:
    """With a clock, times are on its line and nothing comes before its time."""
    clock = SystemClock()
    begin = clock.mono()
    settings = Capture(source="synthetic:?seconds=0.4&width=64&height=64")
    items = SyntheticSource(settings, clock=clock).items()
    early = [item.t - clock.mono() for item in items if isinstance(item, Frame)]
    assert max(early) <= 0
    assert clock.mono() - begin >= 0.3


def test_it_loops_until_closed() -> None:
    """Time and index go on; close ends it."""
    source = SyntheticSource(Capture(source="synthetic:?seconds=0.5&width=64&height=64", loop=True))
    times = []
    for item in source.items():
        if isinstance(item, Frame):
            times.append(item.t)
            if item.index == 12:
                source.close()
    assert [n / 10 for n in range(13)] == times
    assert source.corrupt == 0


def test_defaults() -> None:
    """A bare `synthetic:` is a minute of VGA."""
    assert Play(60, 640, 480, 10, 1) == parse("synthetic:")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sed=1", "known are"),
        ("width=abc", "from 32 to 4096"),
        ("width=8", "from 32"),
        ("fps=nan", "from 0.1"),
    ],
)
def test_wrong_options_are_refused(query: str, told: str) -> None:
    """With the option, its value and what is possible."""
    with pytest.raises(ConfigError, match=query.partition("=")[0]) as error:
        parse(f"synthetic:?{query}")
    assert told in error.value.fix
