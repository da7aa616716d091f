#!/usr/bin/env bash
# torchmetrics has two doors to one metric with different defaults: MulticlassAccuracy(n) averages over classes,
# Accuracy(task='multiclass', num_classes=n) over examples. The same holds for F1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.13.0 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
import torchmetrics
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

truth = torch.tensor([0] * 8 + [1] * 2)
answers = torch.zeros(10, dtype=torch.int64)  # always class 0
found = {
    "MulticlassAccuracy(2)": MulticlassAccuracy(2)(answers, truth),
    "Accuracy(task='multiclass')": torchmetrics.Accuracy(task="multiclass", num_classes=2)(answers, truth),
    "MulticlassF1Score(2)": MulticlassF1Score(2)(answers, truth),
    "F1Score(task='multiclass')": torchmetrics.F1Score(task="multiclass", num_classes=2)(answers, truth),
}
found = {name: round(float(value), 3) for name, value in found.items()}
print(f"torchmetrics {torchmetrics.__version__}, torch {torch.__version__}")
print("Always the majority class, 8 of 10 right:", found)
assert list(found.values()) == [0.5, 0.8, 0.444, 0.8], found
PYTHON
