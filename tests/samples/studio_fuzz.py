"""Requests made up from the studio's own route table: any method, any value, any header, any body."""

from __future__ import annotations

import json
from collections import Counter
from string import printable

import studio_samples as samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

METHODS = ("GET", "GET", "GET", "POST", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "QUERY")
WORDS = ["", "dev", "train", "train_dev", "test", "errors", "right", "all", "random", "sure", "unsure", "error", "id",
         "any", "reviewed", "new", "cat", "dog", "label wrong", "camera: phone", "fixed", "broken", "still", "grid",
         "list", "opening", "question", "newest", "name", "task", "state", "stop.epochs", "accuracy", "size_mb <= 100",
         "running", "true", "null", "studio.js", "sheet-dev.csv"]  # fmt: skip
NUMBERS = ["0", "1", "29", "299", "300", "-1", "0.5", "1e3", "1e999", "nan", "-0", "9" * 30, "0x1", "٣", "1_0", " 1 "]
TEXTS = st.one_of(st.sampled_from([*WORDS, *NUMBERS, "..", "%2e%2e", "\0", "<b>", "'", "x" * 3000, "\ud800"]),
                  st.text(max_size=12))  # fmt: skip
PARAMETERS = ("q", "sort", "group", "part", "smooth", "log", "was", "look", "show", "order", "seen", "target",
              "prediction", "tag", "low", "high", "text", "versus", "change", "page", "since", "rows", "at", "run",
              "metric", "where", "token")  # fmt: skip
FIELDS = ("events", "position", "kind", "tag", "value", "name", "place", "verdict", "key", "since", "extra")
HEADERS = {
    "accept": ["text/html", "application/json", "*/*", "", "x" * 300],
    "accept-encoding": ["gzip", "br;q=2", "\x7f"],
    "content-type": ["application/json", "application/json; charset=utf-16", "text/plain", "application/xml", ""],
    "content-length": ["0", "2", "-1", "9" * 20, "x", ""],
    "hx-request": ["true"],
    "if-none-match": ['"x"'],
    "origin": ["http://127.0.0.1:8765", "http://evil.test", "null", ""],
    "range": ["bytes=0-0", "bytes=9-1", "lines=1"],
    "sec-fetch-site": ["same-origin", "none", "cross-site", "?"],
    "transfer-encoding": ["chunked"],
    "x-forwarded-host": ["evil.test"],
    "x-http-method-override": ["DELETE"],
}
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 301), st.integers(), st.floats(), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {"position": st.integers(0, 305), "kind": st.sampled_from(["look", "tag", "comment", "review", "new"])},
    optional={"tag": TEXTS, "value": st.sampled_from(["0", "1"]) | TEXTS},
)
BODIES = st.one_of(
    st.fixed_dictionaries({"events": st.lists(EVENTS, max_size=3)}),
    st.fixed_dictionaries({"name": TEXTS}),
    st.fixed_dictionaries({"place": st.integers(-1, 300), "verdict": st.sampled_from(["given", "neither"]) | TEXTS}),
    st.fixed_dictionaries({"key": st.sampled_from(["optimiser.learning_rate"]) | TEXTS, "value": TEXTS}),
    st.just({}),
    VALUES,
).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30)


@st.composite
def requests(draw, routes, known):
    """(method, path with its query, headers, body): more often than not one that a route could mean."""
    template = draw(st.sampled_from(routes))
    filled = template
    for name in ("name", "split", "position"):
        fitting = {"name": st.sampled_from(known), "split": st.sampled_from(["dev", "dev", "train", "train_dev"]),
                   "position": st.integers(0, 301).map(str)}[name]  # fmt: skip
        value = draw(fitting) if draw(st.integers(0, 4)) else draw(TEXTS)
        filled = filled.replace(f"{{{name}}}", value.replace("?", "%3f"))
    query = draw(st.lists(st.tuples(st.sampled_from(PARAMETERS), TEXTS), max_size=4))
    if query:
        pairs = (f"{key}={''.join(c for c in value if c in printable and c not in '#&?')}" for key, value in query)
        filled += "?" + "&".join(pairs).encode("ascii", "ignore").decode()
    headers = {}
    for name in draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=2, unique=True)):
        headers[name] = draw(st.sampled_from(HEADERS[name]))
    method = draw(st.sampled_from(METHODS))
    body = draw(BODIES) if method not in ("GET", "HEAD") or not draw(st.integers(0, 5)) else None
    return method, filled, headers, body


def fuzz(client: samples.Client, examples: int) -> Counter:
    """How many answers there were of each status. Fails at the first that is a fault of the server."""
    known = [card.id for card in client.library.cards()[0]]
    routes = sorted(route.path for route in client.app.app.routes)
    seen: Counter = Counter()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(requests(routes, known))
    def ask(request):
        method, path, headers, body = request
        status, answered, content = client.ask(path, method, body, headers=headers)
        seen[status] += 1
        assert 200 <= status < 500, (method, path, content[:300])
        assert "default-src 'none'" in answered["content-security-policy"]
        assert b"Traceback" not in content

    ask()
    return seen
