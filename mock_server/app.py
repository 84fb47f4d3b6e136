"""The HTTP layer. Read first: the life of a request, top to bottom, is `create_app`, `_serve` and `_finish`."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from klingkit.contract import ApiError, Operation
from klingkit.contract.errors import render

from .advice import unknown_field_warnings
from .auth import authenticate
from .body import read_json_object
from .control import PREFIX, control_routes
from .handlers import HANDLERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .handlers import Handled
    from .simulator import Simulator

log = logging.getLogger("klingkit")
CHUNK = 64 * 1024
DRAINED_LIMITS = 4
"""How many times the body limit is read and thrown away before a 413."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Exchange:
    """What is known of one request while it is answered."""

    started: float
    gateway_request_id: str
    account: str = "-"
    task_id: str = ""
    rule: str = ""
    """The rule that refused the request or made its task fail, explained in one line."""
    warnings: list[str] = field(default_factory=list)


def create_app(simulator: Simulator) -> Flask:
    """Return the WSGI application of a simulator; its routes come from the contract.

    Raises ValueError if an operation of the contract has no handler, or a handler no operation.
    """
    contract = simulator.contract
    if HANDLERS.keys() != contract.operations.keys():
        unmatched = ", ".join(sorted(HANDLERS.keys() ^ contract.operations.keys()))
        raise ValueError(
            f"openapi.yaml and mock_server/handlers.py must name the same operations; only in one: {unmatched}"
        )
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = simulator.settings.max_body
    app.url_map.merge_slashes = False
    app.extensions["klingkit"] = simulator
    for operation in contract.operations.values():
        app.add_url_rule(
            operation.path.replace("{", "<").replace("}", ">"),
            operation.operation_id,
            _view(simulator, operation, HANDLERS[operation.operation_id]),
            methods=[operation.method],
            provide_automatic_options=False,
        )
    app.register_blueprint(control_routes(simulator))
    app.before_request(lambda: _begin(simulator))
    app.after_request(lambda response: _finish(simulator, response))
    app.register_error_handler(ApiError, lambda error: _refuse(simulator, error))
    app.register_error_handler(NotFound, lambda _: _refuse(simulator, ApiError(contract.rules["path.known"])))
    app.register_error_handler(MethodNotAllowed, lambda error: _wrong_method(simulator, error))
    app.register_error_handler(RequestEntityTooLarge, lambda _: _refuse(simulator, _too_large(simulator)))
    app.register_error_handler(Exception, lambda error: _crash(simulator, error))
    return app


def _view(simulator: Simulator, operation: Operation, handler: Callable[..., Handled]) -> Callable[..., Response]:
    def view(**path_arguments: str) -> Response:
        return _serve(simulator, operation, handler, path_arguments)

    return view


def _begin(simulator: Simulator) -> None:
    g.exchange = Exchange(time.perf_counter(), simulator.ids.gateway_request_id(simulator.clock.now()))
    if request.environ["PATH_INFO"].startswith("//"):  # a base URL with a slash too many; werkzeug would forgive it
        raise ApiError(simulator.contract.rules["path.known"])


def _serve(
    simulator: Simulator, operation: Operation, handler: Callable[..., Handled], arguments: dict[str, Any]
) -> Response:
    """Answer one operation: who asks, what for, and what the engine says. Refusals are raised as ApiError."""
    exchange: Exchange = g.exchange
    _authenticate(simulator)
    if operation.media_type:
        arguments["body"] = _read_body(simulator, operation)
        exchange.warnings = unknown_field_warnings(simulator.contract, arguments["body"])
    view, data = handler(simulator, exchange.account, _base_url(simulator), **arguments)
    exchange.task_id = view.task.task_id
    if view.ended and view.task.plan.rule:
        exchange.rule = simulator.contract.rules[view.task.plan.rule].explanation
    success = simulator.contract.errors["0"]
    envelope = {
        "code": success.code,
        "message": success.message,
        "request_id": simulator.ids.request_id(),
        "data": data,
    }
    return _json(success.http, envelope)


def _authenticate(simulator: Simulator) -> None:
    header = request.headers.get("Authorization")
    g.exchange.account = authenticate(header, simulator.settings.keys, simulator.contract)


def _read_body(simulator: Simulator, operation: Operation) -> dict[str, Any]:
    rules = simulator.contract.rules
    raw = request.get_data(cache=False)
    if len(raw) >= simulator.settings.max_body and request.environ["wsgi.input"].read(1):
        raise _too_large(simulator)  # a chunked body, which announced no length: werkzeug cuts it at the limit
    if request.mimetype != operation.media_type:
        raise ApiError(rules["body.mediaType"], mediaType=operation.media_type)
    return read_json_object(raw, simulator.contract)


def _base_url(simulator: Simulator) -> str:
    if simulator.settings.public_url:
        return simulator.settings.public_url
    environ = request.environ  # request.host_url costs 30 us of normalising what is sent back as it came
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{environ['wsgi.url_scheme']}://{host}"


def _refuse(simulator: Simulator, error: ApiError) -> Response:
    exchange: Exchange = g.exchange
    if error.rule:
        exchange.rule = error.rule.explanation
    answer = render(
        error,
        simulator.contract.gateway,
        request_id=simulator.ids.request_id(),
        gateway_request_id=exchange.gateway_request_id,
    )
    if isinstance(answer.body, str):
        return Response(answer.body, answer.http, mimetype="text/html")
    return _json(answer.http, answer.body)


def _wrong_method(simulator: Simulator, error: MethodNotAllowed) -> Response | MethodNotAllowed:
    if request.path.startswith(PREFIX):
        return error
    try:
        _authenticate(simulator)
    except ApiError as refusal:
        return _refuse(simulator, refusal)
    return _refuse(simulator, ApiError(simulator.contract.rules["path.method"]))


def _too_large(simulator: Simulator) -> ApiError:
    """Read the rest of the body and return the refusal: a client that still sends would get a reset, not the answer."""
    limit = simulator.settings.max_body
    rest = request.environ["wsgi.input"]
    for _ in range(DRAINED_LIMITS * limit // CHUNK):
        if not rest.read(CHUNK):
            break
    return ApiError(simulator.contract.rules["body.size"], limit=limit)


def _crash(simulator: Simulator, error: Exception) -> Response | HTTPException:
    if isinstance(error, HTTPException):
        return error
    log.error("a bug in klingkit: please report it", exc_info=error)
    return _refuse(simulator, ApiError(simulator.contract.errors["5000"]))


def _json(http: int, body: dict[str, Any]) -> Response:
    return Response(_encode(body), http, mimetype="application/json")


def _finish(simulator: Simulator, response: Response) -> Response:
    """Add the headers that explain the answer, and log the request in one line, without key or body."""
    exchange: Exchange = g.exchange
    if not request.path.startswith(PREFIX):
        response.headers[simulator.contract.request_id_header] = exchange.gateway_request_id
    if exchange.rule:
        response.headers["Klingkit-Rule"] = exchange.rule
    if exchange.warnings:
        response.headers["Klingkit-Warning"] = "; ".join(exchange.warnings)
    if log.isEnabledFor(logging.INFO):
        ms = (time.perf_counter() - exchange.started) * 1000
        path = ascii(request.path[:200])[1:-1]
        notes = [f"task {exchange.task_id}"] if exchange.task_id else []
        notes += [f"rule {exchange.rule}"] if exchange.rule else []
        notes += [f"warning: {warning}" for warning in exchange.warnings]
        log.info(
            "%s %s %d %.1f ms %s", request.method, path, response.status_code, ms, ", ".join([exchange.account, *notes])
        )
    return response
