"""The studio's routes: each reads its parameters, asks the library, and renders a page or a part of one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as AnyHTTPException

from gnomon.core.errors import BusyError, GnomonError, MachineError, UsageError
from gnomon.runs.tags import MAX_TEXT, MOST_COST, TagEvent
from gnomon.strategy.error_analysis import LABEL_WRONG
from gnomon.strategy.evidence import Explained
from gnomon.studio import pages
from gnomon.studio.compare import Comparison, compared
from gnomon.studio.guard import App, Guard, Sessions, host_names
from gnomon.studio.library import AT_ONCE, Library, OpenRun, RunCard, fault_text
from gnomon.studio.markup import address
from gnomon.studio.sheets import Filter
from gnomon.workflow.judge.compare import compare as choose_among
from gnomon.workflow.judge.errors import sheet_as_csv
from gnomon.workflow.nudge import request

LAST_SEQ = 2**63 - 1  # the largest integer of SQLite
Split = Literal["dev", "train_dev", "train"]
STATIC = {
    "studio.css": "text/css; charset=utf-8",
    "studio.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
NOT_FOUND = "There is nothing with that name here. A run that was moved or deleted is no longer shown."


class EventIn(BaseModel):
    """An event on one example, from a browser."""

    model_config = ConfigDict(extra="forbid", strict=True)

    position: int = Field(ge=0)
    kind: Literal["look", "tag", "comment", "review"]
    tag: str = Field("", max_length=MAX_TEXT)
    value: str = Field("", max_length=MAX_TEXT)


class EventsIn(BaseModel):
    """Several at once, all or none; at most one page of them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    events: list[EventIn] = Field(min_length=1, max_length=500)
    since: int = Field(0, ge=0, le=LAST_SEQ)  # what the page has seen


class TagIn(BaseModel):
    """A tag to create or end."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=80)


class CostIn(BaseModel):
    """What fixing a tag costs, in any unit that is the same for all."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    cost: float = Field(gt=0, le=MOST_COST, allow_inf_nan=False)


class VerdictIn(BaseModel):
    """Which label of an example under review is right."""

    model_config = ConfigDict(extra="forbid", strict=True)

    place: int = Field(ge=0)
    verdict: Literal["given", "suggested", "neither", "both"]


class NudgeIn(BaseModel):
    """A new value for a setting of a training run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    key: str = Field(min_length=1, max_length=80)
    value: str = Field(min_length=1, max_length=80)


class NothingIn(BaseModel):
    """A request whose path says everything."""

    model_config = ConfigDict(extra="forbid", strict=True)


def create(library: Library, *, host: str, port: int) -> tuple[App, Sessions]:
    """The guarded application, and what creates its launch links."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    sessions = Sessions()
    cookie = f"gnomon_{port}"  # cookies are shared between ports
    _add_login(app, sessions, cookie, base=f"http://{'localhost' if host == '0.0.0.0' else host}:{port}")  # noqa: S104
    _add_runs(app, library)
    _add_sheet(app, library)
    _add_review(app, library)
    _add_comparison(app, library)
    _add_failures(app, library)
    guard = Guard(app, sessions=sessions, hosts=host_names(host, port), cookie=cookie, login=pages.login().encode())
    return guard, sessions


# --- doors ------------------------------------------------------------------------------------------------------------
def _add_login(app: FastAPI, sessions: Sessions, cookie: str, base: str) -> None:
    @app.api_route("/healthz", methods=["GET", "HEAD"])
    def healthz() -> JSONResponse:
        return JSONResponse({"ok": True})

    @app.api_route("/login", methods=["GET", "HEAD"])
    def login() -> HTMLResponse:
        return HTMLResponse(pages.login())

    @app.get("/enter")
    def enter(token: str = "") -> Response:
        secret = sessions.enter(token)
        if secret is None:
            return HTMLResponse(pages.login(was_used=True), status_code=401)
        response = HTMLResponse(pages.entered())  # a page, not a redirect: the cookie is not sent along with one
        response.set_cookie(cookie, secret, httponly=True, samesite="strict", path="/")
        return response

    @app.post("/links")
    def new_link(_: NothingIn) -> JSONResponse:
        return JSONResponse({"link": f"{base}/enter?token={sessions.new_token()}"})

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        content = resources.files("gnomon.studio").joinpath("static", name).read_bytes()
        return Response(content, media_type=STATIC[name], headers={"cache-control": "no-cache"})


# --- runs -------------------------------------------------------------------------------------------------------------
def _add_runs(app: FastAPI, library: Library) -> None:
    @app.get("/")
    def runs(q: str = "", sort: str = "", group: str = "", part: str = "", was: str = "") -> Response:
        page = pages.runs(
            *library.cards(AT_ONCE), query=q[:200], sort=sort, group=group, part=part == "list", was=was
        )  # fmt: skip
        if not page:  # the list is unchanged: nothing is redrawn, and no selection or focus is lost
            return Response(status_code=204)
        return _at(address("/", q=q[:200], sort=sort, group=group) if part else "", page)

    @app.get("/runs/{name}")
    def run(name: str, smooth: float = 0.0, log: bool = False) -> HTMLResponse:
        found, card = _run(library, name), _card(library, name)
        page = pages.made if found.folder.is_craft else pages.run
        return HTMLResponse(page(found, card, smooth=_smoothing(smooth), log=log))

    @app.get("/runs/{name}/live")
    def live(name: str, smooth: float = 0.0, log: bool = False, was: str = "") -> Response:
        """The curves again; 286 ends the polling of a finished run, followed by the whole page."""
        found, card = _run(library, name), _card(library, name)
        response = HTMLResponse(pages.live(found, card, smooth=_smoothing(smooth), log=log))
        if was == "running" and card.state != "running":
            response.headers["HX-Refresh"] = "true"
        return response

    @app.post("/runs/{name}/nudge")
    def nudged(name: str, body: NudgeIn) -> HTMLResponse:
        found, card = _run(library, name), _card(library, name)
        if card.state != "running":
            raise HTTPException(422, "this run is not training")
        request(found.folder, {body.key: body.value}, patience=1.5)
        return HTMLResponse(pages.live(found, card, smooth=0.0, log=False))


def _at(place: str, page: str) -> HTMLResponse:
    """Part of a page that gets the place `place`, so that reloading it keeps the filters."""
    return HTMLResponse(page, headers={"HX-Replace-Url": place} if place else None)


def _smoothing(beta: float) -> float:
    return min(max(beta, 0.0), 0.99) if math.isfinite(beta) else 0.0


def _card(library: Library, name: str) -> RunCard:
    card = library.card(name)
    if card is None:
        raise HTTPException(404)
    return card


def _run(library: Library, name: str) -> OpenRun:
    found = library.run(name)
    if found is None:
        raise HTTPException(404)
    return found


# --- the sheet --------------------------------------------------------------------------------------------------------
def _add_sheet(app: FastAPI, library: Library) -> None:
    @app.get("/runs/{name}/errors/{split}")
    def sheet(name: str, split: Split, request: Request, look: str = "grid", part: str = "") -> HTMLResponse:
        shown = _sheet(library, name, split)
        wanted = Filter.of(_many(request))
        page = pages.sheet(shown, wanted, _positions(library, shown, wanted), look=look, part=part)
        return _at(address(shown.place, wanted=wanted, look=look) if part == "grid" else "", page)

    @app.get("/runs/{name}/errors/{split}/changes")
    def changes(name: str, split: Split, since: Annotated[int, Query(ge=0, le=LAST_SEQ)] = 0) -> JSONResponse:
        shown = _sheet(library, name, split)
        changed = shown.live.changed_since(since)
        return JSONResponse(_answer(shown, changed[:500]) if shown.live.seq != since else {"seq": since})

    @app.post("/runs/{name}/errors/{split}/record")
    def record(name: str, split: Split, body: EventsIn, request: Request) -> JSONResponse:
        shown = _sheet(library, name, split)
        sheet = shown.live.sheet
        if any(one.position >= len(sheet.table) for one in body.events):
            raise HTTPException(404)
        tags = {*shown.live.tag_names}
        if any(one.kind == "tag" and (one.tag not in tags or one.value not in ("0", "1")) for one in body.events):
            raise HTTPException(422, "there is no such tag")
        events = [TagEvent(split, sheet.id_of(one.position), one.kind, one.tag, one.value) for one in body.events]
        shown.live.record(events, request.state.who)
        return JSONResponse(_answer(shown, [one.position for one in body.events]))

    @app.post("/runs/{name}/errors/{split}/undo")
    def undo(name: str, split: Split, _: NothingIn, request: Request) -> JSONResponse:
        shown = _sheet(library, name, split)
        undone = shown.live.undo(request.state.who)
        return JSONResponse(_answer(shown, undone) | {"undone": len(undone)})

    @app.post("/runs/{name}/errors/{split}/tags")
    def new_tag(name: str, split: Split, body: TagIn, request: Request) -> JSONResponse:
        shown, tag = _sheet(library, name, split), body.name.strip()
        taken = {*shown.live.tag_names, *(one.name for one in shown.live.sheet.tags), LABEL_WRONG}
        if not tag or tag in taken:
            raise HTTPException(422, "a tag with that name already exists")
        shown.live.record([TagEvent("", "", "new", tag)], request.state.who)
        return JSONResponse(_answer(shown, []))

    @app.post("/runs/{name}/errors/{split}/costs")
    def cost(name: str, split: Split, body: CostIn, request: Request) -> JSONResponse:
        shown = _sheet(library, name, split)
        if body.name not in {*shown.live.tag_names, *(one.name for one in shown.live.sheet.tags)}:
            raise HTTPException(422, "there is no such tag")
        shown.live.record([TagEvent("", "", "cost", body.name, f"{body.cost:g}")], request.state.who)
        return JSONResponse(_answer(shown, []))

    @app.delete("/runs/{name}/errors/{split}/tags")
    def drop_tag(name: str, split: Split, body: TagIn, request: Request) -> JSONResponse:
        shown = _sheet(library, name, split)
        if body.name not in shown.live.tag_names or body.name == LABEL_WRONG:
            raise HTTPException(404)
        shown.live.record([TagEvent("", "", "drop", body.name)], request.state.who)
        return JSONResponse(_answer(shown, []))

    @app.get("/runs/{name}/examples/{split}/{position}")
    def example(name: str, split: Split, position: int) -> HTMLResponse:
        shown = _sheet(library, name, split)
        if not 0 <= position < len(shown.live.sheet.table):
            raise HTTPException(404)
        history = shown.run.store.history(split, shown.live.sheet.id_of(position))
        return HTMLResponse(pages.example(shown, position, history))

    @app.get("/runs/{name}/pictures/{split}/{position}.png")
    def picture(
        name: str, split: Split, position: int, shown: Literal["both", "label", "answer"] | None = None
    ) -> Response:
        examples = _run(library, name).examples(split)
        examples.wait(20)
        png = examples.picture(position, shown)
        if png is None:
            raise HTTPException(404)
        return Response(png, media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    @app.get("/runs/{name}/maps/{split}/{position}.png")
    def maps_png(name: str, split: Split, position: int) -> Response:
        found = _maps(library, name, split, position)
        return Response(found[1], media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    @app.get("/runs/{name}/maps/{split}/{position}")
    def maps(name: str, split: Split, position: int) -> HTMLResponse:
        explained, _ = _maps(library, name, split, position)
        return HTMLResponse(pages.maps(_sheet(library, name, split), position, explained))

    @app.get("/runs/{name}/sheet-{split}.csv")
    def csv(name: str, split: Split, rows: Literal["errors", "right", "all"] = "errors") -> Response:
        live = _sheet(library, name, split).live
        data, _ = sheet_as_csv(live.sheet, live.store, rows=rows)
        return Response(data, media_type="text/csv; charset=utf-8",
                        headers={"content-disposition": f'attachment; filename="errors-{split}.csv"'})  # fmt: skip


def _sheet(library: Library, name: str, split: Split) -> pages.ShownSheet:
    run = _run(library, name)
    live = run.sheet(split)
    live.refresh()
    return pages.ShownSheet(run, split, live, run.examples(split))


def _maps(library: Library, name: str, split: Split, position: int) -> tuple[Explained, bytes]:
    examples = _run(library, name).examples(split)
    examples.wait(20)
    found = examples.maps(position)
    if found is None:
        raise HTTPException(404)
    return found


def _many(request: Request) -> Mapping[str, list[str]]:
    values: dict[str, list[str]] = {}
    for key, value in request.query_params.multi_items():
        values.setdefault(key, []).append(value)
    return values


def _positions(library: Library, shown: pages.ShownSheet, wanted: Filter) -> np.ndarray:
    picked = None
    if wanted.versus and wanted.change:
        comparison = compared(_run(library, wanted.versus), shown.run, shown.split)
        picked = comparison.picked(wanted.change)
    return shown.live.positions(wanted, picked)


def _answer(shown: pages.ShownSheet, positions: list[int]) -> dict[str, Any]:
    """What a page needs to be current: the counts, and the cards of these examples."""
    return {
        "seq": shown.live.seq,
        "counts": pages.counts(shown),
        "cards": {str(position): card for position, card in pages.cards(shown, positions).items()},
        "keys": shown.live.keys,
    }


# --- labels -----------------------------------------------------------------------------------------------------------
def _add_review(app: FastAPI, library: Library) -> None:
    def shown(name: str, split: Split, at: int | None, part: str) -> str:
        run = _run(library, name)
        review = run.review(split)
        place = review.next_open() if at is None else min(max(at, 0), len(review) - 1)
        return pages.labels(_sheet(library, name, split), review, place, part=part)

    @app.get("/runs/{name}/labels/{split}")
    def labels(name: str, split: Split, at: int | None = None, part: str = "") -> HTMLResponse:
        return HTMLResponse(shown(name, split, at, part))

    @app.post("/runs/{name}/labels/{split}/record")
    def record_label(name: str, split: Split, body: VerdictIn, request: Request) -> HTMLResponse:
        review = _run(library, name).review(split)
        if body.place >= len(review):
            raise HTTPException(404)
        review.record(body.place, body.verdict, request.state.who)
        return HTMLResponse(shown(name, split, review.next_open(body.place), "question"))

    @app.post("/runs/{name}/labels/{split}/undo")
    def undo_label(name: str, split: Split, _: NothingIn, request: Request) -> HTMLResponse:
        run = _run(library, name)
        undone = run.store.undo(request.state.who)
        places = [place for one in undone if (place := run.review(split).place_of(one.example)) is not None]
        return HTMLResponse(shown(name, split, places[0] if places else None, "question"))


# --- two runs ---------------------------------------------------------------------------------------------------------
def _add_comparison(app: FastAPI, library: Library) -> None:
    @app.get("/compare")
    def compare(
        request: Request, smooth: float = 0.0, log: bool = False, metric: str = "", where: str = ""
    ) -> HTMLResponse:
        names = list(dict.fromkeys(_many(request).get("run", [])))[:8]
        cards = sorted((_card(library, name) for name in names), key=lambda card: card.created)  # before, then after
        runs = [_run(library, card.id) for card in cards]
        comparison: Comparison | None = None
        fault = ""
        if len(runs) == 2:
            try:
                comparison = compared(runs[0], runs[1], "dev")
            except GnomonError as error:
                fault = fault_text(error, *library.places)
        asked = pages.Asked(metric[:80], where[:400])
        if metric and len(runs) > 1:
            try:
                conditions = [part for part in asked.where.split(",") if part.strip()]
                asked.found = choose_among([run.path for run in runs], metric=asked.metric, conditions=conditions)
            except GnomonError as error:
                asked.fault = fault_text(error, *library.places)
        page = pages.compare(runs, cards, comparison, fault, asked, smooth=_smoothing(smooth), log=log)
        return HTMLResponse(page)


# --- failures ---------------------------------------------------------------------------------------------------------
def _add_failures(app: FastAPI, library: Library) -> None:
    def gnomon_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, GnomonError)
        usage = 404 if request.method in ("GET", "HEAD") else 422
        # 424: the files or data that the answer depends on are damaged or missing; 500 is our own fault
        status = {UsageError: usage, MachineError: 503, BusyError: 409}.get(type(error), 424)
        return _failure(request, status, fault_text(error, *library.places))

    def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AnyHTTPException)
        if error.status_code == 404:
            return _nothing(request)
        return _failure(request, error.status_code, str(error.detail))

    def invalid(request: Request, _: Exception) -> Response:
        if request.method in ("GET", "HEAD"):  # an invalid path or parameter is a page that does not exist
            return _nothing(request)
        return _failure(request, 422, "invalid request")

    app.add_exception_handler(GnomonError, gnomon_error)
    app.add_exception_handler(AnyHTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)


def _failure(request: Request, status: int, what: str) -> Response:
    if _is_page(request):
        return HTMLResponse(pages.failure(what), status_code=status)
    return JSONResponse({"fault": what}, status_code=status)


def _nothing(request: Request) -> Response:
    """Missing things and forbidden things look the same."""
    if _is_page(request):
        return HTMLResponse(pages.failure(NOT_FOUND, title="Nothing here"), status_code=404)
    return PlainTextResponse(f"{NOT_FOUND}\n", status_code=404)


def _is_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")
