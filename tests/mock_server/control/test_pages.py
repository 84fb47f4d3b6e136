"""Lists of the control API come in pages, which show each thing once, in order, whatever comes and goes meanwhile."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from klingkit.mock_server.control.asking import ControlError
from klingkit.mock_server.control.client import Control
from klingkit.mock_server.settings import Settings
from klingkit.mock_server.simulator import Simulator
from klingkit.mock_server.store.line import Line
from tests.conftest import Api, body

if TYPE_CHECKING:
    from collections.abc import Callable

HOOK = "http://127.0.0.1/hook"


@pytest.fixture
def server(api: Api) -> Control:
    """Three accounts with four tasks each, made in turns, each with callbacks."""
    for number in range(12):
        api.create(body(callback_url=HOOK, external_task_id=f"order-{number}"), key=f"key-{number % 3}")
    return Control.of(api.simulator)


def pages(ask: Callable[..., list[dict[str, Any]]], name: str, limit: int) -> list[list[dict[str, Any]]]:
    """Return the pages of a list as a client of the HTTP API asks for them."""
    found = [ask(limit=limit)]
    while len(found[-1]) == limit:
        found.append(ask(limit=limit, after=found[-1][-1][name]))
    return found


@pytest.mark.everywhere
def test_pages_show_everything_once_in_order(server: Control) -> None:
    named = {"tasks": "task_id", "deliveries": "id", "accounts": "account", "journal": "number"}
    for operation, name in named.items():
        ask = getattr(server, operation)
        everything = ask()
        assert len({one[name] for one in everything}) == len(everything) > 2
        for limit in (1, 4, 5, 100):
            found = pages(ask, name, limit)
            assert all(len(page) <= limit for page in found)
            assert [one for page in found for one in page] == everything


@pytest.mark.everywhere
def test_a_key_pages_through_its_own(api: Api, server: Control) -> None:
    mine = Control.of(api.simulator, key="key-1")
    expected = [task for task in server.tasks() if task["account"] == mine.account()["account"]]
    assert [task for page in pages(mine.tasks, "task_id", 3) for task in page] == expected
    assert len(mine.deliveries()) == sum(len(task["timeline"]["callbacks"]) for task in expected)


def test_a_list_is_never_longer_than_a_page(api: Api) -> None:
    """And the Python client, and so a test, sees all of it."""
    for _ in range(1005):
        api.simulator.create("account", body(), "http://h")
    shown = api.send("GET", "/_mock/tasks", key=None, headers={"Host": "localhost"}).json
    assert len(shown) == 1000  # type: ignore[arg-type]
    assert len(Control.of(api.simulator).tasks()) == 1005


@pytest.mark.parametrize(
    ("path", "http", "says"),
    [
        ("tasks?limit=0", 400, "limit: 0 is not from 1 to 1000"),
        ("deliveries?limit=1001", 400, "limit: 1001 is not from 1 to 1000"),
        ("accounts?limit=x", 400, "limit: 'x' is not a whole number"),
        ("journal?limit=-1", 400, "limit: -1 is not from 1 to 1000"),
        ("tasks?after=1", 404, "after: there is no task '1', or not any more; begin again without it"),
        ("deliveries?after=msg", 404, "after: there is no delivery 'msg'"),
        ("accounts?after=nobody", 404, "after: there is no account 'nobody'"),
        (
            "tasks?colour=red",
            400,
            "unknown parameter 'colour'; the valid ones: account, limit, after, external_task_id",
        ),
        ("tasks?status=fail", 400, "unknown status 'fail'; did you mean failed?"),
        ("tasks?scenario=slw", 400, "unknown scenario 'slw'; did you mean slow?"),
        ("tasks?order=new", 400, "order: 'new' is none of oldest, newest"),
        ("tasks/latest/inputs/0?width=97", 400, "width: '97' is none of 96, 480"),
        ("tasks/latest/inputs/2", 404, "the task has 2 input pictures, counted from 0"),
        ("tasks/latest/inputs/0", 404, "given by its URL and not fetched"),
        ("tasks/latest/results/0", 404, "has ended otherwise, or not yet"),
        ("tasks?external_task_id=order-1", 400, "looked up in one account: send its key"),
        ("deliveries?task_id=1", 404, "there is no task '1'"),
        ("deliveries?after=%00", 400, "after: '\\x00' has a character that nothing here has"),
        ("accounts?after=%00", 400, "after: '\\x00' has a character that nothing here has"),
        ("journal?after=9999999999999999999", 400, "after: 9999999999999999999 is not from 0 to 9007199254740991"),
    ],
)
@pytest.mark.everywhere
def test_a_page_that_there_cannot_be_is_refused(api: Api, server: Control, path: str, http: int, says: str) -> None:
    assert len(server.tasks()) == 12
    response = api.send("GET", f"/_mock/{path}", key=None, headers={"Host": "localhost"})
    assert response.status_code == http
    assert says in response.json["error"]  # type: ignore[index]


@pytest.mark.everywhere
def test_a_key_cannot_go_on_after_what_is_of_another(api: Api, server: Control) -> None:
    other = Control.of(api.simulator, key="key-0")
    mine = Control.of(api.simulator, key="key-1")
    for ask, after in ((mine.tasks, other.tasks()[0]["task_id"]), (mine.deliveries, other.deliveries()[0]["id"])):
        with pytest.raises(ControlError, match="begin again"):
            ask(after=after)
    assert len(server.tasks(after=other.tasks()[0]["task_id"])) == 11


def test_what_is_named_is_found_without_pages(api: Api, server: Control) -> None:
    mine = Control.of(api.simulator, key="key-1")
    (task,) = mine.tasks(external_task_id="order-4")
    assert task["external_task_id"] == "order-4"
    assert mine.tasks(external_task_id="order-5") == []
    assert mine.deliveries(task_id=task["task_id"]) == task["timeline"]["callbacks"] != []
    with pytest.raises(ControlError, match="there is no task"):
        Control.of(api.simulator, key="key-0").deliveries(task_id=task["task_id"])
    assert server.deliveries(task_id=task["task_id"]) == task["timeline"]["callbacks"]


def test_pages_go_on_where_accounts_were_reset_between_them(api: Api, server: Control) -> None:
    first = server.tasks(limit=4)
    Control.of(api.simulator, key="key-1").reset()
    left = [task["task_id"] for task in server.tasks()]
    assert [task["task_id"] for task in server.tasks(after=first[-1]["task_id"])] == left[3:]
    assert len(server.accounts()) == 2
    with pytest.raises(ControlError, match="not any more"):
        server.tasks(after=first[1]["task_id"])


def test_pages_go_on_while_the_oldest_are_dropped() -> None:
    simulator = Simulator(Settings(max_tasks=10))
    made = [simulator.create("account", body(), "http://h").task.task_id for _ in range(10)]
    server = Control.of(simulator)
    page = server.tasks(limit=5)
    made += [simulator.create("account", body(), "http://h").task.task_id for _ in range(4)]
    assert [task["task_id"] for task in server.tasks(after=page[-1]["task_id"])] == made[5:]


def test_money_and_slots_of_everybody_are_the_sum_of_all_accounts(api: Api, server: Control) -> None:
    def sums() -> tuple[int, str]:
        accounts = server.accounts()
        spent = sum(
            (api.simulator.store.spent(one["account"], api.simulator.clocks.machine()) for one in accounts),
            start=Decimal(0),
        )
        return sum(one["slots_held"] for one in accounts), f"{spent:f}"

    def told() -> tuple[int, str]:
        account = server.account()
        return account["slots_held"], account["spent"]

    assert told() == sums()
    assert told()[0] == 12
    server.advance("10m")
    api.create(key="key-1")
    assert told() == sums()
    assert told()[0] == 1
    Control.of(api.simulator, key="key-1").reset()
    assert told() == sums()
    assert told()[0] == 0


def test_a_line_keeps_order_and_pages_whatever_goes() -> None:
    rng = random.Random(0)
    line: Line[int] = Line()
    kept: list[int] = []
    for number in range(1, 2000):
        line.add(number, number)
        kept.append(number)
        if rng.random() < 0.6:
            gone = kept.pop(0 if rng.random() < 0.5 else rng.randrange(len(kept)))
            line.remove(gone)
        if number % 50 == 0:
            assert (line.count, line.oldest()) == (len(kept), kept[0] if kept else None)
            after = rng.randrange(number)
            assert line.after(after, 7) == [one for one in kept if one > after][:7]
            assert line.before(after, 7) == [one for one in kept if one < after][: -7 - 1 : -1]
            assert line.before(None, 70) == kept[: -70 - 1 : -1]
    assert all(one < other for one, other in pairwise(line.after(0, 5000)))
    while kept:
        line.remove(kept.pop())
    assert (line.count, line.oldest(), line.after(0, 5)) == (0, None, [])
