"""Every route by every method, with every wrong way to ask: refused before anything of the studio is reached."""

from __future__ import annotations

import itertools

import pytest

from gnomon.core.errors import UsageError
from gnomon.studio.guard import PUBLIC, Sessions, host_names
from gnomon.studio.serve import open_studio

OWN = "http://127.0.0.1:8765"
PUBLIC_PATHS = {"/healthz", "/login", "/enter"}  # written down here a second time on purpose
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ATTACKS = {  # what is wrong with the request -> how it differs from a right one
    "no token": {"cookie": None},
    "wrong token": {"cookie": "x" * 43},
    "empty token": {"cookie": ""},
    "Host evil": {"host": "evil.test:8765"},
    "Host like ours": {"host": "127.0.0.1.evil.test:8765"},
    "Host of another port": {"host": "127.0.0.1:80"},
    "Origin evil": {"headers": {"origin": "http://evil.test"}},
    "Origin like ours": {"headers": {"origin": f"{OWN}.evil.test"}},
    "Origin null": {"headers": {"origin": "null"}},
    "Origin that no URL is": {"headers": {"origin": "http://["}},
    "Origin with a path": {"headers": {"origin": f"{OWN}/"}},
    "cross-site": {"headers": {"sec-fetch-site": "cross-site"}},
    "same-site": {"headers": {"sec-fetch-site": "same-site"}},
    "text body": {"body": b"{}", "headers": {"content-type": "text/plain"}},
    "form body": {"body": b"a=1", "headers": {"content-type": "application/x-www-form-urlencoded"}},
    "multipart body": {"body": b"a", "headers": {"content-type": "multipart/form-data; boundary=x"}},
    "body without a type": {"headers": {"content-length": "2"}},
}


def routes(client):
    """(path template, methods) of every route of the application behind the guard."""
    return [(route.path, route.methods) for route in client.app.app.routes]


def filled(path: str, name: str) -> str:
    values = {"name": name, "split": "dev", "position": "0"}
    return path.format(**values)


def test_the_routes_are_these(client):
    assert {path for path, _ in routes(client)} == {
        "/", "/healthz", "/login", "/enter", "/links", "/static/{name}", "/compare", "/runs/{name}",
        "/runs/{name}/live", "/runs/{name}/errors/{split}", "/runs/{name}/errors/{split}/changes",
        "/runs/{name}/errors/{split}/record", "/runs/{name}/errors/{split}/undo", "/runs/{name}/errors/{split}/tags",
        "/runs/{name}/errors/{split}/costs",
        "/runs/{name}/examples/{split}/{position}", "/runs/{name}/pictures/{split}/{position}.png",
        "/runs/{name}/maps/{split}/{position}", "/runs/{name}/maps/{split}/{position}.png",
        "/runs/{name}/sheet-{split}.csv", "/runs/{name}/labels/{split}", "/runs/{name}/labels/{split}/record",
        "/runs/{name}/labels/{split}/undo", "/runs/{name}/nudge",
    }  # fmt: skip


def test_the_public_names_are_those_listed_here():
    assert {path for _, path in PUBLIC} == PUBLIC_PATHS


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_route_by_every_method_refuses(client, place, attack):
    name = place.rpartition("/")[2]
    how = ATTACKS[attack]
    allowed = []
    for (path, _), method in itertools.product(routes(client), METHODS):
        status, _, body = client.ask(filled(path, name), method, **how)
        if status not in (401, 403, 415):
            allowed.append((path, method, status))
        else:
            assert b"planted" not in body
    about_tokens = {(path, method, status) for path, method, status in allowed
                    if path in PUBLIC_PATHS and (method in ("GET", "HEAD")) and "evil" not in attack}  # fmt: skip
    passes_public = attack in ("no token", "wrong token", "empty token", "cross-site", "same-site")
    assert set(allowed) <= (about_tokens if passes_public else set())


def test_a_valid_request_passes(client, place):
    assert client.ask("/")[0] == 200
    assert client.ask(place, headers={"sec-fetch-site": "same-origin"})[0] == 200
    assert client.ask(place, headers={"sec-fetch-site": "none"})[0] == 200  # typed, or a bookmark
    assert client.ask(f"{place}/errors/dev/undo", "POST", b"{}")[0] == 200
    other_name = {"host": "localhost:8765", "origin": "http://localhost:8765"}
    assert client.ask(f"{place}/errors/dev/undo", "POST", b"{}", headers=other_name)[0] == 200


def test_reading_changes_nothing(client, place, planted):
    for path, methods in routes(client):
        if "GET" in methods and path != "/enter":
            client.ask(filled(path, place.rpartition("/")[2]))
    assert not (planted.path / "tags.sqlite").exists()


def test_every_answer_carries_the_policy(client, place):
    for path in ("/", place, "/healthz", "/nothing", "/static/studio.js", "/login"):
        for cookie in ("own", None):
            _, headers, _ = client.ask(path, cookie=cookie)
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert not [name for name in headers if name.startswith("access-control")]


def test_no_page_has_a_script_or_style_of_its_own(client, place):
    for path in ("/", place, f"{place}/errors/dev", f"{place}/errors/dev?look=list", "/compare"):
        page = client.ask(path)[2].decode()
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick" not in page
        assert all("src=" in part for part in page.split("<script")[1:])


def test_a_launch_link_works_for_one_browser_once(client):
    token = client.sessions.new_token()
    status, headers, body = client.ask(f"/enter?token={token}", cookie=None)
    assert status == 200
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=strict" in headers["set-cookie"]
    assert token not in body.decode() + str(headers)
    secret = headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert client.ask("/", cookie=secret)[0] == 200
    assert client.ask(f"/enter?token={token}", cookie=None)[0] == 401


def test_a_second_browser_gets_a_link_of_its_own(client):
    status, _, body = client.ask("/links", "POST", b"{}")
    assert status == 200
    path = body.decode().partition("127.0.0.1:8765")[2].rstrip('"}')
    assert client.ask(path, cookie=None)[0] == 200


def test_ten_thousand_guesses_open_nothing():
    sessions = Sessions()
    token = sessions.new_token()
    assert len(token) >= 43  # 256 bits in base64
    assert not any(
        sessions.enter(f"{token[:-4]}{guess:04d}") for guess in range(10_000) if f"{guess:04d}" != token[-4:]
    )
    assert sessions.enter(token)


def test_a_body_over_the_limit_is_refused_before_it_is_read(client, place):
    status, _, _ = client.ask(f"{place}/errors/dev/undo", "POST", b"{}", headers={"content-length": str(2 << 20)})
    assert status == 413
    status, _, _ = client.ask(f"{place}/errors/dev/undo", "POST", b" " * (2 << 20), headers={"content-length": "2"})
    assert status >= 400


def test_foreign_host_names_are_refused():
    assert host_names("127.0.0.1", 80) == {"127.0.0.1:80", "localhost:80", "[::1]:80"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::"])
def test_an_address_reachable_by_others_is_refused(host, tmp_path):
    with pytest.raises(UsageError, match=r"i_know=yes|every address"):
        open_studio([tmp_path], host=host)


def test_listening_on_all_addresses_is_always_refused(tmp_path):
    with pytest.raises(UsageError, match="all addresses at once"):
        open_studio([tmp_path], host="0.0.0.0", knows=True)
