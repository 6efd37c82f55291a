"""The Raspberry Pi camera as a source, against a board that behaves as Picamera2 does."""

from __future__ import annotations

import atexit
import itertools
import logging
import threading
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from picamera_fake import FIELD, Board
from standin import standin

from agent.capture import picamera, picamera_session
from agent.capture.picamera import PicameraSource
from agent.capture.picamera_stack import LEAST
from agent.config import Capture, Mask
from agent.config_camera import Camera
from agent.device.clock import SystemClock
from agent.errors import ConfigError, StallError
from agent.types import Frame, Packet, SourceDown, SourceUp, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.types import SourceItem

WIDTH, HEIGHT = 640, 480
STALL_S = 0.4  # for those that wait for a silence; the others must not take a busy machine for one
CLOCK = SystemClock()
RIGHT_HALF = Mask(name="flat", polygon=((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    chosen = Board()
    chosen.install(monkeypatch)
    monkeypatch.setattr(picamera, "REST_S", 0.2)
    monkeypatch.setattr(picamera, "CLOSE_S", 1.0)
    return chosen


@pytest.fixture
def source(board: Board) -> Iterator[Callable[..., PicameraSource]]:
    """Sources on the board, closed at the end. `hardware` says what probing finds."""
    del board
    made = []

    def make(
        name: str = "",
        *masks: Mask,
        hardware: bool = True,
        fps: float = 10,
        stall_s: float = 10,
        camera: dict[str, Any] | None = None,
    ) -> PicameraSource:
        capture = Capture(
            source=f"picamera:{name}",
            fps=fps,
            stall_after_s=stall_s,
            reconnect_min_s=0.05,
            reconnect_max_s=0.1,
        )
        settings = Camera(**{"width": WIDTH, "height": HEIGHT, "fps": 30, "dark_fps": 30, **(camera or {})})
        made.append(PicameraSource(capture, settings, masks, clock=CLOCK, probe=lambda: hardware))
        return made[-1]

    yield make
    for one in made:
        one.close()


def until(source: PicameraSource, enough: Callable[[list[SourceItem]], bool]) -> list[SourceItem]:
    """What it yields until it is enough; the source is closed then."""
    items: list[SourceItem] = []
    for item in source.items():
        items.append(item)
        if enough(items):
            source.close()
    return items


def of(items: list[SourceItem], kind: type) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def seconds(length: float) -> Callable[[list[SourceItem]], bool]:
    """Until packets cover so many seconds."""

    def enough(items: list[SourceItem]) -> bool:
        packets = of(items, Packet)
        return bool(packets) and packets[-1].t - packets[0].t >= length and bool(of(items, Frame))

    return enough


def decode(items: list[SourceItem]) -> list[av.VideoFrame]:
    """The pictures that a decoder of its own makes of the packets."""
    (info,) = of(items, StreamInfo)
    context = av.CodecContext.create("h264", "r")
    context.extradata = info.extradata
    pictures = []
    for packet in of(items, Packet):
        raw = av.Packet(packet.data)
        raw.pts, raw.dts, raw.time_base = packet.pts, packet.dts, info.time_base
        pictures += context.decode(raw)
    return pictures + context.decode(None)


def luma(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="gray")


@pytest.mark.parametrize("hardware", [True, False], ids=["hardware", "libx264"])
@pytest.mark.parametrize("pixels", ["YUV420", "NV12"])
def test_frames_and_packets(
    board: Board, source: Callable[..., PicameraSource], hardware: bool, pixels: str
) -> None:
    """StreamInfo first; every picture as a packet that decodes; frames at the analysed rate, sizes right."""
    board.pixels = pixels
    begun = CLOCK.mono()
    items = until(source(hardware=hardware), seconds(0.7))

    infos, packets, frames = (of(items, kind) for kind in (StreamInfo, Packet, Frame))
    assert [("h264", WIDTH, HEIGHT)] == [(i.codec, i.width, i.height) for i in infos]
    assert isinstance(next(i for i in items if not isinstance(i, Frame)), StreamInfo)
    assert packets[0].keyframe
    assert len(packets) == len(decode(items)) > 10
    assert {(HEIGHT, WIDTH)} == {f.picture.y.shape for f in frames}
    assert {(HEIGHT // 2, WIDTH // 2)} == {p.shape for f in frames for p in (f.picture.u, f.picture.v)}
    assert {(HEIGHT // 2, WIDTH // 2)} == {f.luma.shape for f in frames}
    assert all(f.luma.flags.c_contiguous for f in frames)
    assert len(frames) < len(packets)
    assert begun < frames[0].t <= frames[-1].t < CLOCK.mono()


@pytest.mark.parametrize("hardware", [True, False], ids=["hardware", "libx264"])
def test_times_are_the_sensors(board: Board, source: Callable[..., PicameraSource], hardware: bool) -> None:
    """Strictly rising, of frame and packet alike for the same picture, and what the sensor stamped."""
    stamps: list[int] = []
    board.stamps = lambda now: stamps.append(now) or now  # type: ignore[func-returns-value]
    items = until(source(hardware=hardware), seconds(0.6))

    for kind in (Frame, Packet):
        times = [item.t for item in of(items, kind)]
        assert all(a < b for a, b in itertools.pairwise(times))
    times = {round(p.t, 5) for p in of(items, Packet)}
    assert {round(f.t, 5) for f in of(items, Frame)[:-2]} <= times
    assert times <= {round(stamp / 1e9, 5) for stamp in stamps}
    indices = [f.index for f in of(items, Frame)]
    assert sorted(set(indices)) == indices


@pytest.mark.parametrize("hardware", [True, False], ids=["hardware", "libx264"])
def test_a_key_frame_each_second(source: Callable[..., PicameraSource], hardware: bool) -> None:
    """Groups of a second, each with its headers: a clip may begin with any."""
    packets = of(until(source(hardware=hardware), seconds(2.2)), Packet)
    keys = [p.t for p in packets if p.keyframe]
    assert len(keys) >= 3
    assert [1.0] * (len(keys) - 1) == pytest.approx([b - a for a, b in itertools.pairwise(keys)], abs=0.2)


def test_a_slow_camera_in_the_dark_has_short_groups_too(
    board: Board, source: Callable[..., PicameraSource]
) -> None:
    """The encoder counts pictures; where they come slowly a key frame is asked for by time."""
    board.fps = 8
    packets = of(until(source(), seconds(2.6)), Packet)
    keys = [p.t for p in packets if p.keyframe]
    assert len(keys) >= 2
    assert max(b - a for a, b in itertools.pairwise(keys)) < 2.0


@pytest.mark.parametrize("hardware", [True, False], ids=["hardware", "libx264"])
@pytest.mark.parametrize("pixels", ["YUV420", "NV12"])
def test_what_is_masked_never_leaves(
    board: Board, source: Callable[..., PicameraSource], hardware: bool, pixels: str
) -> None:
    """Black in what was encoded, in the picture and in the small plane; the other half as it was filmed."""
    board.pixels = pixels
    items = until(source("", RIGHT_HALF, hardware=hardware), seconds(0.3))
    for frame in of(items, Frame):
        picture = frame.picture
        half = WIDTH // 2
        assert {16} == set(np.unique(picture.y[:, half:]))
        assert {128} == set(np.unique(picture.u[:, half // 2 :])) | set(np.unique(picture.v[:, half // 2 :]))
        assert {16} == set(np.unique(frame.luma[:, half // 2 :]))
        assert picture.y[:, half // 2 : half - 8].min() >= 180
        assert picture.u[:, : half // 2 - 8].min() >= 180
        assert frame.luma[:, half // 4 : half // 2 - 8].min() >= 180
    for decoded in decode(items):
        assert luma(decoded)[:, WIDTH // 2 + 16 :].max() < 40
        assert luma(decoded)[:, WIDTH // 4 : WIDTH // 2 - 16].mean() > 150


def test_a_mask_that_cannot_be_drawn_ends_it(
    board: Board, source: Callable[..., PicameraSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather no picture than an open one: the encoder gets nothing, the error ends the source."""
    encoded: list[object] = []
    one = source("", RIGHT_HALF)
    monkeypatch.setattr(one._masks, "burn", lambda *_: 1 / 0)
    monkeypatch.setattr("picamera_fake.FakeH264Encoder.encode", lambda _, request: encoded.append(request))
    monkeypatch.setattr(threading, "excepthook", lambda *_: None)  # Picamera2's thread dies of it too
    with pytest.raises((ZeroDivisionError, StallError)):
        list(one.items())
    assert [] == encoded
    assert 1 == board.attempts


def test_the_configuration(board: Board, source: Callable[..., PicameraSource]) -> None:
    """What is asked of Picamera2: streams, buffers, transform, and every control that the camera has."""
    asked = {
        "width": 1280,
        "height": 720,
        "fps": 15,
        "dark_fps": 5,
        "rotation": 180,
        "mirror": True,
        "exposure": "short",
        "exposure_us": 20_000,
        "gain": 2.0,
        "white_balance": "indoor",
        "colour_gains": (1.5, 1.8),
        "noise_reduction": "high",
        "focus_m": 4.0,
        "crop": (0.0, 0.5, 1.0, 0.5),
        "sensor_size": (2304, 1296),
        "tuning_file": "/tuning.json",
    }
    board.fps = 15
    until(source(camera=asked), seconds(0.3))
    (camera,) = board.opened
    taken = camera.taken
    assert {"format": "YUV420", "size": (1280, 720)} == taken["main"]
    assert {"format": "YUV420", "size": (320, 180)} == taken["lores"]
    assert (None, None, False, 4) == (
        taken["raw"],
        taken["display"],
        taken["queue"],
        taken["buffer_count"],
    )
    assert ("Smpte170m", (False, True)) == (taken["colour_space"], taken["transform"].flips)
    assert {"output_size": (2304, 1296)} == taken["sensor"]
    assert "/tuning.json" == camera.tuning
    x, y, w, h = camera.set.pop("ScalerCrop")
    assert (FIELD[2] // 4, FIELD[3] // 2, FIELD[2] // 2, FIELD[3] // 2) == (x, y, w, h)
    assert {
        "FrameDurationLimits": (66_667, 200_000),
        "AeExposureMode": 1,
        "ExposureValue": 0.0,
        "AwbMode": 4,
        "NoiseReductionMode": 2,
        "AeFlickerMode": 1,
        "AeFlickerPeriod": 10_000,
        "ExposureTime": 20_000,
        "AnalogueGain": 2.0,
        "ColourGains": (1.5, 1.8),
    } == camera.set  # and no focus: this lens has no motor
    assert [{"bitrate": 2_000_000, "repeat": True, "iperiod": 15, "framerate": 15}] == board.encoders
    assert camera.closed


def test_every_stream_is_cropped_where_it_can_be(board: Board, source: Callable[..., PicameraSource]) -> None:
    """On a Pi 5 each stream has its own rectangle, which wins over the common one."""
    board.controls["ScalerCrops"] = ((), (), ())
    until(source(camera={"crop": (0.25, 0.25, 0.5, 0.5)}), seconds(0.2))
    assert [board.opened[0].set["ScalerCrop"]] * 2 == board.opened[0].set["ScalerCrops"]


def test_a_camera_without_a_crop(
    board: Board, source: Callable[..., PicameraSource], caplog: pytest.LogCaptureFixture
) -> None:
    """It films the whole field, and says why."""
    del board.controls["ScalerCrop"]
    until(source(camera={"crop": (0.25, 0.25, 0.5, 0.5)}), seconds(0.2))
    assert "camera.crop is not possible with this camera" in caplog.text


def test_packets_can_be_left_out(board: Board) -> None:
    """Who analyses only pays for no encoder."""
    capture = Capture(source="picamera:")
    one = PicameraSource(capture, Camera(width=640, height=480), clock=CLOCK, keep_packets=False)
    items = until(one, lambda items: len(items) > 3)
    assert {Frame} == set(map(type, items))
    assert [] == board.encoders


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("", 0),
        ("0", 0),
        ("1", 1),
        ("imx708", 1),
        ("imx219", 0),
        ("/base/soc/i2c0mux/i2c@1/imx708_wide@1a", 1),
    ],
)
def test_two_cameras(board: Board, source: Callable[..., PicameraSource], name: str, number: int) -> None:
    """The first, or the one that is named by number, model or id; the other is left alone."""
    board.models = ["imx219", "imx708_wide"]
    until(source(name), seconds(0.1))
    assert [number] == [camera.number for camera in board.opened]


def run_to_stall(one: PicameraSource, why: str | None = None) -> list[SourceItem]:
    """Everything until the process has to end."""
    items: list[SourceItem] = []
    with pytest.raises(StallError, match=why):
        items.extend(one.items())
    return items


def first_down(items: list[SourceItem]) -> SourceDown:
    (down,) = of(items, SourceDown)[:1]
    return down


def said(item: SourceItem) -> tuple[str, str]:
    """Of an outage, its reason and its alarm."""
    assert isinstance(item, SourceDown)
    return item.reason.en, item.alarm


def is_down(items: list[SourceItem]) -> bool:
    return bool(of(items, SourceDown))


def test_no_camera(board: Board, source: Callable[..., PicameraSource]) -> None:
    """It is said once, without opening anything; when the driver is there at last pictures come."""
    board.models = []

    def enough(items: list[SourceItem]) -> bool:
        if is_down(items):
            board.models = ["imx708"]
        return bool(of(items, Frame))

    items = until(source(), enough)
    assert ("picamera: no camera is connected", "camera.missing") == said(items[0])
    assert isinstance(items[1], SourceUp)
    assert 1 == board.attempts


def test_no_such_camera(source: Callable[..., PicameraSource]) -> None:
    """The reason lists those that are there."""
    down = first_down(until(source("ov5647"), is_down))
    assert ("picamera:ov5647: no such camera; connected are 0 (imx708)", "camera.missing") == (
        down.reason.en,
        down.alarm,
    )


def test_a_busy_camera(
    board: Board, source: Callable[..., PicameraSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once and tried again, but not for ever: each try costs a file descriptor."""
    monkeypatch.setattr(picamera, "OPENINGS", 3)
    board.busy = True
    items = run_to_stall(source(), "another program holds it")
    assert 1 == len(items)
    assert 4 == board.attempts
    board.busy = False
    assert of(until(source(), seconds(0.1)), Frame)


def test_a_busy_camera_has_its_alarm(board: Board, source: Callable[..., PicameraSource]) -> None:
    """With the kernel's word from the bottom of the chain of errors."""
    board.busy = True
    down = first_down(until(source(), is_down))
    assert "camera.busy" == down.alarm
    assert "Failed to acquire camera: Device or resource busy" in down.reason.en


def test_no_memory(board: Board, source: Callable[..., PicameraSource]) -> None:
    """Contiguous memory comes back only with a new process: it is told of, then the process ends."""
    board.cma = 1_000_000
    items = run_to_stall(source(), "no contiguous memory")
    assert ["camera.memory"] == [down.alarm for down in of(items, SourceDown)]
    assert [1, True] == [board.attempts, board.opened[0].closed]


def test_a_silent_sensor(board: Board, source: Callable[..., PicameraSource]) -> None:
    """One reopening; pictures again; the second silence ends the process. Time goes on over the gap."""
    board.frames = 15
    items = run_to_stall(source(stall_s=STALL_S))
    assert [("camera.timeout", f"imx708: no frame for {STALL_S:g} s, the sensor is silent")] * 2 == [
        (down.alarm, down.reason.en) for down in of(items, SourceDown)
    ]
    kinds = [kind for kind, _ in itertools.groupby(map(type, items)) if kind not in {Frame, Packet}]
    assert [StreamInfo, SourceDown, SourceUp, StreamInfo, SourceDown] == kinds
    assert [True, True] == [camera.closed for camera in board.opened]
    for kind in (Frame, Packet):
        times = [item.t for item in of(items, kind)]
        assert all(a < b for a, b in itertools.pairwise(times))
    dts = [p.dts for p in of(items, Packet)]
    assert all(a < b for a, b in itertools.pairwise(dts))


@pytest.mark.parametrize("fault", ["busy", "missing", "memory"])
def test_a_reopening_that_fails(
    board: Board, source: Callable[..., PicameraSource], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A camera that filmed is left to the next process at once: what this one keeps busy goes with it."""
    monkeypatch.setattr(picamera, "REST_S", 60.0)
    board.frames = 15
    items: list[SourceItem] = []

    def play() -> None:
        for item in source(stall_s=STALL_S).items():
            items.append(item)
            if isinstance(item, SourceDown):
                board.busy = fault == "busy"
                board.models = [] if fault == "missing" else board.models
                board.cma = 0 if fault == "memory" else board.cma

    begun = CLOCK.mono()
    with pytest.raises(StallError):
        play()
    assert ["camera.timeout", f"camera.{fault}"] == [down.alarm for down in of(items, SourceDown)]
    assert CLOCK.mono() - begun < 30.0


def test_a_sensor_that_never_speaks(
    board: Board, source: Callable[..., PicameraSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm stands while the process rests: a kit that starts over and over tells nobody anything."""
    monkeypatch.setattr(picamera, "REST_S", 0.6)
    board.frames = 0
    begun = CLOCK.mono()
    items = run_to_stall(source(stall_s=STALL_S))
    assert [("imx708: no frame for 0.4 s, the sensor is silent", "camera.timeout")] == [*map(said, items)]
    assert 2 == board.attempts
    assert CLOCK.mono() - begun > 0.6 + 2 * STALL_S


def test_a_silent_encoder(board: Board, source: Callable[..., PicameraSource]) -> None:
    """It keeps every buffer, so frames stop as well: still it is the encoder that is named."""
    board.packets = 15
    items = run_to_stall(source(stall_s=STALL_S))
    assert ["camera.encoder"] * 2 == [down.alarm for down in of(items, SourceDown)]
    assert "no video for 0.4 s" in first_down(items).reason.en
    assert 2 == len(board.opened)


def test_an_encoder_that_drops_everything(
    board: Board, source: Callable[..., PicameraSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames go on and no packet comes: the same fault, however it looks."""
    monkeypatch.setattr("picamera_fake.FakeH264Encoder.encode", lambda *_: None)
    items = run_to_stall(source(stall_s=STALL_S))
    assert {"camera.encoder"} == {down.alarm for down in of(items, SourceDown)}
    assert len(of(items, Frame)) >= 2  # one for each opening: a busy machine may manage few
    assert [] == of(items, Packet)
    assert 2 == board.attempts


def test_a_driver_that_hangs(
    board: Board, source: Callable[..., PicameraSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not come back is left behind, also as Python exits, and ends the process at once."""
    forgotten: list[object] = []

    def forget(function: Callable[[], None]) -> None:
        forgotten.append(function)
        atexit.unregister(function)

    monkeypatch.setattr(picamera_session, "atexit", standin(atexit, unregister=forget))
    board.frames = 5
    board.hangs_on_close = True
    items = run_to_stall(source(stall_s=STALL_S))
    assert ["camera.timeout"] == [down.alarm for down in of(items, SourceDown)]
    assert 1 == board.attempts
    assert [board.opened[0].close] == forgotten


def test_an_opening_that_hangs(
    board: Board, source: Callable[..., PicameraSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, with the alarm before the end."""
    del board
    monkeypatch.setattr(picamera, "OPEN_S", 0.3)
    monkeypatch.setattr("picamera_fake.FakePicamera2.configure", lambda *_: threading.Event().wait())
    (down,) = run_to_stall(source(stall_s=STALL_S))
    assert ("opening the camera: has not returned for 0.3 s", "camera.lost") == said(down)


def test_a_stop_does_not_wait_for_a_driver(board: Board, source: Callable[..., PicameraSource]) -> None:
    """Closing while the driver hangs is a stop, not a failure."""
    board.hangs_on_close = True
    assert of(until(source(), seconds(0.2)), Frame)


def test_without_the_software(
    monkeypatch: pytest.MonkeyPatch, board: Board, source: Callable[..., PicameraSource]
) -> None:
    """Picamera2 is not there, or built for another numpy: named, with its fix, and told of."""
    del board
    monkeypatch.setitem(__import__("sys").modules, "picamera2", None)
    (down,) = run_to_stall(source(stall_s=STALL_S))
    assert isinstance(down, SourceDown)
    assert "camera.driver" == down.alarm
    assert "Picamera2 does not load" in down.reason.en


class OldMappedArray:
    """Of 0.3.12, which maps for writing always."""

    def __init__(self, request: object, stream: str, reshape: bool) -> None:
        """Nobody gets as far as that."""


def old_configuration(main: object, lores: object) -> None:
    """Of 0.3.12, too; nobody gets as far as that."""


@pytest.mark.parametrize(
    ("owner", "name", "old", "lack"),
    [
        ("picamera2", "MappedArray", OldMappedArray, "OldMappedArray takes no 'write'"),
        ("picamera2.Picamera2", "create_video_configuration", old_configuration, "takes no 'sensor'"),
        ("picamera2.Picamera2", "global_camera_info", None, "'global_camera_info'"),
        ("libcamera.ColorSpace", "Smpte170m", None, "'Smpte170m'"),
    ],
)
def test_software_that_is_too_old(
    owner: str,
    name: str,
    old: object,
    lack: str,
    monkeypatch: pytest.MonkeyPatch,
    board: Board,
    source: Callable[..., PicameraSource],
) -> None:
    """Told before a camera is opened, with what it lacks and the release that has it."""
    if old is None:
        monkeypatch.delattr(f"{owner}.{name}")
    else:
        monkeypatch.setattr(f"{owner}.{name}", old)
    (down,) = run_to_stall(source(stall_s=STALL_S))
    assert isinstance(down, SourceDown)
    assert ("camera.driver", 0) == (down.alarm, board.attempts)
    assert f"Picamera2 is older than {LEAST} (" in down.reason.en
    assert lack in down.reason.en


def test_hardware_that_is_wanted_and_absent(source: Callable[..., PicameraSource]) -> None:
    """`camera.encoder = "hardware"` is no wish."""
    down = first_down(until(source(hardware=False, camera={"encoder": "hardware"}), is_down))
    assert "camera.encoder" == down.alarm
    assert "/dev/video11 is no H.264 encoder" in down.reason.en


def test_software_by_choice(board: Board, source: Callable[..., PicameraSource]) -> None:
    """The hardware is left alone."""
    assert of(until(source(camera={"encoder": "software"}), seconds(0.2)), Packet)
    assert [] == board.encoders


def test_a_size_without_a_small_one() -> None:
    """Told when the source is made, before any camera is touched."""
    with pytest.raises(ConfigError, match=r"camera\.width = 1000, camera\.height = 562"):
        PicameraSource(Capture(source="picamera:"), Camera(width=1000, height=562), clock=CLOCK)


def test_closed_before_the_start(board: Board, source: Callable[..., PicameraSource]) -> None:
    """Nothing is opened for a source that is closed."""
    one = source()
    one.close()
    assert [] == list(one.items())
    assert 0 == board.attempts


def test_a_sensor_without_time(
    board: Board, source: Callable[..., PicameraSource], caplog: pytest.LogCaptureFixture
) -> None:
    """Arrival stands for it, it is counted, and said once."""
    board.stamps = lambda _: None
    one = source(hardware=False)
    with caplog.at_level(logging.WARNING):
        items = until(one, seconds(0.3))
    assert len(of(items, Packet)) <= one.corrupt
    assert 1 == caplog.text.count("no usable sensor time")


def test_a_slow_reader_costs_pictures_only(
    board: Board, source: Callable[..., PicameraSource], caplog: pytest.LogCaptureFixture
) -> None:
    """Memory is bounded: what finds no room is dropped, said, and the rest decodes."""
    board.fps = 60
    one = source(hardware=False)
    items = []
    for item in one.items():
        items.append(item)
        if len(of(items, Packet)) == 5:
            threading.Event().wait(0.6)
        if len(of(items, Packet)) > 25:
            one.close()
    assert "found no room" in caplog.text
    assert one.unrecorded >= one.unseen > 0
    assert len(of(items, Packet)) == len(decode(items))
