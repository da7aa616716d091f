#!/usr/bin/env bash
# sacrebleu's three scores, as they are by default, each pass over something that readers do not. chrF leaves out all
# spaces before it counts characters: words that are cut in the wrong places get 100, and still 75 with word_order=2.
# TER puts everything into lower case: "us" for "US" is no edit. BLEU sees both. The signatures say so in two letters
# (space:no, case:lc), but who compares systems by chrF alone does not find that one of them runs its words together.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from sacrebleu.metrics import BLEU, CHRF, TER

print("sacrebleu", version("sacrebleu"))
reference = "Ich gehe heute nicht nach Hause"
cut = "Ichg eheheu tenich tnac hHa use"
scores = {
    "BLEU": BLEU(effective_order=True),
    "chrF": CHRF(),
    "chrF++": CHRF(word_order=2),
    "chrF with whitespace=True": CHRF(whitespace=True),
    "TER": TER(),
    "TER with case_sensitive=True": TER(case_sensitive=True),
}
found = {}
for name, score in scores.items():
    found[name] = [round(score.sentence_score(text, [reference]).score, 1) for text in (cut, reference.upper())]
    print(f"{name}: words cut in the wrong places {found[name][0]}, all in capitals {found[name][1]}")
assert found["chrF"][0] == 100 and found["chrF++"][0] == 75
assert found["BLEU"][0] < 25 and found["chrF with whitespace=True"][0] < 50
assert found["TER"][1] == 0 and found["TER with case_sensitive=True"][1] == 100
PYTHON
