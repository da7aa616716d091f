"""The small sets bundled with scikit-learn, read from its files without importing it (which would take a second)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.errors import MachineError
from gnomon.data.source import Arrays, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("breast-cancer", "diabetes", "digits", "iris", "wine")

_CELL_MEASURES = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
    "fractal dimension",
)  # fmt: skip
_CELL_FEATURES = (
    *(f"mean {measure}" for measure in _CELL_MEASURES),
    *(f"{measure} error" for measure in _CELL_MEASURES),
    *(f"worst {measure}" for measure in _CELL_MEASURES),
)
_IRIS_FEATURES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
_WINE_FEATURES = (
    "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
    "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline",
)  # fmt: skip
_DIABETES_FEATURES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def open_set(name: str) -> Source:
    """One of NAMES. Raises MachineError if scikit-learn's files are missing."""
    return Source(name, f"scikit-learn {name}", arrays=_read(name))


def _read(name: str) -> Arrays:
    if name == "digits":
        table = np.loadtxt(
            _file("digits.csv.gz"), delimiter=",", dtype=np.float32
        )  # 64 pixels of 0 .. 16, then the digit
        pictures = table[:, :-1].reshape(-1, 8, 8)
        return Arrays(pictures, table[:, -1].astype(np.int64), ("digit",), tuple("0123456789"))
    if name == "diabetes":
        # In natural units (years, kg/m2), as in load_diabetes(scaled=False): gnomon normalises by train alone.
        inputs = np.loadtxt(_file("diabetes_data_raw.csv.gz"))
        targets = np.loadtxt(_file("diabetes_target.csv.gz"))
        return Arrays(inputs, targets, ("disease progression",), feature_names=_DIABETES_FEATURES)
    if name == "breast-cancer":
        return _classes("breast_cancer.csv", "diagnosis", _CELL_FEATURES)
    if name == "iris":
        return _classes("iris.csv", "species", _IRIS_FEATURES)
    return _classes("wine_data.csv", "cultivar", _WINE_FEATURES)


def _classes(file_name: str, target_name: str, feature_names: Sequence[str]) -> Arrays:
    """First line: examples, features, class names; then one example per line, its class last."""
    path = _file(file_name)
    with path.open(encoding="utf-8") as lines:
        class_names = tuple(lines.readline().strip().split(",")[2:])
        table = np.loadtxt(lines, delimiter=",")
    return Arrays(table[:, :-1], table[:, -1].astype(np.int64), (target_name,), class_names, tuple(feature_names))


def _file(name: str) -> Path:
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "datasets" / "data" / name
        if path.is_file():
            return path
    raise MachineError(f"scikit-learn's file {name} is not installed.", fix="pip install scikit-learn")
