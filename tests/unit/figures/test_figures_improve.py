"""What the pictures of a learning curve and of a diary say."""

from __future__ import annotations

from xml.etree import ElementTree

from gnomon.figures import encode
from gnomon.figures.diary import draw_diary
from gnomon.figures.learning_curve_forecast import draw_learning_curve_forecast
from gnomon.strategy.curve import CurvePoint, Forecast
from gnomon.strategy.improve_diary import Entry


def texts(figure) -> set[str]:
    drawing = ElementTree.fromstring(encode.svg(figure))
    found = ["".join(element.itertext()) for element in drawing.iter() if element.tag.endswith("}text")]
    return {text.replace("\u00a0", " ") for text in found}


def test_a_learning_curve_names_its_sizes_and_its_forecasts():
    points = [
        CurvePoint(size, error, seed, 0.01)
        for size, error in ((100, 0.09), (200, 0.07), (400, 0.055), (800, 0.04))
        for seed in (0, 1)
    ]
    forecasts = [Forecast(2.0, 1600, 0.04, 0.033, 0.029, 0.038), Forecast(4.0, 3200, 0.04, 0.027, 0.02, 0.035)]
    shown = texts(draw_learning_curve_forecast(points, forecasts, error_name="error rate", unit="share"))
    assert {"100", "200", "400", "800", "1,600", "3,200", "3.3 %", "2.7 %", "dev", "train"} <= shown


def test_a_learning_curve_without_a_forecast_is_drawn_up_to_the_data():
    points = [CurvePoint(100, 0.09, 0, 0.01)]
    assert "100" in texts(draw_learning_curve_forecast(points, [], error_name="error rate", unit="share"))


def test_a_diary_names_what_was_kept_and_nothing_that_was_undone():
    def tried(label, kept, after, seconds):
        facts = {"label": label, "kept": kept, "dev_before": [0.05, 0.06], "dev_after": [after, after]}
        return Entry("tried", label, seconds, facts)

    entries = [
        Entry("began", "", 0.0, {}),
        Entry("first", "", 10.0, {"dev_error": 0.05}),
        tried("dropout 0 -> 0.2", True, 0.03, 70.0),
        tried("ema 0 -> 0.99", False, 0.06, 130.0),
    ]
    shown = texts(draw_diary(entries, error_name="error rate", unit="share"))
    assert {"dropout 0 → 0.2", "minutes"} <= shown
    assert "ema 0 → 0.99" not in shown


def test_an_improvement_without_tries_has_a_figure_too():
    assert "seconds" in texts(draw_diary([Entry("began", "", 0.0, {})], error_name="error", unit="share"))


def test_a_diary_draws_what_is_proven_filled_and_what_is_on_trial_open():
    def tried(event, kept, proven, after, seconds):
        facts = {"label": event, "kept": kept, "proven": proven, "dev_before": [0.05], "dev_after": [after]}
        return Entry(event, event, seconds, facts)

    entries = [
        Entry("first", "", 1.0, {"dev_error": 0.05}),
        tried("tried", True, True, 0.04, 2.0),
        tried("tried", True, False, 0.03, 3.0),
        tried("tried", False, False, 0.06, 4.0),
        tried("together", False, False, 0.045, 5.0),
    ]
    lines = draw_diary(entries, error_name="error rate", unit="share").axes[0].lines
    dots = [line for line in lines if line.get_marker() in ("o", "s")]
    assert [line.get_marker() for line in dots] == ["o", "o", "o", "s"]
    assert [line.get_color() == "white" for line in dots] == [False, True, True, True]
    assert dots[0].get_markeredgecolor() == dots[1].get_markeredgecolor() != dots[2].get_markeredgecolor()
    stood = next(line for line in lines if line.get_drawstyle().startswith("steps"))
    assert list(stood.get_ydata()) == [0.05, 0.04, 0.03, 0.05, 0.05]  # undone together: as it was before all of them
