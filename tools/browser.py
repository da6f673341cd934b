"""A headless Chromium, spoken to over its debugging pipe: opens a page, times it, takes its picture.

The protocol is JSON, each message ended by a zero byte, from the browser's file descriptor 4 and to its 3:
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIMEOUT_S = 120.0
TIMES = """(() => { const page = performance.getEntriesByType('navigation')[0];
const paint = performance.getEntriesByName('first-contentful-paint')[0];
return [page.loadEventEnd, paint ? paint.startTime : 0, document.documentElement.scrollHeight,
document.documentElement.scrollWidth]; })()"""


class BrowserError(Exception):
    """The browser did not do what it was asked to."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A page that is open, and how long that took."""

    load_s: float  # from the start of the navigation to the end of the load event
    paint_s: float  # to the first content on the screen
    height: int  # of the whole page [px]
    width: int  # more than the window's: it has to be scrolled sideways


def find_browser() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


class Browser:
    """A running browser with one page."""

    def __init__(self, pipe_in: int, pipe_out: int) -> None:
        self._in, self._out = pipe_in, pipe_out
        self._number, self._rest, self._session = 0, b"", ""
        self._loaded = False
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")

    def open(self, path: Path, width: int, height: int) -> Opened:
        """Opens a file in a window of so many pixels, and waits until it has loaded and shows something."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._loaded = False
        self.ask("Page.navigate", url=path.resolve().as_uri())
        messages = self._messages()
        while not self._loaded:  # may be told before the navigation's own answer
            if next(messages, None) is None:
                raise BrowserError(f"{path}: the browser ended")
        load = paint = 0.0
        deadline = time.monotonic() + TIMEOUT_S
        while not (load and paint) and time.monotonic() < deadline:
            time.sleep(0.05)
            values = self.ask("Runtime.evaluate", expression=TIMES, returnByValue=True)["result"]["value"]
            load, paint, page_height, page_width = values
        if not (load and paint):
            raise BrowserError(f"{path}: showed nothing within {TIMEOUT_S:.0f} s")
        return Opened(load / 1000, paint / 1000, page_height, page_width)

    def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression in the page."""
        result: object = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")
        return result

    def picture(self, y: int, width: int, height: int) -> bytes:
        """A PNG of the page from `y` downwards."""
        clip = {"x": 0, "y": y, "width": width, "height": height, "scale": 1}
        shot = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of one call; raises BrowserError for one that fails."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
        raise BrowserError(f"{method}: the browser ended")

    def _messages(self) -> Iterator[dict[str, Any]]:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._out, selectors.EVENT_READ)
            while True:
                while b"\0" in self._rest:
                    text, _, self._rest = self._rest.partition(b"\0")
                    message = json.loads(text)
                    self._loaded = self._loaded or message.get("method") == "Page.loadEventFired"
                    yield message
                if not waiting.select(TIMEOUT_S):
                    raise BrowserError(f"no answer within {TIMEOUT_S:.0f} s")
                data = os.read(self._out, 1 << 20)
                if not data:
                    return
                self._rest += data


@contextmanager
def open_browser(program: str) -> Iterator[Browser]:
    """A browser of its own, with an empty profile; it ends with the block. Raises BrowserError if it does not start."""
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]

    def place() -> None:
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    with tempfile.TemporaryDirectory() as profile:
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
        process = subprocess.Popen(
            [program, *options, f"--user-data-dir={profile}"],
            preexec_fn=place,
            close_fds=False,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for end in (theirs_in, theirs_out, *high):
            os.close(end)
        try:
            yield Browser(ours_in, ours_out)
        finally:
            os.close(ours_in)
            os.close(ours_out)
            process.terminate()
            process.wait(30)
