"""`stairwell erase`: a kit that is taken down, sold or sent to repair keeps nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.app.erasure import Erasure
from agent.app.farewell import Farewell
from agent.app.statelock import OccupiedError
from agent.cli.bars import bars
from agent.cli.language import Lang, language
from agent.cli.options import ConfigFile, config_path
from agent.config import load
from agent.device import program, shred
from agent.device.clock import SystemClock
from agent.durable import write_whole
from agent.errors import StairwellError, StorageError
from agent.reasons import reason
from agent.words import counted, joined, say

if TYPE_CHECKING:
    from agent.app.erasure_receipt import Receipt
    from agent.config import Settings
    from agent.words import Text

MB = 1e6
# What would start the agent anew, with a release that is installed or taken back; then all that works on the
# state directory: first boot, checks, what renews the kit's certificate, and the agent.
UNITS = (
    "stairwell-update.path",
    "stairwell-trial.path",
    "stairwell-update.service",
    "stairwell-trial.service",
    "stairwell-firstboot.service",
    "stairwell-renew.timer",
    "stairwell-check.timer",
    "stairwell-renew.service",
    "stairwell-check.service",
    "stairwell-agent.service",
)
STOP_S = 150.0  # the unit's TimeoutStopSec, and some
ReceiptFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the receipt there, too; not onto the kit.")
]
RECEIPT_MODE = 0o644  # it is for everybody


def erase(
    config: ConfigFile = None,
    receipt: ReceiptFile = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the agent's services first.")] = False,
    even_held: Annotated[bool, typer.Option("--even-held", help="Clips on hold as well.")] = False,
    keep_settings: Annotated[
        bool, typer.Option("--keep-settings", help="Leave agent.toml: place, masks, camera address.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for the kit's id.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The receipt alone, as JSON.")] = False,
    lang: Lang = None,
) -> None:
    """Destroy all that a kit keeps, for good: keys, clips, messages, audit, settings; with a signed receipt.

    Says first what will go, and asks for the kit's id. May be cut off anywhere: run it again, and it goes on;
    meanwhile the agent does not start. Where `state.dir` is not the usual one, a run after the settings went
    needs STAIRWELL_STATE__DIR. The kit's own key signs the receipt right before it is destroyed. Example:

        sudo stairwell erase --stop --receipt /media/usb/receipt.json
    """
    tongue = language(lang)

    def tell(text: Text) -> None:
        if not as_json:
            typer.echo(text.told(tongue), err=True)

    path = config_path(config)
    settings = load(path)
    _check_receipt(receipt, settings)
    if stop:
        _stop()
    with _begun(settings, None if keep_settings else path) as erasure:
        kit = erasure.mark.kit
        if erasure.resumed:
            tell(say("Kit {kit}: an earlier run was cut off; it goes on.", kit=kit))
        else:
            tell(_forecast(erasure))
        erasure.check(even_held=even_held)
        if not yes and not erasure.resumed:
            _ask(kit, say("Type the kit's id to erase it for good").told(tongue))
        # Connected while there is a key to connect with; the receipt is told before the last key goes.
        with Farewell(settings, SystemClock()) as last, bars("erase", quiet=as_json) as progress:
            heard = list[bool]()

            def keep(done: Receipt) -> None:
                _keep(receipt, done)
                heard.append(last.say(done))

            told = erasure.destroy(keep, progress.advance)
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        sys.stdout.flush()
        erasure.finish()
        discarded = shred.discard(settings.state.dir)
    tell(say("Kit {kit} is erased. The receipt stands above.", kit=kit))
    tell(say("The city was told.") if heard[-1] else say("The city could not be told: bring it the receipt."))
    tell(
        say("The card was told to forget its free room.")
        if discarded
        else say("The card could not be told to forget its free room (fstrim).")
    )
    tell(
        say(
            "A memory card writes elsewhere than it was told: its chips may still hold remains of what "
            "was overwritten, keys included. Sealed clips can be opened by the city's keys only, wherever "
            "they lie. Have the city let the kit go (stairwell fleet retire); where remains matter, destroy "
            "the card."
        )
    )


def _begun(settings: Settings, settings_file: Path | None) -> Erasure:
    try:
        return Erasure(settings, settings_file, SystemClock())
    except OccupiedError as error:
        raise StorageError(
            error.words[0],
            fix=say("add --stop, or first: sudo systemctl stop stairwell-agent"),
        ) from None


def _forecast(erasure: Erasure) -> Text:
    """What will go."""
    counts = erasure.mark.counts
    parts = [
        counted("{n} file", "{n} files", counts.files),
        say("{mb:.1f} MB", mb=counts.bytes / MB),
        counted("{n} clip", "{n} clips", counts.clips),
        counted("{n} key", "{n} keys", len(counts.keys)),
    ]
    if counts.held is not None:
        parts.append(say("{held} on hold", held=counts.held))
    if counts.messages is not None:
        parts.append(counted("{n} message", "{n} messages", counts.messages))
    if counts.audit is not None:
        parts.append(counted("{n} line of the audit", "{n} lines of the audit", counts.audit))
    return say("Kit {kit} will lose: {what}.", kit=erasure.mark.kit, what=joined(", ", parts))


def _ask(kit: str, question: str) -> None:
    """Go on when the kit's id was typed."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to be asked: give --yes")
    if typer.prompt(question, err=True).strip().lower() != kit:
        raise StairwellError(
            say("that is another id: nothing was erased"), fix=say("type {kit}, or use its card", kit=kit)
        )


def _stop() -> None:
    """Stop what works on the state directory.

    Raises:
        StairwellError: it did not stop.
    """
    answer = program.ask("systemctl", "stop", *UNITS, timeout_s=STOP_S)
    if answer is None or answer.code != 0:
        why = answer.err.strip() if answer else "systemctl"
        raise StairwellError(
            say("the agent could not be stopped ({why})", why=why),
            fix=say(
                "run it with sudo; where there is no systemd, stop the agent by hand and leave --stop out"
            ),
        )


def _check_receipt(path: Path | None, settings: Settings) -> None:
    """Know before anything is gone that the receipt can be kept."""
    if path is None:
        return
    folder = path.absolute().parent.resolve()
    kept = (settings.state.dir.resolve(), settings.clips_dir.resolve())
    if any(folder.is_relative_to(gone) for gone in kept):
        raise StorageError(
            say("{path}: would be erased with the kit", path=path), fix=say("name a file elsewhere")
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(
            say("{path}: cannot be written", path=path), fix=say("name a file in a directory that is there")
        )


def _keep(path: Path | None, told: Receipt) -> None:
    if path is None:
        return
    try:
        write_whole(path, f"{json.dumps(told, indent=2, ensure_ascii=False)}\n".encode(), RECEIPT_MODE)
    except OSError as error:
        raise StorageError(
            say("{path}: the receipt cannot be written ({reason})", path=path, reason=reason(error)),
            fix=say("run it again with another --receipt: the signing key is still there"),
            errno=error.errno,
        ) from None
