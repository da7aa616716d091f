"""Planted runs, and a client that asks without a socket."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    return load("studio_samples")


@pytest.fixture
def planted(samples, tmp_path):
    """A run of 300 dev examples, 30 of them wrong."""
    return samples.plant(tmp_path / "runs", samples.predictions(300, 30))


@pytest.fixture
def client(samples, planted, tmp_path):
    return samples.Client(tmp_path / "runs")


@pytest.fixture
def place(samples, planted):
    """The path of the planted run."""
    return f"/runs/{samples.run_id(planted.path)}"
