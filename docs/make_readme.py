"""Refresh the README from a real run: the terminal output, and docs/report.png where a headless Chromium is found.

`make readme` runs it. The picture is the top of the report of `gnomon fit digits`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pages import ROOT, Block, Session, refresh

PICTURE = ROOT / "docs" / "report.png"
SIZE = (1000, 1250)  # pixels


def picture_of(report: Path, browser: str, folder: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}",
             f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={PICTURE}"]  # fmt: skip
    subprocess.run([browser, *flags, report.as_uri()], check=True, capture_output=True, timeout=120)  # noqa: S603


def main() -> None:
    refresh(ROOT / "README.md")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.stdout.write("README.md is up to date; without chromium, docs/report.png is unchanged\n")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        Session(folder).run(Block("bash", ("run",), "gnomon fit digits\n", 0, 0))
        picture_of(next(folder.glob("runs/image_classification/*/report.html")), browser, folder)
    sys.stdout.write("README.md and docs/report.png are up to date\n")


if __name__ == "__main__":
    main()
