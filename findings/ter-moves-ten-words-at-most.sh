#!/usr/bin/env bash
# TER counts the move of a phrase as one edit, but sacrebleu (as tercom did before it) tries no phrase of more than ten
# words, and makes a move only if it brings the rest nearer at once. So the words that stand first, moved to the end of a
# sentence of 40, cost one edit up to ten words and two up to nineteen; twenty, two halves in the wrong order, cost 40
# edits: no single move of ten helps, and every word is replaced. The score jumps from 5 to 100 for one word more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from sacrebleu.metrics import TER

print("sacrebleu", version("sacrebleu"))
words = [f"w{number}" for number in range(40)]
found = {}
for moved in (1, 10, 11, 19, 20):
    text = " ".join(words[moved:] + words[:moved])
    found[moved] = round(TER().sentence_score(text, [" ".join(words)]).score, 1)
    print(f"the first {moved} of {len(words)} words moved to the end: TER {found[moved]}")
assert found == {1: 2.5, 10: 2.5, 11: 5.0, 19: 5.0, 20: 100.0}, found
PYTHON
