"""A real browser without a screen, driven by the DevTools protocol over two pipes: no port, no driver."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAM = "chromium-headless-shell"
PATIENCE_S = 60.0  # the machine may be busy; nothing here takes a second by itself


class Page:
    """One tab. Places are CSS pixels of the window."""

    def __init__(self, to: int, back: int, width: int, height: int, *, touch: bool) -> None:
        self._to, self._back = to, back
        self._number = 0
        self._rest = b""
        self.session: str | None = None
        self.complaints: list[str] = []
        """What the page wrote to its console as an error, and what its policy refused."""
        self.dialogs: list[str] = []
        """What it asks, and stands still for."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if touch else 1,
            mobile=touch,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """The browser's answer to a command of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._hear()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                found: dict[str, Any] = answer["result"]
                return found

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._back], [], [], PATIENCE_S)[0], "the browser says nothing"
            part = os.read(self._back, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        params = told.get("params", {})
        if told.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        if told.get("method") == "Log.entryAdded" and params["entry"]["source"] in {"security", "violation"}:
            self.complaints.append(params["entry"]["text"])
        if told.get("method") == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
        return told

    def open(self, address: str) -> None:
        """Go there, and wait until it is there."""
        self.call("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(address)})")

    def ask(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page says
        """The value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until the expression holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.ask(
            f"(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        ):
            assert time.monotonic() < deadline, f"{expression}: {self.ask('document.body.innerText')}"
            time.sleep(0.05)

    def answer(self, *, accept: bool) -> str:
        """What the page asks in a dialog, once it does; it goes on with this answer."""
        while not self.dialogs:
            self._hear()
        self.call("Page.handleJavaScriptDialog", accept=accept)
        return self.dialogs.pop()

    def place(self, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
        """Where this fraction of an element is now; it is scrolled into view."""
        box = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]; })()"
        )
        return box[0] + x * box[2], box[1] + y * box[3]

    def click(self, selector: str) -> None:
        """With the mouse, in its middle."""
        self.drag(self.place(selector), self.place(selector))

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.call("Input.insertText", text=text)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With the mouse."""
        for kind, (x, y), buttons in (
            ("mouseMoved", start, 0),
            ("mousePressed", start, 1),
            ("mouseMoved", ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), 1),
            ("mouseMoved", end, 1),
            ("mouseReleased", end, 0),
        ):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1
            )

    def swipe(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With a finger."""
        for kind, places in (
            ("touchStart", [start]),
            ("touchMove", [((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)]),
            ("touchMove", [end]),
            ("touchEnd", []),
        ):
            points = [{"x": x, "y": y} for x, y in places]
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def picture(self, path: Path) -> None:
        """What a person would see, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def chromium() -> Iterator[Callable[..., Page]]:
    """A browser; what it gives opens a tab of a width and height, with `touch` or a mouse."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.fail(f"{PROGRAM} is missing: scripts/setup installs it")
    (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(  # it reads from 3 and writes to 4
            ["bash", "-c", f'exec "$0" "$@" 3<&{their_in} 4>&{their_out}', program, "--remote-debugging-pipe",
             "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-dev-shm-usage", "--lang=en",
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(their_in, their_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        try:
            yield lambda width, height, *, touch=False: Page(our_out, our_in, width, height, touch=touch)
        finally:
            browser.kill()
            browser.wait()
            os.close(our_out)
            os.close(our_in)
