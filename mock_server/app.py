"""The HTTP layer. Read first: the life of a request, top to bottom, is `create_app`, `_serve` and `_finish`."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from klingkit.contract import ApiError, Operation
from klingkit.contract.errors import render

from . import advice
from .answer_bodies import SHAPES
from .auth import account_of, authenticate
from .body import read_json_object
from .control.routes import PREFIX, control_routes
from .handlers import HANDLERS, Call
from .journal import SMALL, Entry, elide
from .scenarios import read_prefer
from .simulator import Chosen

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
EXCHANGE = "klingkit.exchange"
FAULT = "klingkit.fault"
"""Where the WSGI environ holds the fault that the server is to carry out on the wire."""
CRASH = "klingkit.crash"
"""Where it holds the exception of a bug in klingkit, which the answer does not show."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Exchange:
    """What is known of one request while it is answered; it lies in the WSGI environ."""

    environ: dict[str, Any]
    started: float
    number: int
    """In the journal; 0 for what is not of the API."""
    id_header: str
    """Name of the header for `gateway_request_id`."""
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
    answer: bytes = b""


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
    environ = request.environ
    path = environ["PATH_INFO"]
    number = 0 if path.startswith(PREFIX) else simulator.store.journal.next_number()
    gateway_request_id = simulator.ids.gateway_request_id(simulator.clock.now())
    id_header = simulator.contract.request_id_header
    environ[EXCHANGE] = Exchange(environ, time.perf_counter(), number, id_header, gateway_request_id)
    if path.startswith("//"):  # a base URL with a slash too many; werkzeug would forgive it
        raise ApiError(simulator.contract.rules["path.known"])


def _serve(
    simulator: Simulator, operation: Operation, handler: Callable[..., Handled], arguments: dict[str, Any]
) -> Response:
    """Answer one operation: who asks, what for, which scenario applies, and what the engine says.

    Refusals are raised as ApiError.
    """
    exchange: Exchange = request.environ[EXCHANGE]
    exchange.operation = operation.operation_id
    _authenticate(simulator, exchange)
    if not simulator.store.count_request(exchange.account, simulator.clock.now()):
        raise ApiError(simulator.contract.rules["account.rate"])
    refusal = _read_body(simulator, exchange, operation.media_type) if operation.media_type else None
    scenario, progression = _choose(simulator, exchange)
    if scenario and scenario.error:
        error = simulator.contract.errors[scenario.error]
        raise ApiError(replace(error, http=scenario.http or error.http))
    if exchange.body is not None:
        arguments["body"] = exchange.body
    call = Call(exchange.account, _base_url(simulator, exchange.environ), exchange.number, scenario, progression)
    try:
        if refusal:
            raise refusal
        view, data = handler(simulator, call, **arguments)
    except ApiError:
        if exchange.chosen and not exchange.chosen.scenario.fault:
            simulator.give_back(exchange.operation, exchange.chosen)
            exchange.chosen = None
        task_id = arguments.get("task_id", "")
        task = simulator.store.get(task_id)
        if task and task.account == exchange.account and task.scenario:
            exchange.chosen = Chosen(task.scenario, "task")  # it hides the task
        exchange.advice += advice.on_refusal(simulator, exchange.account, exchange.body, task_id)
        raise
    if view.ended and exchange.body is None and simulator.store.see_end(view.task.task_id):
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
    return _json(exchange, success.http, envelope)


def _authenticate(simulator: Simulator, exchange: Exchange) -> None:
    exchange.account = authenticate(exchange.environ.get(AUTHORIZATION), simulator)


def _read_body(simulator: Simulator, exchange: Exchange, media_type: str) -> ApiError | None:
    """Read the request's body; return the refusal of one that cannot be read, since a scenario may overrule it."""
    rules = simulator.contract.rules
    exchange.raw = raw = request.get_data(cache=False)
    if len(raw) >= simulator.settings.max_body and exchange.environ["wsgi.input"].read(1):
        return _too_large(simulator)  # a chunked body, which announced no length: werkzeug cuts it at the limit
    if len(raw) < (request.content_length or 0):
        return ApiError(rules["body.json"])  # the client broke off: what came may be whole JSON, and is not all
    if request.mimetype != media_type:
        return ApiError(rules["body.mediaType"], mediaType=media_type)
    try:
        exchange.body = read_json_object(raw, simulator.contract)
    except ApiError as error:
        return error
    exchange.advice += advice.unknown_fields(simulator.contract, exchange.body)
    return None


def _choose(simulator: Simulator, exchange: Exchange) -> tuple[Scenario | None, str | None]:
    """Return scenario and progression of this request.

    Raises ApiError for a `Prefer` header that names one that there is not.
    """
    preferred: Scenario | None = None
    progression: str | None = None
    if header := exchange.environ.get("HTTP_PREFER"):
        try:
            preferred, progression = read_prefer(header, simulator.contract, exchange.operation)
        except ValueError as error:
            spec = simulator.contract.errors["invalid_request"]
            raise ApiError(replace(spec, message=f"Prefer header of klingkit: {error}")) from error
    prompt = exchange.body.get("prompt") if exchange.body else None
    if isinstance(prompt, str) and "[[" in prompt:
        exchange.advice += advice.unknown_markers(simulator.contract, prompt)
    exchange.chosen = simulator.choose(exchange.operation, exchange.account, preferred, prompt)
    return exchange.chosen.scenario if exchange.chosen else None, progression


def _base_url(simulator: Simulator, environ: dict[str, Any]) -> str:
    if simulator.settings.public_url:
        return simulator.settings.public_url
    # request.host_url costs 30 us of normalising what is sent back as it came
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{environ['wsgi.url_scheme']}://{host}"


def _refuse(simulator: Simulator, error: ApiError) -> Response:
    exchange: Exchange = request.environ[EXCHANGE]
    if error.rule:
        exchange.rule = error.rule.explanation
    answer = render(
        error,
        simulator.contract.gateway,
        request_id=simulator.ids.request_id(),
        gateway_request_id=exchange.gateway_request_id,
    )
    if isinstance(answer.body, str):
        location = [("Location", "/")] if 300 <= answer.http < 400 else []
        headers = [("Content-Type", "text/html; charset=utf-8"), *location]
        return _answer(exchange, answer.http, answer.body.encode(), headers)
    return _json(exchange, answer.http, answer.body)


def _wrong_path(simulator: Simulator) -> Response:
    exchange: Exchange = request.environ[EXCHANGE]
    if found := account_of(exchange.environ.get(AUTHORIZATION)):
        exchange.account = found[1]  # whose mistake it is
    exchange.advice += advice.wrong_path(simulator, request.path)
    return _refuse(simulator, ApiError(simulator.contract.rules["path.known"]))


def _wrong_method(simulator: Simulator, error: MethodNotAllowed) -> Response | MethodNotAllowed:
    if request.path.startswith(PREFIX):
        return error
    try:
        _authenticate(simulator, request.environ[EXCHANGE])
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
    request.environ[CRASH] = error
    return _refuse(simulator, ApiError(simulator.contract.errors["5000"]))


def _json(exchange: Exchange, http: int, body: dict[str, Any]) -> Response:
    if exchange.chosen and exchange.chosen.scenario.shape:
        body = SHAPES[exchange.chosen.scenario.shape](body)
    return _answer(exchange, http, _encode(body).encode(), [("Content-Type", "application/json")])


def _answer(exchange: Exchange, http: int, body: bytes, headers: list[tuple[str, str]]) -> Response:
    """Return an answer of the API with the headers that explain it."""
    if exchange.number:
        headers.append((exchange.id_header, exchange.gateway_request_id))
    if chosen := exchange.chosen:
        headers.append(("Klingkit-Scenario", f"{chosen.scenario.text}; source={chosen.source}"))
        if chosen.source != "task" and chosen.scenario.fault:
            exchange.environ[FAULT] = chosen.scenario.fault
    if exchange.rule:
        headers.append(("Klingkit-Rule", exchange.rule))
    if exchange.advice:
        headers.append(("Klingkit-Warning", "; ".join(text for _, text in exchange.advice)))
    exchange.answer = body
    return Response(body, http, headers)


def _finish(simulator: Simulator, response: Response) -> Response:
    """Keep the exchange in the journal, and log it in one line."""
    exchange: Exchange = request.environ[EXCHANGE]
    environ = exchange.environ
    method, path, http = environ["REQUEST_METHOD"], environ["PATH_INFO"], response.status_code
    chosen = exchange.chosen
    if exchange.number:
        body: bytes | dict[str, Any] = exchange.raw
        if len(exchange.raw) > SMALL:
            body = elide(exchange.body) if exchange.body is not None else f"({len(exchange.raw)} bytes)".encode()
        entry = Entry(
            number=exchange.number,
            at=simulator.clock.now(),
            wall=None if simulator.clock.frozen else exchange.started,
            account=exchange.account,
            operation=exchange.operation,
            method=method,
            path=path,
            headers=[
                (name.removeprefix("HTTP_"), value)
                for name, value in environ.items()
                if (name[:5] == "HTTP_" and name != AUTHORIZATION) or (name == "CONTENT_TYPE" and value)
            ],
            body=body,
            status=http,
            answer=exchange.answer,
            scenario=f"{chosen.scenario.text}; source={chosen.source}" if chosen else "",
            rule=exchange.rule,
            task_id=exchange.task_id,
            advice=exchange.advice,
        )
        simulator.store.journal.add(entry)
    if log.isEnabledFor(logging.INFO):
        notes = [exchange.account]
        if exchange.task_id:
            notes.append(f"task {exchange.task_id}")
        if chosen:
            notes.append(f"scenario {chosen.scenario.name} ({chosen.source})")
        if exchange.rule:
            notes.append(f"rule {exchange.rule}")
        notes += [f"warning: {text}" for _, text in exchange.advice]
        ms = (time.perf_counter() - exchange.started) * 1000
        line = f"{method} {ascii(path[:200])[1:-1]} {http} {ms:.1f} ms {', '.join(notes)}"
        # `log.info` would look for the line of code that calls it, which costs as much as all the rest.
        log.handle(logging.LogRecord(log.name, logging.INFO, __file__, 0, line, None, None))
    return response
