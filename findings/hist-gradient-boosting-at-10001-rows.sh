#!/usr/bin/env bash
# HistGradientBoostingClassifier trains all max_iter trees on 10,000 rows. With one row more it holds a tenth of
# them out and stops early: 300 trees become a few dozen. A study that cuts its sets to 10,000 rows measures
# another learner than its users get.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier

draw = np.random.default_rng(0)
inputs = draw.normal(size=(10_001, 3))
labels = (inputs[:, 0] + draw.normal(size=10_001) > 0).astype(int)
trees = {}
for rows in (10_000, 10_001):
    model = HistGradientBoostingClassifier(max_iter=300, random_state=0).fit(inputs[:rows], labels[:rows])
    trees[rows] = model.n_iter_
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("Rows, and trees of at most 300:", trees)
assert trees[10_000] == 300, trees
assert trees[10_001] < 100, trees
PYTHON
