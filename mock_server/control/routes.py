"""What the simulator serves beside the API, under `/_mock`: the control API of `control.yaml`, its page, and the result pictures."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from klingkit.contract import ApiError

from ..auth import account_of, is_accepted
from ..simulator import ResultExpiredError
from ..task_bodies import PICTURE_PATH, WATERMARKED_PATH
from . import about
from .answers import NEXT_HEADER, Blob, Listed
from .asking import ControlError, account_named
from .document import control_operations, control_parameters
from .guard import PREFIX, guard
from .operations import Operations

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from ..simulator import Simulator

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def control_routes(simulator: Simulator) -> Blueprint:
    """Return the routes of one simulator."""
    routes = Blueprint("control", __name__)
    operations = Operations(simulator)

    @routes.get(PREFIX)
    @routes.get(PREFIX + "/")
    def index() -> Response:
        """Answer everybody; a browser gets the first screen of the page."""
        if simulator.settings.control and _is_browser():
            return page()
        return _json(about.get_index(simulator, None), 200)

    def page(_: str = "") -> Response:
        from ..page.routes import answer  # noqa: PLC0415 - who does not look at it does not wait for it

        return answer(operations, simulator.settings)

    @routes.get(PREFIX + "/health")
    def health() -> Response:
        """Answer everybody, also where there is no control API."""
        return _json(about.get_health(simulator, None), 200)

    @routes.get(PREFIX + "/pictures/<path:_>")
    @routes.get(PREFIX + "/watermarked/<path:_>")
    def no_picture(_: str) -> Response:
        """Answer as the real CDN does, not as the control API."""
        abort(404)

    if simulator.settings.control:
        for below in ("/page", "/page/", "/page/<path:_>"):
            routes.add_url_rule(PREFIX + below, "page", page, methods=("GET", "POST"))

        @routes.route(PREFIX + "/<path:_>", methods=METHODS)
        def control(_: str) -> Response:
            """Carry out an operation of the control API."""
            try:
                guard(request.environ, simulator.settings, request.cookies)
                operation_id, arguments = _paths().bind("").match(request.path, request.method)
                if operation_id == "get_metrics":
                    text, content_type = about.get_metrics(simulator, None, accept=request.headers.get("Accept", ""))
                    return Response(text, content_type=content_type)
                raw = request.get_data(cache=False)
                body = json.loads(raw) if raw else {}
                arguments = {**request.args.to_dict(), **arguments}
                account = _account(simulator, arguments, operation_id)
                return _answer(operations.call(operation_id, account, arguments, body))
            except ControlError as error:
                return _json({"error": str(error)}, error.http)
            except NotFound:
                return _json({"error": f"there is no such path; GET {PREFIX}/openapi.json lists them"}, 404)
            except MethodNotAllowed as error:
                return _json({"error": f"the methods of this path: {', '.join(error.valid_methods or ())}"}, 405)
            except (ValueError, RecursionError):
                return _json({"error": "the body is not JSON"}, 400)

    @routes.get(PICTURE_PATH.format(task_id="<task_id>", index="<int:index>"))
    @routes.get(WATERMARKED_PATH.format(task_id="<task_id>", index="<int:index>"), defaults={"watermark": True})
    def picture(task_id: str, index: int, *, watermark: bool = False) -> BaseResponse:
        """Serve a result picture, without a key as the real CDN does; 403 once it has expired."""
        try:
            data = simulator.picture(task_id, index, watermark=watermark)
        except ResultExpiredError:
            abort(403, "This result has expired.")
        if data is None:
            raise ApiError(simulator.contract.rules["path.known"])
        response = Response(data, mimetype="image/png")
        response.add_etag()
        return response.make_conditional(request.environ, accept_ranges=True, complete_length=len(data))

    return routes


@cache
def _paths() -> Map:
    """Return the paths of the control API; made at its first request, since reading its document would slow the start."""
    rules = [
        Rule(path.replace("{", "<").replace("}", ">"), methods=[method], endpoint=operation_id)
        for operation_id, (method, path, _) in control_operations().items()
    ]
    return Map(rules, redirect_defaults=False, strict_slashes=False)


def _is_browser() -> bool:
    return request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"


def _account(simulator: Simulator, arguments: dict[str, Any], operation_id: str) -> str | None:
    """Return on whom a request acts: by its key, or by a name among its arguments, which is taken out of them."""
    header = request.headers.get("Authorization")
    name = arguments.pop("account", None) if "account" in control_parameters()[operation_id] else None
    if name is not None and header is not None:
        raise ControlError("a request has a key and names an account: send one of them")
    if header is None:
        return None if name is None else account_named(name)
    found = account_of(header)
    if found is None:
        raise ControlError("Authorization is not `Bearer KEY`; leave it out to act on the server")
    key, account = found
    if not is_accepted(key, simulator.settings):
        raise ControlError(
            "there is no account of that key: it is none of those that --key allows, nor of --access-key"
        )
    return account


def _answer(found: Any) -> Response:
    """Return what an operation has found: JSON, which may know how its list goes on, or a file."""
    if isinstance(found, Blob):
        response = Response(found.data, mimetype=found.media_type)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-cache"
        response.add_etag()
        response.make_conditional(request.environ)
        return response
    response = _json(found, 200)
    if isinstance(found, Listed) and found.go_on_after:
        response.headers[NEXT_HEADER] = found.go_on_after
    return response


def _json(body: Any, http: int) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), http, mimetype="application/json")
