#!/usr/bin/env bash
# pyarrow's CSV reader takes ids such as 0x10 for numbers and gives 16; pandas and polars leave them as text.
# '+5' is an integer to pandas, a float to pyarrow and text to polars; ' 3' is a number to the first two and
# text to polars.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv

text = b"id,change,count\n0x10,+5, 3\n0x11,+6, 4\n"
arrow = pa.csv.read_csv(io.BytesIO(text))
found = {
    "pyarrow": [value[0].as_py() for value in arrow.columns],
    "pandas": [value.item() if hasattr(value, "item") else value for value in (pd.read_csv(io.BytesIO(text))[name][0] for name in arrow.column_names)],
    "polars": list(pl.read_csv(text).row(0)),
}
print(f"pyarrow {pa.__version__}, pandas {pd.__version__}, polars {pl.__version__}")
print("The row '0x10,+5, 3':", found)
assert found["pyarrow"] == [16, 5.0, 3] and isinstance(found["pyarrow"][1], float), found
assert found["pandas"] == ["0x10", 5, 3] and isinstance(found["pandas"][1], int), found
assert found["polars"] == ["0x10", "+5", " 3"], found
PYTHON
