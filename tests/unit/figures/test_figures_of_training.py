"""Pictures of signals and of a range test: what is in the record is drawn, and nothing breaks on what is no number."""

import math

from gnomon.core.layer_signals import LayerSignal, as_rows
from gnomon.figures.encode import svg
from gnomon.figures.layer_signals import draw_layer_signals
from gnomon.figures.range_test import draw_range_test


def row(epoch, num_layers, **changes):
    signals = [LayerSignal(f"dense{i + 1}", 0.1, 0.7, 0.05, 1e-3, **changes) for i in range(num_layers)]
    return {"epoch": epoch, "signals": as_rows(signals)}


def test_each_layer_is_a_line_in_every_panel_and_unmeasured_epochs_are_left_out():
    figure = draw_layer_signals([row(1, 3, dead=0.5), {"epoch": 2}, row(3, 3, dead=0.25)])
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["dense1", "dense2", "dense3"]
        assert list(axes.lines[0].get_xdata()) == [1, 3]
    assert list(figure.axes[3].lines[0].get_ydata()) == [0.5, 0.25]


def test_eight_of_fifty_layers_are_named_including_the_first_and_the_last():
    (legend,) = draw_layer_signals([row(1, 50)]).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == 8
    assert (names[0], names[-1]) == ("dense1", "dense50")


def test_zeros_and_missing_numbers_leave_a_gap():
    wild = [LayerSignal("a", math.nan, math.inf, 0.0, math.nan), LayerSignal("b", 0.0, 0.0, math.inf, -1.0)]
    assert svg(draw_layer_signals([{"epoch": 1, "signals": as_rows(wild)}])).startswith(b"<?xml")


def test_a_range_test_is_drawn_with_its_suggestion_and_without_one():
    rates, losses = [1e-3, 1e-2, 1e-1], [2.0, 1.0, 9.0]
    (axes,) = draw_range_test(rates, losses, losses, suggested=1e-3).axes
    assert [text.get_text() for text in axes.texts] == ["suggested 0.001"]
    assert list(axes.lines[1].get_ydata()) == losses
    assert svg(draw_range_test([], [], [], suggested=None)).startswith(b"<?xml")
