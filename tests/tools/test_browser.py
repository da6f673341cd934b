"""A headless Chromium, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import BrowserError, find_browser, open_browser


def test_a_page_is_opened_timed_and_pictured(tmp_path: Path) -> None:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium")
    page = tmp_path / "page.html"
    page.write_text('<!doctype html><body style="margin:0"><div style="width:700px;height:900px">seen</div>')
    with open_browser(program) as browser:
        found = browser.open(page, 400, 300)
        assert 0 < found.paint_s < 60 and 0 < found.load_s < 60
        assert (found.width, found.height) == (700, 900)
        assert browser.picture(0, 400, 100).startswith(b"\x89PNG")
        assert browser.evaluate("6 * 7") == 42
        with pytest.raises(BrowserError, match="nothing"):
            browser.ask("Page.nothing")
