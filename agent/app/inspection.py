"""`stairwell clips check`: the store proved on the spot, and what may safely be repaired, repaired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.app import wear
from agent.app.deletion import sweep
from agent.clips import check, premises

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyrage import x25519

    from agent.app.archive import Archive
    from agent.clips.check import Finding, View
    from agent.device.identity import PublicKey

WEAR_DAYS = 7


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a check came to. `decoded`: a key was given, so the pictures were decoded too."""

    clips: int
    bytes: int
    scanned: int
    decoded: bool
    findings: tuple[Finding, ...]
    repaired: tuple[Finding, ...]
    wear: tuple[tuple[str, int], ...]

    @property
    def broken(self) -> list[Finding]:
        """What breaks a promise still."""
        return [finding for finding in self.findings if finding.broken]

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "clips": self.clips,
            "bytes": self.bytes,
            "scanned_bytes": self.scanned,
            "decoded": self.decoded,
            "sound": not self.broken,
            "findings": [finding.as_dict() for finding in self.findings],
            "repaired": [finding.as_dict() for finding in self.repaired],
            "wear": [{"day": day, "bytes": count} for day, count in self.wear],
        }


def inspect(
    archive: Archive,
    public_key: PublicKey,
    keys: Sequence[x25519.Identity],
    *,
    repair: bool,
    progress: Callable[[str, int, int], None],
) -> Inspection:
    """Check the whole store, beside a running agent or without one.

    `progress` is told a step's name, the bytes that it has done just now and all that it has to do.

    Raises:
        StorageError: a disk refuses.
    """
    seen, findings = check.check_index(archive.directory, lambda: archive.read(check.view))
    repaired: list[Finding] = []
    if repair:
        repaired = _repair(archive, seen, findings)
        if repaired:
            seen, findings = check.check_index(archive.directory, lambda: archive.read(check.view))
    absent = {finding.what for finding in findings if finding.code in {"absent", "missing"}}
    size = 0
    if str(archive.directory) not in absent:
        present = [row for row in seen.clips if row.record.path not in absent]
        size = sum(row.record.bytes for row in present)
        for row in present:
            found = check.check_clip(
                archive.directory,
                row,
                seen.readback.get(row.record.id),
                public_key,
                keys,
                lambda count: progress("clips", count, size),
            )
            if found and any(row.record.id == still.record.id for still in archive.clips()):
                findings += found  # else it was deleted meanwhile
    roots = {archive.settings.state.dir, archive.directory}
    whole = sum(length for _, length in check.files(roots))
    sealed = archive.settings.clips.seal != "none"
    found, scanned = check.check_sealing(
        roots, sealed=sealed, progress=lambda count: progress("open footage", count, whole)
    )
    days = archive.read(lambda tx: wear.days(tx, WEAR_DAYS))
    return Inspection(
        len(seen.clips), size, scanned, bool(keys), (*findings, *found), tuple(repaired), tuple(days)
    )


def _repair(archive: Archive, seen: View, findings: Sequence[Finding]) -> list[Finding]:
    """Mend what loses nothing: the findings that were mended."""
    mended = []
    if any(finding.code == "absent" for finding in findings):
        mark = premises.make_mark(archive.directory)
        archive.ask(lambda tx: premises.keep_mark(tx, mark))
        mended += [finding for finding in findings if finding.code == "absent"]
        _, findings = check.check_index(archive.directory, lambda: archive.read(check.view))
    missing = [finding for finding in findings if finding.code == "missing"]
    gone = {finding.what for finding in missing}
    archive.forget([row for row in seen.clips if row.record.path in gone])
    mended += missing
    garbage = [finding for finding in findings if finding.code == "garbage"]
    if garbage or missing:
        sweep(archive, archive.directory)
    return mended + garbage
