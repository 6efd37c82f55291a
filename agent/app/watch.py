"""Whether all that should move moves, and who died: what ends the process, for a new one to begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.app import journal
from agent.capture.kind import RECORDED, source_kind
from agent.errors import ANEW, StairwellError, StallError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.app.blindness import Blindness
    from agent.app.readback import ReadBackStage
    from agent.app.stages import AnalysisStage, CameraStage, RecordingStage
    from agent.backbone.courier import Courier
    from agent.backbone.inbox import Inbox
    from agent.config import Settings
    from agent.database import Database

STAGE_STALL_S = 20.0  # a stage with work waiting and none done for so long: two camera stalls at the default
RECORDING_STALL_S = 2 * journal.COMMIT_TIMEOUT_S  # a card may be slow for as long as a write may take, twice
COURIER_STALL_S = RECORDING_STALL_S  # it waits for the same card
INBOX_STALL_S = RECORDING_STALL_S  # as well; what takes longer has a thread of its own
SILENCE_MARGIN_S = 10.0  # to open a source and decode its first picture on a busy kit

_REPORT_IT = say("report it with the journal's last lines")


@dataclass(slots=True)
class Watch:
    """Looks at the parts of an agent. `faults` tell by name what killed the threads that are no stages."""

    settings: Settings
    camera: CameraStage
    analysis: AnalysisStage
    recording: RecordingStage
    readback: ReadBackStage
    courier: Courier
    inbox: Inbox
    database: Database
    blindness: Blindness
    faults: Mapping[str, Callable[[], BaseException | None]]

    def look_at_camera(self) -> None:
        """A camera that is dead for long has the kit reboot. Before its stage's own end is raised."""
        latest = self.camera.latest
        self.blindness.look(seen=None if latest is None else latest.t, down=self.camera.alarm)

    def check_progress(self, now: float) -> None:
        """Return if whatever has work does it, and the source hangs not unsaid.

        Raises:
            StallError: it doesn't.
        """
        capture = self.settings.capture
        # Twice the time after which the source itself has to say that it is down.
        silence_s = 2 * (capture.stall_after_s + 1 / capture.fps) + SILENCE_MARGIN_S
        endless = capture.loop or source_kind(capture.source) not in RECORDED
        for name, since, limit_s in (
            ("analysis", self.analysis.busy_since, STAGE_STALL_S),
            ("recording", self.recording.busy_since, RECORDING_STALL_S),
            ("courier", self.courier.busy_since, COURIER_STALL_S),
            ("inbox", self.inbox.busy_since, INBOX_STALL_S),
            ("camera", self.camera.silent_since if endless else None, silence_s),
        ):
            if since is not None and now - since > limit_s:
                raise StallError(
                    say("{name}: nothing done for {seconds:.0f} s", name=name, seconds=now - since), fix=ANEW
                )
        if self.database.unsound is not None:
            raise StallError(
                say("{path}: damaged ({why})", path=self.database.path, why=self.database.unsound),
                fix=say("none needed: the next start sets it aside; replace the card if it comes again"),
            )
        if not self.database.alive:
            raise StallError(say("database: its writer died"), fix=say("see the journal above this line"))

    def raise_failure(self) -> None:
        """Return if nothing died.

        Raises:
            StairwellError: a stage gave up, and says why.
            StallError: something died of a fault of ours.
        """
        for stage in (self.camera, self.analysis, self.recording, self.readback):
            if isinstance(stage.failure, StairwellError):
                raise stage.failure
            if stage.failure is not None:
                raise _death(stage.name, stage.failure) from stage.failure
        for name, fault in ((name, look()) for name, look in self.faults.items()):
            if fault is not None:
                raise _death(name, fault) from fault


def _death(name: str, fault: BaseException) -> StallError:
    return StallError(say("{name}: died ({fault!r})", name=name, fault=fault), fix=_REPORT_IT)
