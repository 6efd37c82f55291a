"""Secrets sealed to a TPM: swtpm's, a real TPM 2.0 in software, and systemd's own systemd-creds."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from broker import free_port, wait_for
from commandline import stairwell
from typer.testing import CliRunner

from agent.cli import app
from agent.cli.application import USAGE
from agent.device import sealing
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("swtpm", "systemd-creds")), reason="swtpm is not installed"
)
SECRET = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n"


def two_ports() -> int:
    """The first of two free ports: libtss2 looks for the TPM's controls beside the TPM."""
    for _ in range(100):
        port = free_port()
        with suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port
    pytest.fail("no two free ports")


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[str]:
    """A new TPM, as systemd-creds names it."""
    state = tmp_path / "tpm"
    state.mkdir()
    for _ in range(10):  # somebody else may take a port that was free
        port, pid = two_ports(), state / "pid"
        words = f"--tpm2 --tpmstate dir={state} --server type=tcp,port={port} --ctrl type=tcp,port={port + 1}"
        program = ["swtpm", "socket", *words.split(), "--flags", "not-need-init,startup-clear"]
        process = subprocess.Popen([*program, "--pid", f"file={pid}"])
        wait_for(lambda: pid.exists() or process.poll() is not None)  # noqa: B023 # called at once
        if process.poll() is None:
            break
        pid.unlink(missing_ok=True)
    else:
        pytest.fail("swtpm does not start")
    yield f"swtpm:host=127.0.0.1,port={port}"
    process.terminate()
    process.wait()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "kit.key"
    path.write_bytes(SECRET)
    return path


def test_sealed_and_opened(tmp_path: Path, tpm: str, secret: Path) -> None:
    """It opens with that TPM and under its name; nothing of it lies anywhere in the open."""
    target = sealing.seal(secret, "key", tmp_path / "store", tpm)
    assert tmp_path / "store" / "sealed.key" == target
    assert not secret.exists()
    assert ["sealed.key"] == [path.name for path in target.parent.iterdir()]
    assert SECRET[28:40] not in target.read_bytes()
    opened = ["systemd-creds", "decrypt", f"--tpm2-device={tpm}", "--name=sealed.key", target, "-"]
    done = subprocess.run(opened, capture_output=True, check=False)
    assert (0, SECRET) == (done.returncode, done.stdout), done.stderr
    opened[3] = "--name=sealed.password"
    assert 0 != subprocess.run(opened, capture_output=True, check=False).returncode


def test_without_a_tpm(tmp_path: Path, secret: Path) -> None:
    """It is refused, and the secret is where it was: there is no silent host key in its place."""
    with pytest.raises(StairwellError, match=r"has no TPM that systemd can use .*keep the file as it is"):
        sealing.seal(secret, "key", tmp_path / "store", "swtpm:host=127.0.0.1,port=1")
    assert SECRET == secret.read_bytes()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("size", [0, sealing.SIZE_MAX + 1])
def test_what_is_no_secret(tmp_path: Path, size: int) -> None:
    """An empty or an endless file was named by mistake."""
    path = tmp_path / "x"
    path.write_bytes(bytes(size))
    with pytest.raises(StairwellError, match="no key and no password"):
        sealing.seal(path, "password", tmp_path / "store")
    assert path.exists()


def test_a_secret_with_another_name(tmp_path: Path, secret: Path) -> None:
    """Only one name would be destroyed, and the secret would stay: nothing is done."""
    link = tmp_path / "link"
    link.symlink_to(secret)
    with pytest.raises(StairwellError, match="name the file itself"):
        sealing.seal(link, "key", tmp_path / "store")
    (tmp_path / "second").hardlink_to(secret)
    with pytest.raises(StairwellError, match="name the file itself"):
        sealing.seal(secret, "key", tmp_path / "store")
    assert SECRET == secret.read_bytes()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(StairwellError, match=r"none: cannot be sealed \(there is no such file"):
        sealing.seal(tmp_path / "none", "key", tmp_path / "store")


def test_without_roots_rights(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told that the board has no TPM who may not use it."""
    monkeypatch.setattr("agent.cli.seal.geteuid", lambda: 1000)
    with pytest.raises(StairwellError, match="only root may use the TPM") as caught:
        CliRunner().invoke(app, ["seal", str(secret)], catch_exceptions=False)
    assert f"sudo stairwell seal {secret}" in str(caught.value)
    assert SECRET == secret.read_bytes()


@pytest.mark.skipif(os.path.exists("/dev/tpmrm0"), reason="this machine has a TPM")  # noqa: PTH110 # as systemd asks
def test_the_command(secret: Path) -> None:
    """Here, without a TPM, it ends with one line and the fix; another use is a wrong command line."""
    refused = stairwell("seal", secret, "--as", "wish")
    assert USAGE == refused.returncode
    refused = stairwell("seal", secret, "--lang", "en")
    assert 1 == refused.returncode
    assert SECRET == secret.read_bytes()
