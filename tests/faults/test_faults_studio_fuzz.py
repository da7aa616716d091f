"""Requests made up from the studio's own route table: any method, any value, any header, any body, never a crash."""

from __future__ import annotations

import pytest
import studio_samples as samples
from studio_fuzz import fuzz


@pytest.fixture
def client(tmp_path) -> samples.Client:
    """A studio over runs of every state."""
    runs = tmp_path / "runs"
    samples.plant(runs, samples.predictions(300, 30))
    samples.plant(runs, samples.predictions(300, 25, seed=2), name="other")
    samples.plant(runs, samples.predictions(30, 3), name="stopped", finished=False)
    (samples.plant(runs, samples.predictions(30, 3), name="damaged").path / "settings.toml").write_text("damaged")
    return samples.Client(runs)


def test_no_request_from_the_route_table_is_a_server_error(client):
    seen = fuzz(client, 300)
    assert {200, 404} <= set(seen)


@pytest.mark.slow
def test_none_of_ten_thousand_requests_is_a_server_error(client):
    seen = fuzz(client, 10_000)
    assert seen[200] > 1_000  # it got behind the guard and into the pages
    assert {403, 404, 405, 413, 415, 422} <= set(seen)
