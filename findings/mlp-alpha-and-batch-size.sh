#!/usr/bin/env bash
# MLPClassifier's alpha is called the strength of its L2 penalty. It is divided by the size of each batch, so
# the same alpha is a penalty fifty times stronger with batches of 10 than with 500, after equally many steps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.neural_network import MLPClassifier

inputs, labels = load_breast_cancer(return_X_y=True)
inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
sums = {}
for batch in (10, 500):
    steps_per_epoch = -(-len(inputs) // batch)
    model = MLPClassifier(
        (16,), solver="sgd", momentum=0, learning_rate_init=0.1, alpha=10, batch_size=batch,
        max_iter=3_000 // steps_per_epoch, tol=0, n_iter_no_change=10**6, random_state=0,
    ).fit(inputs, labels)
    sums[batch] = round(float(sum((one**2).sum() for one in model.coefs_)), 2)
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("Batch size, and sum of squared weights after about 3,000 steps with alpha=10:", sums)
assert sums[10] < 0.5 * sums[500], sums
PYTHON
