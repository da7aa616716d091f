"""What a verdict says of the gap that comes second."""

from __future__ import annotations

from gnomon.strategy.ladder import diagnose_rates


def test_a_second_gap_that_may_be_zero_is_not_called_clear():
    found = diagnose_rates({"human": 0.02, "train": (0.10, 300), "dev": (0.16, 300)})
    assert not next(gap for gap in found.gaps if gap.name == "variance").is_there
    assert found.verdict.contenders == ("avoidable bias", "variance")
    assert "variance (6.0 points) may be as large, or zero" in found.verdict.text


def test_two_clear_gaps_are_both_named():
    found = diagnose_rates({"human": 0.02, "train": (0.10, 3000), "dev": (0.18, 3000)})
    assert all(gap.is_there for gap in found.gaps)
    assert "Avoidable bias (8.0 points) and variance (8.0 points) are both clear" in found.verdict.text.replace(
        "Variance (8.0 points) and avoidable bias (8.0 points)", "Avoidable bias (8.0 points) and variance (8.0 points)"
    )


def test_a_wide_gap_that_is_surely_above_zero_is_likely_not_perhaps_nothing():
    # 8 of 30 against 20 of 39: 24.6 points, Newcombe's interval from 1.3 to 44.0
    found = diagnose_rates({"train": (0.25, 2000), "train_dev": (8 / 30, 30), "dev": (20 / 39, 39)})
    gap = found.gaps[-1]
    assert (gap.name, gap.is_there) == ("data mismatch", False)
    assert gap.low > 0
    assert "data mismatch is likely (24.6 points), between 1.3 and 44.0 points" in found.verdict.text
    assert "zero" not in found.verdict.text


def test_a_large_second_gap_that_is_surely_above_zero_is_not_called_zero():
    # 26.7 points with Newcombe's interval from 1 to 48, beside a clear gap of 25 points from people to train
    rates = {"human": 0.0, "train": (0.25, 2000), "train_dev": (8 / 30, 30), "dev": (16 / 30, 30)}
    found = diagnose_rates(rates)
    gap = next(gap for gap in found.gaps if gap.name == "data mismatch")
    assert (gap.is_there, gap.low > 0) == (False, True)
    assert "data mismatch (26.7 points) may be as large, or small: there are too few" in found.verdict.text
