"""The units: what systemd says of them, what they may do, and that they call what is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import typer.main

from agent.app import erasure_survey, evidence, journal, live, update, update_orders
from agent.app.firstboot import CARD_FILE
from agent.app.schemas import DATABASE
from agent.app.statelock import ERASURE
from agent.backbone import commands, courier
from agent.cli import USAGE, app, erase
from agent.config import DEFAULT_PATH, State
from agent.device import journald, sealing
from agent.device.installation import COPY, TRIGGER
from agent.device.reboot import REQUEST_NAME
from agent.device.releases import HOME
from agent.device.wallet import DIRECTORY, LINK
from agent.errors import ConfigError

FOLDER = Path(__file__).parent.parent / "systemd"
UNITS = sorted(path for path in FOLDER.iterdir() if path.is_file())
AGENT = (FOLDER / "stairwell-agent.service").read_text(encoding="utf-8")
COMMANDS = (
    "/usr/bin/stairwell",
    "/usr/lib/stairwell/escalate",
    "/usr/lib/stairwell/trial",
    "/usr/lib/stairwell/zram",
    "/usr/bin/chronyc",
)
"""What a kit has and this machine need not have."""
EXPOSURE = {
    "stairwell-agent.service": "15",  # 1.5 of 10; chronyd's own unit has 3.7
    "stairwell-check.service": "15",
    "stairwell-renew.service": "15",
    "stairwell-update.service": "18",  # root's: it tries a release as another user
}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)


DAEMONS = Path("/usr/lib/systemd")
NOBODY = 65534
WATCHDOG = (FOLDER / "system.conf.d/60-stairwell.conf").read_text(encoding="utf-8")
JOURNAL = (FOLDER / "journald.conf.d/60-stairwell.conf").read_text(encoding="utf-8")
HARDWARE_S = 15  # the Pi's watchdog (bcm2835) counts no further
# A journald apart from this machine's, with the settings at $1.
JOURNALD = """
for place in /run /var/log; do mount -t tmpfs -o size=1g none "$place"; done
mkdir -p /run/systemd/journald.conf.d /run/systemd/journal /var/log/journal
cp "$1" /run/systemd/journald.conf.d/60-stairwell.conf
printf '[Journal]\\nReadKMsg=no\\nAudit=\\n' >/run/systemd/journald.conf.d/99-test.conf
touch /run/systemd/journal/flushed # the card is there
SYSTEMD_LOG_TARGET=console /usr/lib/systemd/systemd-journald &
for try in $(seq 100); do
  journalctl --directory=/var/log/journal --output=cat 2>&1 | grep "System Journal" && break
  sleep 0.05
done
kill $!
wait $!
"""


def values(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


def ask(*command: str | Path) -> str:
    """What a program of systemd's says, which must be content."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd
def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    """Each unit is verified clean: no unknown key, no wrong value, no missing neighbour."""
    for path in UNITS:  # the command is not installed here: another one stands in for it
        text = path.read_text(encoding="utf-8")
        for command in COMMANDS:
            text = text.replace(command, "/bin/true")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    assert "" == ask("systemd-analyze", "verify", "--man=no", *(tmp_path / path.name for path in UNITS))


@needs_systemd
@pytest.mark.parametrize("name", sorted(EXPOSURE))
def test_exposure(name: str) -> None:
    """What faces the network or the footage is locked in tighter than most of what Debian ships."""
    verdict = ask(
        "systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE[name]}", FOLDER / name
    )
    assert "Overall exposure level" in verdict


@pytest.mark.parametrize("path", [p for p in UNITS if p.suffix == ".service"], ids=lambda p: p.name)
def test_each_relaxation_tells_why(path: Path) -> None:
    """Whatever a sandbox leaves open has a comment before it that names the key."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        key, _, value = line.partition("=")
        open_ = value in {"no", "all"} or (key == "RestrictAddressFamilies" and "AF_NETLINK" in value)
        if open_ and key != "Persistent":
            assert f"# {key}" in "\n".join(lines[max(0, number - 4) : number]), f"{path.name}: {line}"


def test_they_call_what_there_is() -> None:
    """Each command of ours in a unit is one of the command line."""
    for path in UNITS:
        for line in values(path.read_text(encoding="utf-8"), "ExecStart"):
            program, *words = line.split()
            if program == "/usr/bin/stairwell":
                command = typer.main.get_command(app)
                for word in words:
                    if word.startswith("--"):
                        assert any(word in option.opts for option in command.params)
                        continue
                    command = command.commands[word]  # type: ignore[attr-defined] # a group has them


def test_a_call_that_is_closed_is_refused() -> None:
    """It kills nobody: libraries ask for what they can do without."""
    for path in UNITS:
        text = path.read_text(encoding="utf-8")
        if "ExecStart=/usr/bin/stairwell" in text and values(text, "SystemCallFilter"):
            assert ["EPERM"] == values(text, "SystemCallErrorNumber"), path.name


def test_places_are_the_agents_own() -> None:
    """Unit, settings and code mean the same directories and files."""
    state = State().dir
    assert [state.name] == values(AGENT, "StateDirectory")
    assert Path("/var/lib") == state.parent
    assert [f"!{state / name}" for name in (CARD_FILE, ERASURE)] == values(AGENT, "ConditionPathExists")
    first = (FOLDER / "stairwell-firstboot.service").read_text(encoding="utf-8")
    assert [str(state / CARD_FILE), f"!{state / ERASURE}"] == values(first, "ConditionPathExists")
    check = (FOLDER / "stairwell-check.service").read_text(encoding="utf-8")
    assert [str(state / DATABASE)] == values(check, "ConditionPathExists")
    renewal = (FOLDER / "stairwell-renew.service").read_text(encoding="utf-8")
    assert [str(state / DIRECTORY / LINK)] == values(renewal, "ConditionPathExists")
    runtime = Path("/run") / values(AGENT, "RuntimeDirectory")[0]
    update = (FOLDER / "stairwell-update.path").read_text(encoding="utf-8")
    assert [str(runtime / TRIGGER)] == values(update, "PathExists")
    service = (FOLDER / "stairwell-update.service").read_text(encoding="utf-8")
    assert [f"{HOME} {runtime}"] == values(service, "ReadWritePaths")
    assert f"d {HOME} " in (FOLDER / "tmpfiles.d" / "stairwell.conf").read_text(encoding="utf-8")
    reboot = (FOLDER / "stairwell-reboot.path").read_text(encoding="utf-8")
    assert [str(runtime / REQUEST_NAME)] == values(reboot, "PathExists")
    assert str(DEFAULT_PATH) in (FOLDER / "tmpfiles.d" / "stairwell.conf").read_text(encoding="utf-8")


def test_secrets_that_it_loads_are_erased_with_the_kit() -> None:
    """A credential that the unit learns to load does not survive the kit."""
    assert list(erasure_survey.OPEN_SECRETS) == values(AGENT, "LoadCredential")
    assert list(sealing.NAMES.values()) == values(AGENT, "LoadCredentialEncrypted")


def test_an_erasure_stops_whatever_works_on_the_state() -> None:
    """And the agent as the last, when nothing is left that starts it anew."""
    others = ("stairwell-reboot.", "stairwell-timemark.", "stairwell-zram.")  # they know no state directory
    assert {path.name for path in UNITS if not path.name.startswith(others)} == set(erase.UNITS)
    assert "stairwell-agent.service" == erase.UNITS[-1]


@pytest.mark.parametrize("name", ["update", "reboot"])
@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_a_request_is_heard_once(tmp_path: Path, name: str, kind: str) -> None:
    """Whatever lies in its place is gone then, and nothing of anybody else's."""
    unit = (FOLDER / f"stairwell-{name}.service").read_text(encoding="utf-8")
    request, elsewhere = tmp_path / name, tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    match kind:
        case "file":
            request.touch()
        case "directory":
            (request / "deep").mkdir(parents=True)
            (request / "deep" / "link").symlink_to(elsewhere)
        case "link":
            request.symlink_to(elsewhere)
    first = values(unit, "ExecStart")[0].replace("/run/stairwell/", f"{tmp_path}/")
    assert first.startswith("/usr/bin/rm ")  # or it would be run here, whatever it is
    assert f" {request}" in first
    subprocess.run(first.split(), check=True)
    assert [elsewhere] == list(tmp_path.iterdir())
    assert [elsewhere / "kept"] == list(elsewhere.iterdir())


def test_times_fit_the_agent() -> None:
    """A stop may take what it needs, and the watchdog is slower than the supervisor."""
    long = 7 * live.DRAIN_S  # hatch, camera, analysis, recording, reading back, courier, database
    short = live.ORDERS_END_S + commands.END_S + courier.LINK_END_S
    assert int(values(AGENT, "TimeoutStopSec")[0]) > long + short
    assert int(values(AGENT, "WatchdogSec")[0]) > journal.COMMIT_TIMEOUT_S + live.DRAIN_S


def test_root_has_time_for_a_release() -> None:
    """Each program that tries it may take its time, and the agent waits for the answer until it has ended."""
    service = (FOLDER / "stairwell-update.service").read_text(encoding="utf-8")
    minutes = int(values(service, "TimeoutStartSec")[0].removesuffix("min"))
    programs = 5 + 2  # Battery: five questions, and the doctors of the new release and of the old
    assert minutes * 60 > programs * update.PATIENCE_S
    assert minutes * 60 < update_orders.INSTALL_S


def test_what_ended_units_leave() -> None:
    """Root's copy of a bundle goes, however the installation ended."""
    service = (FOLDER / "stairwell-update.service").read_text(encoding="utf-8")
    assert [f"/usr/bin/rm --force {HOME / COPY}"] == values(service, "ExecStopPost")


def test_support_sees_them() -> None:
    """The journal and the states of all that has a part in updates are in a support bundle."""
    for name in ("agent", "update", "trial", "reboot"):
        assert f"stairwell-{name}" in journald.UNITS
        assert f"stairwell-{name}.{'service' if name == 'agent' else 'path'}" in evidence.UNITS


def manager(settings: str) -> str:
    """What the service manager complains of in these settings of its own; it never tests as root."""
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)
        (place / "systemd/user.conf.d").mkdir(parents=True)  # read by the same parser, with the same keys
        (place / "systemd/user.conf.d/60-stairwell.conf").write_text(settings, encoding="utf-8")
        done = subprocess.run(
            [DAEMONS / "systemd", "--test", "--user", "--no-pager"],
            env={"XDG_CONFIG_HOME": directory, "XDG_RUNTIME_DIR": directory, "SYSTEMD_LOG_TARGET": "console"},
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
            **user,
        )
    return "\n".join(line for line in done.stderr.splitlines() if "60-stairwell.conf" in line)


@needs_systemd
def test_the_manager_takes_its_watchdogs() -> None:
    """Both are read; the hardware's limit is kept, and a shutdown has the time that the agent may take."""
    assert "" == manager(WATCHDOG)
    for line in re.findall(r"^\w+=.+$", WATCHDOG, re.MULTILINE):
        assert "Failed to parse" in manager(WATCHDOG.replace(line, f"{line}?"))
        assert "Unknown key" in manager(WATCHDOG.replace(line, f"No{line}"))
    seconds = {}
    for name in ("RuntimeWatchdogSec", "RebootWatchdogSec"):
        told = ask("systemd-analyze", "timespan", values(WATCHDOG, name)[0])
        seconds[name] = int(re.findall(r"[μu]s: (\d+)", told)[0]) / 1e6
    assert seconds["RuntimeWatchdogSec"] < HARDWARE_S
    assert seconds["RebootWatchdogSec"] > int(values(AGENT, "TimeoutStopSec")[0])


@pytest.mark.skipif(
    os.geteuid() != 0 or not (DAEMONS / "systemd-journald").exists() or not Path("/etc/machine-id").exists(),
    reason="needs root's rights and a journald (Debian: systemd)",
)
@pytest.mark.parametrize(
    ("settings", "complaints"),
    [(JOURNAL, 0), (JOURNAL.replace("SystemMaxUse=64M", "SystemMaxUse=64X"), 1)],
    ids=["ours", "a slip"],
)
def test_journald_takes_its_limits(settings: str, complaints: int, tmp_path: Path) -> None:
    """A real one has nothing to say against them, and says itself how large its journal may become."""
    (tmp_path / "conf").write_text(settings, encoding="utf-8")
    apart = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child")
    done = subprocess.run(
        [*apart, "sh", "-c", JOURNALD, "sh", tmp_path / "conf"], capture_output=True, text=True, check=False
    )
    assert "System Journal" in done.stdout, done.stderr
    assert ("max 64.0M," in done.stdout) == (not complaints)
    assert complaints == done.stderr.count("60-stairwell.conf")


def test_a_wrong_configuration_does_not_spin() -> None:
    """It ends the unit with the line that tells the fix; everything else is started anew, for ever."""
    assert [f"{ConfigError.exit_code} {USAGE}"] == values(AGENT, "RestartPreventExitStatus")
    assert ["always"] == values(AGENT, "Restart")
    assert ["0"] == values(AGENT, "StartLimitIntervalSec")


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_user(tmp_path: Path) -> None:
    """A user without a shell, in the group that owns the cameras."""
    (tmp_path / "etc").mkdir()
    ask("systemd-sysusers", f"--root={tmp_path}", FOLDER / "sysusers.d" / "stairwell.conf")
    user = (tmp_path / "etc/passwd").read_text().splitlines()[0].split(":")
    assert ("stairwell", "/var/lib/stairwell", "/usr/sbin/nologin") == (user[0], user[5], user[6])
    assert re.search(r"^video:[^:]*:\d+:stairwell$", (tmp_path / "etc/group").read_text(), re.MULTILINE)
