"""The studio as a person uses it, in a real browser: tags by keyboard, two browsers, attacks, a run that trains."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import studio_samples as samples
from report_payloads import PAYLOADS

import gnomon

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium")

PATIENCE = 60_000  # milliseconds
NEWCOMER = 180  # seconds from `gnomon fit` to the name of the worst tag
KEPT = os.environ.get("GNOMON_SCREENSHOTS")  # a folder that pictures of every page are kept in
CONTRAST_LEAST = 4.5  # WCAG 2.2, level AA, for text


class Studio:
    """`gnomon studio` in a process of its own, and pages of a browser that its link let in."""

    def __init__(self, runs: Path, browser, port: int | None = None) -> None:
        words = [sys.executable, "-m", "gnomon", "studio", str(runs), "--json", *([f"port={port}"] if port else [])]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.link = json.loads(self.process.stdout.readline())["link"]
        self.base = self.link.partition("/enter")[0]
        self.browser, self.console = browser, []

    def enter(self, link: str | None = None, **options):
        """A page in a browser of its own."""
        page = self.browser.new_context(viewport={"width": 1280, "height": 900}, **options).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.console.append(f"dialog: {dialog.message}"))
        page.goto(link or self.link)
        page.wait_for_url(f"{self.base}/")
        return page

    def stop(self) -> str:
        """What it wrote on stderr."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=20)[1]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        rules = "MAP evil.test 127.0.0.1, MAP localhost 127.0.0.1"
        with playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={rules}"]
        ) as found:
            yield found


@pytest.fixture
def studio(tmp_path, browser):
    started = []

    def start(runs: Path, port: int | None = None) -> Studio:
        started.append(Studio(runs, browser, port))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.stop()
        each.process.stdout.close()
        each.process.stderr.close()


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """Two real runs on scikit-learn's digits."""
    runs = tmp_path_factory.mktemp("digits") / "runs"
    gnomon.fit("digits", model="logistic", epochs=3, runs_folder=str(runs), run_name="first")
    gnomon.fit("digits", model="dense", epochs=3, runs_folder=str(runs), run_name="second")
    return runs


@pytest.fixture
def own_digits(digits, tmp_path) -> Path:
    """A copy that a test may tag."""
    return shutil.copytree(digits, tmp_path / "runs", symlinks=True)


def to_sheet(page, name: str) -> None:
    """From the list to the errors of a run, as a person goes."""
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name="Errors of dev").click()
    page.wait_for_selector("#cards img")


def new_tag(page, name: str) -> None:
    page.keyboard.press("n")
    page.fill("#ask-text", name)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#counts .key[data-tag='{name}']")


def wait_for_count(page, tag: str, count: str) -> None:
    """Until the panel says, as in `2 of 10`: an answer that has come is drawn a moment later."""
    cell = page.locator("#counts tr", has_text=tag).locator("td").first
    sync_api.expect(cell).to_have_text(count, use_inner_text=True, timeout=PATIENCE)


def keep(page, name: str) -> None:
    """A picture of the page as it is, where somebody wants to look at it."""
    if KEPT:
        page.evaluate("for (const one of document.images) one.loading = 'eager'")
        page.wait_for_timeout(500)
        page.screenshot(path=str(Path(KEPT) / f"{name}.png"), full_page=True, caret="initial")


def press(page, keys: str) -> None:
    """One key after the other, each answered before the next."""
    for key in keys:
        with page.expect_response(lambda answer: "/record" in answer.url or "/undo" in answer.url):
            page.keyboard.press({"_": "Space"}.get(key, key))


def test_a_person_finds_tags_and_names_the_worst_tag_with_the_keyboard_alone(studio, own_digits):
    started = time.monotonic()
    opened = studio(own_digits)
    page = opened.enter()
    to_sheet(page, "first")
    assert "bright" in page.locator("#machine").inner_text() or page.locator("#machine li").count()
    new_tag(page, "nine-like")
    for _ in range(10):
        press(page, "1")
        page.keyboard.press("j")
    wait_for_count(page, "nine-like", "10 of 10")
    new_tag(page, "cut off")
    sync_api.expect(page.locator("#counts tr", has_text="cut off")).to_contain_text("not reviewed yet")
    press(page, "2" + "_" * 9)  # tags the eleventh, then looks at it and eight more
    wait_for_count(page, "cut off", "1 of 9")
    wait_for_count(page, "label wrong", "0 of 19")
    press(page, "w")
    wait_for_count(page, "label wrong", "1 of 20")
    press(page, "u")
    wait_for_count(page, "label wrong", "0 of 19")
    page.reload()
    page.wait_for_selector("#cards img")
    wait_for_count(page, "nine-like", "10 of 19")
    page.get_by_role("link", name="nine-like").click()
    page.wait_for_selector("#cards .card")
    assert page.locator("#cards .card").count() == 10
    assert time.monotonic() - started < 180
    assert opened.console == []


@pytest.mark.slow
def test_a_newcomer_names_the_worst_tag_within_three_minutes_of_typing_gnomon_fit(tmp_path, browser):
    # docs/studio.md, "From nothing to the worst tag", word for word
    started = time.monotonic()
    words = [sys.executable, "-m", "gnomon"]
    subprocess.run(
        [*words, "fit", "digits", "model=logistic", "epochs=5"], cwd=tmp_path, check=True, capture_output=True
    )
    with subprocess.Popen([*words, "studio"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        link = re.search(r"http://\S+", process.stdout.readline())[0]
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(link)
        page.get_by_role("link", name="digits", exact=True).click()
        page.wait_for_selector("text=Where the error comes from")
        keep(page, "newcomer-2-run")
        page.get_by_role("link", name="Errors of dev").click()
        page.wait_for_selector("#cards img")
        page.wait_for_selector("#machine :text('bright picture')")  # the machine has looked at the pictures,
        page.wait_for_selector("#cards .chip:text-is('bright picture')")  # and so says every card
        worst = page.locator("#machine .steps li").first.inner_text()
        keep(page, "newcomer-3-errors")
        assert re.fullmatch(r".+ from \d+\.\d\s% to \d+\.\d\s% at best", worst)
        new_tag(page, "hooked nine")
        press(page, "1")
        page.keyboard.press("j")
        press(page, "___")
        wait_for_count(page, "hooked nine", "1 of 4")
        keep(page, "newcomer-4-tagged")
        process.send_signal(signal.SIGINT)
    assert time.monotonic() - started < NEWCOMER


@pytest.mark.slow
def test_a_run_that_is_deleted_while_it_is_shown_is_said_to_be_gone(studio, own_digits):
    page = studio(own_digits).enter()
    to_sheet(page, "first")
    shutil.rmtree(next(own_digits.glob("*/*-first")))
    page.keyboard.press("w")
    page.wait_for_selector("#banner:has-text('no longer there')")
    page.get_by_role("link", name="runs").click()
    page.wait_for_selector("text=1 of 1 run")
    page.go_back()
    page.reload()
    page.wait_for_selector("text=moved or deleted")


@pytest.mark.slow
def test_ticks_and_filters_outlive_a_list_that_is_drawn_anew(studio, tmp_path):
    going = samples.plant(tmp_path / "runs", samples.predictions(30, 3), name="going", finished=False)
    samples.plant(tmp_path / "runs", samples.predictions(30, 3), name="other")
    page = studio(tmp_path / "runs").enter()
    with going.lock():
        page.reload()
        page.fill("input[name=q]", "epochs=3")
        page.wait_for_url("**/?q=epochs*")
        page.get_by_label("compare going").check()
        page.get_by_label("compare other").check()
        samples.add_epoch(going, 4)
        page.wait_for_selector("tr:has-text('going') >> text=15.0")  # its dev error after the fourth epoch, so far
        assert page.get_by_label("compare going").is_checked()
        samples.plant(tmp_path / "runs", samples.predictions(30, 3), name="third")
        page.wait_for_selector("text=third")  # nobody reloaded
        assert page.get_by_label("compare other").is_checked()
        page.reload()
        assert page.input_value("input[name=q]") == "epochs=3"


def test_sixty_payloads_as_class_file_run_tag_and_comment_do_nothing(studio, tmp_path, trap):
    address, asked = trap
    trace = f"fetch('{address}'),window.pwned=1"
    texts = [one.replace("alert(1)", trace).replace("http://evil.example", address)
             for one in PAYLOADS]  # fmt: skip
    assert len(texts) >= 60
    dev = samples.predictions(4 * len(texts), len(texts), classes=texts,
                              ids=[f"{texts[i % len(texts)]}{i}" for i in range(4 * len(texts))])  # fmt: skip
    run = samples.plant(tmp_path / "runs", dev, name=texts[0])
    other = samples.plant(tmp_path / "runs", dev, name=texts[14])
    opened = studio(tmp_path / "runs")
    page = opened.enter()
    place = f"{opened.base}/runs/{samples.run_id(run.path)}"
    page.goto(f"{place}/errors/dev")
    for text in texts[:9]:
        name = text[:80]
        assert page.evaluate(MAKE_TAG, [place, name]) == 200
    page.goto(f"{place}/errors/dev")
    press(page, "123456789")
    for text in texts:
        page.keyboard.press("c")
        page.fill("#ask-text", text)
        with page.expect_response(lambda answer: "/record" in answer.url):
            page.keyboard.press("Enter")
        page.wait_for_selector("#ask-text", state="hidden")  # a key pressed before belongs to the dialog
    page.keyboard.press("Enter")
    page.wait_for_selector("#large[open]")
    assert page.evaluate("window.pwned") is None
    here, there = samples.run_id(run.path), samples.run_id(other.path)
    pages = ["/", f"/?q={texts[0][:5]}", f"/runs/{here}", f"/runs/{here}/errors/dev?look=list"]
    for path in [*pages, f"/compare?run={here}&run={there}"]:
        page.goto(f"{opened.base}{path}")
        page.wait_for_timeout(300)
        assert page.evaluate("window.pwned") is None
        assert page.locator("#main").count() == 1
    assert asked == []
    assert opened.console == []  # neither a dialog nor a refusal of the content policy


@pytest.fixture
def trap():
    """A server that nobody should call, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET  # noqa: N815  http.server's name

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_two_browsers_that_tag_the_same_sheet_see_each_other(studio, own_digits):
    opened = studio(own_digits)
    first = opened.enter()
    first.get_by_role("button", name="another browser").click()
    first.wait_for_selector("#ask[open]")
    link = first.input_value("#ask-text")
    first.keyboard.press("Escape")
    second = opened.enter(link)
    for page in (first, second):
        to_sheet(page, "first")
    new_tag(first, "nine-like")
    press(first, "1")
    position = first.locator("#cards .card.current").get_attribute("data-position")
    second.wait_for_selector(f"#cards .card[data-position='{position}'] .chip.on")
    wait_for_count(second, "nine-like", "1 of 1")
    press(second, "1")  # the first card is its current one as well: takes the tag away again
    tagged = first.locator(f"#cards .card[data-position='{position}'] .chip.on")
    sync_api.expect(tagged).to_have_count(0, timeout=PATIENCE)
    wait_for_count(first, "nine-like", "0 of 1")
    first.keyboard.press("j")
    press(first, "1")
    press(second, "1")  # said before the second has heard of the first's: its answer must not hide that
    moved = first.locator("#cards .card.current").get_attribute("data-position")
    second.wait_for_selector(f"#cards .card[data-position='{moved}'] .chip.on")
    wait_for_count(second, "nine-like", "2 of 2")


@pytest.mark.slow
def test_a_running_fit_is_followed_without_a_reload(studio, tmp_path):
    run = samples.plant(tmp_path / "runs", samples.predictions(30, 3), name="going", finished=False)
    opened = studio(tmp_path / "runs")
    page = opened.enter()
    with run.lock():
        page.reload()
        page.get_by_role("link", name="going").click()
        page.wait_for_selector("text=epoch 3,")
        samples.add_epoch(run, 4)
        page.wait_for_selector("text=epoch 4,")
    assert opened.console == []


@pytest.mark.slow
def test_two_runs_are_compared_from_the_list(studio, own_digits):
    page = studio(own_digits).enter()
    for key in "jxjx":
        page.keyboard.press(key)
    assert page.locator("#runs input:checked").count() == 2
    page.get_by_role("button", name="Compare selected").click()
    page.wait_for_selector("#examples img")
    assert "on the same 359 examples" in page.inner_text("#main")
    page.locator("section", has_text="Fixed").get_by_role("link", name="open all").click()
    page.wait_for_selector("#cards .card")
    assert "wrong before, now right" in page.inner_text("#grid")


@pytest.mark.slow
def test_labels_are_reviewed_by_key_with_a_running_estimate(studio, own_digits):
    opened = studio(own_digits)
    page = opened.enter()
    page.get_by_role("link", name="first", exact=True).click()
    page.get_by_role("link", name="Labels of dev").click()
    page.wait_for_selector("#review img")
    for number, key in enumerate("1121314", start=1):
        page.keyboard.press(key)
        page.wait_for_selector(f"text={number} of 200 looked at")
    assert "wrong labels in all of dev" in page.inner_text("#review")
    page.keyboard.press("u")
    page.wait_for_selector("text=6 of 200 looked at")
    assert opened.console == []


def test_an_enlarged_picture_shows_where_the_model_looked(studio, own_digits):
    opened = studio(own_digits)
    page = opened.enter()
    to_sheet(page, "first")
    page.wait_for_selector("#cards img.view")  # the pictures are there, and so is the model
    page.keyboard.press("Enter")
    page.wait_for_selector("#large[open] [data-does=maps]")
    assert page.evaluate("document.activeElement.textContent") == "Close"  # nothing is computed by accident
    page.keyboard.press("m")
    page.wait_for_selector("img.maps")
    assert page.evaluate("document.querySelector('img.maps').decode().then(() => true)")
    assert "spread evenly" in page.inner_text("#large-content")
    page.keyboard.press("Escape")
    page.wait_for_selector("#large", state="hidden")
    assert opened.console == []


def test_the_cost_of_a_tag_is_given_by_a_click_and_kept(studio, own_digits):
    opened = studio(own_digits)
    page = opened.enter()
    to_sheet(page, "first")
    button = page.locator("#machine button[data-does=cost], #counts button[data-does=cost]").first
    tag = button.get_attribute("data-tag")
    cost = page.locator(f"button[data-does=cost][data-tag='{tag}']")
    sync_api.expect(cost).to_have_text("cost")
    for typed, kept in (("0", "cost"), ("2,5", "cost 2.5"), ("1", "cost")):
        cost.click()
        page.fill("#ask-text", typed)
        page.keyboard.press("Enter")
        sync_api.expect(cost).to_have_text(kept)
        if typed == "0":
            page.wait_for_selector("text=give a number above 0")
        page.reload()
        page.wait_for_selector("#cards img")
        sync_api.expect(cost).to_have_text(kept)
    assert opened.console == []


@pytest.mark.slow
def test_a_page_of_another_name_for_this_machine_gets_and_changes_nothing(studio, own_digits, tmp_path):
    opened = studio(own_digits)
    inside = opened.enter()
    to_sheet(inside, "first")
    place = inside.url.partition("?")[0]
    port = opened.base.rpartition(":")[2]
    got: list[str] = []

    class Attacker(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"""<!doctype html><title>evil</title>
            <form id=f method=post enctype=text/plain action="{place}/undo"><input name='{{"x":"' value='"}}'></form>
            <iframe src="{place}"></iframe><img src="{opened.base}/runs/x/pictures/dev/0.png">
            <script>
            const tries = [];
            for (const base of ["{opened.base}", "http://evil.test:{port}", "http://localhost:{port}"])
              for (const options of [{{}}, {{credentials: "include"}}, {{method: "POST", body: "{{}}"}},
                {{method: "POST", mode: "no-cors", credentials: "include", body: "{{}}"}}])
                tries.push(fetch(base + "{place.removeprefix(opened.base)}", options)
                  .then((answer) => answer.text()).catch(() => ""));
            tries.push(new Promise((done) => {{ const socket = new WebSocket("ws://evil.test:{port}/");
              socket.onopen = () => done("open"); socket.onerror = () => done(""); }}));
            Promise.all(tries).then((texts) => {{
              document.title = "done:" + texts.join(""); document.forms.f.submit(); }});
            </script>""".encode()
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Attacker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        evil = inside.context.new_page()  # the same browser, which has the cookie
        evil.on("request", lambda request: got.append(request.url))
        evil.goto(f"http://evil.test:{server.server_port}/")
        evil.wait_for_function("document.title.startsWith('done:') || !document.title.startsWith('evil')")
        evil.wait_for_timeout(500)
        rebound = inside.context.new_page()
        answer = rebound.goto(f"http://evil.test:{port}/")
        assert answer.status == 403
        assert "runs" not in rebound.content().replace("refused", "")
    finally:
        server.shutdown()
        server.server_close()
    assert len(got) > 5
    told = opened.stop()
    assert "refused" in told
    assert "wrong host name" in told
    assert not list(own_digits.rglob("tags.sqlite"))


@pytest.mark.slow
def test_a_studio_that_dies_is_said_to_be_gone_and_a_new_one_has_all_tags(studio, own_digits):
    opened = studio(own_digits)
    page = opened.enter()
    to_sheet(page, "first")
    new_tag(page, "nine-like")
    press(page, "1")
    opened.process.kill()
    opened.process.wait(10)
    page.keyboard.press("1")
    page.wait_for_selector("#banner:has-text('does not answer')")
    again = studio(own_digits)
    page = again.enter()
    to_sheet(page, "first")
    wait_for_count(page, "nine-like", "1 of 1")


@pytest.mark.slow
def test_tags_whose_file_is_gone_or_locked_away_are_said_not_to_be_saved(studio, own_digits):
    page = studio(own_digits).enter()
    to_sheet(page, "first")
    new_tag(page, "nine-like")
    (file,) = own_digits.rglob("tags.sqlite")
    for path in file.parent.glob("tags.sqlite*"):
        path.rename(path.with_name(f"kept-{path.name}"))
    page.keyboard.press("1")
    page.wait_for_selector("#banner:has-text('the file with the tags has disappeared')")
    for path in file.parent.glob("kept-*"):
        path.rename(path.with_name(path.name.removeprefix("kept-")))
    press(page, "1")
    page.wait_for_selector("#banner", state="hidden")
    wait_for_count(page, "nine-like", "1 of 1")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_every_text_its_contrast_and_no_page_is_wider_than_a_phone(studio, own_digits, scheme):
    opened = studio(own_digits)
    page = opened.enter(color_scheme=scheme)
    page.get_by_role("link", name="first", exact=True).click()
    run = page.url
    page.goto(f"{opened.base}/")
    ids = [box.get_attribute("value") for box in page.locator("#runs input[name=run]").all()]
    pages = {"runs": f"{opened.base}/", "run": run, "grid": f"{run}/errors/dev", "list": f"{run}/errors/dev?look=list",
             "labels": f"{run}/labels/dev", "compare": f"{opened.base}/compare?run={ids[0]}&run={ids[1]}",
             "gone": f"{opened.base}/runs/none"}  # fmt: skip
    for name, path in pages.items():
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(path)
        page.wait_for_timeout(1500)
        keep(page, f"{name}-{scheme}-1280")
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(PALE, CONTRAST_LEAST) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.set_viewport_size({"width": 390, "height": 844})
        keep(page, f"{name}-{scheme}-390")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert page.locator("h1").count() == 1


MAKE_TAG = """([place, name]) => fetch(place + "/errors/dev/tags", {
  method: "POST", body: JSON.stringify({name}), headers: {"Content-Type": "application/json"},
}).then((answer) => answer.status)"""

NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, img")].filter((one) => {
  if (one.type === "hidden" || one.closest("dialog:not([open])")) return false;
  const words = one.getAttribute("aria-label") || one.getAttribute("alt") || one.textContent.trim() ||
    one.title || (one.labels && one.labels.length ? one.labels[0].textContent.trim() : "");
  return !words;
}).map((one) => one.outerHTML)"""

PALE = """(least) => {
  const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  for (const one of document.querySelectorAll("#main *, header *")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    if (one.closest("svg, :disabled, .matrix") || !one.checkVisibility() || one.closest(".hidden, .skip")) continue;
    const [a, b] = [light(parts(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < least) found.add(one.className + ": " + one.textContent.trim().slice(0, 40));
  }
  return [...found];
}"""
