"""What stands on the page, in which order, and what is left out."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from gnomon import report
from gnomon.core.parts import View
from gnomon.metrics.interval import Interval
from gnomon.report import page, pictures
from gnomon.report.record import Mistake, SettingLine
from gnomon.strategy.diagnosis import Verdict
from gnomon.strategy.slices import Slice
from gnomon.strategy.two_way import COLUMNS, ROWS, TwoWay

VOID = {"meta", "link", "img", "br", "rect", "line", "circle"}


class Page(HTMLParser):
    """The elements, the texts and the rows of tables of one page; fails where elements are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, text):
        if self._open[-1:] == ["style"] or not text.strip():
            return
        self.texts.append(text.strip())
        if self.rows and {"td", "th"} & set(self._open):
            self.rows[-1][-1] += text

    def ids(self) -> list[str]:
        return [attributes["id"] for tag, attributes in self.elements if tag == "section"]

    def text(self) -> str:
        return " ".join(self.texts).replace("\u00a0", " ")


def test_sections_come_in_reading_order(samples, drawn):
    parsed = Page(page.write(samples.record(), drawn))
    assert parsed.ids() == [
        "ladder", "curves", "signals", "probes", "diary", "errors", "samples", "calibration", "data", "model", "units",
        "settings", "environment", "reproduce",
    ]  # fmt: skip
    links = [attributes["href"] for tag, attributes in parsed.elements if tag == "a"]
    assert links == [f"#{name}" for name in parsed.ids()]


def test_the_verdict_comes_first(samples, drawn):
    parsed = Page(page.write(samples.record(), drawn))
    after_title = parsed.texts[parsed.texts.index("pets") + 1 :]
    assert after_title[0] == "Variance is the largest gap."
    assert "97 % certain that it is the largest gap" in parsed.text()


def test_every_section_says_how_to_read_it(samples, drawn):
    text = Page(page.write(samples.record(), drawn)).text()
    for section in page.SECTIONS:
        assert section.how_to_read in text


def test_layer_problems_are_listed_above_the_curves(samples, drawn):
    assert "No problem found" in Page(page.write(samples.record(), drawn)).text()
    text = Page(page.write(samples.record(signals=("12 % of <dead> units",)), drawn)).text()
    assert "12 % of <dead> units" in text
    assert "No problem found" not in text


def test_what_units_see_is_folded_away_with_a_row_for_each_unit(samples, drawn):
    parsed = Page(page.write(samples.record(), drawn))
    assert "stage1: 32 units, each place sees 3x3 pixels" in parsed.texts
    assert any(row[0] == "unit 7mostly cat" for row in parsed.rows)
    silent = dataclasses.replace(samples.record().units[0], units=())
    assert "units" not in Page(page.write(samples.record(units=(silent,)), drawn)).ids()


def test_an_empty_run_still_has_a_page(samples):
    parsed = Page(report.build(samples.bare_record()))
    assert parsed.ids() == ["ladder", "data", "reproduce"]


def test_the_ladder_shows_each_gap_between_its_rungs(samples, drawn):
    rows = [row[:3] for row in Page(page.write(samples.record(), drawn)).rows][1:7]
    assert [[cell.replace("\u00a0", " ").strip() for cell in row] for row in rows] == [
        ["human", "1.0 %", ""],
        ["avoidable bias", "+1.0 points", "[0.5, 1.5]"],
        ["train", "2.0 %", "[1.5, 2.5]"],
        ["variance", "+8.0 points", "[6.0, 11.0]"],
        ["dev", "10.0 %", "[8.0, 13.0]"],
        ["test", "", ""],
    ]


def test_only_the_gap_that_the_verdict_names_is_marked(samples, drawn):
    parsed = Page(page.write(samples.record(), drawn))
    marked = [row[0] for row in parsed.rows if row[-1].endswith("largest")]
    assert marked == ["variance"]
    diagnosis = samples.diagnosis()
    both = dataclasses.replace(diagnosis, verdict=Verdict("variance", ("variance", "avoidable bias"), 0.6, "Either."))
    parsed = Page(page.write(samples.record(diagnosis=both), drawn))
    assert [row[0] for row in parsed.rows if "may be the largest" in row[-1]] == ["avoidable bias", "variance"]
    none = dataclasses.replace(diagnosis, verdict=Verdict(None, (), 0.9, "None is there."))
    assert "largest" not in Page(page.write(samples.record(diagnosis=none), drawn)).text()


def test_an_unclear_gap_says_how_many_examples_it_takes(samples, drawn):
    diagnosis = samples.diagnosis()
    unsure = dataclasses.replace(diagnosis.gaps[1], is_there=False, examples_to_settle=4200)
    changed = dataclasses.replace(diagnosis, gaps=(diagnosis.gaps[0], unsure))
    assert (
        "not statistically clear: it takes about 4,200 dev examples"
        in Page(page.write(samples.record(diagnosis=changed), drawn)).text()
    )


def test_a_negative_gap_is_not_explained(samples, drawn):
    diagnosis = samples.diagnosis()
    below = dataclasses.replace(diagnosis.gaps[1], size=-0.01, low=-0.03, high=0.01, is_there=False)
    changed = dataclasses.replace(diagnosis, gaps=(diagnosis.gaps[0], below), verdict=Verdict(None, (), 0.9, "None."))
    parsed = Page(page.write(samples.record(diagnosis=changed), drawn))
    assert [row[-1] for row in parsed.rows if row[0].startswith("no variance")] == ["not statistically clear"]
    assert "In 90 % of the resamplings of these examples no gap is large enough to matter" in parsed.text()


def test_a_sealed_test_split_says_so_and_an_opened_one_counts_openings(samples, drawn):
    assert "The test split is sealed" in Page(page.write(samples.record(), drawn)).text()
    assert "opened 3 times" in Page(page.write(samples.record(test_openings=3), drawn)).text()


def test_settings_of_the_user_come_first(samples, drawn):
    lines = (SettingLine("b", "2", False, ""), SettingLine("a", "1", True, ""))
    parsed = Page(page.write(samples.record(settings=lines), drawn))
    text = parsed.text()
    assert text.index("Set by you") < text.index("1 chosen for you")
    keys = [row[0] for row in parsed.rows if row[0] in ("a", "b")]
    assert keys == ["a", "b"]


def test_the_layer_table_adds_up_and_leaves_unknown_cells_empty(samples, drawn):
    rows = Page(page.write(samples.record(), drawn)).rows
    end = next(row for row in rows if row[0] == "end")
    assert end == ["end", "softmax", "2", "0", "", ""]
    assert next(row for row in rows if row[0] == "2 layers in total") == ["2 layers in total", "130", "128", "2"]


def test_tags_show_their_share_and_the_error_that_would_remain(samples, drawn):
    parsed = Page(page.write(samples.record(), drawn))
    # 8 of 20 looked at, of 50: by hand 40 % of an error of 10 % is 4 points, and leaves 6 %
    assert ["behind a fence", "8 of 20", "40.0 %", "[25.0, 57.0]", "4.0 %", "6.0 %[4.3, 7.5]", ""] in [
        [cell.replace("\u00a0", " ") for cell in row] for row in parsed.rows
    ]
    shown = " ".join(parsed.texts)
    assert "20 of 50 mistakes were reviewed, as of 2026-11-21 11:00 UTC" in shown
    assert shown.index("behind a fence") < shown.index("tags set automatically") < shown.index("camera: phone")
    assert 'class="soft"><th scope="row">camera: phone' in page.write(samples.record(), drawn)  # as often among right


def test_slices_are_marked_against_the_error_of_the_whole_split(samples, drawn):
    slices = {"class": (Slice("target", "cat", Interval(0.2, 0.1, 0.4), 9, 0.5, 1.0),)}
    html = page.write(samples.record(slices=slices), drawn)
    mark = re.search(r'<svg class="mark".*?</svg>', html).group()
    # the track runs from 5 to 125 and stands for 0 to 0.4: 0.2 lies half way, the whole split's 0.1 at a quarter
    assert 'cx="65.0"' in mark
    assert 'x1="35.0"' in mark
    assert 'x="35.0" y="4" width="90.0"' in mark


def test_long_lists_are_cut_and_the_rest_is_counted(samples, drawn):
    mistakes = [Mistake(f"id {place}", View(text="x"), "a", "b", 1.0, 0.9) for place in range(100)]
    layers = [dataclasses.replace(samples.record().layers[0], name=f"layer {place}") for place in range(1500)]
    parsed = Page(page.write(samples.record(mistakes=mistakes, num_mistakes=1234, layers=layers), drawn))
    assert sum(text.startswith("id ") for text in parsed.texts) == page.MAX_ROWS["mistakes"]
    assert f"{page.MAX_ROWS['mistakes']} of 1,234 on dev" in parsed.text()
    assert "500 more layers" in parsed.text()
    assert "1,500 layers in total" in parsed.text()


def test_fields_of_mistakes_make_a_table_and_pictures_make_cards(samples, drawn):
    fields = [Mistake("row 1", View(fields={"age": "37"}), "1.5", "9.0", 7.5)]
    parsed = Page(page.write(samples.record(mistakes=fields), drawn))
    assert ["row 1", "1.5", "9.0"] in [row[:3] for row in parsed.rows]
    assert "Largest mistakes" in parsed.texts
    numbers = [Mistake("row 1", View(fields={"age": "37"}), 1234.5678, 0.12345, 7.5)]
    rows = Page(page.write(samples.record(mistakes=numbers), drawn)).rows
    assert ["row 1", "1,235", "0.123"] in [row[:3] for row in rows]
    cards = [attributes for tag, attributes in Page(page.write(samples.record(), drawn)).elements
             if tag == "div" and attributes.get("class") == "card"]  # fmt: skip
    assert len(cards) == 5  # three mistakes, one example, one text that was made up


@pytest.mark.parametrize("shape", [(1, 1), (1, 60_000), (3000, 2000, 3), (8, 8)])
def test_pictures_are_never_larger_than_a_thumbnail(samples, drawn, shape):
    from io import BytesIO

    from PIL import Image

    mistake = Mistake("x", View(image=np.zeros(shape, dtype=np.uint8)), "a", "b", 1.0, 0.9)
    html = page.write(samples.record(mistakes=[mistake], example_views=()), drawn)
    uri = re.search(r'<div class="card">\s*<img[^>]* src="data:image/png;base64,([^"]+)"', html).group(1)
    picture = Image.open(BytesIO(base64.b64decode(uri)))
    assert max(picture.size) <= 160


def test_an_empty_picture_is_left_out(samples, drawn):
    mistake = Mistake("x", View(image=np.zeros((0, 5), dtype=np.uint8)), "a", "b", 1.0, 0.9)
    assert "most confident" in page.write(samples.record(mistakes=[mistake]), drawn).lower()


def test_figures_of_the_task_have_their_titles(samples):
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    parsed = Page(report.build(samples.record(figures={"Predicted and true": figure})))
    assert "Predicted and true" in parsed.texts


def test_only_the_style_sheet_is_allowed_by_its_hash(samples, drawn):
    html = page.write(samples.record(), drawn)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1).replace("&#39;", "'")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_nothing_on_the_page_loads_runs_or_leads_away(samples):
    for tag, attributes in Page(report.build(samples.record())).elements:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base", "video", "audio")
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("style", "srcset", "ping", "action", "formaction", "background", "poster")
            if name in ("src", "href"):
                assert value.startswith(("data:", "#"))


def test_the_same_record_gives_the_same_page(samples):
    assert report.build(samples.record()) == report.build(samples.record())


def test_importing_the_record_loads_neither_jinja_nor_matplotlib():
    import subprocess
    import sys

    code = "import sys, gnomon.report.record; print(sorted({'jinja2', 'matplotlib', 'polars'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert loaded == "[]"


def test_an_unknown_human_level_draws_no_line_in_the_learning_curves(samples, drawn):
    def curves(pictures_drawn):
        return base64.b64decode(pictures_drawn.curves.uri.partition(",")[2]).decode()

    diagnosis = samples.diagnosis()
    human = dataclasses.replace(diagnosis.rungs[0], error=0.0, note="not known, assumed 0")
    unknown = dataclasses.replace(diagnosis, rungs=(human, *diagnosis.rungs[1:]))
    assert ">human<" in curves(drawn)
    assert ">human<" not in curves(pictures.of(samples.record(diagnosis=unknown)))


def test_general_and_target_data_share_one_table(samples):
    cells = {(row, column): None for row in ROWS for column in COLUMNS}
    cells |= {
        ("human", "target"): Interval(0.01, 0.01, 0.01),
        ("trained on", "general"): Interval(0.02, 0.01, 0.03),
        ("not trained on", "general"): Interval(0.04, 0.03, 0.05),
        ("not trained on", "target"): Interval(0.1, 0.08, 0.12),
    }
    rows = Page(report.build(samples.record(two_way=TwoWay("share", cells)))).rows
    assert ["human", "", "1.0 %"] in rows
    assert ["not trained on", "4.0 % [3.0, 5.0]", "10.0 % [8.0, 12.0]"] in rows
    assert "General data" not in report.build(samples.record())
