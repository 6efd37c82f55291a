"""Alarms of what the agent stands on: the board, its papers, the way to the broker."""

from __future__ import annotations

from agent.doctor.kinds import AlarmKind
from agent.words import say

SURROUNDINGS: tuple[AlarmKind, ...] = (
    AlarmKind(
        "update.trial",
        "minor",
        say("A new release of the agent is on trial"),
        say("None needed: it stays if this kit's messages are acknowledged within 15 minutes"),
    ),
    AlarmKind(
        "update.failed",
        "major",
        say("The last update was taken back"),
        say("Look why (stairwell update), and send this kit a release that runs here"),
    ),
    AlarmKind(
        "power.undervoltage",
        "major",
        say("The supply sags below 4.63 V"),
        say("Use the maker's power supply and a short thick cable"),
    ),
    AlarmKind(
        "power.throttled",
        "minor",
        say("The processor is slowed down"),
        say("Cool the box; check the supply"),
    ),
    AlarmKind(
        "temp.cpu",
        "major",
        say("The processor overheats"),
        say("Give the box air and shade, fit a heat sink"),
    ),
    AlarmKind(
        "temp.fan",
        "minor",
        say("The fan is switched on and does not turn"),
        say("Plug the fan in, or replace it"),
    ),
    AlarmKind(
        "mem.free",
        "major",
        say("Memory runs out"),
        say("Restart the agent; lower clips.ring_mb"),
    ),
    AlarmKind(
        "disk.free",
        "major",
        say("The card is almost full"),
        say("Free space, or lower clips.max_mb; clips on hold are never deleted by themselves"),
    ),
    AlarmKind(
        "disk.inodes",
        "major",
        say("The card has hardly any places for files left"),
        say("Find what made so many files: sudo du --inodes -x -d3 / | sort -n | tail"),
    ),
    AlarmKind(
        "disk.errors",
        "major",
        say("The card's file system counts errors"),
        say("Replace the card; export its clips before (stairwell clips export)"),
    ),
    AlarmKind(
        "boot.reset",
        "major",
        say("The board hung, and its watchdog started it anew"),
        say("See what hung (journalctl --boot=-1 --priority=warning); look at supply, heat and card"),
    ),
    AlarmKind(
        "kit.burnin",
        "major",
        say("The kit did not pass its burn-in"),
        say("Replace the part that it names, then: stairwell burnin, with the agent stopped"),
    ),
    AlarmKind(
        "sd.life",
        "major",
        say("The flash is almost worn out"),
        say("Replace the card in time"),
    ),
    AlarmKind(
        "config.refused",
        "major",
        say("The city's configuration was refused; the one before is in force"),
        say("cfg/rep tells why; publish a corrected revision with a higher number"),
    ),
    AlarmKind(
        "config.rolled_back",
        "major",
        say("The kit could not work with the new configuration and went back to the one before"),
        say("cfg/rep tells why; publish a corrected revision with a higher number"),
    ),
    AlarmKind(
        "config.corrupt",
        "minor",
        say("The stored configuration of the city was damaged; the last good one is in force"),
        say("Replace the card if it comes again; publish a new revision if need be"),
    ),
    AlarmKind(
        "privacy.lost",
        "major",
        say("The masks drawn on the spot are damaged; until they are drawn again the whole picture is black"),
        say("Draw masks and zones again: stairwell commission view"),
    ),
    AlarmKind(
        "net.dns",
        "major",
        say("The broker's name cannot be resolved"),
        say("Check backbone.host and the name servers (resolvectl status)"),
    ),
    AlarmKind(
        "net.tcp",
        "major",
        say("The broker cannot be reached"),
        say("Check the kit's network, backbone.port, and that the broker runs"),
    ),
    AlarmKind(
        "net.tls",
        "major",
        say("There is no TLS with the broker"),
        say("stairwell doctor --only 'net.*' --only 'id.*' names the certificate that is at fault"),
    ),
    AlarmKind(
        "net.mqtt",
        "major",
        say("The broker does not take the kit"),
        say("See at the broker whether it knows the kit; stairwell status tells the cause"),
    ),
    AlarmKind(
        "mqtt.acl",
        "major",
        say("The broker refuses what the kit publishes"),
        say("Check the broker's ACL, and the kit's site and kit.id"),
    ),
    AlarmKind(
        "identity.cloned",
        "critical",
        say("Somebody else poses as this kit"),
        say("Revoke the certificate and issue another: the card was copied, or there are two agents"),
    ),
    AlarmKind(
        "id.cert_expiry",
        "major",
        say("The kit's certificate runs out"),
        say("Issue the kit a new certificate"),
    ),
    AlarmKind(
        "id.key_matches",
        "major",
        say("The kit's certificate and key are no pair"),
        say("Issue the kit a certificate for its key"),
    ),
    AlarmKind(
        "clock.untrusted",
        "major",
        say("The clock is not set: TLS is impossible"),
        say("Let the kit reach NTP (UDP 123), or give its clock a battery"),
    ),
)
