"""What mends a finding: commands that lose nothing, carried out on the technician's word only.

A remedy may close a file to others, give the agent what is its own, or start a service. It never deletes,
never formats, never changes settings, and never touches what the agent has recorded.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from agent.device import program
from agent.device.account import Account
from agent.words import joined, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.words import Text

Commands = tuple[tuple[str, ...], ...]
PROGRAMS = {"chmod", "chown", "install", "mkdir", "systemctl", "timedatectl"}
"""What a remedy consists of."""
_LESS = ("setpriv", "--clear-groups")  # and --reuid=, --regid=: as another user than root
LONGEST_S = 90.0  # the agent is started once its first picture came, or its alarm that there is none


def closing(mode: str, paths: Iterable[Path]) -> Commands:
    """Take rights from files, each by the rights of its keeper: a link of theirs leads to nothing of root's.

    What anybody may exchange is left out.

    Raises:
        OSError: one is not there, or not to be seen.
    """
    commands = []
    for path in paths:
        keeper = Account.keeper(path)
        if keeper is not None:
            less = (
                ()
                if keeper.uid in {0, os.geteuid()}
                else (*_LESS, f"--reuid={keeper.uid}", f"--regid={keeper.gid}")
            )
            commands.append((*less, "chmod", mode, str(path)))
    return tuple(commands)


def giving(user: str, path: Path) -> Commands:
    """Give a file to the agent's user and close it to all others; nothing where not root alone keeps it.

    Raises:
        OSError: it is not there, or not to be seen.
    """
    folder = Account.keeper(path.parent)
    if path.is_symlink() or Account.keeper(path) is None or folder is None or folder.uid != 0:
        return ()
    return (("chown", user, str(path)), ("chmod", "400", str(path)))


def spelled(commands: Commands) -> Text:
    """The commands as a technician types them."""
    return joined(" && ", (verbatim(f"sudo {shlex.join(words)}") for words in commands))


def carry_out(commands: Commands) -> str | None:
    """Run them one after the other; what the first said that failed, None when all went well.

    Raises:
        ValueError: a program is none of PROGRAMS; nothing was run.
    """
    strange = set(map(_program, commands)) - PROGRAMS
    if strange:
        raise ValueError(f"no remedy runs {', '.join(sorted(strange))}")
    for words in commands:
        answer = program.ask(*words, timeout_s=LONGEST_S)
        if answer is None:
            return f"{shlex.join(words)}: {words[0]} is not here, or hangs"
        if answer.code != 0:
            return f"{shlex.join(words)}: {answer.err.strip() or answer.code}"
    return None


def _program(words: tuple[str, ...]) -> str:
    return words[len(_LESS) + 2] if words[: len(_LESS)] == _LESS else words[0]
