"""What `capture.source` may name. It loads no codec and no camera, for many ask only what kind it is."""

from __future__ import annotations

from typing import Literal, get_args

from agent.capture.address import without_credentials
from agent.errors import ConfigError
from agent.words import say

PICAMERA = "picamera:"
SYNTHETIC = "synthetic:"

Network = Literal["rtsp", "rtsps", "http", "https", "tcp", "udp"]
Kind = Network | Literal["picamera", "v4l2", "file", "synthetic"]
"""What `capture.source` may name."""

RECORDED: frozenset[Kind] = frozenset({"file", "synthetic"})
"""Kinds that show no camera's present: footage, and what is drawn in its place."""


def source_kind(source: str) -> Kind:
    """What sort of source a `capture.source` names; nothing of its address or credentials.

    Raises:
        ConfigError: none that the agent knows.
    """
    if source.startswith(SYNTHETIC):
        return "synthetic"
    if source.startswith(PICAMERA):
        return "picamera"
    if source.startswith("/dev/"):
        return "v4l2"
    scheme, mark, _ = source.partition("://")
    if not mark:
        return "file"
    for known in get_args(Network):
        if scheme == known:
            return known  # type: ignore[no-any-return]  # get_args forgets the type
    raise ConfigError(
        say("capture.source = {source!r}: no such kind of source", source=without_credentials(source)),
        fix=say("give picamera:, rtsp://…, a V4L2 device such as /dev/video0, a video file, or synthetic:"),
    )
