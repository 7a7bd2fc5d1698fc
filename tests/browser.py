"""Opens pages in Debian's headless Chromium and says what a person, or a network, would notice.

Speaks the DevTools protocol over the browser's pipe (file descriptors 3 and 4), so it needs nothing but the standard
library, and no port is opened. The browser resolves no name and gets a fresh profile.
"""

import base64
import json
import os
import select
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
_PATIENCE_SECONDS = 60.0

_MEASURE = """
(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (e) => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') return true;
    return false;
  };
  const wide = [...document.body.querySelectorAll('*')]
    .filter((e) => e.getBoundingClientRect().right > width + 0.5 && !scrolls(e))
    .map((e) => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.className ? '.' + e.className : ''));
  return JSON.stringify({
    scroll: document.documentElement.scrollWidth, wide: wide.slice(0, 5), text: document.body.innerText,
    broken: [...document.images].filter((i) => !i.complete || !i.naturalWidth).map((i) => i.alt || i.src.slice(0, 80)),
  });
})()
"""


class BrowserError(RuntimeError):
    """The browser is missing, ended, answered with an error, or not in time."""


@dataclass(slots=True)
class Visit:
    """What happened while a page was open at one width."""

    width: int
    scroll_width: int = 0
    text: str = ""
    screenshot: bytes = b""  # PNG of the whole page
    console: list[str] = field(default_factory=list)  # errors, warnings, uncaught exceptions
    requests: list[str] = field(default_factory=list)  # all but the page itself and data in it
    too_wide: list[str] = field(default_factory=list)  # elements that reach out of the page on the right
    broken_images: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        """One line for each thing that is wrong; none for a page that is as it should be."""
        found = [f"console: {line}" for line in self.console]
        found += [f"request: {url}" for url in self.requests]
        found += [f"image does not show: {name}" for name in self.broken_images]
        if self.scroll_width > self.width:
            found.append(f"scrolls sideways: {self.scroll_width} px wide in a {self.width} px window, {self.too_wide}")
        return found


class Browser:
    """A running Chromium; use it as a context manager, and `visit` any number of pages."""

    def __init__(self) -> None:
        program = shutil.which("chromium")
        if program is None:
            raise BrowserError("chromium is not installed, and the report is tested in it: apt-get install chromium")
        self._profile = tempfile.mkdtemp(prefix="jsm-chromium-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        actions = [
            # first out of the way of 3 and 4, which each other's descriptor may occupy
            (os.POSIX_SPAWN_DUP2, to_browser, 20),
            (os.POSIX_SPAWN_DUP2, from_browser, 21),
            (os.POSIX_SPAWN_DUP2, 20, 3),
            (os.POSIX_SPAWN_DUP2, 21, 4),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        arguments = [program, *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        self._pid = os.posix_spawn(program, arguments, os.environ, file_actions=actions, setpgroup=0)
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._out)  # the browser ends when its pipe does
        os.close(self._in)
        deadline = time.monotonic() + 5
        while os.waitpid(self._pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.killpg(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                break
            time.sleep(0.02)
        shutil.rmtree(self._profile, ignore_errors=True)

    def visit(self, page: Path, *, width: int, height: int = 844) -> Visit:
        """Opens a file in a new tab of that width in CSS pixels, as a phone would, and reports what it saw."""
        address = page.resolve().as_uri()
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable", {}, session)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self._call("Emulation.setDeviceMetricsOverride", metrics, session)
        self._events.clear()
        self._call("Page.navigate", {"url": address}, session)
        self._wait_for("Page.loadEventFired", session)
        # Two frames later, what the page's load started has been reported.
        settle = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"
        self._evaluate(settle, session)
        seen = json.loads(self._evaluate(_MEASURE, session))
        picture = self._call("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"}, session)
        visit = Visit(
            width,
            scroll_width=seen["scroll"],
            text=seen["text"],
            screenshot=base64.b64decode(picture["data"]),
            too_wide=seen["wide"],
            broken_images=seen["broken"],
        )
        for event in self._events:
            if event.get("sessionId") == session:
                _note(event, address, visit)
        self._call("Target.closeTarget", {"targetId": target})
        return visit

    def _evaluate(self, expression: str, session: str) -> Any:
        arguments = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self._call("Runtime.evaluate", arguments, session)
        if "exceptionDetails" in answer:
            raise BrowserError(f"the page threw: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def _call(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while (answer := self._next()).get("id") != self._number:
            self._events.append(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _wait_for(self, method: str, session: str) -> None:
        while not any(e.get("method") == method and e.get("sessionId") == session for e in self._events):
            self._events.append(self._next())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BrowserError(f"chromium gave no answer within {_PATIENCE_SECONDS:.0f} s")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise BrowserError("chromium ended; run it by hand to see why: chromium --headless --no-sandbox")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded


def _note(event: dict[str, Any], address: str, visit: Visit) -> None:
    method, parameters = event.get("method"), event.get("params", {})
    if method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
        visit.console.append(" ".join(str(a.get("value", a.get("description"))) for a in parameters["args"]))
    elif method == "Runtime.exceptionThrown":
        details = parameters["exceptionDetails"]
        visit.console.append(str(details.get("exception", {}).get("description", details["text"])))
    elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
        visit.console.append(parameters["entry"]["text"])
    elif method == "Network.requestWillBeSent":
        url = parameters["request"]["url"]
        if url.partition("#")[0] != address and not url.startswith("data:"):
            visit.requests.append(url)
