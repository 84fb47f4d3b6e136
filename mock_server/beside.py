"""What is beside the API, under `/_mock`: Flask's application, with its hooks; the routes are those of the control API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from . import request_log
from .control.guard import METRICS_PATH, PREFIX
from .control.routes import control_routes
from .counts import STORE_ERRORS
from .request_state import STATE, BodyTooLargeError, HttpAnswer
from .store import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

    from .request_state import RequestState
    from .simulator import Simulator

    Begin = Callable[[Simulator, WSGIEnvironment], RequestState]
    WrongPath = Callable[[Simulator, RequestState], HttpAnswer]
    Fail = Callable[[Simulator, RequestState, Exception], HttpAnswer]


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def beside_the_api(simulator: Simulator, begin: Begin, wrong_path: WrongPath, fail: Fail) -> Flask:
    """Return the application; a request begins, and fails, as one of the API does (`app.py`)."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = simulator.settings.max_body
    app.url_map.merge_slashes = False
    app.register_blueprint(control_routes(simulator))

    @app.before_request
    def begin_beside() -> None:
        state = request.environ[STATE] = begin(simulator, request.environ)
        if state.problem and state.path != METRICS_PATH:
            raise state.problem

    @app.errorhandler(Exception)
    def fail_beside(error: Exception) -> Response | HTTPException:
        """Answer what Flask or a function of ours has raised."""
        state: RequestState = request.environ[STATE]
        if isinstance(error, NotFound):
            return _of_flask(wrong_path(simulator, state))
        if isinstance(error, StoreUnavailableError):
            simulator.counts.add((STORE_ERRORS,))
            if simulator.settings.control and _is_of_page():
                from .page.routes import unavailable  # noqa: PLC0415 - loaded when somebody asks for it

                return unavailable(error)
            return Response(_encode({"error": str(error)}), 503, mimetype="application/json")
        if isinstance(error, RequestEntityTooLarge):
            error = BodyTooLargeError()
        return error if isinstance(error, HTTPException) else _of_flask(fail(simulator, state, error))

    @app.after_request
    def log(response: Response) -> Response:
        """Log a request in one line; a page that asks every two seconds whether something is new would fill the log."""
        if request.method == "GET" and "HX-Request" in request.headers and response.status_code < 400:
            return response
        request_log.write_line(simulator, request.environ[STATE], response.status_code)
        return response

    return app


def _is_of_page() -> bool:
    """Tell whether a person looks at a screen, and not a script at the control API."""
    path = request.path.removeprefix(PREFIX)
    return "text/html" in request.headers.get("Accept", "") and (path in {"", "/"} or path.startswith("/page/"))


def _of_flask(answer: HttpAnswer) -> Response:
    return Response(answer.body, answer.http, answer.headers)
