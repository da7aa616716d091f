"""Figures become bytes: the same ones each time, with names as they are, whatever the user's settings say."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gnomon.figures import encode
from gnomon.figures.style import new_figure, styled

NASTY = {  # a name, and how it stands in a picture
    "$x^2$": "$x^2$",
    r"$\frac{1}{0}$": r"$\frac{1}{0}$",
    r"\alpha": r"\alpha",
    "$": "$",
    "猫": "猫",
    "👩‍🔬": "👩‍🔬",
    "עברית": "עברית",
    "<b>&amp;</b>": "<b>&amp;</b>",
    "a\x00\x1bb": r"a\x00\x1bb",
    "\udcff": r"\udcff",
    "\ufffe": r"\ufffe",
    "": "(empty)",
}


@styled
def bars(names):
    from gnomon.figures.text import label

    figure = new_figure(3)
    axes = figure.add_subplot()
    axes.barh(range(len(names)), range(len(names)))
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    return figure


def texts_of(drawing: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(drawing).iter()
            if element.tag.endswith("}text")]  # fmt: skip


def test_names_in_a_drawing_are_text_not_formulas():
    shown = texts_of(encode.svg(bars(NASTY)))
    assert set(NASTY.values()) <= set(shown)


def test_names_without_a_font_raise_no_warning_in_a_png():
    assert encode.png(bars(NASTY)).startswith(b"\x89PNG")


def test_names_are_not_formulas_when_others_save_the_figure():
    bars([r"$\frac{1$"]).savefig(io.BytesIO(), format="svg")


def test_names_are_not_formulas_in_a_figure_drawn_without_our_style():
    figure = Figure()
    axes = figure.add_subplot()
    axes.bar([r"$\nonsense{$", "b"], [1, 2])
    axes.set_title(r"$\frac{1$")
    axes.text(0, 0, "\x00\udcff")
    shown = texts_of(encode.svg(figure))
    assert r"$\nonsense{$" in shown
    assert r"$\frac{1$" in shown
    assert r"\x00\udcff" in shown


def test_powers_of_ten_are_written_as_plain_numbers():
    figure = Figure()
    figure.add_subplot().loglog([0.001, 1000], [1, 10])
    shown = texts_of(encode.svg(figure))
    assert {"0.001", "1", "1,000"} <= set(shown)
    assert not any("$" in text for text in shown)


def test_the_same_figure_gives_the_same_bytes():
    assert encode.svg(bars(["a", "b"])) == encode.svg(bars(["a", "b"]))
    assert encode.png(bars(["a", "b"])) == encode.png(bars(["a", "b"]))


def test_the_users_settings_of_matplotlib_change_nothing_and_stay():
    plain = encode.svg(bars(["a", "b"]))
    with mpl.rc_context({"axes.facecolor": "black", "font.size": 30, "svg.fonttype": "path", "lines.linewidth": 9,
                         "text.usetex": True}):  # fmt: skip
        assert encode.svg(bars(["a", "b"])) == plain
        assert mpl.rcParams["font.size"] == 30


def test_a_drawing_is_an_svg_and_a_figure_with_photographs_a_png():
    figure = Figure()
    figure.add_subplot().imshow(np.zeros((4, 4)))
    assert encode.best(bars(["a"]))[1] == "image/svg+xml"
    assert encode.best(figure)[1] == "image/png"


def test_a_drawing_of_very_many_strokes_becomes_a_png():
    figure = Figure()
    rng = np.random.default_rng(0)
    figure.add_subplot().scatter(rng.random(20_000), rng.random(20_000))
    content, media_type = encode.best(figure)
    assert media_type == "image/png"
    assert len(content) < encode.MAX_SVG_BYTES


@pytest.mark.parametrize("size", [(7, 3), (100, 2), (3, 300)])
def test_a_png_has_at_most_1600_pixels_per_side(size):
    figure = Figure(figsize=size)
    figure.add_subplot()
    assert max(Image.open(io.BytesIO(encode.png(figure))).size) <= encode.MAX_PIXELS_PER_SIDE


@pytest.mark.parametrize(("shape", "size"), [((400, 200), (80, 160)), ((8, 8), (8, 8)), ((1, 60_000), (160, 1)),
                                             ((320, 320, 3), (160, 160))])  # fmt: skip
def test_a_thumbnail_keeps_the_shape_and_never_grows(shape, size):
    image = np.full(shape, 200, dtype=np.uint8)
    picture = Image.open(io.BytesIO(encode.thumbnail(image, 160)))
    assert picture.size == size
    assert np.asarray(picture).max() == 200


def test_a_drawing_loads_nothing_from_outside():
    drawing = encode.svg(bars(["http://evil.example"])).decode()
    for element in ElementTree.fromstring(drawing).iter():
        for name, value in element.attrib.items():
            assert not name.endswith("href") or value.startswith("#")
    assert "@import" not in drawing
    assert "<!ENTITY" not in drawing
