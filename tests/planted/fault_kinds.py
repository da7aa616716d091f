"""Faults planted in data, and their clean twins: what a user would run, and whether the right advice comes first.

Each kind goes the way of a user: data in files or a frame, `gnomon.fit`, then what the run says first; for faults that
only another verb can see, that verb (errors, labels, compare). The clean twin is the same without the fault: it raises
a false alarm where a fault is named that is not there. `python docs/make_planted.py` counts both.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import gnomon
from gnomon import report
from gnomon.core.layer_signals import findings_of
from gnomon.core.seeds import generator
from gnomon.data.images import as_png
from gnomon.strategy.advice import LINK
from gnomon.strategy.diagnosis import Diagnosis
from gnomon.strategy.labels import draw_review
from gnomon.workflow.judge import labels
from gnomon.workflow.judge.compare import compare
from gnomon.workflow.judge.errors import errors
from gnomon.workflow.judge.label_review import Reviewed, ReviewedRow, judge_review
from gnomon.workflow.road import verdict

NET = {
    "model": "dense", "hidden": (16,), "dropout": (), "weight_decay": 0.0, "batch_size": 64, "learning_rate": 0.01,
    "epochs": 6,
}  # fmt: skip
NOISE = 0.1  # share of labels that are by chance the other one: what neither people nor nets can avoid


@dataclass(frozen=True)
class Kind:
    """One fault. Both take a seed and an empty folder."""

    fault: str
    planted: str  # what is planted, in words
    advice: str  # what has to come first
    is_right: Callable[[int, Path], bool]
    is_alarm: Callable[[int, Path], bool]  # on the clean twin


def first_fault(run: gnomon.Run) -> str | None:
    """The fault that the first piece of advice is about; None where it is about none."""
    return fault_of(run.diagnosis)


def fault_of(diagnosis: Diagnosis) -> str | None:
    first, gap = diagnosis.advice[0], diagnosis.verdict.gap
    if first.settings == ("split.duplicates",):
        return "copies"
    if first.settings == ("data.ignore",):
        return "target among the inputs"
    if set(first.settings) & {"init.scale", "init.name", "model.activation"}:
        return "saturated units"
    if first.action.startswith("get more dev examples"):
        return "dev too small"
    if first.action.startswith("get a larger dev set"):
        return "overfitting to dev"
    if gap is None or diagnosis.verdict.contenders != (gap,) or first.link != LINK[gap]:
        return None if gap is None else "two gaps"
    return gap


# --- data -------------------------------------------------------------------------------------------------------------
def line(number: int, seed: int, *, noise: float = NOISE, turned: bool = False, others: int = 2) -> pl.DataFrame:
    """Two classes by the sign of x0 + x1 (with `turned`, of x0 - x1); a share `noise` of them is flipped."""
    rng = np.random.default_rng([seed, number, turned])
    inputs = rng.normal(size=(number, 2 + others))
    above = inputs[:, 0] + inputs[:, 1] * (-1 if turned else 1) > 0
    flipped = above ^ (rng.random(number) < noise)
    columns = {f"x{i}": inputs[:, i] for i in range(inputs.shape[1])}
    return pl.DataFrame({**columns, "class": np.where(flipped, "above", "below")})


def circle(number: int, seed: int, noise: float) -> pl.DataFrame:
    """Inside or outside of a circle, a share `noise` of the labels flipped."""
    rng = np.random.default_rng([seed, number])
    inputs = rng.normal(size=(number, 2))
    inside = ((inputs**2).sum(axis=1) < 1.4) ^ (rng.random(number) < noise)
    return pl.DataFrame({"x0": inputs[:, 0], "x1": inputs[:, 1], "class": np.where(inside, "in", "out")})


def fitted(data: Any, seed: int, place: Path, **settings: Any) -> gnomon.Run:
    values = {**NET, **settings}
    if values["model"] == "logistic":  # it has no hidden layers
        values = {key: value for key, value in values.items() if key not in ("hidden", "dropout")}
    return gnomon.fit(data, seed=seed, runs_folder=str(place / "runs"), **values)


def in_files(place: Path, **tables: pl.DataFrame) -> Path:
    """A folder of train.csv, dev.csv, test.csv."""
    folder = place / "data"
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.write_csv(folder / f"{name}.csv")
    return folder


def sound(seed: int, place: Path, **settings: Any) -> gnomon.Run:
    """A rule that the net can follow, with as many wrong labels as people make mistakes."""
    return fitted(line(6000, seed), seed, place, **{"human": NOISE, "hidden": (4,), **settings})


def is_gap(run: gnomon.Run) -> bool:
    """Whether the run says first that a fault is there. To ask for more dev examples is no fault of a sound system."""
    return first_fault(run) not in (None, "dev too small")


# --- the four gaps ----------------------------------------------------------------------------------------------------
def too_small_a_net(seed: int, place: Path) -> bool:
    run = fitted(circle(3000, seed, 0.0), seed, place, model="logistic", human=0.01)
    return first_fault(run) == "avoidable bias" and run.diagnosis.advice[0].settings == ("model.name",)


def large_enough_a_net(seed: int, place: Path) -> bool:
    return is_gap(fitted_circle(seed, place))


def fitted_circle(seed: int, place: Path, **settings: Any) -> gnomon.Run:
    """A net that can follow the circle, trained until it does; as many wrong labels as people make mistakes."""
    wide = {"hidden": (32, 32), "learning_rate": 0.02, "batch_size": 128, "epochs": 12}
    return fitted(circle(10_000, seed, NOISE), seed, place, human=NOISE, **{**wide, **settings})


def too_few(seed: int, place: Path) -> bool:
    """Eighty rows of forty columns and a net of 76,000 weights."""
    data = in_files(place, train=line(80, seed, others=38, noise=0), dev=line(1000, seed, others=38, noise=0))
    run = fitted(data, seed, place, human=0.01, hidden=(256, 256), batch_size=16, epochs=25)
    return first_fault(run) == "variance" and run.diagnosis.advice[0].action.startswith("get more training data")


def enough(seed: int, place: Path) -> bool:
    data = in_files(place, train=line(6000, seed, others=8), dev=line(1000, seed, others=8))
    return is_gap(fitted(data, seed, place, human=NOISE, model="logistic", learning_rate=0.02))


def shifted(seed: int, place: Path) -> bool:
    """What counts follows another rule than what is trained on."""
    line(1000, seed, turned=True, noise=0).write_csv(place / "target.csv")
    run = fitted(line(3000, seed, noise=0), seed, place, target_data=str(place / "target.csv"), human=0.01)
    first = run.diagnosis.advice[0].action
    return first_fault(run) == "data mismatch" and first == "look at wrong dev examples beside training ones"


def not_shifted(seed: int, place: Path) -> bool:
    line(4000, seed + 10**6).write_csv(place / "target.csv")
    run = fitted(line(4000, seed), seed, place, target_data=str(place / "target.csv"), human=NOISE, hidden=(4,))
    return is_gap(run)


def chosen_on(dev: int, seed: int) -> str | None:
    """The best of 1,000 rules by dev, where there is nothing to learn; judged from its table of predictions."""
    rng = np.random.default_rng([seed, 17])
    sizes = {"train": 2000, "dev": dev, "test": 2000}
    rules = rng.normal(size=(60, 1000))
    answers = {split: np.where(rng.normal(size=(size, 60)) @ rules > 0, "a", "b") for split, size in sizes.items()}
    targets = {split: np.where(rng.random(size) < 0.5, "a", "b") for split, size in sizes.items()}
    best = int((answers["dev"] == targets["dev"][:, None]).mean(axis=0).argmax())
    parts = [
        pl.DataFrame({"target": targets[split], "prediction": answers[split][:, best]}).with_columns(
            split=pl.lit(split)
        )
        for split in sizes
    ]
    return fault_of(gnomon.diagnose(predictions=pl.concat(parts), human=0.5))


# --- faults of the data -----------------------------------------------------------------------------------------------
def copied(seed: int, place: Path) -> bool:
    """A third of dev is in train as well."""
    train, dev = line(600, seed), line(300, seed)
    run = fitted(in_files(place, train=pl.concat([train, dev.gather_every(3)]), dev=dev), seed, place)
    return first_fault(run) == "copies" and run.diagnosis.notes[0].startswith("leak: 100 examples of dev are in train")


def told_twice(seed: int, place: Path) -> bool:
    """Rows of few values: equal ones come by chance, and are no copies."""
    return first_fault(fitted(coarse(2000, seed), seed, place)) == "copies"


def coarse(number: int, seed: int) -> pl.DataFrame:
    """Four answers of four levels each."""
    rng = np.random.default_rng([seed, number, 4])
    levels = rng.integers(4, size=(number, 4))
    yes = (levels.sum(axis=1) > 6) ^ (rng.random(number) < NOISE)
    columns = {f"answer {i}": np.array(["never", "seldom", "often", "always"])[levels[:, i]] for i in range(4)}
    return pl.DataFrame({**columns, "class": np.where(yes, "yes", "no")})


def copied_pictures(seed: int, place: Path) -> bool:
    """A third of dev's pictures are in train under other names."""
    folder = pictures(place, seed, {"train": 120, "dev": 60})
    for path in sorted((folder / "dev").rglob("*.png"))[::3]:
        (folder / "train" / path.parent.name / f"copy-{path.name}").write_bytes(path.read_bytes())
    run = gnomon.fit(folder, model="logistic", epochs=2, augment="none", seed=seed, runs_folder=str(place / "runs"))
    return first_fault(run) == "copies" and run.diagnosis.notes[0].startswith("leak: 20 examples of dev are in train")


def own_pictures(seed: int, place: Path) -> bool:
    folder = pictures(place, seed, {"train": 120, "dev": 60})
    run = gnomon.fit(folder, model="logistic", epochs=2, augment="none", seed=seed, runs_folder=str(place / "runs"))
    return first_fault(run) == "copies"


def pictures(place: Path, seed: int, sizes: dict[str, int]) -> Path:
    """Brighter on the left or on the right."""
    rng = np.random.default_rng(seed)
    for split, number in sizes.items():
        for i in range(number):
            side = ("left", "right")[i % 2]
            picture = rng.integers(0, 160, (16, 16), dtype=np.uint8)
            picture[:, 8 * (i % 2) : 8 * (i % 2) + 8] += 40
            path = place / "pictures" / split / side / f"{split}{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_png(picture))
    return place / "pictures"


def given_away(seed: int, place: Path, *, share: float = 0.98) -> gnomon.Run:
    """A column filled in afterwards: it says the class, but for 2 rows of 100. People see the other columns only."""
    rng = np.random.default_rng([seed, 7])
    rows = line(3000, seed, noise=0.2)
    right = rng.random(len(rows)) < share
    above = (rows["class"] == "above").to_numpy()
    return fitted(rows.with_columns(outcome=pl.Series(np.where(above == right, 1.0, 0.0))), seed, place, human=0.2)


def shifted_slice(seed: int, place: Path) -> bool:
    """Pictures of one place in four have left and right exchanged in dev, and there alone: `errors` names it first."""
    return first_tag(seed, place, turned="west") == "folder: west"


def like_everywhere(seed: int, place: Path) -> bool:
    return first_tag(seed, place, turned="").startswith("folder: ")


def first_tag(seed: int, place: Path, *, turned: str) -> str:
    """What `gnomon errors` says to look at first; "" where it says nothing."""
    rng = np.random.default_rng([seed, 9])
    for split in ("train", "dev"):
        for i in range(280):
            side, where = i % 2, ("north", "south", "east", "west")[rng.integers(4)]
            picture = rng.integers(0, 200, (12, 12)).astype(np.uint8)
            half = 1 - side if split == "dev" and where == turned else side
            picture[:, 6 * half : 6 * half + 6] += 18
            path = place / "pictures" / split / ("left", "right")[side] / where / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_png(picture))
    run = gnomon.fit(
        place / "pictures", model="logistic", epochs=6, augment="none", seed=seed, runs_folder=str(place / "runs")
    )
    telling = [one for one in errors(run).shares if one.is_specific]
    return telling[0].name if telling else ""


# --- faults of the labels ---------------------------------------------------------------------------------------------
CLASSES = ("cat", "dog", "fox", "owl")


def blobs(number: int, seed: int, flips: str, rate: float, spread: float) -> tuple[pl.DataFrame, np.ndarray]:
    """Four classes round the corners of a square; labels flipped at random, or cats to dogs. And the true classes."""
    rng = np.random.default_rng([seed, number, 11])
    true = rng.integers(4, size=number)
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * 1.5
    points = corners[true] + spread * rng.normal(size=(number, 2))
    if flips == "random":
        given = np.where(rng.random(number) < rate, (true + rng.integers(1, 4, number)) % 4, true)
    else:
        given = np.where((true == 0) & (rng.random(number) < 4 * rate), 1, true)  # a quarter are cats
    frame = pl.DataFrame({"x": points[:, 0], "y": points[:, 1], "class": np.array(CLASSES)[given]})
    return frame, true


def reviewed(seed: int, place: Path, *, flips: str, rate: float, spread: float = 0.6) -> Reviewed:
    """A fit, and a review of its dev labels by somebody who sees the truth: 100 suspects and 100 of the rest."""
    frame, true = blobs(4000, seed, flips, rate, spread)
    run = fitted(frame, seed, place, target="class", hidden=(16,), epochs=8)
    audit = labels.audit(run)
    drawn = draw_review(audit.suspects, top=100, random=100, rng=generator(seed, "label review", "dev"))
    said = []
    for position, part, stands_for in zip(drawn.positions.tolist(), drawn.parts, drawn.stands_for, strict=True):
        real = CLASSES[true[int(audit.ids[position].split()[-1]) - 1]]
        given, suggested = (
            audit.suspects.class_names[one[position]] for one in (audit.suspects.given, audit.suspects.suggested)
        )
        verdict = "given" if real == given else "suggested" if real == suggested else "neither"
        said.append(ReviewedRow(position, part, float(stands_for), verdict, real))
    return judge_review(audit, said)


def gathered(found: Reviewed) -> str:
    """Where wrong labels gather for certain; "" where they look random."""
    return found.concentrations[0].where if found.concentrations and found.concentrations[0].p_value < 0.05 else ""


def systematic_flips(seed: int, place: Path) -> bool:
    found = reviewed(seed, place, flips="systematic", rate=0.04)
    return found.cleaning.fix is True and gathered(found) == "cat labelled dog"


def random_flips(seed: int, place: Path) -> bool:
    return reviewed(seed, place, flips="random", rate=0.06).cleaning.fix is True


def hard_not_wrong(seed: int, place: Path) -> bool:
    """Classes that overlap: the model errs on a tenth, one label of 200 is wrong."""
    found = reviewed(seed, place, flips="random", rate=0.005, spread=1.0)
    return found.cleaning.fix is True or gathered(found) != ""


# --- faults of the measure --------------------------------------------------------------------------------------------
def small_dev(seed: int, place: Path) -> bool:
    """A gap of 2 points, which 30 examples cannot tell from nothing."""
    return gap_on(seed, place, train=6000, dev=30) == "dev too small"


def large_dev(seed: int, place: Path) -> bool:
    """The same gap, which 10,000 examples show."""
    return gap_on(seed, place, train=10_000, dev=10_000) == "dev too small"


def gap_on(seed: int, place: Path, *, train: int, dev: int) -> str | None:
    """A few more labels are wrong in dev than in train."""
    data = in_files(place, train=line(train, seed), dev=line(dev, seed, noise=NOISE + 0.02))
    right = {"model": "logistic", "learning_rate": 0.02, "epochs": 20}  # no other gap is there
    return first_fault(fitted(data, seed, place, human=NOISE, batch_size=128, **right))


def unweighted(seed: int, place: Path) -> bool:
    """Two systems: one errs less, the other less on what costs ten times as much. Weighted, the second one wins."""
    systems = plain_and_wary(seed, place)
    found = compare(systems, weight={"bad": 10})
    errors_ = [next(rung.error for rung in run.diagnosis.rungs if rung.name == "dev") for run in systems]
    won = found.choice.winner.name == found.systems[1].name and found.against[0].p_value < 0.05
    return errors_[0] < errors_[1] and won


def none_better(seed: int, place: Path) -> bool:
    """The same answers dealt out anew to two systems, example by example: neither is better, whatever is weighted."""
    tables = [run.evaluation("dev").table.select("id", "target", "prediction") for run in plain_and_wary(seed, place)]
    is_first = pl.Series(np.random.default_rng([seed, 19]).random(len(tables[0])) < 0.5)
    first, second = (table["prediction"] for table in tables)
    paths = []
    for number, dealt in enumerate((first.zip_with(is_first, second), second.zip_with(is_first, first))):
        paths.append(place / f"system{number}.csv")
        tables[0].with_columns(dealt.alias("prediction"), split=pl.lit("dev")).write_csv(paths[-1])
    return compare(paths, weight={"bad": 10}).against[0].p_value < 0.05


def plain_and_wary(seed: int, place: Path) -> list[gnomon.Run]:
    """One trained on the rows as they are, one on the bad ones twelve times."""
    train, dev = rare(2000, seed), rare(2000, seed + 1)
    systems = []
    for factor in (1, 12):
        more = pl.concat([train, *[train.filter(pl.col("class") == "bad")] * (factor - 1)])
        data = in_files(place / str(factor), train=more, dev=dev)
        settings = {"model": "logistic", "batch_size": 128, "learning_rate": 0.1, "epochs": 8}
        systems.append(fitted(data, seed, place / str(factor), target="class", **settings))
    return systems


def rare(number: int, seed: int) -> pl.DataFrame:
    """One row of ten is bad, and overlaps with the good ones."""
    rng = np.random.default_rng([seed, number, 13])
    bad = rng.random(number) < 0.1
    inputs = rng.normal(size=(number, 2)) + 1.5 * bad[:, None]
    return pl.DataFrame({"x": inputs[:, 0], "y": inputs[:, 1], "class": np.where(bad, "bad", "good")})


# --- faults of the training -------------------------------------------------------------------------------------------
def saturated(seed: int, place: Path) -> bool:
    """Starting weights thirty times too large for tanh: the signals say so while it trains, the advice when it ends."""
    run = fitted(
        circle(3000, seed, 0.0), seed, place, human=0.01, hidden=(32, 32, 32), activation="tanh",
        init={"name": "xavier", "scale": 30.0}, learning_rate=0.001,
    )  # fmt: skip
    rate = run.settings.optimiser.learning_rate or 0.0
    said = {finding.trouble for finding in findings_of(run.history, highest_rate=rate)}
    return first_fault(run) == "saturated units" and "saturated" in said


def usual_start(seed: int, place: Path) -> bool:
    return is_gap(fitted_circle(seed, place, activation="tanh"))


# --- all of them ------------------------------------------------------------------------------------------------------
KINDS = (
    Kind(
        "avoidable bias", "a straight line where the rule is a circle", "a model with hidden layers",
        too_small_a_net, large_enough_a_net,
    ),
    Kind("variance", "80 rows of 40 columns, 76,000 weights", "more training data", too_few, enough),
    Kind(
        "data mismatch", "the target data follows another rule", "look at dev beside training examples",
        shifted, not_shifted,
    ),
    Kind(
        "overfitting to dev", "the best of 1,000 rules on 60 dev examples, nothing to learn", "a larger dev set",
        lambda seed, place: chosen_on(60, seed) == "overfitting to dev",
        lambda seed, place: chosen_on(3000, seed) not in (None, "dev too small"),
    ),
    Kind("copies across splits, rows", "a third of dev is in train", "remove the copies", copied, told_twice),
    Kind(
        "copies across splits, pictures", "a third of dev is in train", "remove the copies",
        copied_pictures, own_pictures,
    ),
    Kind(
        "systematic label flips", "16 % of cats are called dogs", "cleaning is worth it; cat labelled dog",
        systematic_flips, hard_not_wrong,
    ),
    Kind("random label flips", "6 % of labels", "cleaning is worth it", random_flips, hard_not_wrong),
    Kind(
        "shifted slice", "in dev, left and right are exchanged where folder = west", "folder: west",
        shifted_slice, like_everywhere,
    ),
    Kind(
        "wrong metric weight", "bad rows missed cost ten times as much, nobody says so",
        "with weight.bad=10 the other system wins",
        unweighted, none_better,
    ),
    Kind(
        "target among the inputs", "a column that says the class of 98 rows in 100",
        "look for an input that gives it away",
        lambda seed, place: first_fault(given_away(seed, place)) == "target among the inputs",
        lambda seed, place: is_gap(sound(seed, place)),
    ),
    Kind("dev set too small", "a gap of 2 points, 30 dev examples", "more dev examples", small_dev, large_dev),
    Kind("saturated units", "starting weights 30 times too large for tanh", "usual ones", saturated, usual_start),
)  # fmt: skip


@contextlib.contextmanager
def without_pages() -> Iterator[None]:
    """Fits that draw no report, which takes nine tenths of a small one and is made when the diagnosis is done."""
    kept = verdict.report_record, report.build
    verdict.report_record, report.build = lambda *_, **__: None, lambda _: ""
    try:
        yield
    finally:
        verdict.report_record, report.build = kept


def tried(kind: Kind, seed: int, place: Path) -> tuple[bool, bool]:
    """Whether the right advice comes first on the planted fault, and whether its clean twin raises a false alarm."""
    found = []
    with without_pages():
        for which, run in (("planted", kind.is_right), ("clean", kind.is_alarm)):
            folder = place / f"{which}-{seed}"
            folder.mkdir()
            found.append(bool(run(seed, folder)))
            shutil.rmtree(folder)
    return found[0], found[1]
