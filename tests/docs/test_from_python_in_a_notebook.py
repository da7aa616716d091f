"""The page "From Python" as a notebook: its blocks as cells, in the kernel that Jupyter starts for one."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.manager import KernelManager

DOCS = Path(__file__).resolve().parents[2] / "docs"
STARTED = 60  # seconds that the kernel may take to answer, on a busy machine
ONE_CELL = 120


def blocks() -> list[Any]:
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    pages = sys.modules.setdefault("pages", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(pages)
    return [block for block in pages.blocks((DOCS / "from-python.md").read_text()) if block.runs]


@pytest.fixture
def kernel(tmp_path):
    """The client of a new kernel whose folder is `tmp_path`. Its sockets are files: nothing listens on a port."""
    manager = KernelManager(transport="ipc", ip=str(tmp_path / "kernel"), connection_file=str(tmp_path / "kernel.json"))
    manager.kernel_spec.argv = make_ipkernel_cmd()
    rest = {name: value for name, value in os.environ.items() if name != "GNOMON_TASKS"}
    manager.start_kernel(cwd=str(tmp_path), env={**rest, "IPYTHONDIR": str(tmp_path / "ipython")})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=STARTED)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def shown(kernel: Any, cell: str) -> list[dict[str, Any]]:
    """Every output of a cell as the notebook would get it. Raises AssertionError for a cell that fails."""
    outputs: list[dict[str, Any]] = []
    reply = kernel.execute_interactive(cell, timeout=ONE_CELL, output_hook=outputs.append, allow_stdin=False)
    assert reply["content"]["status"] == "ok", "\n".join(reply["content"].get("traceback", ()))
    return outputs


def of_kind(outputs: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [output["content"] for output in outputs if output["msg_type"] == kind]


def test_every_block_of_the_page_runs_as_a_cell_and_shows_itself_as_the_page_says(kernel):
    outputs = [shown(kernel, block.text) for block in blocks()]
    first = outputs[0]  # a fit, and a print of its ladder
    (line,) = of_kind(first, "display_data")
    changes = of_kind(first, "update_display_data")
    assert changes
    assert {change["transient"]["display_id"] for change in changes} == {line["transient"]["display_id"]}
    assert changes[-1]["data"]["text/plain"].startswith("epoch 20/20  train ")
    printed = "".join(output["text"] for output in of_kind(first, "stream"))
    assert all(rung in printed for rung in ("human", "train", "dev", "test"))
    (page,) = [
        result["data"]["text/html"]
        for block, output in zip(blocks(), outputs, strict=True)
        if block.text.endswith("\nrun\n")
        for result in of_kind(output, "execute_result")
    ]
    assert "<table" in page
    assert "data:image/svg+xml;base64," in page
    assert not [text for output in outputs for text in of_kind(output, "stream") if text["name"] == "stderr"]


def test_a_fit_in_a_cell_completes_its_settings(kernel):
    shown(kernel, "import gnomon")
    code = 'gnomon.fit("iris", epo'
    found = kernel.complete(code, len(code), reply=True, timeout=STARTED)["content"]["matches"]
    assert "epochs=" in found
