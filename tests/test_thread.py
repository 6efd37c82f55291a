"""Threads that the kernel knows by name."""

from __future__ import annotations

import threading
from pathlib import Path

from agent.thread import NamedThread


def test_the_kernel_has_the_name() -> None:
    """What `top -H` shows is the stage's name, cut to what the kernel keeps."""
    heard: list[str] = []

    def listen() -> None:
        heard.append(Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text())

    for name in ("courier", "a name of more than fifteen"):
        thread = NamedThread(name, listen)
        assert thread.daemon
        thread.start()
        thread.join()
    assert ["courier\n", "a name of more \n"] == heard
