"""A thread that the kernel knows by its name, as Python does: `top -H` then tells which stage works."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

COMM = Path("/proc/self/task")


class NamedThread(threading.Thread):
    """A daemon thread that runs `target`; of its name the kernel keeps 15 bytes."""

    def __init__(self, name: str, target: Callable[[], object]) -> None:
        super().__init__(name=name, target=target, daemon=True)

    def run(self) -> None:
        """See threading.Thread."""
        with contextlib.suppress(OSError):  # a label, no more: nothing depends on it
            (COMM / str(threading.get_native_id()) / "comm").write_text(self.name, encoding="utf-8")
        super().run()
