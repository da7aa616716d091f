#!/usr/bin/env bash
# webdataset takes everything up to the first dot of a file's name as the sample's key. Two photos named by
# date, 2024.01.05.jpg and 2024.02.07.jpg, become one sample with the fields '01.05.jpg' and '02.07.jpg'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check webdataset==1.0.2 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io
import tarfile
from importlib.metadata import version

import webdataset

with tarfile.open("photos.tar", "w") as store:
    for name in ("2024.01.05.jpg", "2024.02.07.jpg", "portrait.jpg"):
        entry = tarfile.TarInfo(name)
        entry.size = 1
        store.addfile(entry, io.BytesIO(b"x"))
samples = [sorted(key for key in one if not key.startswith("__")) for one in webdataset.WebDataset("photos.tar", shardshuffle=False)]
print(f"webdataset {version('webdataset')}")
print("Three photos become these samples:", samples)
assert samples == [["01.05.jpg", "02.07.jpg"], ["jpg"]], samples
PYTHON
