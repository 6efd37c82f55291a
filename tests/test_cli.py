"""The `stairwell` command: what it prints, where it prints it, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from app_parts import BASE, LAMPS, PEOPLE, check, settings, toml, visit
from broker import wait_for
from capture_videos import ffmpeg, make
from jsonschema import Draft202012Validator
from rich.console import Console

import agent
from agent import cli
from agent.app.demo import Outcome
from agent.backbone.contract import published
from agent.backbone.contract.example import EXAMPLES
from agent.backbone.contract.schema import schema
from agent.backbone.revisions import Revision, Revisions
from agent.cli import demo, options
from agent.config import Settings

SAMPLE_CONFIG = Path(__file__).parent.parent / "firmware-config" / "agent.toml"


class Stairwell:
    """Runs the command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path) -> int:
        """Its exit code; `out` and `err` hold what it printed."""
        self._monkeypatch.setattr(sys, "argv", ["stairwell", *map(str, arguments)])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        self.out, self.err = self.printed()
        return int(ended.value.code or 0)

    def printed(self) -> tuple[str, str]:
        """What was printed since the last look, by whomever."""
        out, err = self._capfd.readouterr()
        return out, err

    @property
    def complaint(self) -> str:
        """The one line on stderr."""
        assert 1 == self.err.count("\n"), self.err
        assert self.err.startswith("stairwell: ")
        assert "Fix: " in self.err
        return self.err


@pytest.fixture
def stairwell(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Stairwell:
    monkeypatch.setattr(options, "DEFAULT_PATH", tmp_path / "not" / "installed.toml")
    return Stairwell(monkeypatch, capfd)


COMMANDS = [
    (),
    ("run",),
    ("replay",),
    ("demo",),
    ("config",),
    ("config", "show"),
    ("config", "check"),
    ("config", "schema"),
    ("contract",),
    ("contract", "asyncapi"),
    ("contract", "schema"),
    ("contract", "examples"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(stairwell: Stairwell, command: tuple[str, ...]) -> None:
    """`--help` prints a usage line with the command's name, and ends well."""
    assert 0 == stairwell(*command, "--help")

    assert "Usage: " + " ".join(("stairwell", *command)) in stairwell.out
    assert "" == stairwell.err


def test_version(stairwell: Stairwell) -> None:
    """One line: the version."""
    assert 0 == stairwell("--version")
    assert f"{agent.__version__}\n" == stairwell.out


def test_the_agent_loads_nothing_that_only_people_need() -> None:
    """It stays for months in 512 MB: the other commands, and what paints tables, cost 8 MB."""
    program = "import sys, agent.cli.run; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "agent.app.service" in loaded
    strange = ("rich", "agent.cli.doctor", "agent.city", "agent.card", "agent.app.demo")
    assert [] == [name for name in loaded if name in strange]


def test_a_wrong_command_line(stairwell: Stairwell) -> None:
    """Exit code 64, which no finding of the doctor and no error has; the same for a command's own words."""
    assert 64 == stairwell("doctor", "--no-such-option")
    assert 64 == stairwell("no-such-command")
    assert 64 == stairwell("replay")
    assert 64 == stairwell("replay", PEOPLE, "--speed", "warp")


def test_config_show(stairwell: Stairwell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key with its value in force, and whether default, file or environment gave it."""
    path = tmp_path / "agent.toml"
    path.write_text("[capture]\nfps = 5\n[events]\nquiet_s = 8\n")
    monkeypatch.setenv("STAIRWELL_EVENTS__QUIET_S", "9")
    monkeypatch.setenv("COLUMNS", "200")

    assert 0 == stairwell("config", "show", "-c", path)

    rows = {line.split()[0]: line.split()[1:] for line in stairwell.out.splitlines()[1:] if line.strip()}
    assert ["5.0", "file"] == rows["capture.fps"]
    assert ["9.0", "environment"] == rows["events.quiet_s"]
    assert ['"ssdlite"', "default"] == rows["detector.model"]
    assert {f"{s}.{key}" for s, values in Settings().model_dump().items() for key in values} == rows.keys()


def test_config_shows_what_the_city_has_set(
    stairwell: Stairwell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the next start will have it, over file and environment; the check counts it in."""
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path, clips={"retention_h": 48})))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("STAIRWELL_CLIPS__MAX_S", "60")
    Revisions(tmp_path).take(Revision(rev=3, values={"clips": {"retention_h": 12, "max_s": 30}}))

    assert 0 == stairwell("config", "show", "-c", path)
    rows = {line.split()[0]: line.split()[1:] for line in stairwell.out.splitlines()[1:] if line.strip()}
    assert ["12.0", "remote"] == rows["clips.retention_h"]
    assert ["30.0", "remote"] == rows["clips.max_s"]
    assert 0 == stairwell("config", "check", "-c", path)
    assert f"{path}: good, with what the city has set\n" == stairwell.out

    Revisions(tmp_path).take(Revision(rev=4, values={"loitering": {"zones": ["hall"]}}))
    assert 3 == stairwell("config", "check", "-c", path)
    assert "cfg/des: loitering.zones = 'hall': no such zone" in stairwell.complaint


def test_config_show_as_json(stairwell: Stairwell, tmp_path: Path) -> None:
    """The same, for programs; what it prints is accepted again."""
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path)))

    assert 0 == stairwell("config", "show", "--json", "--config", path)

    assert settings(tmp_path) == Settings(**json.loads(stairwell.out))


def test_the_installed_file_is_read_without_being_named(
    stairwell: Stairwell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is an installed file it counts; where there is none, the defaults do."""
    assert 3 == stairwell("config", "check")
    assert "kit.id: not set" in stairwell.complaint

    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path)))
    monkeypatch.setattr(options, "DEFAULT_PATH", path)
    assert 0 == stairwell("config", "check")
    assert f"{path}: good\n" == stairwell.out


def test_the_sample_configuration_wants_to_be_edited(stairwell: Stairwell) -> None:
    """As it comes it is no kit's: what must be set is named, all of it."""
    assert 3 == stairwell("config", "check", "--config", SAMPLE_CONFIG)

    assert "kit.id: not set; site.oblast, site.city, site.district: not set" in stairwell.complaint


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[capture]\nfsp = 5\n", "capture.fsp"),
        ("[capture]\nfps = 0\n", "capture.fps"),
        ('[kit]\nid = "k7f3k2qx4n"\n', "kit.id"),
        ("[capture\n", "no valid TOML"),
    ],
    ids=["unknown key", "out of range", "misread label", "no TOML"],
)
def test_a_wrong_configuration_is_named(stairwell: Stairwell, tmp_path: Path, text: str, named: str) -> None:
    """Exit code 3 and one line that names the key, from every command that reads settings."""
    path = tmp_path / "agent.toml"
    path.write_text(text)

    for command in (("config", "check"), ("config", "show"), ("run",), ("replay", PEOPLE)):
        assert 3 == stairwell(*command, "--config", path)
        assert named in stairwell.complaint
        assert "" == stairwell.out


def test_config_schema(stairwell: Stairwell) -> None:
    """A JSON Schema that every key is in, with its meaning."""
    assert 0 == stairwell("config", "schema")

    schema = json.loads(stairwell.out)
    Draft202012Validator.check_schema(schema)
    assert Settings.model_fields.keys() == schema["properties"].keys()
    assert schema["$defs"]["Capture"]["properties"]["fps"]["description"]


def test_contract_asyncapi(stairwell: Stairwell) -> None:
    """The document as it is published."""
    assert 0 == stairwell("contract", "asyncapi")
    assert published.files()["asyncapi.yaml"] == stairwell.out


def test_contract_schema(stairwell: Stairwell) -> None:
    """The JSON Schema of all messages, as the contract gives it."""
    assert 0 == stairwell("contract", "schema")

    assert schema() == json.loads(stairwell.out)
    assert 0 == stairwell("contract", "schema", "--strict")
    assert schema(strict=True) == json.loads(stairwell.out)


def test_contract_examples(stairwell: Stairwell) -> None:
    """One message, or all by name; a name that is none says which there are."""
    assert 0 == stairwell("contract", "examples", "alm.cleared")
    assert EXAMPLES["alm.cleared"] == json.loads(stairwell.out)
    assert 0 == stairwell("contract", "examples")
    assert EXAMPLES == json.loads(stairwell.out)
    assert 64 == stairwell("contract", "examples", "alarm")
    assert "st.birth" in stairwell.err


def test_contract_files(stairwell: Stairwell, tmp_path: Path) -> None:
    """With a directory the very files that the package carries are written there, and named."""
    target = tmp_path / "new" / "contract"
    named = []
    for command in ("asyncapi", "schema", "examples"):
        assert 0 == stairwell("contract", command, "--output", target)
        named += stairwell.out.splitlines()

    assert {str(target / name): text for name, text in published.files().items()} == {
        name: Path(name).read_text(encoding="utf-8") for name in named
    }


def test_contract_files_where_none_can_be(stairwell: Stairwell, tmp_path: Path) -> None:
    """One line that names the option."""
    (tmp_path / "file").touch()
    assert 6 == stairwell("contract", "schema", "--output", tmp_path / "file")
    assert f"--output {tmp_path / 'file'}: " in stairwell.complaint


def test_replay_prints_json_lines_and_nothing_else(stairwell: Stairwell, tmp_path: Path) -> None:
    """On stdout each line is a message; the summary is on stderr."""
    assert 0 == stairwell("replay", visit(tmp_path / "visit.mp4", 4.0), "--events", "-")

    messages = [json.loads(line) for line in stairwell.out.splitlines()]
    assert ["new", "end"] == [m["phase"] for m in messages if m.get("phase") in {"new", "end"}]
    for message in messages:
        del message["t"]
        check(message)
    assert "visit.mp4: 3.9 s of video, 40 frames analysed" in stairwell.err
    assert stairwell.err.endswith(" 1 person event\n")


def test_replay_without_outputs_prints_its_messages(stairwell: Stairwell, tmp_path: Path) -> None:
    """Nobody appears: nothing is printed, and the summary says so."""
    video = make(tmp_path / "short.mp4", seconds=1.0)

    assert 0 == stairwell("replay", video)

    assert "" == stairwell.out
    assert "short.mp4: 0.9 s of video, 10 frames analysed" in stairwell.err
    assert stairwell.err.endswith(" 0 person events\n")


def test_replay_writes_files(stairwell: Stairwell, tmp_path: Path) -> None:
    """Events, trace and annotated video go where they are told, and stdout stays empty."""
    video = make(tmp_path / "short.mp4", seconds=1.0)
    events, trace, seen = (tmp_path / name for name in ("events.jsonl", "trace.jsonl", "seen.mp4"))

    assert 0 == stairwell("replay", video, "--events", events, "--trace", trace, "--annotate", seen)

    assert "" == stairwell.out
    assert "" == events.read_text()
    assert 10 == len(trace.read_text().splitlines())
    assert seen.stat().st_size > 1000


@pytest.mark.parametrize("option", ["--events", "--trace", "--annotate"])
@pytest.mark.parametrize("name", ["itself", "hard link", "symbolic link"])
def test_the_video_is_no_output(stairwell: Stairwell, tmp_path: Path, option: str, name: str) -> None:
    """By whatever name: the recording is refused as an output, and stays as it was."""
    video = make(tmp_path / "v.mp4", seconds=0.5)
    before = video.read_bytes()
    out = video if name == "itself" else tmp_path / "out.mp4"
    if name == "hard link":
        out.hardlink_to(video)
    elif name == "symbolic link":
        out.symlink_to(video)

    assert 6 == stairwell("replay", video, option, out)

    assert f"{out}: is the video itself" in stairwell.complaint
    assert before == video.read_bytes()


def test_one_file_is_no_two_outputs(stairwell: Stairwell, tmp_path: Path) -> None:
    """They would write over each other; a device that swallows everything is no file."""
    video = make(tmp_path / "v.mp4", seconds=0.5)
    out, again = tmp_path / "out", tmp_path / "." / "sub" / ".." / "out"
    (tmp_path / "sub").mkdir()

    assert 6 == stairwell("replay", video, "--events", out, "--trace", again)
    assert "is another output already" in stairwell.complaint
    assert not out.exists()
    assert 0 == stairwell("replay", video, "--events", "/dev/null", "--trace", "/dev/null")


def test_a_file_that_is_no_video_costs_no_output(stairwell: Stairwell, tmp_path: Path) -> None:
    """What earlier outputs held is there still."""
    broken, out = tmp_path / "broken.mp4", tmp_path / "out"
    broken.write_bytes(b"no video")
    out.write_text("kept")

    for option in ("--events", "--trace", "--annotate"):
        assert 4 == stairwell("replay", broken, option, out)
        assert "kept" == out.read_text()


def test_an_output_that_cannot_be_written(stairwell: Stairwell, tmp_path: Path) -> None:
    """Exit code 6 and one line that names the file."""
    for option in ("--events", "--trace"):
        assert 6 == stairwell("replay", PEOPLE, option, tmp_path / "no" / "out.jsonl")
        assert "no/out.jsonl: cannot be written" in stairwell.complaint

    assert 6 == stairwell("replay", PEOPLE, "--annotate", tmp_path / "no" / "seen.mp4")
    assert "stairwell: " in stairwell.err
    assert "no/seen.mp4: cannot be written" in stairwell.err
    assert "Traceback" not in stairwell.err


def bad_video(kind: str, directory: Path) -> Path:
    """A file that cannot be replayed."""
    path = directory / f"{kind}.mp4"
    match kind:
        case "empty":
            path.touch()
        case "garbage":
            path.write_bytes(bytes(range(256)) * 400)
        case "audio":
            path = path.with_suffix(".wav")
            ffmpeg("-f", "lavfi", "-i", "sine=duration=0.5", path)
        case "truncated":
            # Without its index, which this file carries at its end.
            whole = make(directory / "whole.mp4", seconds=2.0)
            path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        case "directory":
            path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "garbage", "audio", "truncated", "directory"])
def test_a_file_that_is_no_video(stairwell: Stairwell, tmp_path: Path, kind: str) -> None:
    """Exit code 4 and one line that names the file; no traceback, nothing on stdout."""
    path = bad_video(kind, tmp_path)

    assert 4 == stairwell("replay", path, "--events", "-")

    assert str(path) in stairwell.complaint
    assert "" == stairwell.out


def test_a_video_that_breaks_off_is_replayed_as_far_as_it_goes(
    stairwell: Stairwell, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file cut by a full disk still shows what is in it, and says that it was cut."""
    whole = make(tmp_path / "whole.mp4", "-movflags", "+faststart", seconds=4.0)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])

    assert 0 == stairwell("replay", cut)

    assert "cut.mp4: cut off: " in caplog.text
    assert "cut.mp4: " in stairwell.err


def test_a_model_that_is_not_there(
    stairwell: Stairwell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 5: a replay without a detector would show nothing."""
    monkeypatch.setenv("STAIRWELL_DETECTOR__MODEL", str(tmp_path / "mine.toml"))

    assert 5 == stairwell("replay", PEOPLE)
    assert "mine.toml" in stairwell.complaint


def test_a_kit_without_its_id_does_not_run(stairwell: Stairwell) -> None:
    """Exit code 3: two kits of one name would push each other off the broker."""
    assert 3 == stairwell("run")
    assert "kit.id" in stairwell.complaint


def test_a_state_directory_that_cannot_be_used(stairwell: Stairwell, tmp_path: Path) -> None:
    """Exit code 6, and the path is named."""
    path = tmp_path / "agent.toml"
    (tmp_path / "state").write_text("a file in its place")
    path.write_text(toml(settings(tmp_path / "state")))

    assert 6 == stairwell("run", "--config", path)
    assert str(tmp_path / "state") in stairwell.complaint


def test_a_video_without_a_picture_ends_the_agent_with_its_code(stairwell: Stairwell, tmp_path: Path) -> None:
    """`run` on a file that is no video: exit code 4."""
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path, capture={"source": str(bad_video("garbage", tmp_path))})))

    assert 4 == stairwell("run", "--config", path)
    assert "garbage.mp4" in stairwell.complaint


def test_as_a_program(tmp_path: Path) -> None:
    """`python -m agent` is the command, from anywhere."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "replay", str(tmp_path / "nothing.mp4")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (4, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert done.stderr.startswith(f"stairwell: {tmp_path}/nothing.mp4: ")


def test_ctrl_c_ends_a_replay_quietly(tmp_path: Path) -> None:
    """Exit code 130 and no traceback."""
    trace = tmp_path / "trace.jsonl"
    command = [sys.executable, "-m", "agent", "replay", str(LAMPS), "--trace", str(trace), "--speed", "real"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: trace.exists() and trace.stat().st_size, 60)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)

    assert cli.INTERRUPTED == process.returncode
    assert "Traceback" not in errors


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    """`stairwell replay … | head -1` ends early and says nothing."""
    command = [sys.executable, "-m", "agent", "replay", str(LAMPS), "--trace", "-"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"t":0.0,')
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(30)

    assert "Traceback" not in errors
    assert "Exception" not in errors


def test_the_demo_prints_what_it_hears(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON as it came, pictures by their size, a cleared alarm as such, long lines cut."""
    console = Console(highlight=False, width=200)

    demo._print(console, f"{BASE}hb", b'{"n":1}')
    demo._print(console, f"{BASE}snap/01KAMZ", b"\xff\xd8\xff")
    demo._print(console, f"{BASE}alm/camera.lost", b"")
    demo._print(console, f"{BASE}st", b'"' + b"x" * 400 + b'"')

    lines = capsys.readouterr().out.splitlines()
    assert [
        'k7f3k2qx4m/hb  {"n":1}',
        "k7f3k2qx4m/snap/01KAMZ  JPEG, 3 bytes",
        "k7f3k2qx4m/alm/camera.lost  (cleared)",
    ] == lines[:3]
    assert lines[3].endswith("x…")


def test_a_demo_that_shows_nothing_fails(
    stairwell: Stairwell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without event, clip and picture its exit code is not 0, and the log to read is named."""
    monkeypatch.setattr(demo, "demonstrate", lambda directory, _: Outcome(directory))

    assert 1 == stairwell("demo", "--out", tmp_path)

    assert "agent.log" in stairwell.complaint
    assert "messages" in stairwell.out
