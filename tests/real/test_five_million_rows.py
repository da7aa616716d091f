"""A table of five million rows of twenty columns: read, divided, trained on for an epoch, judged, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

ROWS, PIECE = 5_000_000, 500_000
# The typed columns take 0.55 GB, the encoded ones 0.5 GB, Python with torch and polars 0.25 GB; the rest is one
# column or one hash table at a time. Objects for rows would not fit: five million strings alone are 0.3 GB.
MOST_BYTES = 1.75 * 2**30


def write(place, suffix: str):
    """Ten measurements, four counts, two texts, a truth, a date, an age with gaps, a class by a rule."""
    rng, path, parts = np.random.default_rng(0), place / f"big.{suffix}", []
    with path.open("wb") as file:
        for start in range(0, ROWS, PIECE):
            x = rng.normal(size=(PIECE, 10)) * [1, 10, 100, 1e3, 1e-3, 5, 50, 500, 1, 1]
            columns = {f"x{i}": x[:, i].round(6) for i in range(10)}
            columns |= {f"k{i}": rng.integers(0, 10 ** (i + 1), PIECE) for i in range(4)}
            colour = rng.integers(0, 5, PIECE)
            columns["colour"] = np.array(["red", "green", "blue", "violet", "amber"])[colour]
            columns["town"] = np.array([f"town{i:03d}" for i in range(300)])[rng.integers(0, 300, PIECE)]
            columns["member"] = rng.random(PIECE) < 0.3
            columns["joined"] = np.datetime64("2015-01-01") + rng.integers(0, 3000, PIECE)
            age = pl.Series(rng.normal(40, 12, PIECE).round(1)).set(pl.Series(rng.random(PIECE) < 0.05), None)
            score = x[:, 0] + 0.06 * x[:, 5] + (colour == 0)
            label = np.select([score > 0.7, score < -0.5], ["high", "low"], "middle")
            frame = pl.DataFrame({**columns, "age": age, "label": label})
            if suffix == "csv":
                frame.write_csv(file, include_header=start == 0)
            else:
                parts.append(frame)
        if parts:
            pl.concat(parts).write_parquet(file, row_group_size=PIECE)
    return path


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the memory of a child is told by wait4")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_five_million_rows_are_fitted_in_bounded_memory(suffix, tmp_path):
    path = write(tmp_path, suffix)
    size = path.stat().st_size
    command = [
        sys.executable,
        "-m",
        "gnomon",
        "fit",
        str(path),
        "target=label",
        "epochs=1",
        "batch_size=4096",
        "--json",
    ]
    started = time.monotonic()
    with (tmp_path / "answer").open("wb") as answer:
        child = subprocess.Popen(command, stdout=answer, stderr=subprocess.DEVNULL, cwd=tmp_path)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    path.unlink()
    assert child.returncode == 0
    told = json.loads((tmp_path / "answer").read_text())
    peak = usage.ru_maxrss * 1024
    print(
        f"\n{suffix} of {size / 2**20:.0f} MiB: peak {peak / 2**20:.0f} MiB, {time.monotonic() - started:.0f} s "
        f"({usage.ru_utime + usage.ru_stime:.0f} s of CPU), dev error {told['errors']['dev']['error']:.4f}"
    )
    assert told["task"] == "tabular_classification"
    assert told["errors"]["dev"]["error"] < 0.1
    assert peak < MOST_BYTES
