"""Writes spans.json: random tags with what seqeval and nervaluate say about them.

pip install seqeval==1.2.2 nervaluate==1.2.1 && python tests/golden/make_spans.py
"""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path

from nervaluate import Evaluator
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

TYPES = ("person", "geo-loc", "tv")
STRICT = {"BIO": IOB2, "IOB1": IOB1, "IOBES": IOBES, "BILOU": BILOU}
LETTERS = {"BIO": "OBI", "IOB1": "OBI", "IOBES": "OBIES", "BILOU": "OBILU"}


def random_tags(rng: random.Random, letters: str) -> list[str]:
    drawn = [rng.choice("O" + letters) for _ in range(rng.randint(1, 9))]
    return [letter if letter == "O" else f"{letter}-{rng.choice(TYPES)}" for letter in drawn]


def main() -> None:
    warnings.simplefilter("ignore")
    rng = random.Random(7)
    found = []
    for scheme, strict in STRICT.items():
        answers = [random_tags(rng, LETTERS[scheme]) for _ in range(60)]
        truths = [
            tags if rng.random() < 0.6 else (random_tags(rng, LETTERS[scheme]) * 9)[: len(tags)] for tags in answers
        ]
        lenient = {} if scheme == "BILOU" else _lenient(truths, answers)  # seqeval has none: it forgets adjacent ones
        strictly = [[[e.start, e.end, e.tag] for e in Entities([tags], strict).entities[0]] for tags in truths]
        found.append({"scheme": scheme, "truths": truths, "answers": answers, "strict": strictly, **lenient})
    Path(__file__).with_name("spans.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


def _lenient(truths: list[list[str]], answers: list[list[str]]) -> dict[str, object]:
    report = classification_report(truths, answers, output_dict=True)
    sides = [
        [[{"label": kind, "start": start, "end": end} for kind, start, end in get_entities(tags)] for tags in side]
        for side in (truths, answers)
    ]
    overall = Evaluator(*sides, tags=list(TYPES), loader="dict").evaluate()["overall"]
    numbers = {name: {key: float(value) for key, value in row.items()} for name, row in report.items()}
    return {
        "entities": [[list(one) for one in get_entities(tags)] for tags in truths],
        "report": numbers,
        "nervaluate": {name: overall[name].f1 for name in ("strict", "exact")},
    }


if __name__ == "__main__":
    main()
