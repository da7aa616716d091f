#!/usr/bin/env bash
# keras.metrics.AUC compares scores with 200 fixed thresholds between 0 and 1. Where all scores are small, as
# those of a rare event are, it calls a perfect ranking pure chance.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 torch==2.13.0 numpy==2.3.5 scikit-learn==1.9.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, roc_auc_score

scores = np.linspace(1e-5, 4e-3, 100)  # every positive above every negative
labels = np.repeat([0, 1], [90, 10])
roc, pr = keras.metrics.AUC(), keras.metrics.AUC(curve="PR")
roc.update_state(labels, scores)
pr.update_state(labels, scores)
found = round(float(roc.result()), 3), round(float(pr.result()), 3)
truth = roc_auc_score(labels, scores), round(average_precision_score(labels, scores), 3)
print(f"keras {keras.__version__}, scikit-learn {sklearn.__version__}")
print("A perfect ranking with scores up to 0.004. Area under the ROC curve and under precision-recall:")
print(f"keras {found}, scikit-learn {truth}")
assert found == (0.5, 0.1), found
assert truth == (1.0, 1.0), truth
PYTHON
