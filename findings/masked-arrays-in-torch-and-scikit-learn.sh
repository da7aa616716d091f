#!/usr/bin/env bash
# A NumPy masked array keeps its mask in pandas, polars and pyarrow. torch and scikit-learn drop it without a
# word and compute with whatever number lies under the mask.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 torch==2.13.0 numpy==2.3.5 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import sklearn
import torch
from sklearn.preprocessing import StandardScaler

values = np.ma.array([1.0, 2.0, 999.0], mask=[False, False, True])
found = {
    "numpy": float(values.mean()),
    "pandas": float(pd.Series(values).mean()),
    "polars": float(pl.Series(values).mean()),
    "pyarrow": pa.array(values).null_count,
    "torch": float(torch.as_tensor(values).mean()),
    "scikit-learn": float(StandardScaler().fit(values.reshape(-1, 1)).mean_[0]),
}
print(f"numpy {np.__version__}, pandas {pd.__version__}, polars {pl.__version__}, pyarrow {pa.__version__}, "
      f"torch {torch.__version__}, scikit-learn {sklearn.__version__}")
print("Mean of 1, 2 and a masked 999 (pyarrow: the count of nulls):", found)
assert found == {"numpy": 1.5, "pandas": 1.5, "polars": 1.5, "pyarrow": 1, "torch": 334, "scikit-learn": 334}, found
PYTHON
