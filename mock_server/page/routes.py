"""The page over HTTP: who may see it, screens and their live parts, forms, and static files. Loaded when somebody asks for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from flask import Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from ..control.asking import ControlError, account_named
from ..control.document import control_operations
from ..control.guard import PREFIX, TokenMissingError, cookie_for, guard
from ..foreign_pages import refusal_for_control
from ..request_state import APP
from .ask import HOME, PAGES, Ask, Outcome
from .doing import call_of
from .rendering import refused, screen, static_files, tag
from .screens import SCREENS
from .try_it import SAMPLES
from .trying import FILES, FORM, sent, tried

if TYPE_CHECKING:
    from ..control.operations import Operations
    from ..settings import Settings

SAFE = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    # `no-referrer` would take the Origin from our own forms too, which the guard looks at
    "Referrer-Policy": "same-origin",
}
ENDED = 409
"""What a journey answers that was ended before its destination."""
LARGEST_FORM = 64 * 1024
"""Bytes."""
LARGEST_UPLOAD = 64 * 1024 * 1024
"""Of Try it: six pictures of the largest size that the service takes."""
LARGEST_TEXTS = 1024 * 1024
"""Of Try it: what is no file; all of it stands on the page that answers."""
FOR_EVER = "public, max-age=31536000, immutable"


def answer(operations: Operations, settings: Settings) -> Response:
    """Answer a request for `/_mock/` or below `/_mock/page/`."""
    path = request.path.removeprefix(PAGES) if request.path.startswith(PAGES) else ""
    if path.startswith("static/"):
        return _static(path.rpartition("/")[2])
    try:
        if path == "token" and request.method == "POST":
            return _let_in(settings)
        guard(request.environ, settings, request.cookies)
        if request.method == "POST":
            return _page(*(_tried(operations) if path == FORM else _done(operations, path)))
        return _shown(operations, path)
    except TokenMissingError:
        return _page(refused("This page wants the control token", wants_token=True, back=_back(request.full_path)), 403)
    except ControlError as error:
        return _refused(error, _back(request.full_path), settings)


def _shown(operations: Operations, path: str) -> Response:
    ask = _ask(operations, path, dict(request.args.items()))
    if "HX-Request" not in request.headers:
        return _page(*screen(ask))
    html, http = screen(ask, polled=True)
    now = tag(html)
    response = Response(status=304) if request.headers.get("HX-PTag") == now else _page(html, http)
    response.headers["HX-PTag"] = now
    return response


def _ask(operations: Operations, path: str, query: dict[str, str], outcome: Outcome | None = None) -> Ask:
    name, _, rest = path.partition("/")
    if (name or "tasks") not in SCREENS:
        raise ControlError(f"there is no screen {name[:60]!r}", 404)
    return Ask(name or "tasks", rest, query, operations.call, outcome, request.host_url.rstrip("/"))


def _done(operations: Operations, path: str) -> tuple[str, int]:
    """Carry out the operation of a form; return the screen that it stood on, with what came of it."""
    kind, _, operation_id = path.partition("/")
    if kind != "do" or operation_id not in control_operations():
        raise ControlError("there is nothing that could be done", 404)
    fields = _form()
    outcome, http = _outcome(operations, operation_id, fields), 200
    if outcome.error:
        http = 400
    back = urlsplit(_back(fields.get("back", "")))
    path = unquote(back.path.removeprefix(PAGES)) if back.path.startswith(PAGES) else ""
    html, _ = screen(_ask(operations, path, dict(parse_qsl(back.query, keep_blank_values=True)), outcome))
    return html, http


def _form() -> dict[str, str]:
    request.max_content_length = LARGEST_FORM
    try:
        return dict(request.form.items())
    except RequestEntityTooLarge:
        raise ControlError(f"a form has at most {LARGEST_FORM} bytes", 413) from None


def _outcome(operations: Operations, operation_id: str, fields: dict[str, str]) -> Outcome:
    try:
        account = account_named(name) if (name := fields.get("account")) else None
        done = operations.call(operation_id, account, *call_of(operation_id, fields))
    except ControlError as error:
        return Outcome(operation_id, fields, error=str(error), broken_off=error.http == ENDED)
    return Outcome(operation_id, fields, done)


def _tried(operations: Operations) -> tuple[str, int]:
    """Send the request of the API that is filled in; return the screen with what it was answered."""
    most = min(current_app.config["MAX_CONTENT_LENGTH"], LARGEST_UPLOAD)
    request.max_content_length, request.max_form_memory_size = most, min(most, LARGEST_TEXTS)
    try:
        fields, uploads = dict(request.form.items()), {name: _files(name) for name in FILES}
    except RequestEntityTooLarge:
        texts, most_fields = request.max_form_memory_size, request.max_form_parts
        error = f"A form has at most {most:,} bytes, of texts {texts:,}, and {most_fields:,} fields: nothing was sent. A client of your own can send more."
        return screen(_ask(operations, FORM, dict(request.args.items()), Outcome(FORM, {}, error=error)))[0], 413
    if "samples" in fields and not uploads["subjects"]:
        uploads["subjects"] = [static_files()[name][0] for name in SAMPLES]
    outcome = tried(operations.call, fields, uploads, partial(sent, request.environ[APP], request.environ))
    query = {name: value for name, value in request.args.items() if name != "task"}
    if outcome.answer and outcome.answer.task_id:
        query |= {"task": outcome.answer.task_id}
    return screen(_ask(operations, FORM, query, outcome))[0], 400 if outcome.error else 200


def _files(name: str) -> list[bytes]:
    """Return the files of a field, as far as any was chosen."""
    found = []
    for file in request.files.getlist(name):
        if file.filename:
            found.append(file.read())
        file.close()
    return found


def _let_in(settings: Settings) -> Response:
    """Give a browser a cookie for the token that a person has typed. Raises ControlError."""
    form = _form()
    token, back = form.get("token", ""), _back(form.get("back", ""))
    try:
        guard({**request.environ, "HTTP_KLINGKIT_TOKEN": token}, settings)
    except TokenMissingError:
        return _page(refused("That is not the control token", wants_token=True, back=back), 403)
    response = Response(status=303, headers={"Location": back})
    if cookie := cookie_for(token, settings):
        response.set_cookie(*cookie, httponly=True, samesite="Strict", path=PREFIX)
    return response


def _refused(error: ControlError, back: str, settings: Settings) -> Response:
    """Say why nothing is shown, and what leads on: after a link of somebody else's page one of ours."""
    by_link = bool(refusal_for_control(request.environ, settings)) and not refusal_for_control(
        {**request.environ, "HTTP_SEC_FETCH_SITE": "same-origin"}, settings
    )
    return _page(refused(f"{error}", wants_token=False, by_link=by_link, back=back, http=error.http), error.http)


def unavailable(error: Exception) -> Response:
    """Say why no screen can be shown while the state cannot be used."""
    return _page(refused(f"{error}", wants_token=False, by_link=False, back=HOME, http=503), 503)


def _back(address: str) -> str:
    """Return an address of ours as it came; for any other that of the first screen."""
    path = urlsplit(address).path if address.startswith((PAGES, f"{HOME}?")) and "\\" not in address else ""
    name = path.removeprefix(PAGES).partition("/")[0]
    ours = path == HOME or (path.startswith(PAGES) and name in SCREENS)
    return address.rstrip("?") if ours and address.isprintable() else HOME


def _static(name: str) -> Response:
    if name not in static_files():
        return Response(status=404)
    data, media_type, digest = static_files()[name]
    response = Response(data, mimetype=media_type)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = FOR_EVER
    response.set_etag(digest)
    response.make_conditional(request.environ)
    return response


def _page(html: str, http: int = 200) -> Response:
    response = Response(html, http, mimetype="text/html")
    response.headers.extend(SAFE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept, Cookie, HX-Request"
    return response
