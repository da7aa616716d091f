#!/usr/bin/env bash
# Where scores are equal, which class is top-1? argmax says the first; scikit-learn's top_k_accuracy_score with
# k=1 says the last; Keras' SparseTopKCategoricalAccuracy with k=1 counts every one of them as a hit. A model
# that answers the same for everything gets an accuracy of 1, 0 and 1 for class 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 keras==3.15.1 torch==2.13.0 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import sklearn
from sklearn.metrics import accuracy_score, top_k_accuracy_score

scores = np.full((4, 4), 0.25)
rows = []
for label in range(4):
    truth = np.full(4, label)
    metric = keras.metrics.SparseTopKCategoricalAccuracy(k=1)
    metric.update_state(truth, scores)
    rows.append((
        accuracy_score(truth, scores.argmax(axis=1)),
        top_k_accuracy_score(truth, scores, k=1, labels=range(4)),
        float(metric.result()),
    ))
print(f"scikit-learn {sklearn.__version__}, keras {keras.__version__}, numpy {np.__version__}")
print("Four classes with equal scores; the truth is one class throughout. Accuracy of argmax, top_k(k=1), Keras' top-k(k=1):")
for label, row in enumerate(rows):
    print(f"class {label}: {row}")
assert rows == [(1, 0, 1), (0, 0, 1), (0, 0, 1), (0, 1, 1)], rows
PYTHON
