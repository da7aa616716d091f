"""A sheet of 100,000 examples answers at once, over a real socket."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest
import studio_samples as samples

FIRST_PAGE, ROUND_TRIP = 0.300, 0.050  # seconds, 95th percentile
SLOWER = 3  # how much slower a busy machine may be before the test says so


@pytest.mark.slow
def test_the_first_page_and_a_tag_of_a_hundred_thousand_examples(tmp_path):
    names = [f"class {number}" for number in range(10)]
    dev = samples.predictions(100_000, 10_000, classes=names)
    chances = np.random.default_rng(0).dirichlet(np.ones(10), 100_000)
    dev = dev.with_columns(pl.Series(f"p.{name}", chances[:, place]) for place, name in enumerate(names))
    run = samples.plant(tmp_path / "runs", dev)
    place = f"/runs/{samples.run_id(run.path)}/errors/dev"
    words = [sys.executable, "-m", "gnomon", "studio", str(tmp_path / "runs"), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        link = urlsplit(json.loads(process.stdout.readline())["link"])
        connection = http.client.HTTPConnection(link.hostname, link.port)
        cookie = ""

        def asked(method: str, path: str, body: object = None) -> float:
            nonlocal cookie
            start = time.perf_counter()
            headers = {"Cookie": cookie, "Content-Type": "application/json"} if body is not None else {"Cookie": cookie}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            cookie = (answer.getheader("set-cookie") or cookie).partition(";")[0]
            return time.perf_counter() - start

        asked("GET", f"{link.path}?{link.query}")
        asked("GET", place)
        time.sleep(5)  # the examples are looked for in the background, in vain
        pages = [asked("GET", place) for _ in range(40)]
        for number in range(5):
            asked("POST", f"{place}/tags", {"name": f"tag {number}"})
        tags = [
            asked("POST", f"{place}/say", {"sayings": [{"position": n, "kind": "tag", "tag": "tag 1", "value": "1"}]})
            for n in range(200)
        ]
        connection.close()
        process.terminate()
    assert np.quantile(pages, 0.95) < SLOWER * FIRST_PAGE
    assert np.quantile(tags, 0.95) < SLOWER * ROUND_TRIP
