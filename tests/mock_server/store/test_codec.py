"""Whatever value of ours goes into a database comes out of it as it was."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from klingkit.contract import Picture
from klingkit.mock_server.account_settings import AccountSettings
from klingkit.mock_server.scenario import Fault, Scenario
from klingkit.mock_server.store.sql.codec import (
    fields_from_json,
    fields_to_json,
    from_json,
    json_part,
    may_have,
    to_json,
)
from klingkit.mock_server.tasks import Plan, Task

TEXTS = st.text(st.characters())  # with NUL and lone surrogates
AMOUNTS = st.decimals(0, 1000, places=4)


FAULTS = st.builds(Fault, kind=st.sampled_from(["reset", "delay"]), ms=st.integers(0, 9))
SCENARIOS = st.builds(
    Scenario,
    name=TEXTS,
    http=st.none() | st.integers(400, 599),
    path=st.lists(TEXTS).map(tuple),
    slowdown=st.floats(0, 1e6),
    fault=st.none() | FAULTS,
    probability=st.floats(0, 1),
)
PICTURES = st.builds(
    Picture,
    place=st.lists(st.integers(0, 9) | TEXTS).map(tuple),
    role=TEXTS,
    url=st.none() | TEXTS,
    data=st.none(),
)
PLANS = st.builds(
    Plan,
    steps=st.lists(st.tuples(TEXTS, st.integers(0, 2**42)), min_size=1).map(tuple),
    ends=st.booleans(),
    message=TEXTS,
)
TASKS = st.builds(
    Task,
    task_id=TEXTS,
    account=TEXTS,
    plan=PLANS,
    prompt=TEXTS,
    n=st.integers(1, 9),
    aspect_ratio=TEXTS,
    pictures=st.lists(PICTURES).map(tuple),
    external_task_id=TEXTS,
    callback_url=TEXTS,
    base_url=TEXTS,
    cost=AMOUNTS,
    watermark=st.booleans(),
    scenario=st.none() | SCENARIOS,
    moved_at=st.lists(st.integers()).map(tuple),
)
SETTINGS = st.builds(
    AccountSettings,
    contract=st.none() | TEXTS,
    assume=st.lists(st.tuples(TEXTS, TEXTS)).map(tuple),
    balance=st.none() | AMOUNTS,
    scenario=st.none() | SCENARIOS,
    callback_secret=st.none() | TEXTS,
)


@given(TASKS)
def test_a_task_comes_back_as_it_was(task: Task) -> None:
    written = to_json(task)

    assert written.isascii()
    assert "\0" not in written
    assert from_json(Task, written) == task


@given(SETTINGS, st.data())
def test_settings_come_back_as_they_were_also_where_they_are_the_default(
    settings: AccountSettings, data: st.DataObject
) -> None:
    names = data.draw(st.sets(st.sampled_from([field.name for field in fields(AccountSettings)])))
    own = {name: getattr(settings, name) for name in names}

    assert fields_from_json(AccountSettings, fields_to_json(own)) == own


def task(prompt: str, external_task_id: str = "") -> Task:
    plan = Plan((("submitted", 0),))
    return Task("1", "account", plan, prompt, 1, "1:1", (), external_task_id, callback_url="", base_url="")


def test_a_text_is_looked_for_without_reading_the_value() -> None:
    """It may be found where it is not, and is never missed: a letter can become another in lower case."""
    data = to_json(task(prompt='A "red" Bus', external_task_id="order-1"))
    assert may_have(data, [json_part(text) for text in ('a "red"', "order-1")])
    assert not may_have(data, [json_part("green")])
    assert not may_have(data, [json_part("red"), json_part("stra\u00dfe")])
    assert may_have(to_json(task(prompt="Stra\u00dfe")), [json_part("strasse")])
    assert may_have(to_json(task(prompt="300 \u212a")), [json_part("300 k")])
