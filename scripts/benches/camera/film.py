"""Runs in the root that `device_camera` builds: our source on the virtual camera, then one JSON object."""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import virtual_camera
from libcamera import controls as libcamera_controls

from agent.capture import camera_controls
from agent.capture.source import open_source
from agent.config import Capture, Mask
from agent.config_camera import Camera
from agent.errors import StallError
from agent.types import Frame, Packet, SourceDown, SourceUp, StreamInfo

if TYPE_CHECKING:
    from agent.capture.source import Source

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
MASKED = 0.5  # the right half
SILENCE_S = 3.0  # far above what a busy machine takes for a frame
BLACK = 40  # what libx264 makes of level 16 beside bright pictures stays below this


def main(seconds: float, fps: float, width: int, height: int) -> dict[str, Any]:
    """Film for so long. Times in seconds, memory in MB."""
    virtual_camera.fps = fps
    virtual_camera.install()
    camera = Camera(width=width, height=height, fps=fps, dark_fps=fps)
    corners = ((MASKED, 0.0), (1.0, 0.0), (1.0, 1.0), (MASKED, 1.0))
    source = open_source(
        Capture(source="picamera:"), camera=camera, masks=(Mask(name="flat", polygon=corners),)
    )
    tally = Tally()
    before, opened = time.process_time(), time.monotonic()
    for item in source.items():
        tally.add(item)
        if tally.times and tally.times[-1] - tally.times[0] >= seconds:
            source.close()
    tally.finish()
    cpu, wall = time.process_time() - before, time.monotonic() - opened
    gaps = [b - a for a, b in itertools.pairwise(tally.times)]
    return {
        "python": platform.python_version(),
        "seconds": round(tally.times[-1] - tally.times[0], 2),
        "packets": len(tally.times),
        "frames": tally.frames,
        "decoded": tally.decoded,
        "rising": all(gap > 0 for gap in gaps),
        "gap_median_ms": milliseconds(statistics.median(gaps)),
        "gap_p95_ms": milliseconds(statistics.quantiles(gaps, n=20)[18]),
        "gap_worst_ms": milliseconds(max(gaps)),
        "key_gap_worst_s": round(max(b - a for a, b in itertools.pairwise(tally.keys)), 3),
        "main": sorted(tally.main),
        "lores": sorted(tally.lores),
        "recorded": sorted(tally.recorded),
        "alike": round(tally.alike, 3),
        "unmasked": tally.unmasked,
        "outages": tally.outages,
        "unstamped": source.corrupt,
        "rss_begin_mb": middle(tally.rss[len(tally.rss) // 6 : len(tally.rss) // 3 or 1]),
        "rss_end_mb": middle(tally.rss[-max(1, len(tally.rss) // 6) :]),
        "cpu_percent": round(100 * cpu / wall, 1),
        "numbers": numbers_agree(),
        "held": held_camera(),
        "silent": silent_sensor(),
    }


def milliseconds(seconds: float) -> float:
    """With a tenth."""
    return round(1000 * seconds, 1)


def middle(megabytes: list[float]) -> float:
    """The median, with a tenth."""
    return round(statistics.median(megabytes), 1)


class Tally:
    """What came, looked at."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.keys: list[float] = []
        self.frames = self.decoded = self.unmasked = 0
        self.main: set[tuple[int, ...]] = set()
        self.lores: set[tuple[int, ...]] = set()
        self.recorded: set[tuple[int, ...]] = set()
        self.alike = 1.0
        self.outages: Counter[str] = Counter()
        self.rss: list[float] = []
        self._decoder: av.VideoCodecContext | None = None

    def add(self, item: object) -> None:
        """Count it, and look whether it is what it should be."""
        match item:
            case StreamInfo():
                self._decoder = av.CodecContext.create("h264", "r")
                self._decoder.extradata = item.extradata
            case Packet():
                self._packet(item)
            case Frame():
                self._frame(item)
            case SourceDown():
                self.outages[item.alarm] += 1

    def finish(self) -> None:
        """No more comes."""
        self._look(self._decoder.decode(None))

    def _packet(self, packet: Packet) -> None:
        self.times.append(packet.t)
        if packet.keyframe:
            self.keys.append(packet.t)
            self.rss.append(int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE_MB)
        raw = av.Packet(packet.data)
        raw.pts, raw.dts = packet.pts, packet.dts
        self._look(self._decoder.decode(raw))

    def _look(self, pictures: list[av.VideoFrame]) -> None:
        for picture in pictures:
            self.decoded += 1
            self.recorded.add((picture.width, picture.height))
            plane = picture.planes[0]
            luma = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            # The coder smears the mask's edge over a block.
            self.unmasked += bool(luma[:, round(plane.width * MASKED) + 16 : plane.width].max() > BLACK)

    def _frame(self, frame: Frame) -> None:
        self.frames += 1
        picture = frame.picture
        self.main.add((picture.width, picture.height))
        self.lores.add((frame.luma.shape[1], frame.luma.shape[0]))
        self.unmasked += bool(picture.y[:, round(picture.width * MASKED) :].max() > BLACK)
        self.unmasked += bool(frame.luma[:, round(frame.luma.shape[1] * MASKED) :].max() > BLACK)
        # Both streams show one moment: means of the open halves agree.
        open_main = picture.y[:, : round(picture.width * MASKED) - 8].mean()
        open_small = frame.luma[:, : round(frame.luma.shape[1] * MASKED) - 4].mean()
        self.alike = min(self.alike, 1 - abs(open_main - open_small) / 255)


def held_camera() -> list[str]:
    """The alarms of a source whose camera is in other hands, until it is let go and pictures come."""
    holder = virtual_camera.open_camera()
    told = []
    source = open_source(Capture(source="picamera:", reconnect_max_s=1))
    for item in source.items():
        if isinstance(item, SourceDown):
            told.append(item.alarm)
            holder.close()
        if isinstance(item, Frame):
            source.close()
    return told


def silent_sensor() -> list[str]:
    """What a source tells whose sensor falls silent twice, up to the error that ends the process."""
    virtual_camera.frames = 30
    return told_until_the_end(open_source(Capture(source="picamera:", stall_after_s=SILENCE_S)))


def told_until_the_end(source: Source) -> list[str]:
    """Its outages by alarm, and `pictures` where they came back."""
    told = []
    try:
        for item in source.items():
            match item:
                case SourceDown():
                    told.append(item.alarm)
                case SourceUp():
                    told.append("pictures")
    except StallError:
        told.append("end")
    return told


def hanging_driver() -> None:
    """End as the agent does when the camera's own thread hangs for ever: with its exit code, and at once."""
    virtual_camera.install()
    virtual_camera.hang_after = 30
    told = told_until_the_end(open_source(Capture(source="picamera:", stall_after_s=SILENCE_S)))
    sys.stdout.write(" ".join(told) + "\n")
    sys.stdout.flush()
    sys.exit(StallError.exit_code)


def numbers_agree() -> bool:
    """Whether the numbers that we give libcamera mean in it what we think."""
    draft = libcamera_controls.draft.NoiseReductionModeEnum
    expected = [
        (camera_controls.EXPOSURE, libcamera_controls.AeExposureModeEnum, {}),
        (camera_controls.WHITE_BALANCE, libcamera_controls.AwbModeEnum, {}),
        (camera_controls.NOISE_REDUCTION, draft, {"high": "HighQuality"}),
    ]
    return (
        all(
            int(getattr(kind, names.get(word, word.capitalize()))) == number
            for numbers, kind, names in expected
            for word, number in numbers.items()
        )
        and int(libcamera_controls.AeFlickerModeEnum.Manual) == camera_controls.FLICKER_MANUAL
        and int(libcamera_controls.AfModeEnum.Manual) == camera_controls.FOCUS_MANUAL
    )


if __name__ == "__main__":
    if sys.argv[1] == "hang":
        hanging_driver()
    sys.stdout.write(json.dumps(main(**json.loads(sys.argv[1]))) + "\n")
