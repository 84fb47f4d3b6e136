"""The requests whose cost is not to grow with the tasks: those of the API, and each operation of the control API."""

from __future__ import annotations

from .filled import BODY, ONE
from .server import Request

API = "/kling/v1/images/generations"
KLING = "/v1/images/multi-image2image"
UNKNOWN = "999999999999999999"
HOOKED = {**BODY, "callback_url": "http://127.0.0.1:9/", "prompt": "[[callback-lost:all]]"}
OTHER = "growth-1"
CALLED = "growth-called"
NEW = "growth-new"
"""An account that is reset again and again."""

CREATE = Request("create", "POST", API, BODY, key=ONE)
OF_API = [
    Request("query", "GET", f"{API}/{{task_id}}", key=ONE),
    Request("unknown id", "GET", f"{API}/{UNKNOWN}", key=ONE, status=400),
    CREATE,
    Request("create of another account", "POST", API, BODY, key=OTHER),
    Request("list", "GET", f"{KLING}?pageNum=1&pageSize=30", key=ONE),
    Request("list, page 2", "GET", f"{KLING}?pageNum=2&pageSize=100", key=ONE),
]
OF_CONTROL = [
    Request("get_index", "GET", "/_mock/"),
    Request("get_health", "GET", "/_mock/health"),
    Request("get_openapi", "GET", "/_mock/openapi.json"),
    Request("get_api", "GET", "/_mock/api.json"),
    Request("get_account", "GET", "/_mock/account"),
    Request("get_account, key", "GET", "/_mock/account", key=ONE),
    Request("set_account", "PATCH", "/_mock/account", {"concurrency": None}),
    Request("set_account, key", "PATCH", "/_mock/account", {"disabled": False}, key=OTHER),
    Request("list_accounts", "GET", "/_mock/accounts?limit=100"),
    Request("list_tasks", "GET", "/_mock/tasks"),
    Request("list_tasks, after", "GET", "/_mock/tasks?limit=100&after={task_id}"),
    Request("list_tasks, key", "GET", "/_mock/tasks?limit=100", key=ONE),
    Request("list_tasks, external id", "GET", "/_mock/tasks?external_task_id=order-3", key=ONE),
    Request("get_task", "GET", "/_mock/tasks/{task_id}"),
    Request("move_task", "POST", "/_mock/tasks/{task_id}/move"),
    Request("list_scenarios", "GET", "/_mock/scenarios"),
    Request("queue_scenario", "POST", "/_mock/scenarios", {"scenario": "slow"}, key=NEW),
    Request("get_clock", "GET", "/_mock/clock"),
    Request("list_journal", "GET", "/_mock/journal?limit=100"),
    Request("wait_for_request", "POST", "/_mock/journal/wait", {"timeout": "5s"}),
    Request("list_deliveries", "GET", "/_mock/deliveries?limit=100"),
    Request("resend_delivery", "POST", "/_mock/deliveries/{delivery_id}/resend"),
    Request("get_advice", "GET", "/_mock/advice"),
    Request("get_evidence", "GET", "/_mock/evidence"),
    Request("set_seed", "PUT", "/_mock/seed", {"seed": 7}),
    Request("reset, key", "POST", "/_mock/reset", key=NEW),
    Request("advance_clock, key", "POST", "/_mock/clock/advance", {"by": "1s"}, key=NEW),
    Request("freeze_clock", "POST", "/_mock/clock/freeze"),
    Request("advance_clock", "POST", "/_mock/clock/advance", {"by": "1s"}),
    Request("resume_clock", "POST", "/_mock/clock/resume"),
]
DELIVERED = [
    Request("", "POST", API, HOOKED, key=CALLED),
    Request("", "POST", "/_mock/clock/advance", {"by": "1h"}, key=CALLED),
]
"""What makes a callback that is settled, of an account that has no others."""
HEAVY = ("list_tasks", "get_evidence", "get_advice", "get_openapi", "get_api", "list_journal", "list_accounts")
"""Those that take milliseconds: they are asked less often."""
OF_OTHERS = [OF_API[0], CREATE, Request("get_account, key", "GET", "/_mock/account", key=ONE)]
"""What others ask for while one client burdens the server."""
