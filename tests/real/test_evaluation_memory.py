"""Judging and predicting hold one chunk, one batch and one row an example: no more memory for more examples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FEW, MANY = 2_000, 200_000
CHILD = '''
import gc, json, sys, threading, time
import numpy as np, torch, gnomon
from gnomon.data.opening import open_source
from gnomon.training import evaluate

verb, few, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
cpu = torch.device("cpu")

def rows(number):
    inputs = np.random.default_rng(number).normal(size=(number, 50)).astype(np.float32)
    return inputs, (inputs[:, 0] > 0).astype(np.int64)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def peak_of(work):
    """Bytes above the level before, looked at every millisecond; and what came out."""
    gc.collect()
    before, highest, done = resident(), [0], threading.Event()
    def watch():
        while not done.is_set():
            highest[0] = max(highest[0], resident())
            time.sleep(0.001)
    watcher = threading.Thread(target=watch)
    watcher.start()
    result = work()
    done.set()
    watcher.join()
    return highest[0] - before, result

run = gnomon.fit(rows(few), model="dense", hidden=(512, 512), epochs=1)
settings = run.settings.data.model_copy(update={"target": ("target",)})

def work(examples):
    if verb == "predict":
        return evaluate.predict(run.task, run.model, examples, device=cpu)
    return evaluate.evaluate(run.task, run.model, examples, split="dev", source="", device=cpu).table

small, large = (type(run.task).read(open_source(rows(number)), settings).splits["all"] for number in (few, many))
work(small)  # what is loaded or allocated once
peak, table = peak_of(lambda: work(large))
print(json.dumps({"peak": peak, "table": table.estimated_size(), "rows": len(table)}))
'''


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="reads /proc")
@pytest.mark.parametrize("verb", ["judge", "predict"])
def test_a_hundred_times_more_examples_take_the_rows_of_the_table_and_a_chunk_more(verb):
    """Kept as thousands of small arrays between large ones, the same rows left 1.5 KB each of torn heap behind."""
    command = [sys.executable, "-c", CHILD, verb, str(FEW), str(MANY)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    per_row = found["peak"] / found["rows"]
    print(
        f"\n{verb}: {found['peak'] / 2**20:.1f} MiB for {found['rows']:,}, {found['table'] / 2**20:.1f} of it the table"
    )
    assert found["table"] < 60 * MANY
    assert per_row < 200
