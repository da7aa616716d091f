"""A signal that comes while modules are imported ends the command with its number and one error, no traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

# Sends a signal to its own process when one module is imported for the first time, and lets that import go on.
SCRIPT = """
import os, sys

_, module, number, *words = sys.argv

class Signal:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Signal())
from gnomon.cli import main
sys.argv = ["gnomon", *words]
main()
"""
MODULES = ["gnomon.cli.run_command", "gnomon.core.settings", "numpy", "polars", "torch", "torch.nn.functional"]


def ended(module: str, number: int, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", SCRIPT, module, str(int(number)), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_an_import_is_one_error_and_its_exit_code(module, number):
    done = ended(module, number, "check", "digits")
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr.splitlines() == ["gnomon: error[stopped]: stopped.", "fix: run the command again."]


def test_a_program_gets_it_as_json():
    done = ended("torch", signal.SIGTERM, "check", "digits", "--json")
    assert (done.returncode, done.stderr) == (143, "")
    assert json.loads(done.stdout)["exit_code"] == 143
