"""What a card's boot partition holds for one kit: every file, made before the first byte is written."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.card.firmware import FRAGMENT, PARTITION, render, with_fragment
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.card.boot import Boot
    from agent.card.firmware import Rendered, RootFile
    from agent.card.image import System
    from agent.card.kits import Kits, Secrets
    from agent.card.package import Package
    from agent.device.enrolfile import EnrolFile

FOLDER = "stairwell"
ENROL, SETTINGS, SUMS = f"{FOLDER}/enrol.toml", f"{FOLDER}/settings.tar", f"{FOLDER}/SHA256SUMS"
CMDLINE = "cmdline.txt"
FOR_CLOUD_INIT = ("user-data", "network-config", "meta-data")
FOR_FIRSTRUN = ("firstrun.sh",)
OURS = ("begin", "install", PARTITION)


@dataclass(frozen=True, slots=True)
class City:
    """What every card of a batch has in common."""

    kits: Kits
    secrets: Secrets
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """Files by their names on the boot partition; `digest` is the same for the same card, for no other."""

    kit: str
    files: Mapping[str, bytes | Path]
    digest: str


def content(city: City, enrol: EnrolFile, system: System, image_sha256: str, boot: Boot) -> Content:
    """The files of the card of the kit that `enrol` is of; `boot` is the image's boot partition, only read.

    Raises:
        ConfigError: the image lacks config.txt or cmdline.txt, or a template cannot be filled.
    """
    instance = hashlib.sha256(f"{enrol.kit} {enrol.claim}".encode()).hexdigest()[:16]
    rendered = render(city.kits, city.secrets, enrol.kit, instance)
    enrol = _with_camera(enrol, city.kits)
    files: dict[str, bytes | Path] = {
        FRAGMENT: with_fragment(_image_text(boot, FRAGMENT), rendered.boot[FRAGMENT]).encode(),
        CMDLINE: rendered.plan(cloud_init=system.cloud_init).apply(_image_text(boot, CMDLINE)).encode(),
    }
    for name in FOR_CLOUD_INIT if system.cloud_init else FOR_FIRSTRUN:
        files[name] = rendered.boot[name].encode()
    ours = _ours(enrol, rendered)
    sums = {name: _digest(ours[name]) for name in ours} | {
        f"{FOLDER}/packages/{package.path.name}": package.sha256 for package in city.packages
    }
    files |= ours
    files |= {f"{FOLDER}/packages/{package.path.name}": package.path for package in city.packages}
    listed = "".join(
        f"{digest}  {name.removeprefix(FOLDER + '/')}\n" for name, digest in sorted(sums.items())
    )
    files[SUMS] = listed.encode()
    whole = hashlib.sha256(image_sha256.encode())
    for name in sorted(files):
        digest = sums.get(name)
        data = files[name]
        whole.update(f"{name} {digest or (_digest(data) if isinstance(data, bytes) else '')}\n".encode())
    return Content(enrol.kit, files, whole.hexdigest())


def _with_camera(enrol: EnrolFile, kits: Kits) -> EnrolFile:
    """With the ribbon cable's camera as source, where the city's kits have one and the file names none."""
    if kits.camera.overlay == "none" or "source" in enrol.settings.get("capture", {}):
        return enrol
    capture = {**enrol.settings.get("capture", {}), "source": "picamera:"}
    return enrol.model_copy(update={"settings": {**enrol.settings, "capture": capture}})


def _ours(enrol: EnrolFile, rendered: Rendered) -> dict[str, bytes]:
    return {
        ENROL: enrol.text().encode(),
        SETTINGS: _archive(rendered.root),
        f"{FOLDER}/hostname": f"{rendered.hostname}\n".encode(),
        f"{FOLDER}/zone": f"{rendered.zone}\n".encode(),
        **{f"{FOLDER}/{name}": rendered.boot[name].encode() for name in OURS if name in rendered.boot},
    }


def _archive(files: Sequence[RootFile]) -> bytes:
    """The files as root's own, with their modes; the same bytes for the same files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(files, key=lambda file: file.path):
            info = tarfile.TarInfo(file.path)
            info.mode, info.size, info.uname, info.gname = file.mode, len(file.data), "root", "root"
            archive.addfile(info, io.BytesIO(file.data))
    return target.getvalue()


def _image_text(boot: Boot, name: str) -> str:
    data = boot.read(name)
    if data is None:
        raise ConfigError(f"the image's boot partition has no {name}", fix="take an undamaged official image")
    return data.decode(errors="replace")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
