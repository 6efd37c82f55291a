"""Renders `firmware-config/`: the files of a kit's boot partition and root, from the values of city and kit.

The one tool that does: what is written onto a card and what the tests give to the real parsers is the same.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from agent.card import readonly
from agent.card.template import fill
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.card.kits import Kits, Network, Secrets

SOURCE = Path(__file__).parent.parent.parent / "firmware-config"
"""Beside the agent in a checkout; the package on a kit has none, for no card is prepared there."""

NAMESPACE = UUID("6f1d5c0e-8a1b-4e5c-9f5e-5a8d0c4b7e21")
"""Of the connections' UUIDs: the same kit gets the same ones each time its card is made."""

SECRET, SUDOERS, ORDINARY = 0o600, 0o440, 0o644
MODES = {
    "etc/NetworkManager/system-connections": SECRET,  # NetworkManager passes over what others could read
    "etc/sudoers.d": SUDOERS,  # sudo as well
}
BEGIN, END = "# --- stairwell:", "# --- stairwell: end ---"
FRAGMENT, CMDLINE = "config.txt", "cmdline.toml"
PARTITION = "partition"  # of the boot files only a kit with a read-only root has it
LINE_BYTES = 98  # the firmware reads no more of a line of config.txt (Raspberry Pi documentation, config.txt)
CONNECTIONS = ("ethernet", "wifi", "lte")


@dataclass(frozen=True, slots=True)
class RootFile:
    """A file of the kit's root, root's own: `path` is absolute without the leading slash."""

    path: str
    mode: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """Everything for one kit; `boot` by name, without what the image has to say to it."""

    hostname: str
    zone: str
    boot: dict[str, str]
    root: tuple[RootFile, ...]
    cmdline: str
    read_only: bool

    def plan(self, *, cloud_init: bool) -> CmdlinePlan:
        """What is done to the kernel command line of an image with or without cloud-init."""
        table = tomllib.loads(self.cmdline)
        more = table["add_cloud_init"] if cloud_init else table["add_firstrun"]
        less = table["remove_read_only"] if self.read_only else ()
        return CmdlinePlan((*table["remove"], *less), (*table["add"], *more))


@dataclass(frozen=True, slots=True)
class CmdlinePlan:
    """What is done to the image's kernel command line; see boot/cmdline.toml."""

    remove: tuple[str, ...]
    add: tuple[str, ...]

    def apply(self, line: str) -> str:
        """The command line of the kit from the image's; the same when it is applied twice."""
        words = [
            word
            for word in line.split()
            if word not in self.remove and word.split("=")[0] not in self.remove and not self._console(word)
        ]
        return " ".join([*words, *(word for word in self.add if word not in words)]) + "\n"

    def _console(self, word: str) -> bool:
        """`console=serial0,115200` goes by `console=serial0`: what follows the comma is its speed."""
        return word.split(",", maxsplit=1)[0] in self.remove


def hostname(kit: str) -> str:
    """The name of a kit in its networks."""
    return f"stairwell-{kit}"


def render(kits: Kits, secrets: Secrets, kit: str, instance: str, source: Path = SOURCE) -> Rendered:
    """Every file for the kit `kit`; `instance` differs with every card that is made.

    Raises:
        ConfigError: a template is missing or has a placeholder that nothing fills.
    """
    values = _values(kits, secrets, kit, instance)
    boot = {path.name: _filled(path, values) for path in _files(source / "boot")}
    cmdline = boot.pop(CMDLINE)
    long = [line for line in boot.get(FRAGMENT, "").splitlines() if line[0] != "#" and len(line) > LINE_BYTES]
    if long:
        raise ConfigError(f"{FRAGMENT}: {long[0]!r} is longer than {LINE_BYTES} bytes", fix="shorten it")
    if not kits.root.read_only:
        del boot[PARTITION]
    absent = _absent(kits)
    root = [
        RootFile(str(name), _mode(name), _filled(source / "root" / name, values).encode())
        for path in _files(source / "root")
        if (name := PurePosixPath(path.relative_to(source / "root"))).stem not in absent
    ]
    if kits.root.read_only:
        root += [
            RootFile(name, ORDINARY, text.encode()) for name, text in readonly.files(source, values).items()
        ]
    return Rendered(values["hostname"], kits.time.zone, boot, tuple(root), cmdline, kits.root.read_only)


def with_fragment(config: str, fragment: str) -> str:
    """The image's config.txt with ours at its end, in place of one that was there."""
    kept: list[str] = []
    inside = False
    for line in config.splitlines():
        inside = inside or (line.startswith(BEGIN) and line != END)
        if not inside:
            kept.append(line)
        inside = inside and line != END
    return "\n".join([*kept, *fragment.splitlines()]) + "\n"


def _files(directory: Path) -> list[Path]:
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    if not found:
        raise ConfigError(f"{directory}: no templates", fix="run it from a checkout of the project")
    return found


def _filled(path: Path, values: dict[str, str]) -> str:
    return fill(path.read_text(encoding="utf-8"), values, str(path))


def _absent(kits: Kits) -> set[str]:
    """Connections that the city does not have."""
    return {name for name, there in (("wifi", kits.wifi.ssid), ("lte", kits.lte.apn)) if there is None}


def _mode(name: PurePosixPath) -> int:
    return MODES.get(str(name.parent), ORDINARY)


def _values(kits: Kits, secrets: Secrets, kit: str, instance: str) -> dict[str, str]:
    firewall, lte = kits.firewall, kits.lte
    overlay = kits.camera.overlay
    data = str(uuid5(NAMESPACE, f"{kit} {instance} data"))
    return {
        "kit": kit,
        "hostname": hostname(kit),
        "instance": instance,
        "camera": {"auto": "camera_auto_detect=1", "none": "camera_auto_detect=0"}.get(
            overlay, f"camera_auto_detect=0\ndtoverlay={overlay}"
        ),
        "wifi_overlay": "dtoverlay=disable-wifi" if kits.wifi.ssid is None else "",
        "country": kits.wifi.country,
        "ntp_servers": " ".join(kits.time.ntp),
        "chrony_servers": "\n".join(f"server {name} iburst" for name in kits.time.ntp),
        **_sets("management", firewall.management),
        **_sets("servers", firewall.servers),
        **_sets("cameras", firewall.cameras),
        "server_ports": ", ".join(str(port) for port in firewall.ports),
        "user_ca": kits.ssh.user_ca,
        "system_gb": str(kits.root.system_gb),
        "data_uuid": data,
        "data_device": readonly.escaped(f"/dev/disk/by-uuid/{data}"),
        **{f"uuid_{name}": str(uuid5(NAMESPACE, f"{kit} {name}")) for name in CONNECTIONS},
        "wifi_ssid": _keyfile(kits.wifi.ssid or ""),
        "wifi_psk": _keyfile(secrets.psk or ""),
        "lte_apn": lte.apn or "",
        "lte_login": "\n".join(
            line
            for line, value in (
                (f"username={lte.user}", lte.user),
                (f"password={_keyfile(secrets.password or '')}", secrets.password),
            )
            if value
        ),
        "lte_pin": f"pin={secrets.pin}" if secrets.pin else "",
    }


def _sets(name: str, networks: Iterable[Network]) -> dict[str, str]:
    """The elements of an nft set for each version of IP; nothing for an empty set."""
    found = {4: list[str](), 6: list[str]()}
    for network in networks:
        found[network.version].append(str(network))
    return {
        f"{name}{version}": f"elements = {{ {', '.join(texts)} }};" if texts else ""
        for version, texts in found.items()
    }


def _keyfile(text: str) -> str:
    r"""As GLib's key files want it: `\` doubled, a leading blank as `\s`."""
    text = text.replace("\\", "\\\\")
    return "\\s" + text[1:] if text.startswith(" ") else text
