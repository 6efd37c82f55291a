"""What the running agent may be asked at its hatch, and by whom it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.app import hatch
from agent.app.drawing import DrawingDesk
from agent.app.hatch import Hatch
from agent.app.lookout import Lookout
from agent.app.referee import Referee
from agent.device.volatile import runtime_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.journal import Journal
    from agent.app.reconfiguration import Terms
    from agent.app.stages import AnalysisStage
    from agent.app.status import StatusDesk
    from agent.config import Settings
    from agent.device.clock import Clock


def open_hatch(
    settings: Settings,
    terms: Terms,
    clock: Clock,
    journal: Journal,
    desk: StatusDesk,
    analysis: AnalysisStage,
    begin_anew: Callable[[], None],
) -> Hatch:
    """The hatch with all its answers, not started yet. `analysis` has the newest picture."""
    lookout = Lookout(settings, clock, journal, lambda: analysis.latest)
    referee = Referee(settings, clock, journal, analysis)
    drawing = DrawingDesk(terms, clock, journal, begin_anew)
    return Hatch(
        runtime_dir(settings.state.dir) / hatch.NAME,
        {**desk.answers, "drawn": drawing.drawn, **lookout.answers, **referee.answers},
        {"redraw": drawing.redraw, "board": drawing.board},
    )
