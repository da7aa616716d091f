"""A planted run, and a client that asks without a socket."""

from __future__ import annotations

import pytest
import studio_samples as samples


@pytest.fixture
def planted(tmp_path):
    """A run of 300 dev examples, 30 of them wrong."""
    return samples.plant(tmp_path / "runs", samples.predictions(300, 30))


@pytest.fixture
def client(planted, tmp_path):
    return samples.Client(tmp_path / "runs")


@pytest.fixture
def place(planted):
    """The path of the planted run."""
    return f"/runs/{samples.run_id(planted.path)}"
