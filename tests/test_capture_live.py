"""Live sources: loss, return, and the kit's own time. Cameras here are real servers on the loopback."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from capture_videos import RtspCamera, ffmpeg, free_port, make

from agent.capture.live import LiveSource, _Reader
from agent.config import Capture, Mask
from agent.device.clock import SystemClock
from agent.errors import ConfigError, SourceLostError
from agent.types import Frame, Packet, SourceDown, SourceItem, SourceUp, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOCK = SystemClock()
MASK = Mask(name="left", polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))


def live(
    url: str, masks: tuple[Mask, ...] = (), *, keep_packets: bool = True, **options: object
) -> LiveSource:
    quick = {"stall_after_s": 2.0, "reconnect_min_s": 0.05, "reconnect_max_s": 0.2, **options}
    settings = Capture(source=url, **quick)  # type: ignore[arg-type]
    return LiveSource(settings, masks, clock=CLOCK, keep_packets=keep_packets, random=Random(1))  # noqa: S311 - a seed


def until(source: LiveSource, enough: Callable[[list[SourceItem]], bool]) -> list[SourceItem]:
    """What comes until there is enough, or (to fail by what is missing) for 20 s."""
    guard = threading.Timer(20, source.close)
    guard.start()
    items: list[SourceItem] = []
    for item in source.items():
        items.append(item)
        if enough(items):
            source.close()
    guard.cancel()
    return items


def count(kind: type) -> Callable[[list[SourceItem]], int]:
    return lambda items: sum(isinstance(i, kind) for i in items)


frames, infos, downs = count(Frame), count(StreamInfo), count(SourceDown)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the cameras see."""
    return make(tmp_path_factory.mktemp("live") / "v.h264", "-bf", "0", rate=20, seconds=2)


def test_a_camera_on_the_network(video: Path) -> None:
    """Copied packets, frames at the analysis rate, on the kit's own time line."""
    before = CLOCK.mono()
    with RtspCamera(video) as camera:
        items = until(live(camera.url), lambda items: frames(items) >= 12)
    info = items[0]
    assert isinstance(info, StreamInfo)
    assert ("h264", 160, 120) == (info.codec, info.width, info.height)
    assert info.extradata
    times = [i.t for i in items if isinstance(i, Frame)]
    assert all(0.05 < b - a < 0.2 for a, b in pairwise(times))
    assert before < times[0] <= times[-1] < CLOCK.mono() + 1
    packets = [i for i in items if isinstance(i, Packet)]
    assert packets[0].keyframe
    assert all(a.dts < b.dts and a.t <= b.t for a, b in pairwise(packets))
    assert len(packets) >= 20


def test_a_camera_that_hangs_up_comes_back(video: Path) -> None:
    """SourceDown once, SourceUp, StreamInfo again; time rises over the gap, indices go on."""
    with RtspCamera(video, pictures=25) as camera:
        items = until(live(camera.url), lambda items: infos(items) >= 3 and isinstance(items[-1], Frame))
    kinds = [type(i) for i in items if not isinstance(i, Frame | Packet)]
    assert [StreamInfo, SourceDown, SourceUp, StreamInfo, SourceDown, SourceUp, StreamInfo] == kinds
    shown = [i for i in items if isinstance(i, Frame)]
    assert all(a.t < b.t and a.index < b.index for a, b in pairwise(shown))


def test_a_camera_that_falls_silent_is_noticed(video: Path) -> None:
    """The connection stands, nothing comes: within stall_after_s it is lost, and opened anew."""
    with RtspCamera(video, pictures=25, hang=True) as camera:
        silent = live(camera.url, stall_after_s=1.0)
        seen: dict[str, float] = {}

        def enough(items: list[SourceItem]) -> bool:
            seen["picture" if isinstance(items[-1], Frame) else "other"] = CLOCK.mono()
            if isinstance(items[-1], SourceDown):
                seen["gap"] = CLOCK.mono() - seen["picture"]
            return infos(items) >= 2

        items = until(silent, enough)
    assert downs(items) == 1
    assert 0.9 < seen["gap"] < 1.7


def test_a_camera_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """One SourceDown however often it is tried, without the password; close ends the wait at once."""
    url = f"rtsp://admin:secret@127.0.0.1:{free_port()}/stairs"
    absent = live(url, reconnect_min_s=0.05, reconnect_max_s=60)
    threading.Timer(1.0, absent.close).start()
    begin = CLOCK.mono()
    items = list(absent.items())
    assert CLOCK.mono() - begin < 2.0
    assert downs(items) == len(items) == 1
    assert isinstance(items[0], SourceDown)
    assert "connection refused" in items[0].reason.en
    assert "127.0.0.1" in items[0].reason.en
    assert "secret" not in items[0].reason.en + caplog.text


def test_close_ends_a_connection_that_never_answers() -> None:
    """A peer that takes the connection and is silent does not hold close up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        mute = live(f"rtsp://127.0.0.1:{server.getsockname()[1]}/", stall_after_s=4.0)
        threading.Timer(0.3, mute.close).start()
        begin = CLOCK.mono()
        assert [] == list(mute.items())
        assert CLOCK.mono() - begin < 1.3


def test_a_peer_that_never_answers_is_lost() -> None:
    """It is told as such within stall_after_s."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        begin = CLOCK.mono()
        mute = live(f"rtsp://127.0.0.1:{server.getsockname()[1]}/", stall_after_s=1.0)
        items = until(mute, lambda items: downs(items) > 0)
    assert CLOCK.mono() - begin < 2.5
    assert isinstance(items[0], SourceDown)
    assert "no answer for 0.5 s" in items[0].reason.en


def test_a_transport_stream_over_tcp(tmp_path: Path, video: Path) -> None:
    """MPEG-TS from a plain socket; when its end comes the source is down."""
    port = free_port()
    path = tmp_path / "v.ts"
    ffmpeg("-i", video, "-c", "copy", path)
    sender = ["ffmpeg", "-loglevel", "error", "-re", "-i", path, "-c", "copy", "-f", "mpegts"]
    with subprocess.Popen([*sender, f"tcp://127.0.0.1:{port}?listen=1"], stdin=subprocess.DEVNULL) as process:
        items = until(
            live(f"tcp://127.0.0.1:{port}"),
            lambda items: frames(items) > 0 and isinstance(items[-1], SourceDown),
        )
        process.kill()
    assert frames(items) >= 15
    assert isinstance(items[-1], SourceDown)


def test_masks_need_encoding_again(video: Path) -> None:
    """A configuration that would record without masks ends the source, and is no outage."""
    with RtspCamera(video) as camera, pytest.raises(ConfigError, match=r"privacy\.masks"):
        until(live(camera.url, (MASK,)), lambda items: len(items) > 0)
    with RtspCamera(video) as camera:
        items = until(live(camera.url, (MASK,), reencode=True), lambda items: frames(items) >= 3)
    assert {16} == {int(i.luma[:, :72].max()) for i in items if isinstance(i, Frame)}
    assert isinstance(items[0], StreamInfo)


def test_without_packets_only_frames_come(video: Path) -> None:
    """As for a file."""
    with RtspCamera(video) as camera:
        items = until(live(camera.url, keep_packets=False), lambda items: frames(items) >= 3)
    assert {Frame} == {type(i) for i in items}


def test_a_device_that_is_not_plugged_in() -> None:
    """It may be plugged in later: it is down, not an error."""
    items = until(live("/dev/video-none"), lambda items: len(items) > 0)
    assert isinstance(items[0], SourceDown)
    assert "/dev/video-none: no such file or directory" == items[0].reason.en


def test_a_closed_source_yields_nothing() -> None:
    """Closing before the start is no error."""
    closed = live("/dev/video-none")
    closed.close()
    assert [] == list(closed.items())
    assert closed.corrupt == 0


def test_a_consumer_that_lags_loses_nothing(video: Path) -> None:
    """While analysis is busy the camera waits; no packet is left out of what is recorded."""
    with RtspCamera(video, fps=200) as camera:
        slow = live(camera.url)
        dts: list[int] = []
        for item in slow.items():
            if isinstance(item, Packet):
                dts.append(item.dts)
                if len(dts) == 5:
                    time.sleep(1.0)
                if len(dts) == 150:
                    slow.close()
    # libav itself gives two packets of the beginning one dts now and then.
    assert all(0 < b - a <= 450 for a, b in pairwise(dts))
    assert 450 * 148 <= dts[-1] - dts[0] <= 450 * 149


class BrokenClock(SystemClock):
    """Fails after a while."""

    left = 20

    def mono(self) -> float:
        """Until there is no time left."""
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("no time left")
        return super().mono()


def test_what_kills_the_reader_ends_the_source(video: Path) -> None:
    """A thread does not die in silence: its error is raised where items are read."""
    with RtspCamera(video) as camera:
        source = LiveSource(Capture(source=camera.url), clock=BrokenClock())
        with pytest.raises(RuntimeError, match="no time left"):
            list(source.items())


def test_a_device_that_hangs_is_noticed() -> None:
    """A driver's call that never returns is not waited for."""
    reader = _Reader("/dev/video-none", "cam", 0.1, CLOCK)
    with pytest.raises(SourceLostError, match=r"no data for 0\.1 s"):
        reader.packet(0.1)


def test_data_without_pictures_is_an_outage(tmp_path: Path) -> None:
    """Packets alone are no sign of life."""
    whole = make(tmp_path / "a.h264", "-g", "1000", "-bf", "0", rate=20, seconds=3)
    with RtspCamera(whole, without=5) as camera:
        items = until(live(camera.url, stall_after_s=1.0), lambda items: downs(items) > 0)
    assert isinstance(items[-1], SourceDown)
    assert "no picture" in items[-1].reason.en
