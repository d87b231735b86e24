"""A headless chromium, driven over the Chrome DevTools protocol through a pair of pipes.

Protocol: https://chromedevtools.github.io/devtools-protocol/. Nothing but the standard library and a chromium on PATH.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)


def chromium() -> str:
    """Path of a chromium; the test is skipped where none is installed."""
    found = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    if found is None:
        pytest.skip("no chromium is installed")
    return found


class Page:
    """One page in a browser of its own, with an empty profile and no network."""

    def __init__(self, profile: Path, width: int = 1200, height: int = 900, touch: bool = False) -> None:
        to_browser, self._out = (_high(end) for end in os.pipe())
        self._in, from_browser = (_high(end) for end in os.pipe())

        def pipes() -> None:
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        command = [chromium(), *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            command, close_fds=False, preexec_fn=pipes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._last = 0
        self._session = ""
        self.messages: list[str] = []
        targets = self._call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self.resize(width, height, touch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._in)
        os.close(self._out)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._note(answer)

    def _receive(self, seconds: float = 60.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                raise AssertionError(f"the browser gave no answer in {seconds:g} s")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise AssertionError("the browser has ended")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what the page writes to its console."""
        params = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            self.messages.append(str(params["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            self.messages.append(str(params["entry"]["text"]))

    def resize(self, width: int, height: int, touch: bool = False) -> None:
        """Set the size of the window in CSS pixels; `touch` makes it a touch screen."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self._call("Emulation.setTouchEmulationEnabled", enabled=touch, maxTouchPoints=1)

    def open(self, path: Path) -> None:
        """Load a file and wait until it is drawn."""
        self.visit(path.as_uri())

    def visit(self, address: str) -> None:
        """Load an address and wait until its documents are there."""
        self._call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def wait(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                raise AssertionError(f"not true within {seconds:g} s: {expression}")
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        done = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise AssertionError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element that is scrolled into view."""
        self.value(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        left, top, width, height = self.value(
            f"(({selector!r}, (r => [r.left, r.top, r.width, r.height])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())))"
        )
        return left, top, width, height

    def drag_mouse(self, start: tuple[float, float], end: tuple[float, float], steps: int = 20) -> None:
        """Press the left button, move in steps, release."""
        self._mouse("mousePressed", start)
        for i in range(1, steps + 1):
            self._mouse("mouseMoved", _between(start, end, i / steps))
        self._mouse("mouseReleased", end)

    def _mouse(self, kind: str, at: tuple[float, float]) -> None:
        button = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1, "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **button)

    def drag_touch(self, start: tuple[float, float], end: tuple[float, float], steps: int = 20) -> None:
        """Put a finger down, move it in steps, lift it."""
        self._call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[_point(start)])
        for i in range(1, steps + 1):
            self._call(
                "Input.dispatchTouchEvent", type="touchMove", touchPoints=[_point(_between(start, end, i / steps))]
            )
        self._call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, key: str, code: int) -> None:
        """Press and release a key by its name and its Windows virtual key code."""
        for kind in ("rawKeyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Save a PNG of the window, or of the whole page."""
        shot = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def print(self, path: Path) -> None:
        """Save the page as PDF, as it would be printed."""
        done = self._call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(done["data"]))


def _high(descriptor: int) -> int:
    """The same pipe end under a number that leaves 3 and 4, where the browser looks, free."""
    fcntl = pytest.importorskip("fcntl", reason="the browser is driven through pipes, which Windows lacks")
    high = int(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10))
    os.close(descriptor)
    return high


def _between(a: tuple[float, float], b: tuple[float, float], share: float) -> tuple[float, float]:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _point(at: tuple[float, float]) -> dict[str, float]:
    return {"x": at[0], "y": at[1]}
