"""The studio under attack and under damage: names that lead out of a run, tokens that leak, files that go away."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import studio_samples as samples
import uvicorn

from gnomon.runs.tags import TagStore, is_sound
from gnomon.studio import deadline

CANARY = "canary-3f1c"


@pytest.fixture
def planted(tmp_path):
    """A run, and secrets around it that no answer may hold."""
    run = samples.plant(tmp_path / "runs", samples.predictions(60, 6))
    (tmp_path / "secret.txt").write_text(CANARY)
    (tmp_path / "runs" / "secret.txt").write_text(CANARY)
    beside = tmp_path / "runs-secret"
    samples.plant(beside, samples.predictions(60, 6, classes=(CANARY, "b")), name=CANARY)
    (tmp_path / "runs" / "image_classification" / "outside").symlink_to(beside, target_is_directory=True)
    (run.path / "link.txt").symlink_to(tmp_path / "secret.txt")
    return run


# --- scenario 46: names that lead somewhere else ----------------------------------------------------------------------
WAYS_OUT = [
    "..", "../..", "../secret.txt", "..%2f..%2fsecret.txt", "%2e%2e", "%2e%2e%2fsecret.txt",
    "%252e%252e%252fsecret.txt",
    "..\\secret.txt", "..%5csecret.txt", "secret.txt%00.png", "\0", "/etc/passwd", "//etc/passwd", "file:///etc/passwd",
    "{path}", "{path}/../secret.txt", "{name}-secret", "{id}/../secret.txt", "{id}.", "{ID}", "{id}%20", " {id}",
    "outside", "latest", "x" * 5000, "٣", "1e3", "-1", "0x0", "99999999999999999999", "nan", "NULL", "dev/../train",
]  # fmt: skip
PLACES = [
    "/runs/{}", "/runs/{}/live", "/runs/{}/errors/dev", "/runs/{}/pictures/dev/0.png", "/static/{}",
    "/runs/{id}/errors/{}", "/runs/{id}/pictures/{}/0.png", "/runs/{id}/pictures/dev/{}.png",
    "/runs/{id}/examples/dev/{}",
    "/runs/{id}/labels/{}", "/runs/{id}/sheet-{}.csv", "/compare?run={}", "/{}",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_every_path_traversal_gets_the_same_answer_and_no_secret(planted, tmp_path, place):
    client = samples.Client(tmp_path / "runs")
    own = samples.run_id(planted.path)
    answers = set()
    for way in WAYS_OUT:
        filled = way.format(path=planted.path, name=planted.path.name, id=own, ID=own.upper())
        path = place.replace("{id}", own).replace("{}", filled)
        status, _, body = client.ask(path)
        assert CANARY.encode() not in body, path
        assert b"root:" not in body, path
        assert status in (200, 307, 404), (status, path)
        if status != 200:
            answers.add(body)
    assert len(answers) <= 1  # what is not there and what must not be seen look alike


def test_runs_outside_are_not_reached_through_links(planted, tmp_path):
    client = samples.Client(tmp_path / "runs")
    assert [card.name for card in client.library.cards()[0]] == ["planted"]


def test_a_run_of_another_folder_has_no_id_here(planted, tmp_path):
    client = samples.Client(tmp_path / "runs")
    (other,) = (tmp_path / "runs-secret").glob("*/2*")
    assert client.ask(f"/runs/{samples.run_id(other)}")[0] == 404


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e400", "x", "", "9" * 5000])
def test_things_that_are_not_numbers_are_not_server_errors(planted, tmp_path, value):
    client = samples.Client(tmp_path / "runs")
    here = f"/runs/{samples.run_id(planted.path)}"
    for path in (f"{here}?smooth={value}&log={value}", f"{here}/errors/dev?low={value}&high={value}&page={value}",
                 f"{here}/errors/dev/changes?since={value}", f"/compare?run=x&smooth={value}"):  # fmt: skip
        assert client.ask(path)[0] in (200, 404)


# --- scenarios 20 and 48: the file under it ---------------------------------------------------------------------------
def record(client, place, position):
    body = {"events": [{"position": position, "kind": "tag", "tag": "label wrong", "value": "1"}]}
    return client.ask(f"{place}/errors/dev/record", "POST", json.dumps(body).encode())


def test_a_vanished_database_is_reported_and_used_again_when_it_is_back(planted, tmp_path):
    client, place = samples.Client(tmp_path / "runs"), f"/runs/{samples.run_id(planted.path)}"
    assert record(client, place, 1)[0] == 200
    files = list(planted.path.glob("tags.sqlite*"))
    for path in files:
        path.rename(path.with_name(f"kept-{path.name}"))
    status, _, body = record(client, place, 2)
    assert status == 503
    assert "the file with the tags has disappeared" in json.loads(body)["fault"]
    for path in files:
        path.with_name(f"kept-{path.name}").rename(path)
    assert record(client, place, 3)[0] == 200
    assert len(TagStore(planted.path).current("dev")) == 2


def test_a_file_that_is_not_a_database_is_reported(planted, tmp_path):
    (planted.path / "tags.sqlite").write_bytes(b"no database at all, and long enough for a header" * 9)
    client, place = samples.Client(tmp_path / "runs"), f"/runs/{samples.run_id(planted.path)}"
    status, _, body = client.ask(f"{place}/errors/dev", headers={"accept": "text/html"})
    assert status == 424
    assert b"is not a file of tags" in body


READ_ONLY = """
import json, subprocess, sys
from pathlib import Path
import studio_samples as samples

runs, body = Path(sys.argv[1]), json.dumps({"events": [{"position": 1, "kind": "comment", "value": "hazy"}]}).encode()

def mounted(how):
    subprocess.run(["mount", "-o", f"remount,{how},bind", runs], check=True)

def both(client, run):
    place = f"/runs/{samples.run_id(run)}/errors/dev"
    said, _, answer = client.ask(place + "/record", "POST", body)
    seen, _, page = client.ask(place + "?show=all&text=000001")
    return [said, json.loads(answer).get("fault", ""), seen, b"hazy" in page]

subprocess.run(["mount", "--bind", runs, runs], check=True)
tagged, plain = sorted(path.parent for path in runs.glob("*/*/manifest.json"))
record = "import sys; from pathlib import Path; from gnomon.runs.tags import TagEvent, TagStore;" \
      "TagStore(Path(sys.argv[1])).record([TagEvent('dev', sys.argv[2], 'comment', '', 'hazy')], 'ann')"
subprocess.run([sys.executable, "-c", record, tagged, "dog/000001.png"], check=True)
mounted("ro")
client = samples.Client(runs)
told = [both(client, tagged), both(client, plain)]
mounted("rw")
told += [both(client, tagged), both(client, plain)]
print(json.dumps(told))
"""


def test_read_only_runs_are_shown_and_a_tag_that_cannot_be_saved_is_reported(tmp_path):
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount (unshare -m)")
    for name in ("a tagged one", "plain"):
        samples.plant(tmp_path / "runs", samples.predictions(60, 6), name=name)
    command = ["unshare", "-m", sys.executable, "-c", READ_ONLY, str(tmp_path / "runs")]
    here = {**os.environ, "PYTHONPATH": str(Path(samples.__file__).parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=here)
    assert done.returncode == 0, done.stderr[-800:]
    told = json.loads(done.stdout)
    assert [one[0] for one in told] == [503, 503, 200, 200]
    assert all("its folder is read-only" in fault for status, fault, *_ in told if status == 503)
    assert [one[2] for one in told] == [200] * 4  # the sheet is shown all the same,
    assert [one[3] for one in told] == [True, False, True, True]  # with what was said before


# --- scenario 47 and the process itself -------------------------------------------------------------------------------
@pytest.fixture
def process(planted, tmp_path):
    words = [sys.executable, "-m", "gnomon", "studio", str(tmp_path / "runs"), "--json"]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield started
    if started.poll() is None:
        started.kill()
        started.communicate(timeout=20)


def fetched(url: str, cookie: str = "", body: bytes | None = None) -> tuple[int, dict, bytes]:
    headers = {"Cookie": cookie} if cookie else {}
    headers |= {"Content-Type": "application/json"} if body is not None else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_the_token_is_in_the_link_alone_and_the_port_is_this_machines(process, tmp_path):
    link = json.loads(process.stdout.readline())["link"]
    base, _, token = link.partition("/enter?token=")
    assert base.startswith("http://127.0.0.1:")
    assert fetched(f"{base}/")[0] == 401
    status, headers, body = fetched(link)
    assert (status, token in str(headers) + body.decode()) == (200, False)
    cookie = headers["set-cookie"].partition(";")[0]
    status, headers, body = fetched(f"{base}/", cookie)
    assert (status, token in str(headers) + body.decode()) == (200, False)
    assert fetched(link)[0] == 401
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode in (0, 130)
    assert token not in out + err
    assert cookie.partition("=")[2] not in out + err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()
                and token.encode() in path.read_bytes()]  # fmt: skip


def test_it_stops_within_seconds_of_the_signal_with_connections_open(process):
    link = json.loads(process.stdout.readline())["link"]
    port = int(link.partition("127.0.0.1:")[2].partition("/")[0])
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    idle[0].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nunfinished")
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert time.monotonic() - start < 10
    for each in idle:
        each.close()


# --- scenario 50: who connects and does not ask, or asks and does not listen ------------------------------------------
@contextlib.contextmanager
def listening(runs: Path):
    """The studio's application behind its own protocol, on a free port of this process."""
    client = samples.Client(runs)
    with socket.create_server(("127.0.0.1", 0)) as server_socket:
        client.port = server_socket.getsockname()[1]
        client.app.hosts = frozenset({f"127.0.0.1:{client.port}"})
        config = uvicorn.Config(
            client.app, http=deadline.Deadline, log_level="critical", ws="none", lifespan="off",
            timeout_keep_alive=2,  # which closes a connection whose second request came before the first answer
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [server_socket]}, daemon=True)
        thread.start()
        yield client.port, f"gnomon_8765={client.secret}"
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


HALF_OPEN = {
    "nothing": [],
    "half a header": [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "],
    "half a body": [b"POST /links HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n",
                    b"Cookie: {cookie}\r\nContent-Length: 9\r\n\r\n{"],
    "half a second request": [b"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n", b"GET /healthz"],
}  # fmt: skip


@pytest.mark.parametrize("sent", HALF_OPEN.values(), ids=HALF_OPEN)
def test_a_connection_that_does_not_finish_its_request_is_closed(planted, tmp_path, monkeypatch, sent):
    monkeypatch.setattr(deadline, "REQUEST_SECONDS", 0.4)
    with listening(tmp_path / "runs") as (port, cookie):
        names = {b"{host}": b"127.0.0.1:%d" % port, b"{cookie}": cookie.encode()}
        with contextlib.ExitStack() as stack:
            half_open = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(20)]
            for part in sent:
                for name, value in names.items():
                    part = part.replace(name, value)
                for each in half_open:
                    each.sendall(part)
                time.sleep(0.1)
            assert fetched(f"http://127.0.0.1:{port}/healthz")[0] == 200  # a good one is served beside them
            for each in half_open:
                with contextlib.suppress(ConnectionResetError):
                    while each.recv(4096):  # raises TimeoutError if it stays open
                        pass


def test_a_slow_request_that_gets_done_in_time_is_answered_and_its_connection_kept(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(deadline, "REQUEST_SECONDS", 1.0)
    with (
        listening(tmp_path / "runs") as (port, _),
        socket.create_connection(("127.0.0.1", port), 10) as connection,
        connection.makefile("rb") as answers,
    ):
        for _ in range(2):
            for part in (b"GET /healthz HT", b"TP/1.1\r\n", b"Host: 127.0.0.1:%d\r\n\r\n" % port):
                connection.sendall(part)
                time.sleep(0.25)
            head = b"".join(iter(answers.readline, b"\r\n")).lower()
            assert head.startswith(b"http/1.1 200 ok")
            answers.read(int(head.partition(b"content-length:")[2].split()[0]))
            time.sleep(1.1)  # the deadline is for requests, not for the rest between them


def test_a_client_that_does_not_read_its_answer_is_closed(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(deadline, "ANSWER_SECONDS", 0.3)
    with (
        listening(tmp_path / "runs") as (port, _),
        socket.create_connection(("127.0.0.1", port), 10) as connection,
    ):
        ask = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port
        with pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012  it takes many: the system buffers some
            for _ in range(200):
                connection.sendall(ask * 200)
                time.sleep(0.05)


@pytest.mark.slow
def test_sixteen_users_tagging_in_the_studio_lose_nothing_and_a_kill_loses_no_answered_tag(process, planted):
    link = json.loads(process.stdout.readline())["link"]
    base = link.partition("/enter")[0]
    cookie = fetched(link)[1]["set-cookie"].partition(";")[0]
    place = f"{base}/runs/{samples.run_id(planted.path)}/errors/dev/record"

    def tag(number: int) -> int:
        event = {"position": number % 60, "kind": "comment", "value": str(number)}
        return fetched(place, cookie, json.dumps({"events": [event]}).encode())[0]

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(tag, range(800)))
    os.kill(process.pid, signal.SIGKILL)
    assert statuses == [200] * 800
    store = TagStore(planted.path)
    assert store.since(0)[0] == 800
    assert is_sound(store.path)
