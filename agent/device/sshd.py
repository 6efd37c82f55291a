"""What the SSH server's configuration says, as sshd_config(5) has it: the first value of a key counts."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path("/")
CONFIG = "etc/ssh/sshd_config"
DEFAULTS = {
    "passwordauthentication": "yes",
    "kbdinteractiveauthentication": "yes",
    "permitrootlogin": "prohibit-password",
}
"""Of OpenSSH 9 and 10. Debian's own sshd_config sets kbdinteractiveauthentication to no."""
_ALIASES = {"challengeresponseauthentication": "kbdinteractiveauthentication"}
DEEP = 4  # includes within includes; sshd itself stops at 16, nobody needs three


def configuration(root: Path = ROOT) -> dict[str, str] | None:
    """Lower-case keys with their values, defaults among them; None when there is no SSH server here.

    What stands under `Match` is for some only, and not looked at.

    Raises:
        OSError: a file of it may not be read.
    """
    main = root / CONFIG
    if not main.exists():
        return None
    found: dict[str, str] = {}
    _read(main, root, found, 0)
    return DEFAULTS | found


def _read(path: Path, root: Path, found: dict[str, str], depth: int) -> None:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = re.split(r"[\s=]+", line.strip(), maxsplit=1)
        if len(words) < 2 or words[0].startswith("#"):  # noqa: PLR2004 - a key and its value
            continue
        key, value = words[0].lower(), words[1].strip().strip('"')
        if key == "match":
            return
        if key == "include" and depth < DEEP:
            for pattern in value.split():
                home = root if pattern.startswith("/") else (root / CONFIG).parent
                for included in sorted(home.glob(pattern.lstrip("/"))):
                    _read(included, root, found, depth + 1)
        else:
            found.setdefault(_ALIASES.get(key, key), value.lower())
