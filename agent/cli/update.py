"""`stairwell update`: another release of the agent, on trial until the platform acknowledges it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import agent
from agent.app import ordered
from agent.app.update import Battery, install
from agent.app.updatebook import Attempt, Standing, UpdateBook
from agent.cli.language import Lang, language
from agent.cli.options import ConfigFile, config_path
from agent.config import Settings, load
from agent.config_layers import Layers
from agent.device import program
from agent.device.account import asker
from agent.device.clock import SystemClock
from agent.device.releases import HOME, Releases
from agent.device.unit import NAME as UNIT
from agent.errors import UpdateError
from agent.words import Language, Text, say, verbatim

RESTART_S = 300.0  # its unit gives a stop two minutes, and a start three

Bundle = Annotated[
    Path | None, typer.Argument(metavar="BUNDLE", help="A signed release, of scripts/build-bundle.")
]


def update(
    bundle: Bundle = None,
    config: ConfigFile = None,
    home: Annotated[Path, typer.Option("--home", metavar="DIR", help="Where releases lie.")] = HOME,
    restart: Annotated[
        bool, typer.Option("--restart/--no-restart", help="Start the agent anew, with the new release.")
    ] = True,
    asked: Annotated[
        bool, typer.Option("--asked", help="The release that the agent was ordered to take (for its unit).")
    ] = False,
    lang: Lang = None,
) -> None:
    """Install a release beside the one that runs, and let it run on trial. Without a file: how things stand.

        sudo stairwell update stairwell-1.2.0-bookworm-arm64.release

    It must be signed with a key of `update.release_keys`, newer than what was acknowledged before, and answer
    by itself with this kit's settings. If it ends twice without an acknowledgement of the platform's (of the
    broker's, with `backbone.delivery = "puback"`), or has none after 15 minutes, what ran before runs again.
    The audit tells who began it and how it ended. After a power cut, say the same again.
    """
    if bundle is not None and asked:
        raise typer.BadParameter("the release that was ordered is taken, and no other", param_hint="BUNDLE")
    speech, releases = language(lang), Releases(home)
    if bundle is None and not asked:
        _show(releases, speech)
        return
    path = config_path(config)
    if bundle is None:
        layers = Layers.read(Settings, path)
        # English, as all that a unit says to the journal.
        ordered.install_asked(layers, releases, home, Battery(path).prove, lambda step: _tell(step, "en"))
        return
    settings = load(path)
    attempt = Attempt(
        UpdateBook(settings, SystemClock()),
        asker(),
        lambda why: _tell(say("Not noted in the audit: {why}", why=why), speech),
    )
    with attempt.told():
        done = install(
            bundle,
            settings.update.release_keys,
            releases,
            Battery(path).prove,
            attempt.begin,
            lambda step: _tell(step, speech),
        )
    release = done.manifest.name
    if done.trial is None:
        typer.echo(say("{release} runs already", release=release).told(speech))
        return
    told = say("{release}: installed, and on trial from the agent's next start", release=release)
    typer.echo(told.told(speech))
    if restart:
        start_anew()


def start_anew() -> None:
    """Let the service manager start the agent anew, and wait until it has.

    Raises:
        UpdateError: it did not.
    """
    answer = program.ask("systemctl", "restart", UNIT, timeout_s=RESTART_S)
    if answer is not None and answer.code == 0:
        return
    said = say("systemctl does not answer")
    if answer is not None:
        said = (
            verbatim(answer.err.strip())
            if answer.err.strip()
            else say("systemctl ended with {code}", code=answer.code)
        )
    raise UpdateError(
        say("{unit} did not start anew: {said}", unit=UNIT, said=said),
        fix=say(
            "none if the release is at fault: it is taken back. `systemctl status {unit}` tells more",
            unit=UNIT,
        ),
    )


def _tell(step: Text, speech: Language) -> None:
    typer.echo(step.told(speech), err=True)


def _show(releases: Releases, speech: Language) -> None:
    standing = Standing.of(releases)
    package = say("the package, {version}", version=agent.__version__)
    lines = [say("runs:   {release}", release=standing.current or package)]
    trial = standing.trial
    if trial is not None:
        lines.append(
            say(
                "trial:  {starts} starts, {minutes} of 15 minutes; before it ran {previous}",
                starts=trial.starts,
                minutes=trial.minutes,
                previous=trial.previous,
            )
        )
    if standing.failed is not None:
        lines.append(say("failed: {why}", why=standing.failed))
    lines.append(say("floor:  {counter}", counter=releases.floor()))
    for line in lines:
        typer.echo(line.told(speech))
