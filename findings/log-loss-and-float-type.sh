#!/usr/bin/env bash
# One wrong and wholly certain answer costs 36 in scikit-learn's log_loss if the probabilities are float64, 16
# as float32 and 7 as float16: they are clipped by the precision of their type. Log losses of a net (float32)
# and of a tree (float64) cannot be compared.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.metrics import log_loss

labels = [0, 0, 1, 1]
costs = {}
for kind in (np.float64, np.float32, np.float16):
    probability_of_1 = np.array([0, 0, 1, 0], dtype=kind)  # the last one is certain and wrong
    costs[kind.__name__] = round(float(log_loss(labels, probability_of_1)) * 4, 2)
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("What one certain mistake costs:", costs)
assert costs == {"float64": 36.04, "float32": 15.94, "float16": 6.93}, costs
PYTHON
