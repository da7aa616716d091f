"""Test the claims and write their pages: `python docs/make_gallery.py [NAME ...]` (all of them by default).

Each gets docs/gallery/NAME.md and NAME.png; the table of verdicts in docs/gallery.md is taken from the pages.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gnomon import gallery
from gnomon.figures.encode import png
from gnomon.gallery._page import page, run

DOCS = Path(__file__).resolve().parent
BEGIN, END = "<!-- verdicts: begin (docs/make_gallery.py) -->\n", "<!-- verdicts: end -->\n"


def write(name: str) -> None:
    outcome = run(name)
    folder = DOCS / "gallery"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text(page(outcome, figure=f"{name}.png"), encoding="utf-8")
    (folder / f"{name}.png").write_bytes(png(outcome.claim.draw(outcome.measured)))
    sys.stdout.write(f"{name}: {outcome.verdict} {outcome.counted} ({outcome.seconds:.0f} s)\n")


def verdicts() -> str:
    lines = ["| claim | verdict |\n", "|---|---|\n"]
    for name in gallery.names():
        text = (DOCS / "gallery" / f"{name}.md").read_text(encoding="utf-8")
        found = re.search(r"^\*\*(.+)\*\*(?: \((.+)\))?\.$", text, re.MULTILINE)
        if found is None:
            raise ValueError(f"docs/gallery/{name}.md has no verdict")
        counted = f" ({found[2]})" if found[2] else ""
        lines.append(
            f"| [{gallery.title(name).removesuffix('.')}](gallery/{name}.md) | {found[1].lower()}{counted} |\n"
        )
    return "".join(lines)


def main(names: list[str]) -> None:
    for name in names or gallery.names():
        write(name)
    path = DOCS / "gallery.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    path.write_text(f"{before}{BEGIN}{verdicts()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
