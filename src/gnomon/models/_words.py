"""What nets that read whole texts have in common."""

from __future__ import annotations

from typing import Any

from gnomon.core.knobs import WHOLE_TEXTS, Here, Knob, Search, Step
from gnomon.core.settings import setting

MOST = 0.6  # of the words of a text left out: of short ones, little is left


def _more(value: float, _here: Here) -> float | None:
    return round(value + 0.1, 2) if value + 0.1 <= MOST else None


def word_dropout_setting() -> Any:
    """The setting `word_dropout` of a family."""
    return setting(
        0.2,
        "probability that a word is read as an unknown one, in training (texts that are classified or tagged)",
        Knob(
            ("fit-dev",),
            needs=WHOLE_TEXTS,
            steps=(Step("more words left out", "fit-dev", _more, "no answer then hangs on one word", 0.03),),
            search=(Search("linear", 3, lambda _v, _: (0.0, 0.5)),),
        ),
        ge=0,
        lt=1,
    )
