"""The environment of a run: what repeats it, nothing private, and no heavy import."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata

import pytest

from gnomon.runs import environment
from gnomon.runs.environment import command, describe_environment


def test_it_names_what_the_run_was_made_with():
    found = json.loads(json.dumps(describe_environment()))
    assert found["python"] == platform.python_version()
    assert found["packages"]["torch"] == metadata.version("torch")
    assert found["gnomon"] == metadata.version("gnomon")
    assert 1 <= found["cores"] <= os.cpu_count()
    assert found["memory_bytes"] > 2**20
    assert found["cpu"]
    age = datetime.now(UTC) - datetime.fromisoformat(found["time"])
    assert abs(age.total_seconds()) < 60


def test_it_names_neither_user_nor_machine(monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setattr(sys, "argv", ["/home/alice/bin/gnomon", "fit", "/home/alice/photos"])
    text = json.dumps(describe_environment())
    assert "alice" not in text
    assert platform.node() not in text.split('"platform"')[0]


def test_the_packages_it_names_are_not_imported():
    code = (
        "import sys; from gnomon.runs.environment import describe_environment; describe_environment(); "
        "print(sorted({'torch', 'polars', 'scipy', 'sklearn', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_run_folder_is_opened_without_polars_or_torch():
    code = "import sys, gnomon.runs.folder; print(sorted({'torch', 'polars', 'numpy', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize(("given", "shown"), [
    ("/home/alice/photos", "~/photos"),
    ("target_data=/home/alice/phone", "target_data=~/phone"),
    ("/home/alicebob/photos", "/home/alicebob/photos"),
    ("/home/alice", "~"),
    ("--api-key=123", "--api-key=***"),
    ("hub.token=123", "hub.token=***"),
    ("PASSWORD=a=b", "PASSWORD=***"),
    ("tokenizer=words", "tokenizer=words"),
    ("https://alice:pw@example.org/data.zip", "https://***@example.org/data.zip"),
    ("learning_rate=0.1", "learning_rate=0.1"),
])  # fmt: skip
def test_home_and_secrets_are_not_shown(monkeypatch, given, shown):
    monkeypatch.setenv("HOME", "/home/alice")
    assert command(["/usr/bin/gnomon", "fit", given]) == ["gnomon", "fit", shown]


def test_the_value_after_a_secret_option_is_not_shown(monkeypatch):
    monkeypatch.delenv("HOME")
    assert command(["g", "--token", "abc", "--seed", "3"]) == ["g", "--token", "***", "--seed", "3"]
    assert command(["g", "--token", "--token", "x"]) == ["g", "--token", "***", "x"]
    assert command([]) == []


def test_a_machine_with_little_information_is_described_all_the_same(monkeypatch):
    def fail(*arguments, **options):
        raise OSError

    monkeypatch.setattr(environment, "open", fail, raising=False)
    monkeypatch.setattr(os, "sysconf", fail)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package",))
    found = describe_environment()
    assert found["cpu"] == platform.processor() or platform.machine()
    assert found["memory_bytes"] is None
    assert found["cores"] == os.cpu_count()
    assert found["packages"] == {}
