"""What the simulator serves beside the API, under `/_mock`: its health and the result pictures."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request

from klingkit.contract import ApiError

from .simulator import ResultExpiredError
from .tasks import snapshot
from .wire import PICTURE_PATH

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from .simulator import Simulator

PREFIX = "/_mock"


def control_routes(simulator: Simulator) -> Blueprint:
    """Return the routes of one simulator."""
    routes = Blueprint("control", __name__)

    @routes.get(PREFIX + "/health")
    def health() -> dict[str, Any]:
        """Tell that the server runs, which contract it follows, since when (s), and what it holds."""
        now = simulator.clock.now()
        statuses = Counter(snapshot(task, now).status for task in simulator.store.tasks())
        return {
            "status": "ok",
            "version": version("klingkit"),
            "contract": simulator.contract.name,
            "seed": simulator.settings.seed,
            "uptime_s": (now - simulator.started_at) / 1000,
            "tasks": {status: statuses[status] for status in simulator.contract.lifecycle.transitions},
            "callbacks": simulator.store.delivery_counts(),
        }

    @routes.get(PICTURE_PATH.format(task_id="<task_id>", index="<int:index>"))
    def picture(task_id: str, index: int) -> BaseResponse:
        """Serve a result picture, without a key as the real CDN does; 403 once it has expired."""
        try:
            data = simulator.picture(task_id, index)
        except ResultExpiredError:
            abort(403, "This result has expired.")
        if data is None:
            raise ApiError(simulator.contract.rules["path.known"])
        response = Response(data, mimetype="image/png")
        response.add_etag()
        return response.make_conditional(request.environ, accept_ranges=True, complete_length=len(data))

    return routes
