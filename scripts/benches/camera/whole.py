"""Runs in the root that `device_camera` builds: `stairwell run`, its virtual camera before the sample."""

from __future__ import annotations

import os
from pathlib import Path

import board_encoder
import virtual_camera

from agent.cli import main

SAMPLE_FPS = 10.0

virtual_camera.install()
virtual_camera.footage = virtual_camera.Footage(Path(os.environ["FOOTAGE"]), SAMPLE_FPS)
if "ENCODER" in os.environ:
    board_encoder.install()
main()
