"""Video files as a source: every kind, and every way to be broken."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from capture_videos import ffmpeg, make

from agent.capture.file import FileSource
from agent.config import Capture, Mask
from agent.device.clock import SystemClock, VideoClock
from agent.errors import ConfigError, SourceError
from agent.types import Frame, Packet, SourceItem, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY = 65534
LEFT = Mask(name="left", polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))


def source(path: Path, masks: tuple[Mask, ...] = (), **options: object) -> FileSource:
    own = {k: options.pop(k) for k in ("pace", "clock", "keep_packets") if k in options}
    return FileSource(Capture(source=str(path), **options), masks, **own)  # type: ignore[arg-type]


def play(path: Path, masks: tuple[Mask, ...] = (), **options: object) -> list[SourceItem]:
    return list(source(path, masks, **options).items())


def frames(items: list[SourceItem]) -> list[Frame]:
    return [i for i in items if isinstance(i, Frame)]


def packets(items: list[SourceItem]) -> list[Packet]:
    return [i for i in items if isinstance(i, Packet)]


def infos(items: list[SourceItem]) -> list[StreamInfo]:
    return [i for i in items if isinstance(i, StreamInfo)]


def decoded(items: list[SourceItem]) -> int:
    """How many pictures a decoder makes of the packets, each run after its own StreamInfo."""
    count, context = 0, None
    for item in items:
        if isinstance(item, StreamInfo):
            count += len(context.decode(None)) if context else 0
            context = av.CodecContext.create(item.codec, "r")
            context.extradata = item.extradata
        elif isinstance(item, Packet):
            assert context is not None
            count += len(context.decode(av.Packet(item.data)))
    return count + len(context.decode(None)) if context else 0


def check_order(items: list[SourceItem]) -> None:
    """What holds for every source."""
    assert isinstance(items[0], StreamInfo)
    assert packets(items)[0].keyframe
    dts = None
    for item in items:
        if isinstance(item, StreamInfo):
            dts = None
        if isinstance(item, Packet):
            assert dts is None or item.dts > dts
            assert item.pts >= item.dts
            assert item.duration > 0
            dts = item.dts
    assert all(a.t < b.t and a.index < b.index for a, b in pairwise(frames(items)))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos that several tests play; each has 20 pictures in 2 s."""
    home = tmp_path_factory.mktemp("videos")
    make(home / "b.mp4", "-bf", "2")
    for suffix in ("ts", "mkv", "avi", "h264"):
        ffmpeg("-i", home / "b.mp4", "-c", "copy", home / f"b.{suffix}")
    make(home / "plain.h264", "-bf", "0")
    make(home / "m4.mp4", codec="mpeg4")
    make(home / "vp9.webm", "-deadline", "realtime", codec="libvpx-vp9")
    make(home / "mjpeg.avi", codec="mjpeg")
    make(home / "hevc.mp4", "-x265-params", "log-level=none", codec="libx265")
    return home


@pytest.mark.parametrize(
    "name",
    [
        "b.mp4",
        "b.ts",
        "b.mkv",
        "b.avi",
        "b.h264",
        "plain.h264",
        "m4.mp4",
        "vp9.webm",
        "mjpeg.avi",
        "hevc.mp4",
    ],
)
def test_every_kind_plays_whole(videos: Path, name: str) -> None:
    """Twenty pictures in, twenty packets that decode and twenty frames out, a tenth of a second apart."""
    items = play(videos / name)
    check_order(items)
    assert (20, 20, 20) == (len(packets(items)), len(frames(items)), decoded(items))
    assert [n / 10 for n in range(20)] == pytest.approx([f.t for f in frames(items)], abs=0.002)
    assert list(range(20)) == [f.index for f in frames(items)]
    assert ("h264", 160, 120, 0) == (
        infos(items)[0].codec,
        infos(items)[0].width,
        infos(items)[0].height,
        infos(items)[0].rotation,
    )


def test_h264_is_passed_on_byte_by_byte(videos: Path) -> None:
    """No second encoding: the packets are the file's own."""
    with av.open(str(videos / "b.mp4")) as container:
        expected = [bytes(p) for p in container.demux(video=0) if p.size]
    assert expected == [p.data for p in packets(play(videos / "b.mp4"))]


def test_a_replay_is_the_same_each_time(videos: Path) -> None:
    """Bit by bit, and without a clock its times begin with zero."""
    for name in ("b.mp4", "m4.mp4"):
        first, again = play(videos / name), play(videos / name)
        assert [p.data for p in packets(first)] == [p.data for p in packets(again)]
        for a, b in zip(frames(first), frames(again), strict=True):
            assert (a.t, a.index) == (b.t, b.index)
            assert np.array_equal(a.luma, b.luma)


def test_the_analysis_rate_thins_frames_not_packets(videos: Path) -> None:
    """The index stays the number of the picture in the file."""
    items = play(videos / "b.mp4", fps=5)
    assert list(range(0, 20, 2)) == [f.index for f in frames(items)]
    assert len(packets(items)) == 20


def test_without_packets_only_frames_come(videos: Path) -> None:
    """Nothing is copied or encoded that nobody keeps; masks need no encoder then."""
    for name, masks in (("b.mp4", ()), ("m4.mp4", ()), ("b.mp4", (LEFT,))):
        items = play(videos / name, masks, keep_packets=False)
        assert {Frame} == {type(i) for i in items}
        assert len(items) == 20


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    """Of a camera that slows down at night: packets keep their times, frames are chosen by time."""
    uneven = "setpts='if(lt(N,10),N,10+(N-10)*5)/10/TB'"
    path = make(tmp_path / "v.mp4", "-vf", uneven, "-fps_mode", "vfr", "-bf", "0")
    expected = [n / 10 for n in range(10)] + [1 + n / 2 for n in range(10)]
    for reencode in (False, True):
        items = play(path, reencode=reencode)
        assert expected == pytest.approx([f.t for f in frames(items)])
        assert expected == pytest.approx([p.t for p in packets(items)])
        info = infos(items)[0]
        assert expected == pytest.approx([float(p.pts * info.time_base) for p in packets(items)], abs=0.001)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_rotated_picture_stands_upright(tmp_path: Path, angle: int) -> None:
    """As ffmpeg itself shows it; StreamInfo tells the rotation, and an encoded stream has none left."""
    flat = make(tmp_path / "flat.mp4", "-bf", "0", size="96x64", seconds=0.5)
    path = tmp_path / "turned.mp4"
    ffmpeg("-i", flat, "-c", "copy", "-metadata:s:v", f"rotate={angle}", path)
    shown = subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-"],
        check=True,
        capture_output=True,
    ).stdout
    width, height = (96, 64) if angle == 180 else (64, 96)
    upright = np.frombuffer(shown, np.uint8)[: width * height].reshape(height, width)
    items = play(path)
    np.testing.assert_array_equal(upright, frames(items)[0].picture.y)
    assert (96, 64) == (infos(items)[0].width, infos(items)[0].height)
    assert infos(items)[0].rotation in {angle, 360 - angle}
    again = infos(play(path, reencode=True))[0]
    assert (width, height, 0) == (again.width, again.height, again.rotation)


@pytest.mark.parametrize("suffix", ["h264", "ts"])
@pytest.mark.parametrize("reencode", [False, True])
def test_a_change_of_size_is_announced(tmp_path: Path, suffix: str, reencode: bool) -> None:
    """The packets after it decode with the new StreamInfo; time goes on."""
    parts = [
        make(tmp_path / f"{size}.{suffix}", "-bf", "0", size=size, seconds=1) for size in ("160x120", "96x64")
    ]
    path = tmp_path / f"both.{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    items = play(path, reencode=reencode)
    check_order(items)
    assert [(160, 120), (96, 64)] == [(i.width, i.height) for i in infos(items)]
    assert len(packets(items)) == decoded(items)
    assert len(packets(items)) >= 19  # MPEG-TS calls the picture at the seam damaged
    assert frames(items)[-1].picture.width == 96
    assert frames(items)[-1].t == pytest.approx(1.9, abs=0.11)


def test_masks_on_h264_need_encoding_again(videos: Path) -> None:
    """The masks would be missing in what is recorded: refused, with the key that allows it."""
    with pytest.raises(ConfigError, match=r"privacy\.masks") as error:
        source(videos / "b.mp4", (LEFT,))
    assert error.value.fix == "set capture.reencode = true"


@pytest.mark.parametrize("name", ["b.mp4", "m4.mp4"])
def test_masks_are_in_what_is_recorded(videos: Path, name: str) -> None:
    """The masked half of every decoded picture is black."""
    items = play(videos / name, (LEFT,), reencode=True)
    context = av.CodecContext.create("h264", "r")
    context.extradata = infos(items)[0].extradata
    shown = [f for p in packets(items) for f in context.decode(av.Packet(p.data))]
    assert len(shown) == 20
    for frame in shown:
        y = frame.to_ndarray(format="gray")
        assert y[:, :72].max() < 12
        assert y[:, 96:].max() > 60


def test_a_looped_file_goes_on(videos: Path) -> None:
    """One StreamInfo, rising dts and times over the seam, the index goes on; close ends it."""
    for name in ("b.mp4", "m4.mp4", "b.h264"):
        endless = source(videos / name, loop=True)
        items: list[SourceItem] = []
        for item in endless.items():
            items.append(item)
            if isinstance(item, Frame) and item.index == 45:
                endless.close()
        check_order(items)
        assert len(infos(items)) == 1
        assert list(range(46)) == [f.index for f in frames(items)]
        assert [n / 10 for n in range(46)] == pytest.approx([f.t for f in frames(items)], abs=0.002)


def test_real_pace(videos: Path) -> None:
    """With a clock, times are on its line and nothing comes early; pace "max" does not wait."""
    clock = SystemClock()
    begin = clock.mono()
    lead = []
    for item in source(videos / "m4.mp4", clock=clock).items():
        if isinstance(item, Frame):
            lead.append(item.t - clock.mono())
            if item.index == 5:
                break
    assert max(lead) <= 0
    assert 0.4 < clock.mono() - begin < 5
    video = VideoClock()
    video.t = 1000.0
    shown = frames(play(videos / "m4.mp4", clock=video, pace="max"))
    assert (1000.0, 1001.9) == (shown[0].t, pytest.approx(shown[-1].t))


def test_close_ends_a_wait(tmp_path: Path) -> None:
    """From another thread, at once, though the next picture is ten seconds away."""
    slow = source(make(tmp_path / "slow.mp4", "-bf", "0", rate=0.1, seconds=30), clock=SystemClock())
    clock = SystemClock()
    begin = clock.mono()
    threading.Timer(0.2, slow.close).start()
    assert len(frames(list(slow.items()))) == 1
    assert clock.mono() - begin < 1.5


def test_a_closed_source_yields_nothing(videos: Path) -> None:
    """Closing before the start is no error."""
    closed = source(videos / "b.mp4")
    closed.close()
    assert [] == list(closed.items())


def test_a_large_picture_is_played(tmp_path: Path) -> None:
    """8K, a few pictures: the small plane is as small as ever."""
    path = tmp_path / "8k.mp4"
    grey = "color=gray:size=7680x4320:rate=5:duration=0.4"
    ffmpeg("-f", "lavfi", "-i", grey, "-c:v", "libx264", "-preset", "ultrafast", path)
    shown = frames(play(path))
    assert [(180, 320)] * 2 == [f.luma.shape for f in shown]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def pipe(home: Path) -> Path:
    os.mkfifo(home / "pipe")
    return home / "pipe"


def directory(home: Path) -> Path:
    return home


def audio(home: Path) -> Path:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.5", home / "a.m4a")
    return home / "a.m4a"


def audio_with_cover(home: Path) -> Path:
    art = make(home / "art.png", "-frames:v", "1", codec="png")
    sound = ("-f", "lavfi", "-i", "sine=duration=0.5")
    ffmpeg(*sound, "-i", art, "-map", "0", "-map", "1", home / "a.mp3")
    return home / "a.mp3"


def unfinished(home: Path) -> Path:
    whole = make(home / "whole.mp4").read_bytes()
    return write(home / "cut.mp4", whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("path_in", "told"),
    [
        (lambda home: home / "missing", "no such file"),
        (lambda home: home / ("x" * 300), "cannot be read"),
        (directory, "directory"),
        (pipe, "no regular file"),
        (lambda home: write(home / "empty.mp4", b""), "empty"),
        (lambda home: write(home / "a.mp4", np.random.default_rng(1).bytes(50_000)), "no video"),
        (lambda home: write(home / "notes.txt", b"two lines\nof text\n" * 50), "no video"),
        (audio, "no video stream .it holds audio"),
        (audio_with_cover, "no video stream"),
        (unfinished, "cut off before it was finished"),
        (lambda home: make(home / "tiny.mp4", size="2x2"), "2x2 pixels"),
    ],
)
def test_what_is_no_video_is_told_at_once(tmp_path: Path, path_in: Callable[[Path], Path], told: str) -> None:
    """One error with the path, what is wrong, and a fix; before anything runs."""
    path = path_in(tmp_path)
    with pytest.raises(SourceError, match=told) as error:
        source(path)
    assert str(path) in error.value.problem
    assert error.value.fix


def test_a_file_that_may_not_be_read(videos: Path) -> None:
    """Permission is its own story; root, who may read everything, is somebody else for it."""
    with tempfile.TemporaryDirectory() as directory:  # nobody else may enter those of pytest
        Path(directory).chmod(0o755)
        path = write(Path(directory) / "secret.mp4", (videos / "b.mp4").read_bytes())
        path.chmod(0)
        was = os.geteuid()
        os.seteuid(was or NOBODY)
        try:
            with pytest.raises(SourceError, match="permission denied"):
                source(path)
        finally:
            os.seteuid(was)


def test_a_codec_without_decoder_is_refused(videos: Path, tmp_path: Path) -> None:
    """A track of an unknown kind is told as such."""
    data = (videos / "b.mp4").read_bytes().replace(b"avc1", b"zzz9")
    with pytest.raises(SourceError, match="codec cannot be decoded") as error:
        source(write(tmp_path / "odd.mp4", data))
    assert "odd.mp4" in error.value.problem


@pytest.mark.parametrize("share", [0.35, 0.6, 0.9])
@pytest.mark.parametrize("name", ["front.mp4", "b.mkv"])
def test_a_file_that_ends_early_plays_what_it_has(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, share: float
) -> None:
    """What is there is played; one warning says how much is missing."""
    ffmpeg("-i", videos / "b.mp4", "-c", "copy", "-movflags", "+faststart", tmp_path / "front.mp4")
    data = ((tmp_path if name == "front.mp4" else videos) / name).read_bytes()
    items = play(write(tmp_path / f"cut-{name}", data[: round(len(data) * share)]))
    check_order(items)
    assert 0 < len(frames(items)) < 20
    short = [r for r in caplog.records if "cut off" in r.message]
    assert (share < 0.7) == (len(short) == 1)
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) <= 2


def test_a_file_without_a_picture_is_an_error(videos: Path, tmp_path: Path) -> None:
    """The container is sound, but not one picture decodes."""
    data = (videos / "b.mkv").read_bytes()
    path = write(tmp_path / "nothing.mkv", data[:1500])
    with pytest.raises(SourceError, match="no picture can be decoded") as error:
        play(path)
    assert str(path) in error.value.problem


@pytest.mark.parametrize("name", ["b.ts", "b.mp4", "m4.mp4"])
def test_damage_is_counted_and_survived(
    videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The rest of the file is played; the log tells it once."""
    data = bytearray((videos / name).read_bytes())
    random = np.random.default_rng(5)
    for at in random.integers(len(data) // 3, len(data) * 4 // 5, 60):
        data[at] ^= 0xFF
    broken = source(write(tmp_path / name, bytes(data)))
    items = list(broken.items())
    check_order(items)
    assert broken.corrupt > 0
    assert 5 <= len(frames(items)) <= 20
    assert len([r for r in caplog.records if "skipped" in r.message and r.levelno == logging.WARNING]) == 1


def test_a_stream_that_begins_amid_a_group_waits_for_its_key_frame(videos: Path, tmp_path: Path) -> None:
    """What does not decode is neither shown nor recorded."""
    path = tmp_path / "tail.mkv"
    with av.open(str(videos / "b.mp4")) as whole, av.open(str(path), "w") as tail:
        track = tail.add_stream_from_template(whole.streams.video[0])
        for packet in list(whole.demux(video=0))[3:-1]:
            packet.stream = track
            tail.mux(packet)
    items = play(path)
    check_order(items)
    assert (10, 10) == (len(packets(items)), len(frames(items)))
    assert frames(items)[0].t == 0.0


def test_a_stream_without_key_frames_is_given_up(tmp_path: Path) -> None:
    """A minute without anything to decode is an error, not an endless wait."""
    whole = make(tmp_path / "a.mp4", "-g", "1000", "-bf", "0", size="32x32", rate=60, seconds=11)
    path = tmp_path / "blind.mkv"
    with av.open(str(whole)) as container, av.open(str(path), "w") as tail:
        track = tail.add_stream_from_template(container.streams.video[0])
        for packet in list(container.demux(video=0))[1:-1]:
            packet.stream = track
            tail.mux(packet)
    with pytest.raises(SourceError, match="no picture can be decoded from 600 packets"):
        play(path)


def test_new_parameters_beside_the_packets_are_a_new_stream(tmp_path: Path) -> None:
    """FLV sends them as a record of their own."""
    parts = [
        make(tmp_path / f"{size}.flv", "-bf", "0", size=size, seconds=1).read_bytes()
        for size in ("160x120", "96x64")
    ]
    header = 9 + 4  # FLV's own, and the size of the tag before the first
    items = play(write(tmp_path / "both.flv", parts[0] + parts[1][header:]))
    check_order(items)
    assert [(160, 120), (96, 64)] == [(i.width, i.height) for i in infos(items)]
    assert 20 == len(packets(items)) == decoded(items) == len(frames(items))
    assert frames(items)[-1].t == pytest.approx(1.9, abs=0.01)


def test_close_ends_a_replay_amid_the_file(videos: Path) -> None:
    """At once, not at the end of the file."""
    replay = source(videos / "b.mp4")
    items = []
    for item in replay.items():
        items.append(item)
        replay.close()
    assert len(items) < 5


def test_a_title_in_another_code_page_is_no_obstacle(tmp_path: Path) -> None:
    """Cameras in Ukraine write cp1251; the title is of no use here anyway."""
    data = make(tmp_path / "a.mkv", "-metadata", "title=PIDJIZD").read_bytes()
    path = write(tmp_path / "b.mkv", data.replace(b"PIDJIZD", "Під'їзд".encode("cp1251")))
    assert len(frames(play(path))) == 20


def test_a_stream_that_appears_later_is_no_obstacle(videos: Path, tmp_path: Path) -> None:
    """A transport stream to which sound is added on the way plays to its end."""
    sound = ("-f", "lavfi", "-i", "sine=duration=2", "-map", "0:v", "-map", "1:a")
    ffmpeg("-i", videos / "b.mp4", *sound, "-c:v", "copy", tmp_path / "sound.ts")
    data = (videos / "b.ts").read_bytes() * 20 + (tmp_path / "sound.ts").read_bytes()
    assert len(frames(play(write(tmp_path / "both.ts", data)))) >= 395
