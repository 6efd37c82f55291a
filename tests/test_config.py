"""Settings: the file, the environment, what is refused and how it is said."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from agent import config
from agent.config import Backbone, Clips, Settings, load
from agent.errors import ConfigError

SAMPLE = Path(__file__).parent.parent / "firmware-config" / "agent.toml"
SETTING = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def refused(file: Path, text: str) -> ConfigError:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    return caught.value


def test_defaults() -> None:
    """Nothing need be set; clips lie under the state directory unless told otherwise."""
    settings = load()
    assert Settings() == settings
    assert Path("/var/lib/stairwell/clips") == settings.clips_dir
    assert Path("/mnt/clips") == load(overrides={"clips": {"dir": "/mnt/clips"}}).clips_dir


def test_file_environment_overrides(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key comes from the highest of environment, overrides, file, default, one by one."""
    file.write_text('[capture]\nsource = "file"\nfps = 5\nloop = true\n[backbone]\nport = 1883\n')
    monkeypatch.setenv("STAIRWELL_CAPTURE__SOURCE", "environment")
    settings = load(file, {"capture": {"source": "override", "fps": 7}, "state": {"dir": "/tmp/x"}})  # noqa: S108
    assert ("environment", 7.0, True) == (
        settings.capture.source,
        settings.capture.fps,
        settings.capture.loop,
    )
    assert (1883, "localhost") == (settings.backbone.port, settings.backbone.host)
    assert Path("/tmp/x") == settings.state.dir  # noqa: S108


def test_variables_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Booleans and numbers are words, lists and whole sections are JSON, and case does not matter."""
    monkeypatch.setenv("STAIRWELL_BACKBONE__TLS", "false")
    monkeypatch.setenv("stairwell_site__floor", "4")
    monkeypatch.setenv(
        "STAIRWELL_PRIVACY__MASKS", '[{"name": "door", "polygon": [[0, 0], [1, 0], [1, 0.5]]}]'
    )
    monkeypatch.setenv("STAIRWELL_OUTBOX", '{"max_rows": 200}')
    settings = load()
    assert settings.backbone.tls is False
    assert 4 == settings.site.floor
    assert ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5)) == settings.privacy.masks[0].polygon
    assert 200 == settings.outbox.max_rows


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("[captur]\n", "captur: unknown key", "did you mean capture?"),
        ("[capture]\nsorce = 'x'\n", "capture.sorce: unknown key", "did you mean source?"),
        ("[log]\nqqqqqq = 1\n", "log.qqqqqq: unknown key", "known are level"),
        (
            "[[privacy.masks]]\nname = 'a'\npolygon = [[0,0],[1,0],[1,1]]\ncolour = 'red'\n",
            "privacy.masks.0.colour: unknown key",
            "remove colour",
        ),
        (
            "[capture]\nfps = 0\n",
            "capture.fps = 0: input should be greater than 0",
            "stairwell config schema",
        ),
        ("[capture]\nfps = 'ten'\n", "capture.fps = 'ten': input should be a valid number", "config schema"),
        (
            "[events]\nquiet_s = inf\n",
            "events.quiet_s = inf: input should be a finite number",
            "config schema",
        ),
        ("[site]\noblast = 51\n", "site.oblast = 51: input should be a valid string", "config schema"),
        ("[site]\ncity = 'Odesa'\n", "site.city = 'Odesa': string should match pattern", "config schema"),
        (
            "[kit]\nid = '0000000001'\n",
            "kit.id = '0000000001': the check character is wrong",
            "config schema",
        ),
        ("[clips]\nseal = 'all'\n", "clips.seal = 'all': input should be 'age' or 'none'", "config schema"),
        ("[backbone]\ncert_file = 'a'\n", "cert_file and key_file belong together", "config schema"),
        ("capture = 5\n", "capture = 5: input should be a valid dictionary", "config schema"),
    ],
)
def test_what_is_refused(file: Path, text: str, problem: str, fix: str) -> None:
    """The message names the file, the key, the value and the way out."""
    error = refused(file, text)
    assert error.problem.startswith(f"{file}: ")
    assert problem in error.problem
    assert fix in error.fix


def test_all_errors_at_once(file: Path) -> None:
    """Three mistakes are three sentences, not three starts; the same advice is given once."""
    error = refused(file, "[capture]\nfps = -1\nlop = true\n[backbone]\nport = 70000\n")
    assert 3 == len(error.problem.split("; "))
    for part in ("capture.fps = -1", "capture.lop: unknown key", "backbone.port = 70000"):
        assert part in error.problem
    assert ["did you mean loop?", "`stairwell config schema` tells what each key takes"] == sorted(
        error.fix.split("; "), reverse=True
    )


@pytest.mark.parametrize("recipient", ["age1city", "ssh-ed25519 AAAA", "age1" + "q" * 58])
def test_a_wrong_recipient_is_refused(file: Path, recipient: str) -> None:
    """Clips sealed to a key that nobody has are lost: it is found before the first one."""
    error = refused(file, f"[clips]\nrecipients = ['{recipient}']\n")
    assert f"clips.recipients.0 = '{recipient[:40]}" in error.problem


def test_a_secret_key_among_the_recipients_is_not_repeated(file: Path) -> None:
    """Whoever reads the message must not be able to open clips."""
    secret = "AGE-SECRET-KEY-1" + "Q" * 58
    error = refused(file, f"[clips]\nrecipients = ['{secret}']\n")
    assert "(a secret): this is a secret key" in error.problem
    assert "QQQQ" not in str(error)


def test_sealing_is_the_default_and_needs_somebody() -> None:
    """Only naming recipients, or giving up sealing by hand, lets a kit record."""
    assert ("age", True) == (Settings().clips.seal, Settings().clips.refused)
    assert not Clips(recipients=("age1rxcvpff33pyg3dpagwskzkjme93gzv6ga332t08zlahkv7msuyxsmwzlxh",)).refused
    assert not Clips(seal="none").refused


def test_a_long_value_is_cut(file: Path) -> None:
    """A message stays readable whatever stands in the file."""
    error = refused(file, f"[capture]\nfps = '{'9x' * 5000}'\n")
    assert len(error.problem) < 300 + len(str(file))


def test_overrides_do_not_hide_a_wrong_section(file: Path) -> None:
    """A section that is no table stays an error when the command line sets a key of it."""
    file.write_text("capture = 5\n")
    with pytest.raises(ConfigError, match="capture = 5"):
        load(file, {"capture": {"source": "x"}})


def test_toml_errors_name_the_line(file: Path) -> None:
    """A slip of the keyboard is found by its line."""
    error = refused(file, '[capture]\nsource = "unclosed\n')
    assert f"{file}: no valid TOML" in error.problem
    assert "line 2" in error.problem


def test_files_that_cannot_be_read(file: Path, tmp_path: Path) -> None:
    """A missing file, a directory and a binary each say what they are."""
    with pytest.raises(ConfigError, match=r"agent\.toml: no such file"):
        load(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file)


def test_a_variable_for_a_key_counts_more_than_one_for_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the case they are written in; lists are JSON, also where there may be none."""
    monkeypatch.setenv("STAIRWELL_CAMERA", '{"width": 640, "height": 480, "fps": 10}')
    monkeypatch.setenv("stairwell_camera__fps", "12.5")
    monkeypatch.setenv("STAIRWELL_CAMERA__SENSOR_SIZE", "[2304, 1296]")
    camera = load().camera
    assert (640, 480, 12.5, (2304, 1296)) == (camera.width, camera.height, camera.fps, camera.sensor_size)


@pytest.mark.parametrize(
    ("name", "value", "problem", "fix"),
    [
        ("STAIRWELL_CAPTURE__FSP", "5", "sets nothing", "did you mean STAIRWELL_CAPTURE__FPS?"),
        ("STAIRWELL_CAPTURE_FPS", "5", "sets nothing", "did you mean STAIRWELL_CAPTURE__FPS?"),
        ("stairwell_capture__fsp", "5", "sets nothing", "did you mean STAIRWELL_CAPTURE__FPS?"),
        ("STAIRWELL_CAPTURE__FPS", "many", "= 'many': input should be a valid number", "config schema"),
        ("stairwell_capture__fps", "many", "= 'many': input should be a valid number", "config schema"),
        ("STAIRWELL_CAPTURE__FPS", "", "= '': input should be a valid number", "config schema"),
        ("STAIRWELL_PRIVACY__MASKS", "door", "no valid JSON", "write lists and tables in a variable as JSON"),
        ("STAIRWELL_PRIVACY", "[1", "no valid JSON", "write lists and tables in a variable as JSON"),
        (
            "STAIRWELL_PRIVACY__MASKS",
            '[{"name": "a", "polygon": [[0, 0]]}]',
            "at least 3, not 1",
            "config schema",
        ),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str, fix: str
) -> None:
    """Whoever set it finds it by its name as written, and is never passed over in silence."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.problem.startswith(f"environment variable {name}")
    assert problem in caught.value.problem
    assert fix in caught.value.fix


def test_settings_cannot_be_changed() -> None:
    """A running agent's settings are constants."""
    with pytest.raises(ValueError, match="frozen"):
        load().capture.fps = 5


def test_keys_cover_every_section() -> None:
    """keys() is what the other checks rely on: each section, each of its keys, sorted."""
    assert list(Settings.model_fields) == list(config.keys())
    assert ["city", "district", "oblast"] == [
        k for k in config.keys()["site"] if k in {"city", "oblast", "district"}
    ]


def defaults() -> dict[str, dict[str, Any]]:
    return Settings().model_dump(mode="json")


def documented() -> dict[str, dict[str, Any]]:
    """The sample configuration with the mark before each key taken away."""
    return tomllib.loads(SETTING.sub("", SAMPLE.read_text(encoding="utf-8")))


def test_the_sample_changes_nothing() -> None:
    """Installed as it is, the sample configuration is the defaults."""
    assert Settings() == load(SAMPLE)


def test_the_sample_documents_every_key() -> None:
    """Every section and key stands in the sample, in the order of the settings, and no other."""
    expected = {section: list(table) for section, table in defaults().items()}
    assert expected == {section: list(table) for section, table in documented().items()}
    assert list(expected) == list(documented())


def test_the_sample_shows_the_defaults() -> None:
    """A value in the sample is the default; where there is none it says so and shows a valid example."""
    text = SAMPLE.read_text(encoding="utf-8")
    for section, table in defaults().items():
        for key, default in table.items():
            comment, value = comment_of(text, section, key)
            if default is None:
                assert "No default" in comment, f"{section}.{key}"
            else:
                assert "No default" not in comment, f"{section}.{key}"
                assert default == value, f"{section}.{key}"
    assert load(overrides=documented()).clips.seal == "age"


def test_the_sample_explains_every_key() -> None:
    """No key stands there without a sentence."""
    text = SAMPLE.read_text(encoding="utf-8")
    for section, keys in config.keys().items():
        for key in keys:
            assert re.search(r"\w.*\.", comment_of(text, section, key)[0]), f"{section}.{key}"


def test_the_example_of_a_mask_is_valid() -> None:
    """The table that the sample shows for [[privacy.masks]] can be copied."""
    lines = re.findall(r"^#   (.*)$", SAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    settings = load(overrides=tomllib.loads("\n".join(lines)))
    assert "flat-12" == settings.privacy.masks[0].name


def comment_of(text: str, section: str, key: str) -> tuple[str, Any]:
    """The comment lines right above a key, and its value."""
    body = text.split(f"\n[{section}]\n")[1].split("\n[", maxsplit=1)[0]
    comment, value = re.findall(rf"((?:^# .*\n)*)^#{key} = (.*)$", body, re.MULTILINE)[0]
    return comment, tomllib.loads(f"v = {value}")["v"]


def test_every_key_is_described() -> None:
    """`stairwell config schema` has a sentence for every key."""
    for section, keys in config.keys().items():
        for key in keys:
            field = config._section(section).model_fields[key]
            assert field.description, f"{section}.{key}"
            assert field.default is not PydanticUndefined, f"{section}.{key}"


@pytest.mark.parametrize(
    "host",
    ["broker..city", f"{'a' * 64}.city", "", "broker city", "mqtts://broker", "broker:8883", "бро/кер"],
)
def test_a_host_that_none_can_have(host: str) -> None:
    """It is told with the key, before a thread of the network meets it."""
    with pytest.raises(ValidationError, match=r"a name such as broker\.example\.org is needed"):
        Backbone(host=host)


@pytest.mark.parametrize(
    "host", ["localhost", "broker.city.", "безпека.одеса.ua", "192.0.2.1", "2001:db8::1"]
)
def test_a_host(host: str) -> None:
    """Names in every script, and addresses of both kinds."""
    assert host == Backbone(host=host).host
