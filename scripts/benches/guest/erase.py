"""Inside a fresh Debian: a kit that watches and records is erased under its own service manager."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, "/run/bench")

from machine import (
    CONFIGURATION,
    KIT,
    SAMPLE,
    SHARE,
    UNIT,
    Listener,
    active,
    configure,
    expect,
    report,
    run,
    shown,
    wait_for,
)

STATE, RECEIPT = Path("/var/lib/stairwell"), Path("/root/receipt.json")
UNITS = ("stairwell-check.timer", "stairwell-renew.timer")
START_S = 90.0


def records() -> dict[str, object]:
    """Installed and configured, the kit has keys, a clip and messages."""
    run(
        *("apt-get", "install", "--yes", "--no-install-recommends", str(SHARE / "agent.deb")),
        DEBIAN_FRONTEND="noninteractive",
    )
    listener = Listener()
    configure(source=SAMPLE, recipient=(SHARE / "recipient").read_text().strip())
    run("systemctl", "start", UNIT)
    wait_for("a clip", lambda: listener.lines("/clip"), START_S)
    listener.close()
    return {"key": (STATE / "keys" / "kit.pub").read_text().splitlines()[1][:16]}


def refuses_beside_the_agent() -> dict[str, object]:
    """While the agent runs nothing is erased, and the agent is not disturbed."""
    pid = shown("MainPID")
    said = run("stairwell", "erase", "--yes", "--lang", "en", code=6)
    expect("--stop" in said and pid == shown("MainPID") and active(), said)
    expect((STATE / "keys" / "kit.key").exists(), "the key is gone")
    return {}


def unseals() -> dict[str, object]:
    """What is sealed for the service (here to the host's key, for want of a TPM) it gets, and nobody else."""
    store, name = Path("/etc/credstore.encrypted"), "sealed.password"
    plain, settings = Path("/run/password"), CONFIGURATION.read_text()
    plain.write_text("of-the-broker")
    store.mkdir(mode=0o700, exist_ok=True)  # Debian 13 brings it
    run("systemd-creds", "encrypt", "--with-key=host", f"--name={name}", str(plain), str(store / name))
    plain.unlink()
    seen = f"/run/credentials/{UNIT}/{name}"
    named = settings.replace("heartbeat_s = 5.0", f'heartbeat_s = 5.0\npassword_file = "{seen}"')
    expect(named != settings, "the password's file was not named")
    CONFIGURATION.write_text(named)
    listener = Listener()
    run("systemctl", "restart", UNIT)
    wait_for("the birth", lambda: listener.lines("/st", '"online"'), START_S)
    expect(Path(seen).read_text() == "of-the-broker", "another password")
    denied = run("runuser", "-u", "nobody", "--", "cat", seen, code=1)
    (store / name).unlink()
    run("systemctl", "restart", UNIT, code=None)
    wait_for("the refusal", lambda: shown("ActiveState") == ["failed"], START_S)
    CONFIGURATION.write_text(settings)
    run("systemctl", "restart", UNIT)
    wait_for("the birth", lambda: len(listener.lines("/st", '"online"')) > 1, START_S)
    listener.close()
    return {"nobody": denied.strip().split(": ")[-1]}


def erases() -> dict[str, object]:
    """It stops the units, destroys keys, clips, messages and settings, and tells the city by its receipt."""
    listener = Listener()
    said = run("stairwell", "erase", "--stop", "--yes", "--lang", "en", "--receipt", str(RECEIPT))
    expect("The city was told." in said, said)
    for unit in (UNIT, *UNITS):
        expect(not active(unit), f"{unit} is active")
    left = [str(path) for path in STATE.rglob("*")]
    expect(not left and not CONFIGURATION.exists(), f"left: {left} {CONFIGURATION}")
    expect(not Path("/run/stairwell/pictures.key").exists(), "the key of waiting pictures is left")
    told = json.loads(RECEIPT.read_text())
    words = wait_for("the last word", lambda: listener.lines("/st", '"erased"'), START_S)
    listener.close()
    expect(json.loads(words[-1].split(" ", 1)[1])["receipt"] == told, words[-1])
    expect(told["kit"] == KIT and told["clips"] and told["sig"], told)
    late = Listener()
    wait_for("what is retained", lambda: late.lines("/st", '"erased"'), START_S)
    late.close()
    return {name: told[name] for name in ("files", "bytes", "clips", "messages", "runs")}


def stays_erased() -> dict[str, object]:
    """Neither the agent nor its timers begin anew on what is left: it has no settings, and says so."""
    run("systemctl", "start", UNIT, code=None)
    wait_for("the refusal", lambda: shown("ActiveState") == ["failed"], START_S)
    expect(shown("ExecMainStatus") == ["3"], "another exit code")
    expect(not (STATE / "keys").exists() and not (STATE / "agent.db").exists(), "it has begun anew")
    return {}


report((records, refuses_beside_the_agent, unseals, erases, stays_erased))
