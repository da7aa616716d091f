"""Rules every test lives by: fixed seeds, no network, no clock, two threads, real data found through GNOMON_DATA."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests are small; several run side by side
os.environ["GNOMON_CACHE"] = "off"  # nothing of a test is kept for the next one
os.environ["GNOMON_TASKS"] = str(ROOT / "tests" / "tasks")  # small tasks that prove the shape of Task
os.environ["GNOMON_MODELS"] = str(ROOT / "tests" / "models")  # and the families of theirs
os.environ["GNOMON_CRAFTS"] = str(ROOT / "tests" / "crafts")  # two small crafts that prove the shape of Craft

hypothesis.settings.register_profile("untimed", deadline=None)  # the first example may import torch
hypothesis.settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a script's background: Ctrl-C could not be tested
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Runs, peeks and answers of a test land in its own folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that opens a connection to another machine fails."""
    real_connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}")
        return real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where it is missing."""
    folder = Path(os.environ.get("GNOMON_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set GNOMON_DATA")
    return folder
