"""One opened camera as a source yields it, and when it has fallen silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.capture.camera_fault import encoder_silent, sensor_silent
from agent.capture.encoder import H264Encoder
from agent.capture.handover import Encoded, Shot
from agent.capture.hardware_encoder import HardwareStream
from agent.types import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.capture.picamera_session import CameraSession
    from agent.config import Capture
    from agent.config_camera import Camera
    from agent.types import SourceItem

HELD_PICTURES = 3  # the hardware encoder works on one or two; with so many inside it is what stands still


class Reading:
    """Takes what `session` hands over. `now` is the agent's clock, in seconds."""

    def __init__(self, session: CameraSession, camera: Camera, capture: Capture, now: float) -> None:
        self._session = session
        self._stall_s = capture.stall_after_s
        self._stream = HardwareStream(*session.size, camera.fps)
        self._encoder: H264Encoder | None = None
        self._rate = (camera.fps, capture.bitrate_kbps, capture.gop_s)
        self._packet_at = now

    def take(self, item: Shot | Encoded, now: float) -> Iterator[SourceItem]:
        """What a frame or a packet gives."""
        if isinstance(item, Encoded):
            self._packet_at = now
            yield from self._stream.feed(item.data, item.t, keyframe=item.keyframe)
            return
        if self._session.encoding == "software":
            if self._encoder is None:
                width, height = self._session.size
                self._encoder = H264Encoder(width, height, *self._rate)
                yield self._encoder.info
            yield from self._encoder.encode(item.picture, item.t)
        if item.luma is not None:
            yield Frame(item.index, item.t, item.luma, item.picture)

    def check(self, now: float) -> None:
        """Whether all that should move does.

        Raises:
            SourceLostError: frames stopped, or the hardware encoder gives no video for them.
        """
        session = self._session
        silent = now - session.seen > self._stall_s
        if session.encoding == "hardware" and now - self._packet_at > self._stall_s:
            # An encoder that stands still keeps all of the camera's buffers, so frames stop a moment later.
            held = len(session.in_flight)
            if not silent or held >= HELD_PICTURES:
                raise encoder_silent(session.name, self._stall_s, held)
        if silent:
            raise sensor_silent(session.name, self._stall_s)
