"""Motion: light, noise and shake raise nothing; a person is found promptly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from agent.config import MotionSettings
from agent.vision.motion import MotionDetector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.types import Motion
    from agent.vision.structure import Plane, View

FPS = 10.0
HEIGHT, WIDTH = 180, 320


def lores(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The luma of a shipped clip at half size, as the camera's second stream gives it."""
    with av.open(str(path)) as clip:
        for frame in clip.decode(video=0):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            half = cv2.resize(luma, (plane.width // 2, plane.height // 2), interpolation=cv2.INTER_AREA)
            yield float(frame.time or 0), np.asarray(half, np.uint8)


def wall(seed: int = 1) -> NDArray[np.float64]:
    """A stairwell of plaster, tiles and a door, reflectance 0..1."""
    rng = np.random.default_rng(seed)
    plaster = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 2.0) * 0.25
    picture = 0.5 + plaster + np.linspace(-0.1, 0.1, WIDTH)
    picture[110:] *= 0.7
    picture[110::16] *= 0.6
    picture[40:120, 60:110] *= 0.55
    return np.clip(picture, 0.05, 0.95)


def sense(scene: NDArray[np.float64], rng: np.random.Generator, noise: float = 1.0) -> NDArray[np.uint8]:
    """What a camera makes of it: video levels, shot and read noise, 8 bits."""
    level = 16 + 219 * np.clip(scene, 0, 1)
    level = level + rng.normal(0, noise, level.shape) * np.sqrt(0.3 + level / 120)
    return np.asarray(np.clip(np.rint(level), 0, 255), np.uint8)


def watch(
    scene: Callable[[float], NDArray[np.float64]], seconds: float, *, fps: float = FPS, noise: float = 1.0
) -> list[tuple[float, Motion]]:
    """The detector's answers on a scene given as a function of time."""
    rng = np.random.default_rng(7)
    detector = MotionDetector(MotionSettings())
    times = [i / fps for i in range(int(seconds * fps))]
    return [(t, detector.step(sense(scene(t), rng, noise), t)) for t in times]


def alarms(answers: list[tuple[float, Motion]]) -> list[float]:
    return [t for t, motion in answers if motion.regions]


def walker(t: float, *, start: float, reflectance: float, speed: float = 60.0) -> Callable[..., None]:
    """Paints a person of 26 x 70 pixels that enters at `start` from the left."""

    def paint(scene: NDArray[np.float64]) -> None:
        x = int((t - start) * speed) - 26
        if t >= start and x < WIDTH:
            scene[95:165, max(0, x) : max(0, x + 26)] = reflectance
            scene[95:112, max(0, x + 6) : max(0, x + 20)] = min(1.0, reflectance * 1.8)

    return paint


def test_demo_light_raises_nothing(samples: Path) -> None:
    """Four switches of a lamp over an empty scene: not one region, but the change of light is told."""
    detector = MotionDetector(MotionSettings())
    answers = [(t, detector.step(luma, t)) for t, luma in lores(samples / "demo_light.mp4")]
    assert [] == alarms(answers)
    told = {round(t) for t, motion in answers if motion.global_change}
    assert {4, 9, 14, 17} <= told


def evidence_of_light(samples: Path) -> list[float]:
    """When there was any evidence in the sample of four switches, be it never so short."""
    detector = MotionDetector(MotionSettings())
    return [t for t, luma in lores(samples / "demo_light.mp4") if detector.step(luma, t).blocks]


def test_still_coded_view_gives_no_evidence(samples: Path) -> None:
    """What a coder makes of a still view stays below the evidence that is needed, in every frame."""
    raw = evidence_of_light(samples)
    assert [] == [t for t in raw if not any(at <= t <= at + 2 for at in (4, 9, 14, 17))]


def test_evidence_is_rare_just_after_a_switch(samples: Path) -> None:
    """While exposure and coder still follow a new light, hardly a frame passes for evidence."""
    assert len(evidence_of_light(samples)) <= 3


class HalfConvinced(MotionDetector):
    """One whose evidence is never strong."""

    def _fold(self, excess: Plane) -> Plane:
        return np.minimum(super()._fold(excess), self._needed + np.float32(0.6))


def test_two_doubtful_frames_make_no_alarm() -> None:
    """At a low rate it takes a third one, though two last longer than the hold."""
    base, rng = wall(), np.random.default_rng(7)
    for kind, expected in ((HalfConvinced, 3), (MotionDetector, 2)):
        detector, answers = kind(MotionSettings()), []
        for i in range(20):
            picture = base.copy()
            walker(i * 0.4, start=4.0, reflectance=0.1)(picture)
            answers.append((i, detector.step(sense(picture, rng), i * 0.4)))
        assert 10 + expected == alarms(answers)[0]


def test_start_raises_nothing() -> None:
    """What differs in the first second, when noise is not known, does not count later either."""
    base, rng = wall(), np.random.default_rng(7)
    detector, answers = MotionDetector(MotionSettings()), []
    for i in range(30):
        picture = base.copy()
        walker(i / FPS, start=-0.4, reflectance=0.1, speed=250)(picture)
        answers.append((i / FPS, detector.step(sense(picture, rng), i / FPS)))
    assert [] == alarms(answers)


def test_demo_people_are_found(samples: Path) -> None:
    """Two visitors are found within half a second, where they are, and nothing before."""
    detector = MotionDetector(MotionSettings())
    answers = [(t, detector.step(luma, t)) for t, luma in lores(samples / "demo_people.mp4")]
    found = alarms(answers)
    assert 4.4 <= found[0] <= 5.4
    inside = [t for t in found if 5 <= t <= 24]
    assert len(inside) > 0.9 * 190


class AlwaysClose(MotionDetector):
    """One that compares every frame in full."""

    def _calm(self, now: View, then: View) -> bool:
        del now, then
        return False


def test_calm_frames_cost_no_alarm(samples: Path) -> None:
    """Where nothing stirs a plain difference is enough: every alarm comes when a full comparison has it."""
    for name in ("demo_people", "demo_light"):
        often, seldom = AlwaysClose(MotionSettings()), MotionDetector(MotionSettings())
        frames = list(lores(samples / f"{name}.mp4"))
        first, second = (
            [t for t, luma in frames if detector.step(luma, t).regions] for detector in (often, seldom)
        )
        assert len(first) == pytest.approx(len(second), abs=3)
        assert first[:1] == pytest.approx(second[:1], abs=0.11)


@pytest.mark.parametrize("fps", [3.0, 5.0, 10.0, 30.0])
def test_lamp_raises_nothing_at_any_rate(fps: float) -> None:
    """A lamp that ramps on and off in 0.4 s is told as a change of light and raises no region."""
    base = wall()

    def scene(t: float) -> NDArray[np.float64]:
        on = np.clip((t - 4) / 0.4, 0, 1) - np.clip((t - 9) / 0.4, 0, 1)
        return base * (0.25 + 0.7 * on)

    answers = watch(scene, 13, fps=fps)
    assert [] == alarms(answers)
    assert any(motion.global_change for t, motion in answers if 4 <= t <= 5)


def test_partial_lamp_with_shadow_edge_raises_nothing() -> None:
    """A lamp that lights half of the view, with a hard shadow edge, raises no region."""
    base = wall()
    field = np.ones((HEIGHT, WIDTH))
    field[:, 170:] = np.linspace(2.2, 1.6, WIDTH - 170)

    def scene(t: float) -> NDArray[np.float64]:
        on = np.clip((t - 4) / 0.2, 0, 1) - np.clip((t - 8) / 0.1, 0, 1)
        return base * 0.4 * (1 + (field - 1) * on)

    assert [] == alarms(watch(scene, 12))


def test_moving_wedge_of_door_light_raises_nothing() -> None:
    """A door opens and closes: its light sweeps over wall and floor with a sharp edge."""
    base = wall()
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    angle = np.arctan2(yy - 20.0, xx - 120.0)

    def scene(t: float) -> NDArray[np.float64]:
        opened = np.clip((t - 4) / 1.0, 0, 1) - np.clip((t - 8) / 1.0, 0, 1)
        edge = np.clip((np.abs(angle - 1.2) - 0.5 * opened) / 0.02, -40, 40)
        return base * (0.4 + 0.5 / (1 + np.exp(edge)) * (opened > 0.02))

    assert [] == alarms(watch(scene, 12))


def test_lamp_that_comes_back_is_known() -> None:
    """In light seen before, somebody who came in with the lamp is found, and the lamp itself is not."""
    base = wall()
    field = 1 + 0.5 * np.sin(np.linspace(0, 4, WIDTH))

    def scene(t: float) -> NDArray[np.float64]:
        picture = base.copy()
        walker(t, start=20.0, reflectance=0.12)(picture)
        on = (t < 6) or (12 <= t < 16) or t >= 20.3
        return picture * (0.55 * field if on else 0.15)

    found = alarms(watch(scene, 24))
    assert found
    assert 20.0 <= found[0] <= 21.3


def test_noise_that_doubles_raises_nothing() -> None:
    """Gain that steps up multiplies the noise of the whole view: that is no motion."""
    rng = np.random.default_rng(3)
    detector = MotionDetector(MotionSettings())
    base = wall() * 0.3
    answers = [
        (i / FPS, detector.step(sense(base, rng, 1.0 if i < 60 else 5.0), i / FPS)) for i in range(150)
    ]
    assert [] == alarms(answers)


@pytest.mark.parametrize("swings_per_s", [0.9, 1.4, 3.7])
def test_shake_raises_nothing(swings_per_s: float) -> None:
    """A door that bangs lets the camera swing by up to three pixels, slowly on its cable or fast."""
    base = np.asarray(cv2.copyMakeBorder(wall(), 8, 8, 8, 8, cv2.BORDER_REFLECT))

    def scene(t: float) -> NDArray[np.float64]:
        swing = 3.0 * np.sin((t - 5) * swings_per_s * 2 * np.pi) * np.exp(-(t - 5) * 1.5) if t >= 5 else 0.0
        move = np.array([[1, 0, swing], [0, 1, swing * 0.5]])
        moved = cv2.warpAffine(base, move, (WIDTH + 16, HEIGHT + 16), borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved[8:-8, 8:-8])

    assert [] == alarms(watch(scene, 9))


@pytest.mark.parametrize(
    ("light", "reflectance", "noise"),
    [(0.9, 0.15, 1.0), (0.9, 0.8, 1.0), (0.08, 0.05, 0.7), (0.3, 0.1, 5.0)],
    ids=["dark coat", "bright coat", "near dark", "night noise"],
)
def test_walker_is_found(light: float, reflectance: float, noise: float) -> None:
    """A person who walks in is found within a second, and the region lies on the person."""
    base = wall()

    def scene(t: float) -> NDArray[np.float64]:
        picture = base.copy()
        walker(t, start=5.0, reflectance=reflectance)(picture)
        return picture * light

    answers = watch(scene, 9, noise=noise)
    found = alarms(answers)
    assert found
    assert 5.0 <= found[0] <= 6.0
    t, motion = next((t, motion) for t, motion in answers if t >= 6.5 and motion.regions)
    left = ((t - 5.0) * 60 - 26) / WIDTH
    assert any(r.x < left + 0.1 and left < r.x2 and r.y2 > 0.6 for r in motion.regions)


def test_person_who_presses_the_switch_is_found() -> None:
    """Who walks in as the lamp goes on is found within a second and a half of the entry."""
    base = wall()

    def scene(t: float) -> NDArray[np.float64]:
        picture = base.copy()
        walker(t, start=5.0, reflectance=0.15)(picture)
        return picture * (0.3 + 0.6 * np.clip((t - 5.2) / 0.3, 0, 1))

    found = alarms(watch(scene, 9))
    assert found
    assert 5.0 <= found[0] <= 6.5


def test_same_input_same_output(samples: Path) -> None:
    """Replaying gives identical results, whatever the number of OpenCV threads."""
    frames = [f for f in lores(samples / "demo_people.mp4") if 4 < f[0] < 8]
    threads = cv2.getNumThreads()
    runs = []
    try:
        for count in (1, 4):
            cv2.setNumThreads(count)
            detector = MotionDetector(MotionSettings())
            runs.append([detector.step(luma, t) for t, luma in frames])
    finally:
        cv2.setNumThreads(threads)
    assert runs[0] == runs[1]


def test_new_shape_learns_anew() -> None:
    """A camera that changes its format raises no region and goes on working."""
    rng = np.random.default_rng(1)
    detector = MotionDetector(MotionSettings())
    base = wall()
    for i in range(30):
        assert () == detector.step(sense(base, rng), i / FPS).regions
    turned = np.ascontiguousarray(base.T)
    for i in range(30, 60):
        assert () == detector.step(sense(turned, rng), i / FPS).regions


@pytest.mark.parametrize("jump", [-50.0, 30.0])
def test_jump_in_time_learns_anew(jump: float) -> None:
    """After a jump of the time line another picture is a new view, no motion."""
    rng = np.random.default_rng(1)
    detector = MotionDetector(MotionSettings())
    for i in range(30):
        detector.step(sense(wall(), rng), 100 + i / FPS)
    for i in range(30):
        assert () == detector.step(sense(wall(9), rng), 103 + jump + i / FPS).regions


def test_too_small_a_plane_is_refused() -> None:
    """A plane smaller than one window is a wiring mistake and says so."""
    with pytest.raises(ValueError, match="16x16"):
        MotionDetector(MotionSettings()).step(np.zeros((16, 16), np.uint8), 0.0)


def test_sensitivity_divides_the_evidence_needed() -> None:
    """Only the more sensitive setting sees a coat that is nearly as bright as the wall behind."""
    rng = np.random.default_rng(2)
    flat = np.full((HEIGHT, WIDTH), 0.4)
    counts = []
    for sensitivity in (0.25, 4.0):
        detector = MotionDetector(MotionSettings(sensitivity=sensitivity))
        found = 0
        for i in range(80):
            picture = flat.copy()
            walker(i / FPS, start=4.0, reflectance=0.41)(picture)
            picture[95:112] = np.where(picture[95:112] > 0.5, 0.41, picture[95:112])
            found += bool(detector.step(sense(picture, rng, 1.0), i / FPS).regions)
        counts.append(found)
    assert counts[0] < counts[1]
