"""What mends a finding: commands that lose nothing, carried out on the technician's word only.

A remedy may close a file to others, give the agent what is its own, or start a service. It never deletes,
never formats, never changes settings, and never touches what the agent has recorded.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from agent.device import program
from agent.words import joined, verbatim

if TYPE_CHECKING:
    from agent.words import Text

Commands = tuple[tuple[str, ...], ...]
PROGRAMS = {"chmod", "chown", "install", "mkdir", "systemctl", "timedatectl"}
"""What a remedy consists of."""
LONGEST_S = 90.0  # the agent is started once its first picture came, or its alarm that there is none


def spelled(commands: Commands) -> Text:
    """The commands as a technician types them."""
    return joined(" && ", (verbatim(f"sudo {shlex.join(words)}") for words in commands))


def carry_out(commands: Commands) -> str | None:
    """Run them one after the other; what the first said that failed, None when all went well.

    Raises:
        ValueError: a program is none of PROGRAMS; nothing was run.
    """
    strange = {words[0] for words in commands} - PROGRAMS
    if strange:
        raise ValueError(f"no remedy runs {', '.join(sorted(strange))}")
    for words in commands:
        answer = program.ask(*words, timeout_s=LONGEST_S)
        if answer is None:
            return f"{shlex.join(words)}: {words[0]} is not here, or hangs"
        if answer.code != 0:
            return f"{shlex.join(words)}: {answer.err.strip() or answer.code}"
    return None
