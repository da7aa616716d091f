"""vectors: what word vectors know, whether a run made them or a file holds them; and writing them in other forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.core.errors import DataError, UsageError
from gnomon.core.options import one_of, whole
from gnomon.data.source import display_name, reason_of
from gnomon.data.text.debias import Debiased, debias, read_lists
from gnomon.data.text.vectors import Vectors, binary_of, read_vectors, text_of
from gnomon.data.text.word_space import Analogies, Near, Similarities, Space, evaluate
from gnomon.workflow.own_files import write_new

OPTIONS = ("nearest", "analogy", "evaluate", "map", "debias", "direction", "specific", "to", "count", "out")
FORMS: Mapping[str, Callable[[Vectors], bytes]] = {
    "txt": text_of,  # word2vec's text
    "vec": text_of,  # fastText's name for it
    "glove": lambda vectors: text_of(vectors, header=False),
    "bin": binary_of,
}
ENDINGS = {"glove": ".glove.txt"}
MOST_ON_MAP, COMMON = 2_000, 100  # the most frequent words say little: a map begins after them


@dataclass(frozen=True)
class Found:
    """What was asked for; the rest is empty."""

    name: str
    num_words: int
    dims: int
    remarks: tuple[str, ...]
    debiased: Debiased | None = None
    nearest: tuple[Near, ...] = ()
    analogy: tuple[Near, ...] = ()
    scores: Analogies | Similarities | None = None
    files: tuple[Path, ...] = ()


def vectors(
    place: str | Path, *, nearest: str | None = None, analogy: str | None = None, evaluate: str | Path | None = None,
    map: int | str | None = None,  # noqa: A002
    debias: str | Path | None = None, direction: str = "svd", specific: str = "list",
    to: str | None = None, count: int | str = 10, out: str | Path = "vectors",
) -> Found:  # fmt: skip
    """Ask the word vectors of a run, a file, a folder or a package of them (data/text/vectors.py).

    `nearest`: a word; `analogy`: "man woman king"; `evaluate`: a file of analogies or similarities; `map`: how many
    words to draw; `debias`: a folder of word lists, after which everything else is asked of the vectors without that
    bias. `direction`: "svd" or "mean"; `specific`: "list", or "learned" from the seed by a classifier. `to`: "txt",
    "vec", "bin" or "glove". Files go to the folder `out`; none is overwritten. Raises UsageError, DataError.
    """
    given = read_vectors(_of_run(place))
    changed = _debiased(given, debias, direction, specific)
    used = given if changed is None else changed.vectors
    space, number, folder = Space(used), whole("count", count, 1), Path(out)
    words = [] if analogy is None else analogy.split()
    if analogy is not None and len(words) != 3:
        raise UsageError(f"an analogy has three words, got {len(words)}.", fix='write analogy="man woman king".')
    files = []
    if map is not None:
        files.append(_drawn(space, whole("map", map, 2, MOST_ON_MAP), folder))
    name = "debiased" if changed is not None else "vectors"
    form = one_of("to", to, list(FORMS)) if to is not None else None
    if form is not None:
        files.append(write_new(folder, name, ENDINGS.get(form, f".{form}"), FORMS[form](used), "vectors"))
    return Found(
        display_name(str(place)), len(used.words), used.values.shape[1], used.remarks, changed,
        tuple(space.nearest(nearest, number)) if nearest is not None else (),
        tuple(space.analogy(words[0], words[1], words[2], number)) if words else (),
        None if evaluate is None else _scored(space, Path(evaluate)),
        tuple(files),
    )  # fmt: skip


def _of_run(place: str | Path) -> str | Path:
    """A run by its name below runs/, as other verbs take it; everything else as it is."""
    below = Path("runs") / place
    return below if not Path(place).expanduser().exists() and below.exists() else place


def _debiased(given: Vectors, folder: str | Path | None, direction: str, specific: str) -> Debiased | None:
    by, how = one_of("direction", direction, ["svd", "mean"]), one_of("specific", specific, ["list", "learned"])
    if folder is None:
        if by != "svd" or how != "list":
            raise UsageError("direction= and specific= belong to debias=.", fix="add debias=FOLDER, or leave them out.")
        return None
    return debias(given, read_lists(Path(folder)), by=by, learn=how == "learned")  # type: ignore[arg-type]


def _scored(space: Space, path: Path) -> Analogies | Similarities:
    try:
        content = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(
            f"it cannot be read ({reason_of(error)}).", where=display_name(str(path)),
            fix="give a file of analogies (questions-words.txt) or similarities (wordsim353.tsv).",
        ) from error  # fmt: skip
    return evaluate(space, content, display_name(str(path)))


def _drawn(space: Space, count: int, folder: Path) -> Path:
    from gnomon.figures.encode import png
    from gnomon.figures.word_map import draw_word_map

    first = COMMON if len(space.words) >= COMMON + count else 0
    places = list(range(first, min(len(space.words), first + count)))
    figure = draw_word_map([space.words[place] for place in places], space.map(places))
    return write_new(folder, "map", ".png", png(figure), "vectors")


def as_plain(found: Found) -> dict[str, Any]:
    """As JSON has it."""
    plain: dict[str, Any] = {"words": found.num_words, "dims": found.dims, "remarks": list(found.remarks)}
    for name in ("nearest", "analogy"):
        near = getattr(found, name)
        if near:
            plain[name] = [{"word": one.word, "cosine": one.cosine} for one in near]
    if isinstance(found.scores, Analogies):
        plain["analogies"] = {
            "questions": found.scores.questions, "notes": list(found.scores.notes),
            "sections": [{"name": one.name, "right": one.right, "asked": one.asked} for one in found.scores.sections],
        }  # fmt: skip
    if isinstance(found.scores, Similarities):
        plain["similarities"] = {**vars(found.scores), "notes": list(found.scores.notes)}
    if found.debiased is not None:
        done = found.debiased
        plain["debiased"] = {
            "share": done.share, "before": vars(done.before), "after": vars(done.after), "judged": done.judged,
            "kept": list(done.kept), "equalised": done.equalised, "notes": list(done.notes),
        }  # fmt: skip
    return {**plain, "files": [str(path) for path in found.files]}
