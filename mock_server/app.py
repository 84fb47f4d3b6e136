"""The HTTP layer. Read first: the life of a request, top to bottom, is `create_app`, `_serve` and `_finish`."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from klingkit.contract import ApiError, Operation
from klingkit.contract.errors import render

from . import advice
from .auth import authenticate
from .body import read_json_object
from .control import PREFIX, control_routes
from .handlers import HANDLERS, Call
from .journal import SMALL, Entry, elide
from .scenarios import read_prefer
from .simulator import Chosen
from .wire import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .handlers import Handled
    from .scenarios import Scenario
    from .simulator import Simulator

log = logging.getLogger("klingkit")
CHUNK = 64 * 1024
DRAINED_LIMITS = 4
"""How many times the body limit is read and thrown away before a 413."""
AUTHORIZATION = "HTTP_AUTHORIZATION"
FAULT = "klingkit.fault"
"""Where the WSGI environ holds the fault that the server is to carry out on the wire."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Exchange:
    """What is known of one request while it is answered."""

    started: float
    number: int
    gateway_request_id: str
    account: str = "-"
    operation: str = ""
    raw: bytes = b""
    body: dict[str, Any] | None = None
    chosen: Chosen | None = None
    task_id: str = ""
    rule: str = ""
    """The rule that refused the request or made its task fail, explained in one line."""
    advice: list[tuple[str, str]] = field(default_factory=list)
    """Kind and text of each likely mistake."""


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
    app.register_error_handler(NotFound, lambda _: _wrong_path(simulator))
    app.register_error_handler(MethodNotAllowed, lambda error: _wrong_method(simulator, error))
    app.register_error_handler(RequestEntityTooLarge, lambda _: _refuse(simulator, _too_large(simulator)))
    app.register_error_handler(Exception, lambda error: _crash(simulator, error))
    return app


def _view(simulator: Simulator, operation: Operation, handler: Callable[..., Handled]) -> Callable[..., Response]:
    def view(**path_arguments: str) -> Response:
        return _serve(simulator, operation, handler, path_arguments)

    return view


def _begin(simulator: Simulator) -> None:
    number = simulator.store.journal.next_number() if not request.path.startswith(PREFIX) else 0
    gateway_request_id = simulator.ids.gateway_request_id(simulator.clock.now())
    g.exchange = Exchange(time.perf_counter(), number, gateway_request_id)
    if request.environ["PATH_INFO"].startswith("//"):  # a base URL with a slash too many; werkzeug would forgive it
        raise ApiError(simulator.contract.rules["path.known"])


def _serve(
    simulator: Simulator, operation: Operation, handler: Callable[..., Handled], arguments: dict[str, Any]
) -> Response:
    """Answer one operation: who asks, what for, which scenario applies, and what the engine says.

    Refusals are raised as ApiError.
    """
    exchange: Exchange = g.exchange
    exchange.operation = operation.operation_id
    _authenticate(simulator)
    if not simulator.store.count_request(exchange.account, simulator.clock.now()):
        raise ApiError(simulator.contract.rules["account.rate"])
    refusal = _read_body(simulator, operation) if operation.media_type else None
    scenario, progression = _choose(simulator, operation)
    if scenario and scenario.error:
        error = simulator.contract.errors[scenario.error]
        raise ApiError(replace(error, http=scenario.http or error.http))
    if refusal:
        raise refusal
    if exchange.body is not None:
        arguments["body"] = exchange.body
    call = Call(exchange.account, _base_url(simulator), exchange.number, scenario, progression)
    try:
        view, data = handler(simulator, call, **arguments)
    except ApiError:
        if exchange.chosen and not exchange.chosen.scenario.fault:
            simulator.give_back(operation.operation_id, exchange.chosen)
            exchange.chosen = None
        exchange.advice += advice.on_refusal(simulator, exchange.account, exchange.body, arguments.get("task_id", ""))
        raise
    if operation.method == "GET" and view.ended and simulator.store.see_end(view.task.task_id):
        exchange.advice.append(advice.after_the_end(view.task.task_id))
    exchange.task_id = view.task.task_id
    if view.ended and view.task.plan.rule:
        exchange.rule = simulator.contract.rules[view.task.plan.rule].explanation
    if exchange.chosen is None and view.task.scenario:
        exchange.chosen = Chosen(view.task.scenario, "task")
    success = simulator.contract.errors["0"]
    envelope = {
        "code": success.code,
        "message": success.message,
        "request_id": simulator.ids.request_id(),
        "data": data,
    }
    return _json(success.http, envelope)


def _authenticate(simulator: Simulator) -> None:
    g.exchange.account = authenticate(request.environ.get("HTTP_AUTHORIZATION"), simulator)


def _read_body(simulator: Simulator, operation: Operation) -> ApiError | None:
    """Read the request's body; return the refusal of one that cannot be read, since a scenario may overrule it."""
    exchange: Exchange = g.exchange
    rules = simulator.contract.rules
    exchange.raw = request.get_data(cache=False)
    if len(exchange.raw) >= simulator.settings.max_body and request.environ["wsgi.input"].read(1):
        return _too_large(simulator)  # a chunked body, which announced no length: werkzeug cuts it at the limit
    if len(exchange.raw) < (request.content_length or 0):
        return ApiError(rules["body.json"])  # the client broke off: what came may be whole JSON, and is not all
    if request.mimetype != operation.media_type:
        return ApiError(rules["body.mediaType"], mediaType=operation.media_type)
    try:
        exchange.body = read_json_object(exchange.raw, simulator.contract)
    except ApiError as error:
        return error
    exchange.advice += advice.unknown_fields(simulator.contract, exchange.body)
    return None


def _choose(simulator: Simulator, operation: Operation) -> tuple[Scenario | None, str | None]:
    """Return scenario and progression of this request.

    Raises ApiError for a `Prefer` header that names one that there is not.
    """
    exchange: Exchange = g.exchange
    preferred: Scenario | None = None
    progression: str | None = None
    if header := request.environ.get("HTTP_PREFER"):
        try:
            preferred, progression = read_prefer(header, simulator.contract)
        except ValueError as error:
            spec = simulator.contract.errors["invalid_request"]
            raise ApiError(replace(spec, message=f"Prefer header of klingkit: {error}")) from error
    prompt = (exchange.body or {}).get("prompt")
    exchange.chosen = simulator.choose(operation.operation_id, exchange.account, preferred, prompt)
    return exchange.chosen.scenario if exchange.chosen else None, progression


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
        headers = {"Location": "/"} if 300 <= answer.http < 400 else None
        return Response(answer.body, answer.http, headers, mimetype="text/html")
    return _json(answer.http, answer.body)


def _wrong_path(simulator: Simulator) -> Response:
    g.exchange.advice += advice.wrong_path(simulator, request.path)
    return _refuse(simulator, ApiError(simulator.contract.rules["path.known"]))


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
    chosen: Chosen | None = g.exchange.chosen
    if chosen and chosen.scenario.shape:
        body = SHAPES[chosen.scenario.shape](body)
    return Response(_encode(body), http, mimetype="application/json")


def _finish(simulator: Simulator, response: Response) -> Response:
    """Add the headers that explain the answer, keep the exchange in the journal, and log it in one line."""
    exchange: Exchange = g.exchange
    notes = [f"task {exchange.task_id}"] if exchange.task_id else []
    if chosen := exchange.chosen:
        notes.append(f"scenario {chosen.scenario.name} ({chosen.source})")
        response.headers["Klingkit-Scenario"] = f"{chosen.scenario.name}; source={chosen.source}"
        if chosen.scenario.fault and chosen.source != "task":
            request.environ[FAULT] = chosen.scenario.fault
    if exchange.rule:
        notes.append(f"rule {exchange.rule}")
        response.headers["Klingkit-Rule"] = exchange.rule
    if exchange.advice:
        texts = [text for _, text in exchange.advice]
        notes += [f"warning: {text}" for text in texts]
        response.headers["Klingkit-Warning"] = "; ".join(texts)
    if exchange.number:
        response.headers[simulator.contract.request_id_header] = exchange.gateway_request_id
        simulator.store.journal.add(_entry(simulator, response))
    if log.isEnabledFor(logging.INFO):
        ms = (time.perf_counter() - exchange.started) * 1000
        path = ascii(request.path[:200])[1:-1]
        log.info(
            "%s %s %d %.1f ms %s", request.method, path, response.status_code, ms, ", ".join([exchange.account, *notes])
        )
    return response


def _entry(simulator: Simulator, response: Response) -> Entry:
    """Return what the journal keeps: no key, and no picture, which `elide` replaces by size and hash."""
    exchange: Exchange = g.exchange
    body: bytes | dict[str, Any] = exchange.raw
    if len(exchange.raw) > SMALL:
        body = elide(exchange.body) if exchange.body is not None else f"({len(exchange.raw)} bytes)".encode()
    environ = request.environ
    return Entry(
        number=exchange.number,
        at=simulator.clock.now(),
        wall=exchange.started,
        account=exchange.account,
        operation=exchange.operation,
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"],
        headers=[
            (name[5:], value) for name, value in environ.items() if name.startswith("HTTP_") and name != AUTHORIZATION
        ],
        body=body,
        status=response.status_code,
        answer=response.get_data() if response.is_sequence else b"",
        scenario=response.headers.get("Klingkit-Scenario", ""),
        rule=exchange.rule,
        task_id=exchange.task_id,
        advice=exchange.advice,
    )
