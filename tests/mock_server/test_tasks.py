"""The lifecycle as a pure function of plan and time, and the store under many threads."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klingkit.contract import ApiError, load_contract
from klingkit.mock_server.cache import ByteCache
from klingkit.mock_server.chance import ChanceState
from klingkit.mock_server.clock import START, Machine
from klingkit.mock_server.ids import Ids
from klingkit.mock_server.tasks import Plan, Task, snapshot
from tests.conftest import Api, Clock, body, data_of

if TYPE_CHECKING:
    from collections.abc import Callable


def task(*times: int) -> Task:
    statuses = ("submitted", "processing", "succeed")
    return Task("1", "a", Plan(tuple(zip(statuses, times, strict=True))), "", 1, "1:1", (), "", "", "http://host")


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=3).map(sorted), st.lists(st.integers(-10, 1100)).map(sorted))
def test_history_is_monotone(times: list[int], moments: list[int]) -> None:
    """Never backwards, `updated_at` never falls and is the time of the last step, and the end stays."""
    order = ["submitted", "processing", "succeed"]
    seen = [snapshot(task(*times), now) for now in moments]

    for before, after in pairwise(seen):
        assert order.index(before.status) <= order.index(after.status)
        assert before.updated_at <= after.updated_at
        assert after.ended or not before.ended
    for now, view in zip(moments, seen, strict=True):
        assert view.updated_at == times[order.index(view.status)]
        assert view.ended == (now >= times[2])


def test_of_32_creates_with_one_external_id_one_succeeds(make_api: Callable[..., Api]) -> None:
    api = make_api()
    start = threading.Barrier(32)

    def create(_: int) -> int:
        start.wait()
        return api.create(body(external_task_id="same")).status_code

    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(create, range(32)))

    assert sorted(statuses) == [200] + [400] * 31
    assert len(api.simulator.store.tasks()) == 1


def test_many_threads_see_one_monotone_history(make_api: Callable[..., Api], clock: Clock) -> None:
    """16 threads query while the clock runs."""
    api = make_api()
    task_id = data_of(api.create())["task_id"]
    order = ["submitted", "processing", "succeed"]
    done = threading.Event()

    def poll(_: int) -> list[tuple[int, int]]:
        seen = []
        while not done.is_set():
            view = api.simulator.query(account, task_id)
            seen.append((order.index(view.status), view.updated_at))
        return seen

    account = api.simulator.store.tasks()[0].account
    with ThreadPoolExecutor(16) as pool:
        histories = pool.map(poll, range(16))
        for _ in range(500):
            clock.move_to(clock.now() + 10)
        done.set()

    for history in histories:
        assert history == sorted(history)


def test_ids_are_unique_snowflakes_of_18_digits() -> None:
    """4,096 creates in one ms are no limit, and 19 digits come on 2027-03-30 as documented."""
    contract = load_contract()
    ids = Ids(0, epoch_ms=contract.task_id_epoch_ms, shift=contract.task_id_shift)
    now = START

    def task_id(now: int, ever: int = 0) -> str:
        return ids.of_task("account", ChanceState(seed=0, account="account", made=0, ever=ever), now)

    many = [task_id(now, ever) for ever in range(10_000)]
    assert len(set(many)) == 10_000
    assert {len(task_id) for task_id in many} == {18}
    assert all((int(task_id) >> 22) + 1568028518785 == now for task_id in many)
    assert len(task_id(1_806_500_000_000)) == 19  # 2027-03-31
    assert len(task_id(1_806_300_000_000)) == 18  # 2027-03-29


def test_a_refused_create_leaves_nothing_behind(api: Api) -> None:
    for request in ({"n": 0}, {"model_name": "x"}, {"style_image": "!"}):
        api.create(body(**request, external_task_id="x", callback_url="http://127.0.0.1/"))

    assert api.simulator.store.tasks() == []
    assert api.simulator.store.delivery_counts() == {"pending": 0}


def test_an_async_failure_is_no_refusal(api: Api) -> None:
    with pytest.raises(ApiError):
        api.simulator.query("nobody", "1")
    assert json.loads(api.create(body(style_image="QUJD")).data)["code"] == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=40))))
def test_a_cache_never_passes_its_limit(puts: list[tuple[int, bytes]]) -> None:
    cache = ByteCache(50)
    for key, data in puts:
        cache.put(key, data)
        kept = [cache.get(number) for number in range(6)]
        assert sum(len(picture) for picture in kept if picture is not None) <= 50


def test_the_system_clock_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5_000_000, 3_000_000, 6_000_000])
    monkeypatch.setattr("time.time_ns", lambda: next(times))
    machine = Machine()

    assert [machine.now() for _ in range(3)] == [5, 5, 6]


def test_a_virtual_clock_refuses_to_go_back(api: Api, clock: Clock) -> None:
    with pytest.raises(ValueError, match="does not go back"):
        clock.move_to(clock.now() - 1)
