"""Tags that are set automatically: from predictions, copies, pictures, rows and texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gnomon.core.evaluation import is_structured
from gnomon.metrics import box_table, identity_table, mask_table, pair_table, span_table
from gnomon.strategy import box_errors, box_tags, identity_tags, mask_errors, mask_tags, span_tags, translation_tags
from gnomon.strategy.error_analysis import Tag

if TYPE_CHECKING:
    from gnomon.core.evaluation import Evaluation

CONFIDENT = 0.9  # probability from which a mistake counts as confident
CLOSE = 0.1  # two highest probabilities closer than this: a toss-up
FAR_OFF = 3.0  # times the median error: beyond it, an answer is far off
EXTREME = 0.05  # share of training examples in each tail of a measure that counts as unusual
FAR_FROM_USUAL = 3.0  # robust standard deviations from the training median that count as unusual in any case
OUTLIER = 5.0  # robust standard deviations from the training median
RARE_VALUE = 0.01  # share of training rows below which a category is rare
RARE_CLASS = 0.5  # times the even share 1/K below which a class is rare
MOST_PAIRS = 12  # confusion pairs that become tags
MOST_VALUES = 30  # values of a slice column that become tags
ERRORS_PER_CLUSTER, MOST_CLUSTERS, COMPONENTS = 15, 8, 20  # of the embedding
MORE_OFTEN = 1.5  # a cluster's share of the errors, at least this many times its share of the right answers
LEAST_WORDS = 3  # in training texts on average: of names and single words none is common
LEAST_CAPITALS = 4  # letters: fewer are an abbreviation
NEGATION = re.compile(
    r"\b(?:not|no|never|nor|neither|none|nobody|nothing|nowhere|without|cannot|hardly|barely|scarcely)\b|n['’]t\b",
    re.IGNORECASE,
)
FEWEST = 2  # errors that a pair, slice value or column needs to become a tag


@dataclass(frozen=True, slots=True)
class PictureMeasures:
    """What can be measured in a picture without knowing what it shows."""

    brightness: float  # mean grey value, 0 to 255
    contrast: float  # standard deviation of grey values
    sharpness: float  # energy of the Laplacian per energy of the picture: low if it is blurred
    pixels: int


def from_predictions(evaluation: Evaluation, class_counts: Mapping[str, int] | None = None) -> list[Tag]:
    """Confusion pairs, confident mistakes, toss-ups, rare classes; direction and size of numeric errors; slices.

    Of boxes, masks and spans, the kinds of what is wrong in the pictures and sentences; of texts that became other
    texts, what is plainly wrong with them, and whether search or model is at fault.

    `class_counts`: how often each class occurs in train.
    """
    table = evaluation.table
    if box_table.is_boxes(table):
        found = _of_boxes(table)
    elif mask_table.is_masks(table):
        found = mask_tags.from_masks(mask_errors.find_errors(table))
    elif span_table.is_spans(table):
        found = span_tags.from_spans(span_tags.find_errors(span_table.read(table)))
    elif pair_table.is_pairs(table):
        found = translation_tags.from_pairs(pair_table.read(table))
    elif evaluation.has_classes:
        table = table.with_columns(pl.col("target", "prediction").cast(pl.String))
        found = [*_confusion_pairs(table), *_by_confidence(table), *_rare_classes(table, class_counts or {})]
        if identity_table.is_identities(table):
            found += identity_tags.from_identities(identity_table.read(table))
    elif table["target"].dtype.is_numeric() and table["prediction"].dtype.is_numeric():
        found = _of_numbers(table)
    else:
        found = [*_by_confidence(table), *_with_unknown(table)]
    return [*found, *_slices(table)]


def from_copies(table: pl.DataFrame, split: str, pairs: pl.DataFrame) -> list[Tag]:
    """Copies with conflicting labels, and copies of training examples, from the pairs that `data.leakage` found."""
    ids = table["id"].cast(pl.String)
    mine = pl.concat(
        [
            pairs.filter(pl.col("split") == split).select("id", "other_split", "same_target"),
            pairs.filter(pl.col("other_split") == split).select(
                pl.col("other_id").alias("id"), pl.col("split").alias("other_split"), "same_target"
            ),
        ]
    )
    differing = mine.filter(pl.col("same_target").eq(other=False))["id"].cast(pl.String)
    in_train = mine.filter(pl.col("other_split") == "train")["id"].cast(pl.String)
    return _kept(
        table,
        [
            _tag("copy with another label", "copy", ids.is_in(differing.implode()).to_numpy(),
                 "The same example, exactly or nearly, has another label elsewhere in the data: one of them is wrong."),
            _tag("copy of a training example", "copy", ids.is_in(in_train.implode()).to_numpy(),
                 "It was trained on and is still wrong."),
        ],
    )  # fmt: skip


def measure_picture(image: np.ndarray) -> PictureMeasures:
    """Measures of an (H, W) or (H, W, 3) uint8 picture. Source: Pech-Pacheco et al. 2000 (Laplacian for focus)."""
    gray = gray_of(image)
    step = max(1, max(gray.shape) // 512)
    gray = gray[::step, ::step]
    spread = float(gray.std())
    sharpness = 0.0
    if min(gray.shape) >= 3 and spread > 0:
        middle = gray[1:-1, 1:-1]
        laplacian = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * middle
        sharpness = float(laplacian.var()) / spread**2
    return PictureMeasures(float(gray.mean()), spread, sharpness, int(image.shape[0] * image.shape[1]))


def gray_of(image: np.ndarray) -> np.ndarray:
    """(H, W) float64, 0 to 255, of an (H, W) or (H, W, C) uint8 picture. Weights: ITU-R BT.601."""
    gray = image.astype(np.float64)
    if gray.ndim == 3:
        gray = gray[..., :3] @ np.array([0.299, 0.587, 0.114]) if gray.shape[2] >= 3 else gray[..., 0]
    return gray


def from_pictures(
    table: pl.DataFrame,
    positions: np.ndarray,
    measured: Sequence[PictureMeasures],
    reference: Sequence[PictureMeasures],
    is_rotated: np.ndarray,
) -> list[Tag]:
    """Dark, bright, flat, blurred, small and rotated pictures, compared with `reference` (training pictures).

    `measured` and `is_rotated` (n,), of `error_rotated.rotated`, belong to the rows at `positions`. A measure is
    unusual in the extreme 5 % of the reference, where some ordinary pictures always are, or beyond 3 robust standard
    deviations, where many pictures can be if the data has a fault.
    """
    if not measured or not reference:
        return []
    reviewed = _mask(len(table), positions)
    share = f"{100 * EXTREME:.0f} %"
    wanted = (
        ("dark picture", "brightness", -1, f"Darker than the darkest {share} of the training pictures."),
        ("bright picture", "brightness", 1, f"Brighter than the brightest {share} of the training pictures."),
        ("flat picture", "contrast", -1, f"Less contrast than all but {share} of the training pictures."),
        ("blurred picture", "sharpness", -1, f"Fewer sharp edges than all but {share} of the training pictures."),
        ("small picture", "pixels", -1, f"Fewer pixels than all but {share} of the training pictures."),
    )
    tags = []
    for name, measure, side, meaning in wanted:
        values = np.array([getattr(one, measure) for one in measured], dtype=np.float64)
        usual = np.array([getattr(one, measure) for one in reference], dtype=np.float64)
        is_beyond = _beyond(values, usual, side)
        tags.append(_measured_tag(name, "picture", positions, is_beyond, reviewed, meaning))
    tags.append(_measured_tag("rotated picture", "picture", positions, is_rotated, reviewed,
                              "Turned by 90, 180 or 270 degrees, it looks more like training pictures."))  # fmt: skip
    return _kept(table, tags)


def from_texts(
    table: pl.DataFrame, positions: np.ndarray, texts: Sequence[str], reference: Sequence[str],
    has_unknown: np.ndarray | None = None,
) -> list[Tag]:  # fmt: skip
    """Texts shorter or longer, or with more rare words, than the extreme 5 % of `reference` (training texts).

    A rare word is one that no other of the training texts has. Also texts in capitals, those with a negation, and
    those for which `has_unknown` (n,) says that they have words that train lacks.
    """
    if not texts or not reference:
        return []
    reviewed = _mask(len(table), positions)
    lengths, usual = (np.array([len(text) for text in each], dtype=np.float64) for each in (texts, reference))
    share = f"{100 * EXTREME:.0f} %"
    tags = [
        _measured_tag(name, "text", positions, _beyond(lengths, usual, side), reviewed,
                      f"{name.split()[0].capitalize()}er than all but {share} of the training texts.")
        for name, side in (("short text", -1), ("long text", 1))
    ]  # fmt: skip
    rare, usually = _rare_words(texts, reference)
    if rare is not None and usually is not None:
        meaning = f"A larger share of rare words than in all but {share} of the training texts."
        tags.append(_measured_tag("rare words", "text", positions, _beyond(rare, usually, 1), reviewed, meaning))
    capitals = np.array([text.isupper() and sum(map(str.isalpha, text)) >= LEAST_CAPITALS for text in texts])
    tags.append(_measured_tag("all capitals", "text", positions, capitals, reviewed, "It has capital letters only."))
    negated = np.array([NEGATION.search(text) is not None for text in texts])
    meaning = "It has a word such as not, no, never or without (English)."
    tags.append(_measured_tag("negation", "text", positions, negated, reviewed, meaning))
    if has_unknown is not None:
        meaning = "It has words that the training texts lack: the model reads them all as one and the same."
        tags.append(_measured_tag("unknown words", "text", positions, has_unknown, reviewed, meaning))
    return _kept(table, tags)


def _rare_words(texts: Sequence[str], reference: Sequence[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The share of words in each text that no other training text has, here and there; None for texts of few words."""
    here, there = ([text.lower().split() for text in each] for each in (texts, reference))
    if np.mean([len(words) for words in there]) < LEAST_WORDS:
        return None, None
    counts = Counter(word for words in there for word in set(words))
    shares = [
        np.array([sum(counts[word] <= own for word in words) / max(len(words), 1) for words in each])
        for each, own in ((here, 0), (there, 1))
    ]
    return shares[0], shares[1]


def from_rows(
    table: pl.DataFrame,
    positions: np.ndarray,
    rows: Sequence[Mapping[str, Any]],
    reference: Sequence[Mapping[str, Any]],
) -> list[Tag]:
    """Missing values, rare categories and outliers, compared with `reference` (training rows)."""
    if not rows or not reference:
        return []
    reviewed = _mask(len(table), positions)
    missing = np.zeros(len(rows), dtype=bool)
    rare, strange = missing.copy(), missing.copy()
    by_column: list[Tag] = []
    for name in rows[0]:
        values, usual = [row.get(name) for row in rows], [row.get(name) for row in reference]
        absent = np.array([_is_missing(value) for value in values])
        missing |= absent
        known = [value for value in usual if not _is_missing(value)]
        if absent.any() and not absent.all():
            by_column.append(_measured_tag(f"{name} is missing", "row", positions, absent, reviewed))
        if not known:
            continue
        if all(_is_number(value) for value in known):
            strange |= _outliers(values, np.array(known, dtype=np.float64))
        else:
            rare |= _rare_values(values, known)
    tags = [
        _measured_tag("missing values", "row", positions, missing, reviewed, "At least one of its inputs is missing."),
        _measured_tag("rare category", "row", positions, rare, reviewed,
                      f"One of its categories is in less than {100 * RARE_VALUE:.0f} % of the training rows."),
        _measured_tag("outlier row", "row", positions, strange, reviewed,
                      f"One of its numbers is over {OUTLIER:.0f} robust standard deviations from the training median."),
    ]  # fmt: skip
    return _kept(table, tags) + _kept(table, by_column, fewest=FEWEST)


def from_embedding(table: pl.DataFrame, positions: np.ndarray, embedding: np.ndarray, *, seed: int = 0) -> list[Tag]:
    """Clusters of examples that look alike to the model and contain unusually many errors.

    `embedding` (n, D) belongs to the rows at `positions`. K-means on the principal components, one cluster per 15
    errors, at most 8; kept if the cluster's share of the errors is at least 1.5 times its share of the right answers.
    """
    is_error = (table["error"] > 0).to_numpy()[positions]
    num_errors = int(is_error.sum())
    if num_errors < 2 * ERRORS_PER_CLUSTER or is_error.all() or not np.isfinite(embedding).all():
        return []
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    spread = embedding.std(axis=0)
    scaled = (embedding[:, spread > 0] - embedding[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    if scaled.shape[1] == 0:
        return []
    dims = min(COMPONENTS, scaled.shape[1], len(scaled) - 1)
    points = PCA(dims, svd_solver="full").fit_transform(scaled.astype(np.float64))
    count = min(max(num_errors // ERRORS_PER_CLUSTER, 2), MOST_CLUSTERS)
    labels = KMeans(count, n_init=4, random_state=seed).fit_predict(points)
    reviewed = _mask(len(table), positions)
    tags: list[Tag] = []
    for cluster in range(count):
        members = labels == cluster
        of_errors, of_right = members[is_error].mean(), members[~is_error].mean()
        if of_errors < MORE_OFTEN * of_right or members[is_error].sum() < FEWEST:
            continue
        common = table["target"][positions[members & is_error].tolist()].cast(pl.String).value_counts(sort=True)
        mostly = "" if is_structured(table) else f", mostly {common['target'][0]}"
        tags.append(
            _measured_tag(f"look-alikes {len(tags) + 1}{mostly}", "cluster", positions, members,
                          reviewed, "They look alike to the model: close together before its last layer.")
        )  # fmt: skip
    return tags


# --- from predictions -------------------------------------------------------------------------------------------------
def _confusion_pairs(table: pl.DataFrame) -> list[Tag]:
    wrong = table.filter(pl.col("error") > 0)
    pairs = (
        wrong.group_by("target", "prediction").len().filter(pl.col("len") >= FEWEST)
        .sort("len", "target", "prediction", descending=[True, False, False]).head(MOST_PAIRS)
    )  # fmt: skip
    target, prediction = table["target"], table["prediction"]
    kind = "confusion" if target.n_unique() > 2 else "direction"  # with two classes, a confusion is just a direction
    return [
        _tag(f"{true} predicted as {predicted}", kind, ((target == true) & (prediction == predicted)).to_numpy(),
             f"The label is {true}, the prediction {predicted}.")
        for true, predicted in pairs.select("target", "prediction").iter_rows()
    ]  # fmt: skip


def _of_boxes(table: pl.DataFrame) -> list[Tag]:
    """Of pictures with many objects; without a threshold, of pictures with one at most, which are right or wrong."""
    read = box_table.read(table)
    if "threshold" in table.columns:
        return box_tags.from_boxes(box_errors.find_errors(read))
    whole = box_tags.of_whole_pictures(box_errors.find_errors(replace(read, given_threshold=0.0)))
    return _kept(table, whole)


def _by_confidence(table: pl.DataFrame) -> list[Tag]:
    if "confidence" not in table.columns or table["confidence"].null_count() == len(table):
        return []
    confidence = table["confidence"].fill_null(0.0).to_numpy()
    tags = [_tag("confident mistake", "confidence", (confidence >= CONFIDENT) & (table["error"] > 0).to_numpy(),
                 f"Confidence of at least {100 * CONFIDENT:.0f} %. Check whether the label is right.")]  # fmt: skip
    margin = margins(table)
    if margin is not None:
        tags.append(_tag("near the boundary", "confidence", margin < CLOSE,
                         f"Its two likeliest answers were less than {100 * CLOSE:.0f} points apart."))  # fmt: skip
    return _kept(table, tags)


def _with_unknown(table: pl.DataFrame) -> list[Tag]:
    """Of texts, which say how many of their pieces the vocabulary lacks."""
    if "unknown" not in table.columns:
        return []
    tagged = (table["unknown"] > 0).to_numpy()
    return _kept(
        table, [_tag("unknown pieces", "text", tagged, "It has characters or words that train does not have.")]
    )


def margins(table: pl.DataFrame) -> np.ndarray | None:
    """(N,): the highest minus the second highest probability; None if the probabilities are unknown."""
    names = [name for name in table.columns if name.startswith("p.")]
    if len(names) < 2:
        return None
    probabilities = table.select(names).to_numpy()
    top = np.partition(probabilities, len(names) - 2, axis=1)[:, -2:]
    difference: np.ndarray = top[:, 1] - top[:, 0]
    return difference


def _rare_classes(table: pl.DataFrame, class_counts: Mapping[str, int]) -> list[Tag]:
    total = sum(class_counts.values())
    rare = [name for name, count in class_counts.items() if count * len(class_counts) < RARE_CLASS * total]
    if not rare:
        return []
    is_rare = table["target"].is_in(rare).to_numpy()
    return _kept(table, [_tag("rare class", "slice", is_rare,
                              "Its class has fewer than half the training examples of an average class.")])  # fmt: skip


def _of_numbers(table: pl.DataFrame) -> list[Tag]:
    target, prediction = (table[name].cast(float).to_numpy() for name in ("target", "prediction"))
    error = table["error"].to_numpy()
    low, high = np.quantile(target, [0.1, 0.9])
    return _kept(
        table,
        [
            _tag("far off", "size", error > FAR_OFF * np.median(error),
                 f"Its error is over {FAR_OFF:.0f} times the median error."),
            _tag("answer too low", "size", (prediction < target) & (error > 0), "The prediction is below the target."),
            _tag("answer too high", "size", (prediction > target) & (error > 0), "The prediction is above the target."),
            _tag("lowest tenth", "slice", target <= low, "Its target is in the lowest tenth."),
            _tag("highest tenth", "slice", target >= high, "Its target is in the highest tenth."),
        ],
    )  # fmt: skip


def _slices(table: pl.DataFrame) -> list[Tag]:
    tags = []
    for column in [name for name in table.columns if name.startswith("tag.")]:
        name, values = column.removeprefix("tag."), table[column].cast(pl.String)
        counts = table.filter(pl.col("error") > 0)[column].cast(pl.String).drop_nulls().value_counts(sort=True)
        tags += [
            _tag(f"{name}: {value}", "slice", (values == value).fill_null(value=False).to_numpy())
            for value in counts[column].head(MOST_VALUES)
        ]
    return _kept(table, tags, fewest=FEWEST)


# --- from what examples look like -------------------------------------------------------------------------------------
def _beyond(values: np.ndarray, usual: np.ndarray, side: int) -> np.ndarray:
    """(n,) bool: strictly outside the usual range on that side (-1 low, 1 high)."""
    edge = float(np.quantile(usual, EXTREME if side < 0 else 1 - EXTREME))
    middle = float(np.median(usual))
    spread = 1.4826 * float(np.median(np.abs(usual - middle)))  # equals the standard deviation of normal data
    if spread > 0:  # a fault is a fault even if more than 5 % of train have it
        odd = middle + side * FAR_FROM_USUAL * spread
        edge = max(edge, odd) if side < 0 else min(edge, odd)
    beyond: np.ndarray = values < edge if side < 0 else values > edge
    return beyond


def _outliers(values: Sequence[Any], usual: np.ndarray) -> np.ndarray:
    middle = float(np.median(usual))
    spread = 1.4826 * float(np.median(np.abs(usual - middle)))  # equals the standard deviation of normal data
    if spread == 0:
        return np.zeros(len(values), dtype=bool)
    numbers = np.array([float(value) if _is_number(value) else middle for value in values])
    found: np.ndarray = np.abs(numbers - middle) > OUTLIER * spread
    return found


def _rare_values(values: Sequence[Any], known: Sequence[Any]) -> np.ndarray:
    counts: dict[str, int] = {}
    for value in known:
        counts[str(value)] = counts.get(str(value), 0) + 1
    if len(counts) > len(known) / 2:  # identifiers, not categories
        return np.zeros(len(values), dtype=bool)
    least = RARE_VALUE * len(known)
    return np.array([not _is_missing(value) and counts.get(str(value), 0) < least for value in values])


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not _is_missing(value)


# --- making tags ------------------------------------------------------------------------------------------------------
def _tag(name: str, kind: str, tagged: np.ndarray, meaning: str = "") -> Tag:
    return Tag(name, kind, tagged, np.broadcast_to(np.True_, len(tagged)), meaning)  # one byte, not one per row and tag


def _measured_tag(
    name: str, kind: str, positions: np.ndarray, tagged: np.ndarray, reviewed: np.ndarray, meaning: str = ""
) -> Tag:
    everywhere = np.zeros(len(reviewed), dtype=bool)
    everywhere[positions[tagged]] = True
    return Tag(name, kind, everywhere, reviewed, meaning)


def _mask(count: int, positions: np.ndarray) -> np.ndarray:
    mask = np.zeros(count, dtype=bool)
    mask[positions] = True
    return mask


def _kept(table: pl.DataFrame, tags: Sequence[Tag], fewest: int = 1) -> list[Tag]:
    """The tags that enough errors have."""
    is_error = (table["error"] > 0).to_numpy()
    return [tag for tag in tags if int((tag.tagged & is_error).sum()) >= fewest]
