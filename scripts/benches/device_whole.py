"""The whole agent behind a real Picamera2, within the memory that its unit grants, at the real pace.

As `device_memory`, but for the source: `picamera:` at its default size in the root of `device_camera`. Into
the buffers of libcamera's virtual camera the sample is painted, so that there is somebody to be seen. It runs
twice: with an encoder as a Zero 2 W, a 3 and a 4 have it (`camera/board_encoder.py`), and with libx264, as on
a 5.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import av

import device_camera
import device_memory
import limited
import whole_kit
from agent.app.want import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from findings import Finding

# Where want of memory has ended (agent.app.want): above it the agent would do without for ever.
CALM_MB = round((1 - Limits().memory[1]) * limited.granted(limited.AGENT).high / device_memory.MB)
MEMORY = "/dev/shm"  # noqa: S108 - pages of a file on disk would count as the agent's, which reads it
ENCODERS: dict[str, dict[str, str]] = {"board": {"ENCODER": "board"}, "processor": {}}


def findings_of(suite: str, minutes: float) -> Iterator[Finding]:
    """Run for so long with each encoder, then stop it in order and judge."""
    for encoder, chosen in ENCODERS.items():
        yield from _findings(suite, encoder, chosen, minutes)


def _findings(suite: str, encoder: str, chosen: dict[str, str], minutes: float) -> Iterator[Finding]:
    root = device_camera.made(suite)
    with (
        tempfile.TemporaryDirectory(prefix="stairwell-whole-") as directory,
        tempfile.TemporaryDirectory(dir=MEMORY, prefix="stairwell-footage-") as shown,
    ):
        for name, size in (("main", device_camera.SIZE), ("lores", device_camera.LORES)):
            footage(Path(shown) / name, *size)
        environment = {**limited.granted(limited.AGENT).environment, "FOOTAGE": shown, **chosen}
        environment["PYTHONPYCACHEPREFIX"] = f"{directory}/bytecode"
        program = device_camera.within(root, "whole.py", environment, (Path(directory), Path(shown)))
        sections = {"capture": {"source": "picamera:"}}
        where = f"{suite}, {encoder}"
        yield from device_memory.measured(
            "whole", where, minutes, Path(directory), sections, program, CALM_MB
        )


def footage(path: Path, width: int, height: int) -> None:
    """The sample as raw NV12 of this size, picture by picture; black beside it where it is narrower."""
    with av.open(str(whole_kit.PEOPLE)) as sample, path.open("wb") as out:
        stream = sample.streams.video[0]
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(template=stream),
            graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=decrease"),
            graph.add("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2"),
            graph.add("format", "nv12"),
            graph.add("buffersink"),
        ).configure()
        for picture in sample.decode(stream):
            graph.push(picture)
            out.write(graph.pull().to_ndarray().tobytes())
