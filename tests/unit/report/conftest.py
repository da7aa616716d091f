"""The sample records and the payloads, as fixtures."""

from __future__ import annotations

from types import ModuleType

import pytest
import report_payloads
import report_samples

from gnomon.report import pictures


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    return report_samples


@pytest.fixture(scope="session")
def payloads() -> tuple[str, ...]:
    return report_payloads.PAYLOADS


@pytest.fixture(scope="session")
def drawn() -> pictures.Pictures:
    """The pictures of the sample record, drawn once: most tests read the page around them."""
    return pictures.of(report_samples.record())
