"""What vision costs, as ratios of one run: beside MOG2, beside decode, beside the bare runtime."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from agent.app.analysis import Analyser
from agent.capture.lores import reduce_luma
from agent.capture.source import open_source
from agent.config import load
from agent.picture import Picture
from agent.types import Frame
from agent.vision.crops import Square
from agent.vision.detector import PersonDetector
from agent.vision.models import load_card, verify
from agent.vision.motion import MotionDetector
from agent.vision.runtime import open_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LORES = "motion beside MOG2 320x240, lores source"
SD = "motion beside MOG2 320x240, 480p source"
EMPTY = "empty scene, vision beside decode, 480p15"
RATE = "detector's share of the bare inference rate"
MEMORY = "added memory of motion and scene, MB"
TARGETS = ((LORES, 0.3, True), (SD, 0.7, True), (EMPTY, 0.4, True), (RATE, 0.9, False), (MEMORY, 12.0, True))

SAMPLE = Path(__file__).parent.parent.parent / "agent" / "samples" / "demo_light.mp4"
EMPTY_FRAMES = 40  # of the sample, before its first switch
SECONDS = 40
FPS = 15
NOISE_LEVELS = 2.0  # standard deviation: a sensor indoors by day
PASSES = 5  # of the empty scene
ROUNDS = 60  # of each figure that is a median

MEMORY_PROBE = """
import numpy as np
from agent.config import load
from agent.types import Motion
from agent.vision.motion import MotionDetector
from agent.vision.scene import SceneMonitor
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
rng = np.random.default_rng(1)
frames = [rng.integers(90, 110, (240, 320), np.uint8) for _ in range(20)]
settings = load(None)
before = resident()
motion, scene = MotionDetector(settings.motion), SceneMonitor(settings.scene)
for i in range(400):
    found = motion.step(frames[i % 20], i / 10)
    scene.step(frames[i % 20], i / 10, found)
print(resident() - before)
"""


def measure() -> dict[str, float]:
    """Each figure of TARGETS. CPU time, one thread."""
    cv2.setNumThreads(1)
    pictures = _pictures()
    lores = [_resized(y, 320, 180) for y in pictures]
    mog2 = cv2.createBackgroundSubtractorMOG2()
    plain = _each([_resized(y, 320, 240) for y in pictures], mog2.apply)
    motion = _motion_on(lores)
    reduced = _motion_on([reduce_luma(y) for y in pictures]) + _each(pictures, reduce_luma)
    with tempfile.TemporaryDirectory() as folder:
        empty = _beside_decode(_encode(Path(folder) / "empty.mp4", pictures))
    output = subprocess.run([sys.executable, "-c", MEMORY_PROBE], check=True, capture_output=True, text=True)
    return {
        LORES: round(motion / plain, 3),
        SD: round(reduced / plain, 3),
        EMPTY: round(empty, 3),
        RATE: round(_rate(), 3),
        MEMORY: round(float(output.stdout), 1),
    }


def _pictures() -> list[NDArray[np.uint8]]:
    """Luma planes of an empty scene, 640x480, each with noise of its own."""
    rng = np.random.default_rng(1)
    with av.open(str(SAMPLE)) as container:
        planes = [
            np.asarray(frame.to_ndarray(format="gray"), np.float32)
            for _, frame in zip(range(EMPTY_FRAMES), container.decode(video=0), strict=False)
        ]
    noisy = (plane + rng.normal(0, NOISE_LEVELS, plane.shape) for plane in planes * 4)
    return [np.asarray(np.clip(plane, 0, 255), np.uint8) for plane in noisy]


def _resized(plane: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _each(frames: list[NDArray[np.uint8]], work: Callable[[NDArray[np.uint8]], object]) -> float:
    """CPU seconds of `work` per frame: the median of three passes."""
    passes = []
    for _ in range(3):
        begun = time.process_time()
        for frame in frames:
            work(frame)
        passes.append((time.process_time() - begun) / len(frames))
    return statistics.median(passes)


def _motion_on(frames: list[NDArray[np.uint8]]) -> float:
    detector = MotionDetector(load(None).motion)
    clock = iter(range(10**9))
    return _each(frames, lambda frame: detector.step(frame, next(clock) / 10))


def _encode(path: Path, pictures: list[NDArray[np.uint8]]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "23", "g": str(FPS)})
        stream.height, stream.width = pictures[0].shape
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number in range(SECONDS * FPS):
            frame = av.VideoFrame.from_ndarray(pictures[number % len(pictures)], format="gray")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def _beside_decode(video: Path) -> float:
    """CPU of the whole vision path on a file where nothing happens, as a share of decoding it.

    The least of several passes in turn: what else runs on the machine only adds.
    """
    passes = [(_seen(video), _decoded(video)) for _ in range(PASSES)]
    return min(seen for seen, _ in passes) / min(decoded for _, decoded in passes)


def _decoded(video: Path) -> float:
    begun = time.process_time()
    with av.open(str(video)) as container:
        container.streams.video[0].thread_count = 1
        for _ in container.decode(video=0):
            pass
    return time.process_time() - begun


def _seen(video: Path) -> float:
    settings = load(None, {"capture": {"source": str(video)}})
    analyser = Analyser(settings, PersonDetector(settings.detector), timer=time.process_time)
    items = open_source(settings.capture, pace="max", keep_packets=False).items()
    return sum(sum(analyser.step(item).seconds.values()) for item in items if isinstance(item, Frame))


def _rate() -> float:
    """Bare inference time as a share of the whole detector path per square, both medians in turn."""
    settings = load(None).detector
    card = load_card(settings.model)
    model = open_model(verify(card), card.label, settings.runtime, settings.threads)
    [taken] = model.get_input_details()
    rng = np.random.default_rng(1)
    model.tensor(taken["index"])()[:] = rng.integers(0, 256, taken["shape"])
    detector = PersonDetector(settings)
    with av.open(str(SAMPLE)) as container:
        frame = next(iter(container.decode(video=0)))
        y, u, v = (
            np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            for plane in frame.planes
        )
    picture = Picture(y, u, v)
    bare, whole = [], []
    for _ in range(ROUNDS):
        begun = time.process_time()
        model.invoke()
        middle = time.process_time()
        detector.detect(picture, (Square(80, 0, 480),))
        bare.append(middle - begun)
        whole.append(time.process_time() - middle)
    return statistics.median(bare) / statistics.median(whole)
