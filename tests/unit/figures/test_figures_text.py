"""How names and numbers are written in pictures and on the page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.figures import text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("cat", "cat"),
        ("猫 Größe naïve", "猫 Größe naïve"),
        ("👩\u200d🔬 ❤\ufe0f", "👩\u200d🔬 ❤\ufe0f"),  # joiners spell emoji and stay
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc", r"a\nb\tc"),
        ("invoice\u202egpj.exe", r"invoice\u202egpj.exe"),
        ("\udcff", r"\udcff"),
        ("\ufffe\ufdd0", r"\ufffe\ufdd0"),
        ("\u200b", r"\u200b"),
        ("\U0003fffd", "\U0003fffd"),  # unknown to this Python, known to the next one
    ],
)
def test_invisible_characters_are_written_as_escapes(raw, shown):
    assert text.visible(raw) == shown


def test_line_breaks_are_kept_in_prose():
    assert text.visible("a\nb\x00", keep="\n") == "a\nb\\x00"


@given(st.text(st.characters()))  # lone surrogates included
def test_a_visible_text_can_be_written_in_any_encoding_of_unicode_and_any_xml(raw):
    shown = text.visible(raw)
    shown.encode("utf-8")
    assert not any(ord(char) < 32 or ord(char) == 127 or (ord(char) & 0xFFFE) == 0xFFFE for char in shown)


@given(st.text(), st.integers(4, 50))
def test_a_label_is_never_longer_than_its_limit_and_never_empty(raw, limit):
    assert 0 < len(text.label(raw, limit)) <= max(limit, len("(empty)"))


def test_a_long_name_keeps_both_its_ends():
    assert text.shortened("a" * 50 + "/photo-0007.jpg", 30) == "a" * 20 + "…-0007.jpg"


def test_a_very_long_name_is_fast():
    assert len(text.label("x" * 100_000_000, 24)) == 24


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.00123, "0.00123"), (4.5, "4.5"), (123.456, "123"), (1234567, "1,234,567"), (-2.5, "−2.5"),
     (1e20, "1e+20"), (math.nan, "not a number"), (math.inf, "∞"), (-math.inf, "−∞")],
)  # fmt: skip
def test_numbers_are_written_as_people_write_them(value, shown):
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.041, "share", "4.1\u00a0%"), (0.0, "share", "0.0\u00a0%"), (0.0005, "share", "0.05\u00a0%"),
     (42.34, "mg/dl", "42.3\u00a0mg/dl"), (0.5, None, "0.500"), (math.nan, "share", "not a number")],
)  # fmt: skip
def test_errors_stand_on_one_line_with_their_unit(value, unit, shown):
    assert text.error_text(value, unit) == shown


def test_a_unit_is_a_name_like_any_other():
    assert text.error_text(1.0, "\x1bunit") == "1.00\u00a0\\x1bunit"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.077, "share", "+7.7\u00a0points"), (-0.004, "share", "−0.4\u00a0points"), (5.25, "s", "+5.25\u00a0s"),
     (math.inf, "s", "∞")],
)  # fmt: skip
def test_gaps_carry_their_sign(value, unit, shown):
    assert text.gap_text(value, unit) == shown


@pytest.mark.parametrize(
    ("low", "high", "unit", "shown"),
    [(0.025, 0.037, "share", "[2.5, 3.7]"), (0.0007, 0.05, "share", "[0.1, 5.0]"),
     (-0.00001, 0.05, "share", "[0.0, 5.0]"), (-0.03, 0.05, "share", "[−3.0, 5.0]"),
     (0.0002, 0.0005, "share", "[0.02, 0.05]"), (39.11, 45.9, "mg", "[39.1, 45.9]")],
)  # fmt: skip
def test_both_ends_of_an_interval_have_the_same_decimals(low, high, unit, shown):
    assert text.range_text(low, high, unit) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.42, "0.4 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_in_hours_minutes_and_seconds(seconds, shown):
    assert text.duration(seconds).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(789, "789"), (45_600, "45.6 k"), (1_234_567, "1.23 M"), (3.2e9, "3.2 G")]
)
def test_large_counts_are_abbreviated(value, shown):
    assert text.short_count(value).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("terminal", "page"),
    [
        ("12.0 % -> 7.1 % [-0.8, 0.8]", "12.0 % → 7.1 % [−0.8, 0.8]"),
        ("(gain -3.3 points)", "(gain −3.3 points)"),
        ("-.5", "−.5"),
        ("resnet-18 on 2026-11-21, rate 1e-3 of x-3", "resnet-18 on 2026-11-21, rate 1e-3 of x-3"),
        ("train-dev, Cohen (1960)-2", "train-dev, Cohen (1960)-2"),
    ],
)
def test_numbers_get_a_minus_sign_and_names_keep_their_hyphen(terminal, page):
    assert text.typeset(terminal) == page
