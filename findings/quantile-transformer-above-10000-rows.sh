#!/usr/bin/env bash
# scikit-learn's QuantileTransformer gives the same answer every time up to 10,000 rows. From 10,001 on it looks
# at a random sample, so that two fits on the same data differ unless random_state is set.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.preprocessing import QuantileTransformer

values = np.random.default_rng(0).normal(size=(10_001, 1))
differ = {}
for rows in (10_000, 10_001):
    first, second = (QuantileTransformer().fit_transform(values[:rows]) for _ in range(2))
    differ[rows] = float(np.abs(first - second).max())
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("Largest difference between two fits on the same rows:", differ)
assert differ[10_000] == 0, differ
assert differ[10_001] > 1e-5, differ
PYTHON
