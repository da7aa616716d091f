#!/usr/bin/env bash
# Which is the best of 0.1, NaN, 0.9? NumPy's argmax and torch's argmax and topk point at the NaN; pandas and
# polars pass over it. Whoever picks the best run, epoch or class gets another one by library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 pandas==3.1.1 polars==2.1.0
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl
import torch

scores = [0.1, float("nan"), 0.9]
found = {
    "numpy argmax": int(np.array(scores).argmax()),
    "torch argmax": int(torch.tensor(scores).argmax()),
    "torch topk": int(torch.tensor(scores).topk(1).indices),
    "pandas argmax": int(pd.Series(scores).argmax()),
    "polars arg_max": pl.Series(scores).arg_max(),
}
print(f"numpy {np.__version__}, torch {torch.__version__}, pandas {pd.__version__}, polars {pl.__version__}")
print("Position of the best of 0.1, NaN, 0.9:", found)
assert list(found.values()) == [1, 1, 1, 2, 2], found
PYTHON
