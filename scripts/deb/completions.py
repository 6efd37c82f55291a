#!/usr/bin/env python3
"""Prints the shell completion of `stairwell` for bash: every command, its options, and what an option may be.

Made from the command line itself when the package is built. Typer's own completion starts the program at each
press of the key, which takes seconds on a kit; this one asks nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer.main
from typer.core import TyperOption

from agent.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

NAME = "stairwell"
HEAD = """\
# Shell completion of `stairwell`, made from its command line by scripts/deb/completions.py.
_stairwell() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path=stairwell words='' word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$path $word" in
      %s) path+=" $word" ;;
    esac
  done
  case "$path $prev" in
"""
MIDDLE = """\
  esac
  [[ -n $words ]] || case $path in
"""
TAIL = """\
  esac
  # shellcheck disable=SC2207 # words without spaces; zsh, which runs this too, has no mapfile
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _stairwell stairwell
"""


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its path, groups before what is in them."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, f"{path} {name}")


def flags(command: click.Command) -> list[str]:
    """Its options, in all their spellings."""
    options = [param for param in command.params if isinstance(param, TyperOption) and not param.hidden]
    return ["--help", *(flag for option in options for flag in (*option.opts, *option.secondary_opts))]


def valued(command: click.Command) -> Iterator[tuple[TyperOption, list[str]]]:
    """The options that take a value, with those that there are; none where nobody can list them."""
    for param in command.params:
        if not isinstance(param, TyperOption) or param.is_flag or param.count:
            continue
        if param.metavar is not None and re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", param.metavar):
            yield param, param.metavar.split("|")  # `uk|en`
        else:
            yield param, []


def bash() -> str:
    """The script."""
    commands = list(walk(typer.main.get_command(app), NAME))
    lines = [HEAD % "|".join(f'"{path}"' for path, _ in commands[1:])]
    for path, command in commands:
        for option, values in valued(command):
            where = "|".join(f'"{path} {flag}"' for flag in option.opts)
            if values:
                lines.append(f"    {where}) words='{' '.join(values)}' ;;\n")
            else:  # the shell's own: a file, or nothing that could be known
                lines.append(f"    {where}) return ;;\n")
    lines.append(MIDDLE)
    for path, command in commands:
        below = [*getattr(command, "commands", {}), *flags(command)]
        lines.append(f"    \"{path}\") words='{' '.join(below)}' ;;\n")
    return "".join([*lines, TAIL])


if __name__ == "__main__":
    print(bash(), end="")
