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
