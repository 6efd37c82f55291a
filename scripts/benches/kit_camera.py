"""What a kit's camera sees in a bench: nobody for a while, then the sample's visitors, over and over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit_machine import call
from whole_kit import PEOPLE

if TYPE_CHECKING:
    from pathlib import Path

CAMERA = "/srv/camera.mp4"
"""Where a kit has it."""
CALM_FRAMES, CALM_ROUNDS = 44, 2  # nobody comes before frame 49; to and fro they are 17.6 s at 10 fps
MASKS = """
[[masks]]
name = "door-1"
polygon = [[0.0, 0.68], [0.3, 0.68], [0.3, 0.9], [0.0, 0.9]]
[[masks]]
name = "door-2"
polygon = [[0.92, 0.0], [1.0, 0.0], [1.0, 0.4], [0.92, 0.4]]
"""
"""As an installer has them: at the picture's edges, nobody walks there."""


def footage(path: Path) -> Path:
    """Make it: its still stretch goes to and fro, so that nothing in it jumps; 45 s altogether.

    Raises:
        StairwellError: ffmpeg is missing, or failed.
    """
    still = f"trim=end_frame={CALM_FRAMES},split[on][back];[back]reverse[back];[on][back]concat=n=2"
    again = f"loop=loop={CALM_ROUNDS - 1}:size={2 * CALM_FRAMES}"
    graph = f"[0:v]split[still][all];[still]{still},{again}[still];[still][all]concat=n=2"
    encoder = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-g", "10", "-bf", "0", "-an")
    call("ffmpeg", "-v", "error", "-i", PEOPLE, "-filter_complex", graph, *encoder, path)
    return path
