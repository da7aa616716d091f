"""Refresh first-screens.md: what `gnomon fit` says after the epochs. `python docs/make_screens.py [NAME]`.

Half of the sets are bundled; the others are in GNOMON_DATA. What is there already is kept unless its name is given.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).with_name("first-screens.md")
DATA = Path(os.environ.get("GNOMON_DATA", "../shared/data"))
MOST = 24  # lines after the epochs
SETS = {  # name -> what is copied from GNOMON_DATA, words of the command
    "letter": ("tables/letter.csv", "letter.csv target=lettr"),
    "letter, cut short": ("tables/letter.csv", "letter.csv target=lettr max_time=0.3"),
    "letter, a linear model": ("tables/letter.csv", "letter.csv target=lettr model=logistic"),
    "vowel": ("tables/vowel.csv", "vowel.csv target=Class"),
    "sonar": ("tables/sonar.csv", "sonar.csv target=Class"),
    "iris": ("", "iris"),
    "wine": ("", "wine"),
    "breast-cancer": ("", "breast-cancer"),
    "diabetes": ("", "diabetes"),
    "digits": ("", "digits"),
    "mnist-10k": ("mnist-10k", "mnist-10k epochs=3"),
    "fashion-mnist": ("fashion-mnist", "fashion-mnist model=logistic epochs=3"),
}


def screen(copied: str, words: str) -> str:
    """The lines after the epochs, without the folder that it ran in."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        if copied:
            source = DATA / copied
            place = folder / source.name
            if source.is_dir():
                place.mkdir()
                for file in source.glob("*.gz"):
                    shutil.copy(file, place)
            else:
                shutil.copy(source, place)
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "gnomon", "fit", *words.split()], cwd=folder, capture_output=True, text=True,
            check=True, env={**os.environ, "COLUMNS": "120"},
        )  # fmt: skip
        text = done.stdout.replace(f"{folder}{os.sep}", "")
    lines = text.rstrip("\n").splitlines()
    epochs = max(place for place, line in enumerate(lines) if line.split(" ", 1)[0] == "" and "/" in line[:9])
    shown = lines[epochs + 1 :]
    if len([line for line in shown if line]) > MOST:
        raise SystemExit(f"{words}: {len(shown)} lines, more than {MOST}")
    return "\n".join(shown).strip("\n")


def main(only: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, (copied, words) in SETS.items():
        begin, end = f"<!-- {name}: begin (docs/make_screens.py) -->\n", f"<!-- {name}: end -->\n"
        before, found, rest = page.partition(begin)
        old, _, after = rest.partition(end)
        if found and (not old.strip() or only == name):
            page = f"{before}{begin}```text\n$ gnomon fit {words}\n{screen(copied, words)}\n```\n{end}{after}"
            PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
