"""Tasks and crafts of the user's own, found by the names of their folders: what a newcomer gets wrong is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gnomon.core import found
from gnomon.core.errors import UsageError

TONES = Path(__file__).resolve().parents[2] / "tasks" / "tones"


def test_a_copied_folder_whose_task_kept_its_old_name_is_named(tmp_path, monkeypatch):
    shutil.copytree(TONES, tmp_path / "whistles")
    monkeypatch.setenv("GNOMON_TASKS", str(tmp_path))
    with pytest.raises(UsageError, match=r"TASK with the name 'tones', but .* name, 'whistles'\. Fix: rename"):
        found.task("whistles")


def test_a_folder_without_a_task_is_named(tmp_path, monkeypatch):
    (tmp_path / "forgotten").mkdir()
    (tmp_path / "forgotten" / "__init__.py").write_text("KIND = None\n")
    monkeypatch.setenv("GNOMON_TASKS", str(tmp_path))
    with pytest.raises(UsageError, match=r"forgotten defines no TASK\. Fix: see docs/add-a-task\.md"):
        found.task("forgotten")
