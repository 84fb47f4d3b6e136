"""The HTTP layer. Read first: the life of a request, top to bottom, is `_begin`, `_serve` and `_finish`.

What is called stands below its caller. What is under `/_mock` goes through Flask's routes and hooks (`beside.py`). A request of the
API does not: Flask's contexts, hooks and responses would cost as much as all the rest of its answer.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from http.client import responses
from typing import TYPE_CHECKING, Any

from klingkit.contract import ApiError
from klingkit.contract.api_error import render
from klingkit.contract.import_lock import importing

from . import advice, request_log
from .api_paths import ApiPaths
from .auth import account_of, authenticate, check_enabled
from .body import read_json_object
from .clocks import clock_text
from .control.guard import PREFIX
from .counts import STORE_ERRORS
from .field_hints import unknown_fields
from .foreign_pages import refusal_for_api
from .foreign_text import BUG, header_value, log
from .handlers import HANDLERS, Call
from .how_known import of_error, of_success
from .journal import SHORT
from .request_state import APP, CRASH, FAULT, NOBODY, BodyTooLargeError, HttpAnswer, RequestState
from .scenario_choice import read_prefer
from .simulator import Chosen
from .store import StoreUnavailableError
from .task_bodies import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.datastructures import MultiDict
    from werkzeug.test import Client

    from klingkit.contract import Operation

    from .scenario import Fault, Scenario
    from .simulator import Simulator
    from .tasks import Snapshot

CHUNK = 64 * 1024
HTML = "text/html; charset=utf-8"
NOTHING_HERE = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>404 Not Found</title></head>
<body><h1>404 Not Found</h1><p>The simulated API has nothing at this address.</p>
<p><a href="{PREFIX}/">What came to klingkit, and what became of it</a></p></body></html>
""".encode()
"""What a person gets; a program gets what the real service sends."""
LONGEST_HOST = 300
"""Characters; a name has at most 253."""
DRAINED_LIMITS = 4
"""How many times the body limit is read and thrown away before a 413."""
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def create_app(simulator: Simulator) -> Application:
    """Return the WSGI application of a simulator; its paths come from the contracts that it serves.

    Raises ValueError if an operation of a contract has no handler.
    """
    for contract in simulator.contracts.served:
        if unknown := ", ".join(contract.operations.keys() - HANDLERS.keys()):
            raise ValueError(f"mock_server/handlers.py has no function for operations of {contract.name}: {unknown}")
    return Application(simulator)


class Application:
    """The WSGI application; of what is beside the API too, which is Flask's, made for its first request: Flask takes half of a start."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._paths = ApiPaths(simulator.contracts.served)
        self._flask: WSGIApplication | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        return self.wsgi_app(environ, start_response)

    def test_client(self) -> Client:
        """Return what asks it in this process, as if from this machine."""
        from werkzeug.test import Client  # noqa: PLC0415 - only tests have one

        return Client(lambda environ, start_response: self({"REMOTE_ADDR": "127.0.0.1", **environ}, start_response))

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        if environ["PATH_INFO"].startswith(PREFIX):
            environ[APP] = self.wsgi_app
            return self._beside()(environ, start_response)
        answer = _answered(self._simulator, self._paths, environ)
        start_response(f"{answer.http} {responses.get(answer.http, 'UNKNOWN').upper()}", answer.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _beside(self) -> WSGIApplication:
        with importing:
            if self._flask is None:
                from .beside import beside_the_api  # noqa: PLC0415

                self._flask = beside_the_api(self._simulator, _begin, _wrong_path, _fail)
            return self._flask


# The life of a request


def _answered(simulator: Simulator, paths: ApiPaths, environ: WSGIEnvironment) -> HttpAnswer:
    """Answer a request of the API, whatever comes of it."""
    state = _begin(simulator, environ)
    try:
        answer = _fail(simulator, state, state.problem) if state.problem else _route(simulator, state, paths)
    except Exception as error:  # noqa: BLE001 - a bug of ours is an answer too
        answer = _fail(simulator, state, error)
    try:
        return _finish(simulator, state, answer)
    except Exception as error:  # noqa: BLE001 - what was done is answered, though it could not be noted
        _report_bug(state, error)
        return answer


def _begin(simulator: Simulator, environ: WSGIEnvironment) -> RequestState:
    """Find the contract of the request's path."""
    path = environ["PATH_INFO"]
    problem: Exception | None = None
    try:
        simulator.store.refresh()
    except StoreUnavailableError as error:
        problem = error
    # Before it is known who asks, what holds for everybody counts.
    served = simulator.contracts.at(path)
    contract = simulator.contracts.of(served, simulator.store.settings(""))
    of_api = not path.startswith(PREFIX)
    return RequestState(environ, time.time(), of_api, served, contract, problem=problem)


def _route(simulator: Simulator, state: RequestState, paths: ApiPaths) -> HttpAnswer:
    """Find the operation, and let it be served. Refusals are raised as ApiError."""
    if refusal := refusal_for_api(state.environ, simulator.settings):
        raise ApiError(replace(state.contract.bad_request, http=403, message=refusal))
    found = paths.find(state.path)
    if found is None:
        return _wrong_path(simulator, state)
    operations, arguments = found
    if operation_id := operations.get(state.environ["REQUEST_METHOD"]):
        return _serve(simulator, state, operation_id, arguments)
    _find_account(simulator, state)  # a wrong key comes first
    raise ApiError(state.contract.rules["path.method"])


def _serve(simulator: Simulator, state: RequestState, operation_id: str, arguments: dict[str, Any]) -> HttpAnswer:
    """Answer one operation: who asks, what for, which scenario applies, and what the engine says.

    Refusals are raised as ApiError.
    """
    state.operation = operation_id
    _find_account(simulator, state)
    contract = state.contract
    if not simulator.store.count_request(state.account, state.clock_state.at(simulator.clocks.machine())):
        raise ApiError(contract.rules["account.rate"])
    operation = contract.operations[operation_id]
    refusal = _read_body(simulator, state, operation) if operation.media_type else None
    scenario, progression = _choose(simulator, state, operation)
    if scenario and scenario.error:
        error = contract.errors[scenario.error]
        raise ApiError(replace(error, http=scenario.http or error.http, message=scenario.message or error.message))
    base_url = _base_url(simulator, state.environ)
    call = Call(
        contract,
        state.account,
        base_url,
        state.request_id,
        scenario,
        progression,
        state.chosen.source if state.chosen else "",
    )
    if state.body is not None:
        arguments["body"] = state.body
    elif operation_id in contract.requests:
        arguments["query"] = query = _query_of(state.environ)
        state.advice += unknown_fields(contract.requests[operation_id], query.to_dict())
    try:
        if refusal:
            raise refusal
        view, data = HANDLERS[state.operation](simulator, call, **arguments)
    except ApiError:
        _note_refusal(simulator, state, operation, arguments.get("task_id", ""))
        raise
    if view:
        _note_task(simulator, state, view)
    return _succeed(simulator, state, data)


def _find_account(simulator: Simulator, state: RequestState) -> None:
    """Note who asks, and by which contract that account is answered. Raises ApiError."""
    header = state.environ.get(request_log.AUTHORIZATION)
    account = authenticate(header, simulator, state.contract)
    state.advice += advice.endless_token(header, state.contract)
    settings = simulator.store.settings(account)
    contract = simulator.contracts.of(state.served, settings)
    check_enabled(settings, contract)
    state.account, state.contract = account, contract
    _identify(simulator, state)


def _identify(simulator: Simulator, state: RequestState) -> None:
    """Give the request its ids, and the time of who asks: of nobody that of the server."""
    state.id_bits = simulator.ids.of_request(state.account)
    owner, clock = simulator.store.clock("" if state.account == NOBODY else state.account)
    now = clock.at(simulator.clocks.machine())
    state.clock_state = clock
    if not clock.untouched:
        state.clock = clock_text(owner, clock, now)
    by_header = state.contract.request_id_header
    state.request_id = simulator.ids.gateway(state.id_bits, now) if by_header else simulator.ids.uuid(state.id_bits)


def _read_body(simulator: Simulator, state: RequestState, operation: Operation) -> ApiError | None:
    """Read the request's body; return the refusal of one that cannot be read, since a scenario may overrule it.

    Of the operations with that method and path, the request is of the one that its body is for.
    """
    contract = state.contract
    rules = contract.rules
    state.raw = raw = _whole_body(state, simulator.settings.max_body)
    if len(raw) >= simulator.settings.max_body and state.environ["wsgi.input"].read(1):
        return _too_large(simulator, state)  # a chunked body, which announced no length: it is cut at the limit
    if len(raw) < state.announced:
        return ApiError(rules["body.json"])  # the client broke off: what came may be whole JSON, and is not all
    media_type = _media_type(state.environ)
    if media_type != operation.media_type and "body.mediaType" in rules:
        kind = "other" if media_type else "missing"
        return ApiError(contract.questions.known(rules["body.mediaType"], kind), mediaType=operation.media_type)
    try:
        state.body = read_json_object(raw, contract)
    except ApiError as error:
        return error
    state.operation = contract.operation_for(operation, state.body).operation_id
    state.advice += unknown_fields(contract.requests[state.operation], state.body)
    return None


def _whole_body(state: RequestState, limit: int) -> bytes:
    """Return the body, or so much of it that is seen to be over the limit. Raises BodyTooLargeError."""
    environ = state.environ
    if not environ.get("wsgi.input_terminated") or state.announced > limit:
        return _read_by_werkzeug(environ, limit)
    # werkzeug reads in pieces and copies each twice, which takes as long as parsing the JSON of some MB
    data: bytes = environ["wsgi.input"].read(limit)
    return data


def _read_by_werkzeug(environ: WSGIEnvironment, limit: int) -> bytes:
    with importing:
        from werkzeug.exceptions import RequestEntityTooLarge  # noqa: PLC0415 - as everywhere here: few requests need it
        from werkzeug.wrappers import Request  # noqa: PLC0415

    request = Request(environ)
    request.max_content_length = limit
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise BodyTooLargeError from None


def _media_type(environ: WSGIEnvironment) -> str:
    """Return the media type of the body, without its parameters."""
    given: str = environ.get("CONTENT_TYPE", "")
    if given == "application/json":
        return given
    with importing:
        from werkzeug.http import parse_options_header  # noqa: PLC0415
    return parse_options_header(given)[0].lower()


def _query_of(environ: WSGIEnvironment) -> MultiDict[str, str]:
    with importing:
        from werkzeug.wrappers import Request  # noqa: PLC0415
    return Request(environ).args


def _too_large(simulator: Simulator, state: RequestState) -> ApiError:
    """Read the rest of the body and return the refusal: a client that still sends would get a reset, not the answer."""
    limit = simulator.settings.max_body
    rest = state.environ["wsgi.input"]
    for _ in range(DRAINED_LIMITS * limit // CHUNK):
        if not rest.read(CHUNK):
            break
    return ApiError(state.contract.rules["body.size"], limit=limit)


def _choose(simulator: Simulator, state: RequestState, operation: Operation) -> tuple[Scenario | None, str | None]:
    """Return scenario and progression of this request.

    Raises ApiError for a `Prefer` header that names one that there is not.
    """
    preferred: Scenario | None = None
    progression: str | None = None
    if header := state.environ.get("HTTP_PREFER"):
        try:
            preferred, progression = read_prefer(header, state.contract, operation.operation_id)
        except ValueError as error:
            spec = state.contract.bad_request
            raise ApiError(replace(spec, message=f"Prefer header of klingkit: {error}")) from error
    prompt = state.body.get("prompt") if state.body else None
    if isinstance(prompt, str) and "[[" in prompt:
        state.advice += advice.unknown_markers(state.contract, prompt)
    state.chosen = simulator.choose(state.contract, operation.operation_id, state.account, preferred, prompt)
    return state.chosen.scenario if state.chosen else None, progression


def _base_url(simulator: Simulator, environ: dict[str, Any]) -> str:
    if simulator.settings.public_url:
        return simulator.settings.public_url
    # request.host_url costs 30 us of normalising what is sent back as it came
    host = environ.get("HTTP_HOST", "")
    if not 0 < len(host) <= LONGEST_HOST:
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{environ['wsgi.url_scheme']}://{host}"


def _note_refusal(simulator: Simulator, state: RequestState, operation: Operation, task_id: str) -> None:
    """Give a queued scenario back, which did not come to pass, and note what explains the refusal."""
    if state.chosen and not state.chosen.scenario.fault:
        simulator.give_back(operation.operation_id, state.chosen)
        state.chosen = None
    task = simulator.store.get(task_id)
    if task and task.account == state.account and task.scenario:
        state.chosen, state.task_id = Chosen(task.scenario, "task"), task_id  # it hides the task
    state.advice += advice.on_refusal(simulator, state, task_id)


def _note_task(simulator: Simulator, state: RequestState, view: Snapshot) -> None:
    """Note the task that is shown, and what explains how it looks."""
    task = view.task
    if view.ended and state.body is None and simulator.store.see_end(task.task_id):
        state.advice.append(advice.after_the_end(task.task_id))
    state.task_id = task.task_id
    if view.ended and task.plan.rule:
        state.rule = simulator.contract_of(task).rules[task.plan.rule].explanation
    if task.plan.why and (view.ended or state.body is not None):
        state.advice.append(("picture", task.plan.why))
    if state.chosen is None and task.scenario:
        state.chosen = Chosen(task.scenario, "task")


def _succeed(simulator: Simulator, state: RequestState, data: dict[str, Any] | list[dict[str, Any]]) -> HttpAnswer:
    state.evidence = of_success(state.contract, state.operation, data)
    success = state.contract.errors["0"]
    envelope = {
        "code": success.code,
        "message": success.message,
        "request_id": _id_in_body(simulator, state),
        "data": data,
    }
    return _json(state, success.http, envelope)


# Refusals


def _fail(simulator: Simulator, state: RequestState, error: Exception) -> HttpAnswer:
    """Answer what was raised: a refusal, or a bug of ours."""
    if isinstance(error, BodyTooLargeError):
        error = _too_large(simulator, state)
    if isinstance(error, ApiError):
        return _refuse(simulator, state, error.with_traceback(None))  # which holds the body, and itself with it
    if isinstance(error, StoreUnavailableError):
        return _refuse_for_now(simulator, state)
    _report_bug(state, error)
    _forget_who_asks(state)
    return _refuse(simulator, state, ApiError(state.contract.errors["5000"]))


def _report_bug(state: RequestState, error: Exception) -> None:
    state.environ[CRASH] = error
    log.error(BUG, exc_info=error, extra={"fields": {"request_id": state.request_id}})


def _forget_who_asks(state: RequestState) -> None:
    """Answer as if nobody was known to ask, where it has failed to find out: the clock of an account cannot be read either."""
    if not state.request_id:
        state.account = NOBODY


def _refuse_for_now(simulator: Simulator, state: RequestState) -> HttpAnswer:
    """Answer that the state cannot be used as if an upstream was down, of which no more is known than the status. The log says why."""
    simulator.counts.add((STORE_ERRORS,))
    _forget_who_asks(state)
    errors = state.contract.errors
    return _refuse(simulator, state, ApiError(replace(errors.get("upstream_failed", errors["5001"]), http=503)))


def _refuse(simulator: Simulator, state: RequestState, error: ApiError) -> HttpAnswer:
    if not state.request_id:  # it was refused before it was known who asks
        _identify(simulator, state)
    state.error = error.error.key
    if error.rule:
        state.rule = error.rule.explanation
    else:
        state.evidence = of_error(state.contract, error.error)
    answer = render(
        error,
        state.contract.gateway,
        request_id=_id_in_body(simulator, state),
        gateway_request_id=state.request_id,
        path=state.path[:SHORT],
        at=datetime.fromtimestamp(state.clock_state.at(simulator.clocks.machine()) / 1000, UTC),
    )
    if isinstance(answer.body, str):
        location = [("Location", "/")] if 300 <= answer.http < 400 else []
        return _answer(state, answer.http, answer.body.encode(), [("Content-Type", HTML), *location])
    return _json(state, answer.http, answer.body)


def _wrong_path(simulator: Simulator, state: RequestState) -> HttpAnswer:
    person = _is_person(state.environ)
    if state.path == "/" and person:
        state.of_api = False
        return _answer(state, 302, b"", [("Content-Type", HTML), ("Location", f"{PREFIX}/")])
    if found := account_of(state.environ.get(request_log.AUTHORIZATION)):
        state.account = found[1]  # whose mistake it is
    state.advice += advice.wrong_path(simulator, state.contract, state.path)
    refusal = _refuse(simulator, state, ApiError(state.contract.rules["path.known"]))
    if not (person and simulator.settings.control):
        return refusal
    return _answer(state, refusal.http, NOTHING_HERE, [("Content-Type", HTML)])


def _is_person(environ: dict[str, Any]) -> bool:
    """Tell whether somebody looks with a browser; a client of the API accepts no HTML, or has a key."""
    html = "text/html" in environ.get("HTTP_ACCEPT", "")
    return html and environ["REQUEST_METHOD"] == "GET" and request_log.AUTHORIZATION not in environ


# Every answer of the API, and the end of every request


def _id_in_body(simulator: Simulator, state: RequestState) -> str:
    """Return the `request_id` of Kling's bodies: one of its own where the gateway has given the request its id."""
    return simulator.ids.uuid(state.id_bits) if state.contract.request_id_header else state.request_id


def _json(state: RequestState, http: int, body: dict[str, Any]) -> HttpAnswer:
    if state.chosen and state.chosen.scenario.shape:
        body = SHAPES[state.chosen.scenario.shape](body)
    return _answer(state, http, _encode(body).encode(), [("Content-Type", "application/json")])


def _answer(state: RequestState, http: int, body: bytes, headers: list[tuple[str, str]]) -> HttpAnswer:
    """Return an answer with the headers that explain it."""
    if state.of_api and state.contract.request_id_header:
        headers.append((state.contract.request_id_header, state.request_id))
    if state.clock:
        headers.append(("Klingkit-Clock", state.clock))
    if chosen := state.chosen:
        headers.append(("Klingkit-Scenario", header_value(state.scenario)))
        if chosen.source != "task" and chosen.scenario.fault:
            state.environ[FAULT] = chosen.scenario.fault
        if chosen.source != "task" and chosen.scenario.retry_after_s is not None:
            state.retry_after_s = chosen.scenario.retry_after_s
            headers.append(("Retry-After", str(state.retry_after_s)))
    if state.evidence:
        headers.append(("Klingkit-Evidence", state.evidence))
    if state.rule:
        headers.append(("Klingkit-Rule", header_value(state.rule)))
    if state.advice:
        headers.append(("Klingkit-Warning", header_value(*(text for _, text in state.advice))))
    state.answer = body
    return HttpAnswer(body, http, [*headers, ("Content-Length", str(len(body)))])


def _finish(simulator: Simulator, state: RequestState, answer: HttpAnswer) -> HttpAnswer:
    """Draw what of a fault was left to chance, keep the request in the journal, and log it in one line."""
    fault: Fault | None = state.environ.get(FAULT)
    if fault and fault.spread:
        state.environ[FAULT] = replace(fault, ms=simulator.spread(state.account, fault.ms), spread=False)
    if state.of_api:
        request_log.keep(simulator, state, answer.http)
        request_log.count(simulator, state, answer.http)
    request_log.write_line(simulator, state, answer.http)
    return answer
