#!/usr/bin/env bash
# load_svmlight_file decides anew for each file whether its columns are counted from 0 or from 1. A test file in
# which column 0 happens to be empty is read one column to the left of the train file, and n_features does not
# prevent it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io

import numpy as np
import sklearn
from sklearn.datasets import load_svmlight_file

train = load_svmlight_file(io.BytesIO(b"1 0:5 1:2\n0 1:3 2:1\n"), n_features=3)[0].toarray()
test = load_svmlight_file(io.BytesIO(b"0 1:3 2:1\n"), n_features=3)[0].toarray()
print(f"scikit-learn {sklearn.__version__}, numpy {np.__version__}")
print("The same line, '0 1:3 2:1', as the second of the train file and as the only one of the test file:")
print(train[1], test[0])
assert train[1].tolist() == [0, 3, 1], train
assert test[0].tolist() == [3, 1, 0], test
PYTHON
