"""What every screen has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import data_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Api


def test_a_new_task_comes_into_view_by_itself(
    api: Api, page: Page, url: str, accessible: Callable[[Page], None]
) -> None:
    page.goto(f"{url}/_mock/")
    page.get_by_text("No task yet").wait_for()
    task_id = data_of(api.create())["task_id"]
    page.get_by_text(task_id).wait_for()
    accessible(page)
