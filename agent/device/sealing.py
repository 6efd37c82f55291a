"""Secrets of root's that only this very board can open: sealed by systemd-creds to its TPM.

Only by a TPM. systemd's host key lies on the same card as what it would seal (/var/lib/systemd), so that who
takes the card has both: it is never taken here. What the agent makes itself is not sealed: its user renews
the TLS key of an enrolled kit, and signs with the other one, without root's rights.
"""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from agent.device import shred
from agent.durable import sync_directory, write_whole
from agent.errors import StairwellError
from agent.reasons import reason
from agent.words import say

FOLDER = Path("/etc/credstore.encrypted")
"""Where systemd looks for them (LoadCredentialEncrypted= of the unit)."""
NAMES = {"key": "sealed.key", "password": "sealed.password"}
"""What may be sealed, and its name among the service's credentials; the name is sealed with it."""
MODE, FILE_MODE = 0o700, 0o600
PATIENCE_S = 60.0  # a TPM on a slow bus makes its primary key anew each time
# What no update of ours changes: secure boot. On a Raspberry Pi nobody measures, and it is always 0.
PCRS = "--tpm2-pcrs=7"
SIZE_MAX = 64 * 1024  # of a key or a password


def seal(source: Path, use: str, folder: Path = FOLDER, tpm: str = "auto") -> Path:
    """Seal the file `source` as the secret for `use`, prove that it opens again, destroy `source`.

    Where it is sealed; `tpm` is a device as systemd-creds takes it. Nothing is written before the TPM has
    opened it; cut off anywhere, one of both is whole.

    Raises:
        StairwellError: no TPM, no systemd-creds, or the disk refused; `source` is untouched.
    """
    name = NAMES[use]
    target = folder / name
    try:
        found = source.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise StairwellError(
                say("{path}: a link, or one name of several: the secret would stay there", path=source),
                fix=say("name the file itself, and remove its other names"),
            )
        if not 0 < found.st_size <= SIZE_MAX:
            raise StairwellError(say("{path}: no key and no password", path=source), fix=say("name its file"))
        plain, of_it = source.read_bytes(), (f"--tpm2-device={tpm}", f"--name={name}", "-", "-")
        sealed = _creds("encrypt", "--with-key=tpm2", PCRS, *of_it, given=plain)
        if _creds("decrypt", *of_it, given=sealed) != plain:
            raise StairwellError(
                say("the TPM gives back something else than was sealed"), fix=say("replace the board")
            )
        folder.mkdir(mode=MODE, parents=True, exist_ok=True)
        write_whole(target, sealed, FILE_MODE)
        shred.destroy(source, overwrite=True)
        sync_directory(source.parent)
    except OSError as error:
        raise StairwellError(
            say("{path}: cannot be sealed ({reason})", path=error.filename or source, reason=reason(error)),
            fix=say("run it with sudo, on the kit itself"),
        ) from None
    return target


def _creds(*words: str, given: bytes) -> bytes:
    try:
        done = subprocess.run(
            ["systemd-creds", *words],
            input=given,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StairwellError(
            say("systemd-creds does not answer ({error})", error=error),
            fix=say("install systemd 252 or later"),
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise StairwellError(
            say(
                "this board has no TPM that systemd can use ({error})",
                error=said[-1] if said else done.returncode,
            ),
            fix=say("keep the file as it is: sealed to a key on the same card it would be no safer"),
        )
    return done.stdout
