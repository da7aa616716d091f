"""The sample records and the payloads, for the tests beside this file and for those that use a browser."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gnomon.report import pictures

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    return load("report_samples")


@pytest.fixture(scope="session")
def payloads() -> tuple[str, ...]:
    return load("report_payloads").PAYLOADS


@pytest.fixture(scope="session")
def drawn(samples) -> pictures.Pictures:
    """The pictures of the sample record, drawn once: most tests read the page around them."""
    return pictures.of(samples.record())
