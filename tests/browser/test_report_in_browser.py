"""The report in a real browser: nothing runs, nothing is loaded, nothing is refused, and it opens at once."""

from __future__ import annotations

import dataclasses
import http.server
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import report_samples as samples
from report_payloads import PAYLOADS

from gnomon import report
from gnomon.core.example import BadInput
from gnomon.core.parts import View
from gnomon.metrics.classification import Confusion
from gnomon.report.record import Mistake, SettingLine

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium")


@pytest.fixture
def trap():
    """A server that nobody should call, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self):
            self.raw_requestline = self.rfile.readline()
            asked.append(self.raw_requestline.decode("latin-1"))
            self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def opened(html: str, folder: Path) -> tuple[str, str]:
    """The page's document after loading, and what the browser's console said."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}",
             "--enable-logging=stderr", "--virtual-time-budget=1000", "--dump-dom"]  # fmt: skip
    done = subprocess.run([BROWSER, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, console


def payloads_at(address: str) -> list[str]:
    """The payloads, each of them leaving a trace where it runs: a request, or another title."""
    trace = f"fetch('{address}'),document.title='pwned'"
    plain = PAYLOADS
    return [text.replace("alert(1)", trace).replace("http://evil.example", address) for text in plain]


def attacked(payloads: list[str]):
    """A record with every payload as title, class, tag, file, column, setting, note, text and command."""
    count = iter(range(10**6))
    record = samples.planted(samples.record(), lambda _: payloads[next(count) % len(payloads)])
    many = [dataclasses.replace(record.slices[next(iter(record.slices))][0], value=text) for text in payloads]
    return dataclasses.replace(
        record,
        title=payloads[0] + payloads[14],
        slices={"class": many, **{f"tag.{text}": many[:1] for text in payloads}},
        confusion=Confusion(tuple(payloads[:50]), np.eye(50, dtype=int)),
        tag_sheet=dataclasses.replace(
            record.tag_sheet, note=payloads[1],
            shares=[dataclasses.replace(record.tag_sheet.shares[0], name=text) for text in payloads[:60]],
        ),
        mistakes=[Mistake(text, View(text=text, fields={text: text}), text, text, 1.0, 0.9) for text in payloads[:48]],
        settings=[SettingLine(text, text, True, text) for text in payloads],
        environment={text: text for text in payloads},
        data=dataclasses.replace(
            record.data,
            classes={text: {"train": 1} for text in payloads},
            notes=payloads, bad=[BadInput(text, text) for text in payloads], leaks=payloads,
        ),
    )  # fmt: skip


def test_sixty_payloads_in_every_place_have_no_effect(tmp_path, trap):
    address, asked = trap
    payloads = payloads_at(address)
    document, console = opened(report.build(attacked(payloads)), tmp_path)
    assert "<title>pwned" not in document
    assert "Reproduce this run" in document  # the page is there to its end
    assert asked == []
    assert console == ""  # a refused style, script or request would be told here


@pytest.mark.slow
def test_the_same_payloads_run_on_a_page_without_escaping(tmp_path, trap):
    address, asked = trap
    html = "<!doctype html><title>x</title>" + "\n".join(payloads_at(address)[14:20])
    document, _ = opened(html, tmp_path)
    assert "<title>pwned" in document
    assert asked


@pytest.mark.slow
def test_a_blocked_script_or_style_is_logged_on_the_console(tmp_path, trap):
    html = report.build(samples.record())
    for foreign in ("<script>document.title='pwned'</script>", "<p style='color:red'>x</p>", f"<img src={trap[0]}/x>"):
        document, console = opened(html.replace("</main>", f"{foreign}</main>"), tmp_path)
        assert "<title>pwned" not in document
        assert "Content Security Policy" in console
    assert trap[1] == []


@pytest.mark.slow
def test_the_report_of_a_large_run_opens_within_three_seconds(tmp_path):
    names = [f"class {place}" for place in range(1000)]
    slices = samples.record().slices["class"]
    view = View(image=np.zeros((160, 160, 3), dtype=np.uint8))
    record = samples.record(
        slices={"class": [dataclasses.replace(slices[0], value=name) for name in names]},
        data=dataclasses.replace(samples.record().data, classes={name: {"train": 80, "dev": 10} for name in names}),
        mistakes=[Mistake(name, view, "a", "b", 1.0, 0.9) for name in names],
        confusion=Confusion(tuple(names), np.ones((1000, 1000), dtype=int)),
    )  # fmt: skip
    start = time.monotonic()
    opened("<!doctype html><title>nothing</title>", tmp_path)
    empty = time.monotonic() - start
    html = report.build(record)
    start = time.monotonic()
    opened(html, tmp_path)
    assert time.monotonic() - start - empty < 3


SIDEWAYS = """() => [...document.querySelectorAll("figure, figure *")].filter(
  (one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth).length"""
SHOWN = """() => [...document.querySelectorAll("figure img.drawing")].filter((one) => one.offsetWidth).map(
  (one) => one.offsetWidth / one.naturalWidth)"""


@pytest.mark.parametrize(("width", "kind"), [(390, "for-narrow"), (1280, "for-wide")])
def test_drawings_fit_the_screen_with_letters_of_their_own_size(tmp_path, width, kind):
    """A drawing shrunk to a telephone has letters of half their size; a wide one would have to be moved sideways."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    page = tmp_path / "report.html"
    page.write_text(report.build(samples.record()), encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        with playwright.chromium.launch(executable_path=BROWSER, args=flags) as browser:
            opened = browser.new_page(viewport={"width": width, "height": 900})
            opened.goto(page.as_uri())
            scales = opened.evaluate(SHOWN)
            assert len(scales) >= 5
            assert all(scale > 0.9 for scale in scales)
            assert opened.evaluate(SIDEWAYS) == 0
            shown = opened.locator("figure img.drawing:visible")
            assert {kind in one.get_attribute("class") for one in shown.all()} == {True}
            assert opened.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
