"""`stairwell doctor` as a technician runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import settings, toml
from typer.testing import CliRunner

from agent.app import examination
from agent.cli import app, doctor
from agent.device.clock import SystemClock
from agent.doctor.check import Check, Verdict, ok
from agent.errors import ConfigError
from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from agent.config import Settings


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path / "state")), encoding="utf-8")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def answers(result: Result) -> dict[str, dict[str, Any]]:
    return {check["code"]: check for check in json.loads(result.output)["checks"]}


def test_every_check_has_one_code_and_rests_on_known_ones(tmp_path: Path) -> None:
    """No two are one, and no dependency is a slip of the pen."""
    checks = examination.examination(settings(tmp_path), SystemClock())
    codes = [check.code for check in checks]
    assert len(codes) == len(set(codes))
    assert len(codes) >= 75
    assert {code for check in checks for code in check.depends_on} <= set(codes)
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_]+", code) for code in codes)


def test_both_languages_are_whole(tmp_path: Path) -> None:
    """A title in Ukrainian is Ukrainian, one in English has no Cyrillic letter."""
    for check in examination.examination(settings(tmp_path), SystemClock()):
        assert re.search("[а-яіїєґ]", check.title.uk.lower()), check.code
        assert not re.search("[а-яіїєґ]", check.title.en.lower()), check.code


@pytest.mark.parametrize(
    ("arguments", "strange"),
    [
        (("doctor", "--quick", "--offline"), {"numpy", "cv2", "av", "paho"}),
        (("status", "--once"), {"numpy", "cv2", "av", "paho", "cryptography.x509"}),
    ],
)
def test_it_loads_what_it_asks_with(
    configuration: Path, arguments: tuple[str, ...], strange: set[str]
) -> None:
    """What reads pictures and talks to the broker takes longer to load than all that is asked."""
    program = (
        "import sys, agent.cli\n"
        f"sys.argv[1:] = {[*arguments, '--config', str(configuration)]}\n"
        "try: agent.cli.main()\n"
        "finally: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    loaded = set(done.stdout.split())
    assert f"agent.cli.{arguments[0]}" in loaded
    assert set() == loaded & strange


def test_without_agent_network_or_rights(configuration: Path) -> None:
    """It says what is so; what it could not ask is a skip, and the first failure names the cause."""
    result = run("--config", configuration, "--quick", "--offline", "--json", "--lang", "en")
    found = answers(result)
    assert result.exit_code == 2
    assert found["disk.state"]["status"] == "fail"
    assert found["disk.free"]["status"] == "skip"
    assert found["svc.running"]["status"] == "fail"
    assert found["cam.frames"]["status"] == "skip"
    assert "net.tcp" not in found
    assert "ai.selftest" not in found
    assert all(check["fix"] for check in found.values() if check["status"] in {"warn", "fail"})


def test_only_and_skip(configuration: Path) -> None:
    """Patterns of codes, as often as wanted."""
    chosen = answers(run("-c", configuration, "--json", "--only", "priv.re*", "--only", "ai.model"))
    assert set(chosen) == {"priv.recipients", "priv.retention", "ai.model"}
    rest = answers(run("-c", configuration, "--json", "--only", "priv.re*", "--skip", "*.recipients"))
    assert set(rest) == {"priv.retention"}


@pytest.mark.parametrize("arguments", [["--only", "priv.retentoin"], ["--only", "net.dns", "--offline"]])
def test_no_check_is_no_good_news(arguments: list[str], configuration: Path) -> None:
    """A slip of the finger is refused."""
    result = run("-c", configuration, *arguments)
    assert result.exit_code == 64
    assert "no check is left" in " ".join(result.output.split())


def test_nothing_asked_is_not_well(configuration: Path) -> None:
    """Who could ask nothing learns that, and no more."""
    result = run("-c", configuration, "--only", "svc.memory", "--lang", "en")
    assert result.output.startswith("0 well, 1 not asked")


def test_a_damaged_database(configuration: Path, tmp_path: Path) -> None:
    """Is the database's failure in each check that reads it, and no flaw of the doctor's."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "agent.db").write_bytes(b"torn" * 1000)
    found = answers(run("-c", configuration, "--json", "--only", "store.*", "--only", "priv.overdue"))
    codes = {"store.database", "store.clips", "priv.overdue"}
    assert {"fail"} == {found[code]["status"] for code in codes}
    assert ["not a database"] * 3 == [re.findall("not a database", found[code]["text"])[0] for code in codes]
    assert [] == [code for code in codes if "Error(" in found[code]["text"] or "Fix:" in found[code]["text"]]


def test_lines_come_one_by_one(configuration: Path) -> None:
    """Each line is a document of its own."""
    result = run("-c", configuration, "--jsonl", "--only", "priv.*")
    assert {"priv.seal", "priv.masks"} < {json.loads(line)["code"] for line in result.output.splitlines()}


@pytest.mark.parametrize(("lang", "word"), [("uk", "Строк зберігання"), ("en", "Retention")])
def test_languages(lang: str, word: str, configuration: Path) -> None:
    """The technician's own."""
    result = run("-c", configuration, "-v", "--only", "priv.retention", "--lang", lang)
    assert word in result.output
    assert result.exit_code == 0


def test_ukrainian_is_the_kits_own(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that names no language is a kit's."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert "Усе гаразд" in run("-c", configuration, "--only", "priv.retention").output
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    assert "All is well" in run("-c", configuration, "--only", "priv.retention").output


def test_what_it_cannot_read_is_its_own_failure(tmp_path: Path) -> None:
    """Three: the doctor itself could not run."""
    result = run("-c", tmp_path / "missing.toml")
    assert result.exit_code == 3
    assert "missing.toml" in result.output


def test_wrong_settings_are_the_first_finding(tmp_path: Path) -> None:
    """What a wrong key keeps the agent from is seen at once, and the machine is examined all the same."""
    path = tmp_path / "agent.toml"
    path.write_text('[kit]\nid = "k7f3k2qx4m"\nname = "x"\n')
    result = run("-c", path, "--quick", "--offline")
    assert result.exit_code == 2
    first = result.output.split("\N{RIGHTWARDS ARROW}")[0]
    assert "kit.name: unknown key" in " ".join(first.split())
    found = answers(run("-c", path, "--quick", "--offline", "--json"))
    assert "mem.free" in found
    assert "disk.state" not in found


def test_settings_that_may_not_be_read(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A technician without sudo still learns of power, heat and the network."""

    def denied(path: Path | None) -> Settings:
        raise ConfigError(f"{path}: cannot be read", fix="check its permissions")

    monkeypatch.setattr(doctor, "in_force", denied)
    monkeypatch.setattr(examination, "os", SimpleNamespace(access=lambda *_: False, R_OK=4))
    found = answers(run("-c", configuration, "--quick", "--offline", "--json", "--only", "cfg.*"))
    assert "skip" == found["cfg.usable"]["status"]


def test_an_unknown_language_is_refused(configuration: Path) -> None:
    """With those that there are."""
    result = run("-c", configuration, "--lang", "fr")
    assert result.exit_code == 64
    assert "uk and en" in result.output


def test_failures_come_first(configuration: Path) -> None:
    """The first line is the one to mend, whatever the order of the checks is."""
    result = run("-c", configuration, "--only", "priv.masks", "--only", "cam.source", "--only", "svc.running")
    marks = [line[0] for line in result.output.splitlines() if line[0] in "\N{BALLOT X}!"]
    assert ["\N{BALLOT X}", "!"] == marks
    assert result.exit_code == 2


def test_what_wants_more_rights_is_said(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A technician without sudo learns what sudo would show."""
    monkeypatch.setattr(examination.doors.sshd, "configuration", _denied)
    result = run("-c", configuration, "--only", "sec.ssh")
    assert "0 well, 1 not asked (-v tells why); 1 needs more rights: use sudo" == " ".join(
        result.output.split()
    )
    assert result.exit_code == 0


def _denied(_root: Path) -> None:
    raise PermissionError(13, "Permission denied", "/etc/ssh/sshd_config")


@pytest.fixture
def open_key(tmp_path: Path) -> Path:
    """A configuration whose password file others may read."""
    secret = tmp_path / "password"
    secret.write_text("secret")
    secret.chmod(0o644)
    path = tmp_path / "open.toml"
    backbone = {"password_file": secret}
    path.write_text(toml(settings(tmp_path / "state", backbone=backbone)), encoding="utf-8")
    return path


def test_without_yes_it_only_says(open_key: Path, tmp_path: Path) -> None:
    """The very command, and how to let the doctor do it; the exit code is that of the finding."""
    result = run("-c", open_key, "--fix", "sec.secrets")
    words = " ".join(result.output.split())
    assert result.exit_code == 2
    assert "sudo chmod go-rwx" in words
    assert "sudo stairwell doctor --fix sec.secrets --yes" in words
    assert 0o644 == (tmp_path / "password").stat().st_mode & 0o777


def test_with_yes_it_does(open_key: Path, tmp_path: Path) -> None:
    """And asks again; there is no database here to note it in, which is said."""
    result = run("-c", open_key, "--fix", "sec.secrets", "--yes")
    assert result.exit_code == 0
    assert "It was done, and asked again." in result.output
    assert "Not noted in the audit" in result.output
    assert 0o600 == (tmp_path / "password").stat().st_mode & 0o777


def test_a_command_that_fails(open_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three: the doctor could not do it, and says what the command said."""
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("-c", open_key, "--fix", "sec.secrets", "--yes")
    assert result.exit_code == 3
    assert "It did not work: chmod" in result.output


def test_what_is_a_persons(configuration: Path) -> None:
    """Nothing is done, and that is said; what is well needs nothing."""
    result = run("-c", configuration, "--fix", "svc.running", "--yes")
    assert "it is yours to do" in result.output
    assert result.exit_code == 2
    assert run("-c", configuration, "--fix", "priv.retention", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--fix", "no.such"], "no check has this code"),
        (["--yes"], "nothing to do without --fix"),
        (["--watch", "--json"], "goes with neither"),
        (["--watch", "--fix", "sec.secrets"], "goes with neither"),
    ],
)
def test_words_that_do_not_go_together(words: list[str], complaint: str, configuration: Path) -> None:
    """A wrong command line, before anything is asked or done."""
    result = run("-c", configuration, *words)
    assert result.exit_code == 64
    assert complaint in " ".join(result.output.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split())


class Rounds:
    """Stands for the time between two rounds: does something in each, and Ctrl-C after the last."""

    def __init__(self, *between: Callable[[], object]) -> None:
        self._between = list(between)

    def __call__(self, _seconds: float) -> None:
        """See time.sleep."""
        if not self._between:
            raise KeyboardInterrupt
        self._between.pop(0)()


def test_watch_shows_what_changes(open_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it once, nothing while nothing changes, then the line that is well again, with its time."""
    closed = Rounds(lambda: None, lambda: (tmp_path / "password").chmod(0o600))
    monkeypatch.setattr(doctor, "sleep", closed)
    result = run("-c", open_key, "--watch", "--only", "sec.secrets", "--only", "priv.retention")
    assert 1 == result.output.count("\N{BALLOT X} Secrets are closed")
    assert 1 == result.output.count("\N{CHECK MARK} Secrets are closed")
    assert 1 == result.output.count("1 failure, 1 well")
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3}Z", result.output)
    assert result.exit_code == 130


def test_watch_for_programs(open_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as lines of JSON; what takes long is not asked again and again."""
    monkeypatch.setattr(doctor, "sleep", Rounds(lambda: (tmp_path / "password").chmod(0o600)))
    result = run("-c", open_key, "--watch", "--jsonl", "--only", "sec.secrets", "--only", "ai.*")
    told = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
    assert ["fail", "ok"] == [line["status"] for line in told if line["code"] == "sec.secrets"]
    assert 1 == sum(line["code"] == "ai.model" for line in told)
    assert "ai.selftest" not in {line["code"] for line in told}


def test_watch_leaves_out_what_hangs(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round would leave a thread behind."""
    asked = []

    def hang() -> Verdict:
        asked.append("asked")
        threading.Event().wait(60)
        return ok(say("yes"))

    checks = [
        Check("a.hangs", verbatim("a"), hang, box_s=0.1),
        Check("a.well", verbatim("b"), lambda: ok(say("yes"))),
    ]
    monkeypatch.setattr(doctor, "examination", lambda *_: checks)
    monkeypatch.setattr(doctor, "sleep", Rounds(lambda: None, lambda: None))
    run("-c", configuration, "--watch")
    assert ["asked"] == asked
