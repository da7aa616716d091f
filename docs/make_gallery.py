"""Test the claims and write their pages: `python docs/make_gallery.py [NAME ...]` (all of them by default).

Each gets docs/gallery/NAME.md and NAME.png; the table of verdicts in docs/gallery.md is taken from the pages. With
`data=photos.zip` (and `seeds=N`) after the names they run on these pictures, and the pages are NAME-on-photos.md.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gnomon import gallery
from gnomon.figures.encode import png
from gnomon.gallery._page import page, run

DOCS = Path(__file__).resolve().parent
ELSEWHERE = "-on-"
BEGIN, END = "<!-- verdicts: begin (docs/make_gallery.py) -->\n", "<!-- verdicts: end -->\n"


def write(name: str, data: str | None, seeds: int | None) -> None:
    outcome = run(name, seeds=seeds, data=data)
    folder = DOCS / "gallery"
    folder.mkdir(exist_ok=True)
    stem = name if data is None else f"{name}{ELSEWHERE}{Path(data).stem}"
    (folder / f"{stem}.md").write_text(page(outcome, figure=f"{stem}.png"), encoding="utf-8")
    (folder / f"{stem}.png").write_bytes(png(outcome.claim.draw(outcome.measured)))
    sys.stdout.write(f"{stem}: {outcome.verdict} {outcome.counted} ({outcome.seconds:.0f} s)\n")


def verdicts() -> str:
    lines = ["| claim | verdict |\n", "|---|---|\n"]
    for name in gallery.names():
        answers = [verdict(DOCS / "gallery" / f"{name}.md")]
        for other in sorted((DOCS / "gallery").glob(f"{name}{ELSEWHERE}*.md")):
            data = other.stem.removeprefix(f"{name}{ELSEWHERE}")
            answers.append(f"on [{data}](gallery/{other.name}): {verdict(other)}")
        title = gallery.title(name).removesuffix(".")
        lines.append(f"| [{title}](gallery/{name}.md) | {'; '.join(answers)} |\n")
    return "".join(lines)


def verdict(path: Path) -> str:
    """`holds (4 of 4 statements hold)`, as the page at `path` has it."""
    found = re.search(r"^\*\*(.+)\*\*(?: \((.+)\))?\.$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{path} has no verdict")
    return found[1].lower() + (f" ({found[2]})" if found[2] else "")


def main(words: list[str]) -> None:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    names = [word for word in words if "=" not in word]
    for name in names or gallery.names():
        write(name, given.get("data"), int(given["seeds"]) if "seeds" in given else None)
    path = DOCS / "gallery.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    path.write_text(f"{before}{BEGIN}{verdicts()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
