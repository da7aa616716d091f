"""The page of a search: one file that loads and runs nothing; what comes from outside is text."""

from __future__ import annotations

import re

from gnomon.figures.search_importance import draw_search_importance
from gnomon.report.search_page import MAX_ROWS, Drawn, SearchRecord, build

ATTACK = "<script>alert(1)</script>"


def page(rows=(("1", "3.1 %", "", "2", "0.01", ATTACK),)):
    columns = ["trial", "dev", "interval", "epochs", ATTACK, ""]
    found, zooms = f"  best  {ATTACK}\n  next\x1b[31m", [("2", ATTACK, "a", "b", "1, 2")]
    record = SearchRecord(ATTACK, "2026-11-21", found, zooms, columns, rows, version="0")
    return build(record, [Drawn(ATTACK, ATTACK, draw_search_importance({"x": 0.5}))])


def test_no_outside_text_becomes_markup():
    html = page()
    assert "<script" not in html
    assert "\x1b" not in html
    assert html.count("&lt;script&gt;") >= 6


def test_the_page_loads_and_runs_nothing():
    html = page()
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', html) == []


def test_a_long_search_is_cut_and_says_so():
    html = page(rows=[(str(i), "", "", "", "", "") for i in range(MAX_ROWS + 7)])
    assert "and 7 more" in html
