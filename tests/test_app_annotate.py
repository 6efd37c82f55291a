"""The annotated video: every frame, at its time, with what was found drawn on it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from app_parts import analysis, change, frame, picture

from agent.app.annotate import ALERT, LOOKED, MOTION, PERSON, TRACK, Annotator
from agent.errors import StorageError
from agent.picture import Picture
from agent.types import Box, Motion, Phase, Scene, Track

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.app.analysis import Analysis

Shown = tuple[Fraction, "NDArray[np.uint8]"]


def draw(path: Path, *analyses: Analysis) -> list[Shown]:
    """What is seen in the video of these analyses: (seconds, RGB) of each picture."""
    annotator = Annotator(path, 10.0)
    for one in analyses:
        annotator.add(one)
    annotator.close()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (f.pts * stream.time_base, np.asarray(f.to_ndarray(format="rgb24")))
            for f in container.decode(stream)
        ]


def add_noise(annotator: Annotator) -> None:
    """Ten seconds of what cannot be compressed."""
    random = np.random.default_rng(1)
    for i in range(100):
        grain = Picture(random.integers(0, 255, (480, 640), dtype=np.uint8))
        annotator.add(analysis(frame(i, i / 10, grain)))


def near(image: NDArray[np.uint8], colour: tuple[int, int, int], box: Box) -> bool:
    """Whether the box's upper edge is of this colour (as well as H.264 keeps colours)."""
    height, width = image.shape[:2]
    x, y = int((box.x + box.w / 2) * width), int(box.y * height)
    patch = image[max(0, y - 1) : y + 2, x - 8 : x + 8].astype(int)
    return bool((np.abs(patch - np.array(colour)).max(axis=2) < 70).any())


def test_frames_keep_their_times(tmp_path: Path) -> None:
    """A gap in the analysed frames is a gap in the video."""
    shown = draw(tmp_path / "out.mp4", *(analysis(frame(i, t)) for i, t in enumerate((0.0, 0.1, 1.5))))

    assert [0.0, 0.1, 1.5] == [float(t) for t, _ in shown]


def test_small_pictures_are_enlarged_and_odd_ones_fit(tmp_path: Path) -> None:
    """Labels must be legible, and the encoder takes even sizes only."""
    small = draw(tmp_path / "small.mp4", analysis(frame(0, 0.0, picture(96, 72))))
    odd = draw(tmp_path / "odd.mp4", analysis(frame(0, 0.0, picture(641, 481))))

    assert (360, 480) == small[0][1].shape[:2]
    assert (480, 640) == odd[0][1].shape[:2]


def test_a_change_of_size_goes_into_the_same_video(tmp_path: Path) -> None:
    """A file holds one size: later pictures are fitted to the first."""
    shown = draw(
        tmp_path / "out.mp4",
        analysis(frame(0, 0.0, picture(640, 480))),
        analysis(frame(1, 0.1, picture(500, 400))),
    )

    assert [(480, 640, 3)] * 2 == [image.shape for _, image in shown]


@pytest.mark.parametrize(
    ("colour", "person"), [(PERSON, True), (TRACK, False)], ids=["person", "not yet a person"]
)
def test_tracks_are_drawn_by_what_they_are(
    tmp_path: Path, colour: tuple[int, int, int], person: bool
) -> None:
    """A person's box and a mere track's have different colours, where the box is."""
    box = Box(0.3, 0.4, 0.4, 0.5)
    grey = picture(640, 480)
    track = Track(1, box, 0.8, person=person, seen=True)

    ((_, image),) = draw(tmp_path / "out.mp4", analysis(frame(0, 0.0, grey), tracks=(track,)))

    assert near(image, colour, box)


def test_motion_and_looks_are_drawn(tmp_path: Path) -> None:
    """Regions, blocks and what the detector looked at are each on the picture."""
    region, block, looked = Box(0.1, 0.3, 0.2, 0.2), Box(0.5, 0.3, 0.1, 0.1), Box(0.1, 0.7, 0.8, 0.2)
    dark = Picture(np.full((480, 640), 235, np.uint8))

    ((_, image),) = draw(
        tmp_path / "out.mp4",
        analysis(frame(0, 0.0, dark), motion=Motion((region,), blocks=(block,)), looked=(looked,)),
    )

    assert near(image, MOTION, region)
    assert near(image, LOOKED, looked)
    assert image[int(block.y * 480), int(0.55 * 640)].mean() < 200


def test_an_event_is_named_until_it_ends(tmp_path: Path) -> None:
    """The line that names the event comes with its NEW and goes with its END."""
    plain, new, going, end = draw(
        tmp_path / "out.mp4",
        analysis(frame(0, 0.0)),
        analysis(frame(1, 0.1), changes=(change(Phase.NEW),)),
        analysis(frame(2, 0.2)),
        analysis(frame(3, 0.3), changes=(change(Phase.END, 2),)),
    )

    def line(shown: Shown) -> float:
        return float(shown[1][40:56, :200].std())

    assert line(new) > 3 * line(plain) + 5
    assert line(going) > 3 * line(plain) + 5
    assert line(end) < line(new) / 2


def test_a_bad_scene_is_told_in_the_colour_of_alarm(tmp_path: Path) -> None:
    """A covered lens and a lamp that switches are written on the picture."""
    scene = Scene(16.0, 0.0, 0.0, covered=True)
    ((_, image),) = draw(
        tmp_path / "out.mp4",
        analysis(frame(0, 0.0, picture(640, 480, 16)), scene=scene, motion=Motion(global_change=True)),
    )

    strip = image[22:38, 6:200].astype(int)
    assert (np.abs(strip - np.array(ALERT)).max(axis=2) < 90).any()


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The error names the file, and comes before a minute was spent on analysis."""
    with pytest.raises(StorageError, match=r"no/such/out\.mp4: cannot be written"):
        Annotator(tmp_path / "no" / "such" / "out.mp4", 10.0)


def test_no_frame_leaves_no_half_open_file(tmp_path: Path) -> None:
    """A video without a frame closes without an error."""
    Annotator(tmp_path / "out.mp4", 10.0).close()

    assert (tmp_path / "out.mp4").exists()


def test_a_disk_that_is_full_is_told_once() -> None:
    """The error comes while frames are added; closing after it is quiet."""
    annotator = Annotator(Path("/dev/full"), 10.0)

    with pytest.raises(StorageError, match=r"/dev/full: cannot be written \(no space is left"):
        add_noise(annotator)

    annotator.close()


def test_a_disk_that_fills_up_at_the_end_is_told() -> None:
    """A short video waits in the encoder: its end is where the disk refuses."""
    annotator = Annotator(Path("/dev/full"), 10.0)
    annotator.add(analysis(frame(0, 0.0)))

    with pytest.raises(StorageError, match=r"/dev/full: cannot be written \(no space is left"):
        annotator.close()
