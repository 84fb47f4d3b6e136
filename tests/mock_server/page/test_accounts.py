"""The screen of the accounts: all of them in pages, and one with what can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.control.client import Control
from tests.conftest import body, data_of
from tests.mock_server.page.conftest import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api
    from tests.mock_server.page.html import Node

ACCOUNTS = "/_mock/page/accounts"
MINE = account_name("key")
ONE = f"{ACCOUNTS}?account={MINE}"


def facts(screen: Node) -> dict[str, str]:
    """What is said of the account, by name."""
    shown = screen.one("dl", class_="facts")
    return {name.text: value.text for name, value in zip(shown.all("dt"), shown.all("dd"), strict=True)}


def test_all_accounts_are_listed_in_pages(visitor: Visitor) -> None:
    for number in range(60):
        visitor.api.create(key=f"key-{number}")
    first = visitor.look(ACCOUNTS)
    (link,) = [each.attrs["href"] for each in first.all("a") if each.text == "Next page"]
    second = visitor.look(link)

    shown = [row[0] for screen in (first, second) for row in screen.rows()]
    assert sorted(shown) == sorted(account_name(f"key-{number}") for number in range(60))
    assert [each.text for each in second.all("a") if each.text.endswith("page")] == ["First page"]


def test_the_list_says_what_its_columns_mean(visitor: Visitor) -> None:
    visitor.api.create()
    Control.of(visitor.api.simulator, key="key").configure(quota="7")
    screen = visitor.look(ACCOUNTS)

    assert screen.rows()[0][-1] == "quota"
    for column in ("Slots held", "Set for it alone"):
        assert column in [each.text for each in screen.all("th", scope="col")]
        assert f"{column}: " in screen.one(id="live").text


def test_one_account_says_what_is_its_own(visitor: Visitor) -> None:
    data_of(visitor.api.create(body(n=2)))
    Control.of(visitor.api.simulator).configure(balance="9")
    Control.of(visitor.api.simulator, key="key").configure(concurrency=3, disabled=True)
    shown = facts(visitor.look(ONE))

    assert shown["Spent"].startswith("0.0266 USD")
    assert shown["Balance"] == "8.9734 the server's"
    assert shown["Slots"] == "2 held of 3 its own"
    assert shown["Key"] == "disabled its own"
    assert shown["Clock"] == "follows the server's"


def test_the_name_of_an_account_leads_to_its_page_from_everywhere(visitor: Visitor) -> None:
    task_id = data_of(visitor.api.create())["task_id"]
    page = f"{ACCOUNTS}/{MINE}"
    for address in ("/_mock/", f"/_mock/page/task/{task_id}", "/_mock/page/journal", ACCOUNTS):
        assert page in [each.attrs["href"] for each in visitor.look(address).all("a") if each.text == MINE], address

    screen = visitor.look(page)
    assert screen.one("h1").text == f"Account {MINE}"
    assert "whole server" in screen.one("dl", id="status").text  # the view is another thing
    form = next(each for each in screen.all("form") if each.text == "Show only this account")
    assert (form.attrs["action"], form.one("input", name="account").attrs["value"]) == ("/_mock/", MINE)
    assert "Show the whole server" in [each.text for each in visitor.look(f"{page}?account={MINE}").all("button")]
    assert "no name of an account" in visitor.look(f"{ACCOUNTS}/me", 400).text


def test_the_forms_of_a_page_of_one_account_change_that_one(visitor: Visitor) -> None:
    for address in (f"{ACCOUNTS}/{MINE}", f"{ACCOUNTS}/{MINE}?account={account_name('other')}"):
        forms = [each for each in visitor.look(address).all("form") if each.attrs["method"] == "post"]
        assert [each.one("input", name="account").attrs["value"] for each in forms] == [MINE, MINE]


def test_what_is_filled_in_changes_and_the_rest_stays(visitor: Visitor) -> None:
    control = Control.of(visitor.api.simulator, key="key")
    control.configure(quota="7", concurrency=2)
    empty = {"quota": "", "requests": "", "window": "", "disabled": "", "progression": "", "contract": ""}
    screen = visitor.do("set_account", ONE, 200, account=MINE, balance="0.05", concurrency__null="1", **empty)

    assert facts(screen)["Balance"] == "0.05 its own"
    settings = control.account()
    assert (settings["balance"], settings["quota"], settings["concurrency"]) == ("0.05", "7", None)
    assert settings["own"] == ["balance", "concurrency", "quota"]
    visitor.do("set_account", ONE, account=MINE, disabled="true", progression="polls", callback_retries="fast")
    settings = control.account()
    assert (settings["disabled"], settings["progression"], settings["callback_retries"]) == (True, "polls", "fast")


def test_a_callback_secret_is_set_and_taken_away_and_never_shown(visitor: Visitor) -> None:
    secret = "c2VjcmV0IG9mIGNhbGxiYWNrcw=="
    field = visitor.look(ONE).one("input", name="callback_secret")
    assert (field.attrs["type"], field.attrs["placeholder"]) == ("password", "not set")
    answers = [
        visitor.send("POST", "/_mock/page/do/set_account", data={"back": ONE, "account": MINE, **fields}).text
        for fields in (
            {"callback_secret": secret},
            {"callback_secret": secret, "balance": "a lot"},
            {"callback_secret": secret + "?"},
        )
    ]
    settings = Control.of(visitor.api.simulator, key="key")

    assert [secret in answer for answer in answers] == [False, False, False]
    assert settings.account()["callback_secret"]
    assert visitor.look(ONE).one("input", name="callback_secret").attrs["placeholder"] == "set"
    visitor.do("set_account", ONE, account=MINE, callback_secret__null="1")
    assert not settings.account()["callback_secret"]


@pytest.mark.parametrize(("name", "there"), [("cometapi", True), ("kling", False), ("all", True)])
def test_plain_generation_is_chosen_where_the_contract_has_it(
    make_api: Callable[..., Api], name: str, *, there: bool
) -> None:
    visitor = Visitor(make_api(contract=name))
    assert bool(visitor.look(ONE).all("select", name="plain_generation")) == there
    if there:
        screen = visitor.do("set_account", ONE, account=MINE, plain_generation="true")
        assert "with plain generation" in facts(screen)["Contract"]


def test_choices_say_what_they_mean(visitor: Visitor) -> None:
    screen = visitor.look(ONE)
    shown = {each.attrs["value"]: each.text for each in screen.all("option")}
    assert shown["cometapi-2026"] == "cometapi-2026: the newer page of CometAPI"
    described = [each.attrs["aria-describedby"] for each in screen.all("select")]
    assert all(screen.one("p", id=about).text for about in described)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"balance": "a lot"}, "'a lot' is no amount"),
        ({"balance": "<b>1</b>"}, "is no amount"),
        ({"concurrency": "1.5"}, "concurrency"),
        ({"window": "0s"}, "limits nothing"),
        ({"contract": "kling"}, "contract"),
        ({}, "the fields are balance"),
    ],
)
def test_a_wrong_value_changes_nothing_and_stays_in_the_form(
    visitor: Visitor, fields: dict[str, str], says: str
) -> None:
    screen = visitor.do("set_account", ONE, 400, account=MINE, **fields)

    assert says in screen.one(role="alert").text
    assert Control.of(visitor.api.simulator, key="key").account()["own"] == []
    for name, value in fields.items():
        assert value in [each.attrs.get("value", each.text) for each in screen.all(name=name)] + [
            each.attrs["value"] for each in screen.all("option", selected="")
        ]


def test_a_reset_of_one_leaves_the_others(visitor: Visitor) -> None:
    for key in ("key", "other"):
        visitor.api.create(key=key)
    button = visitor.look(ONE).one("details").one("form", action="/_mock/page/do/reset")
    assert button.one("input", name="account").attrs["value"] == MINE

    visitor.do("reset", ONE, account=MINE)

    server = Control.of(visitor.api.simulator)
    assert [each["account"] for each in server.accounts()] == [account_name("other")]


def test_an_account_that_nobody_has_used_has_nothing(visitor: Visitor) -> None:
    assert facts(visitor.look(f"{ACCOUNTS}?account=acct-000000000000"))["Spent"].startswith("0 USD")
    assert "no name of an account" in visitor.look(f"{ACCOUNTS}?account=me", 400).text


def test_in_a_browser(
    new_page: Callable[..., Page], page: Page, url: str, api: Api, accessible: Callable[[Page], None]
) -> None:
    data_of(api.create())
    page.goto(url + ACCOUNTS)
    accessible(page)
    page.get_by_role("link", name=MINE).click()
    page.get_by_label("Balance").fill("0")
    page.get_by_role("button", name="Change").click()
    page.get_by_text("Done.", exact=True).wait_for()
    accessible(page)
    assert api.create().status_code == 429

    plain = new_page(java_script_enabled=False, viewport={"width": 360, "height": 700})
    plain.goto(url + ONE)
    plain.get_by_text("Forget everything of this account").click()
    plain.get_by_role("button", name="Yes, forget everything").click()
    plain.get_by_text("Done.", exact=True).wait_for()
    assert Control.of(api.simulator).tasks() == []
