"""Look at the list of tasks, when all have ended: where a contract has one, and it costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..cases.case import NEVER, Case
from ..judge.reading import describe
from ..judge.reply import LIST
from ..judge.task_list import PAGE, judge_pages, judge_strangers
from ..targets.target import Request
from .sending import NotTestedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..judge.task_history import Finding
    from ..spec import Contract
    from .results import Result
    from .selection import Options
    from .sending import Sender

SIZE = 3
"""Tasks of a page that is asked for."""
PAGES = 2


class UnreadablePageError(Exception):
    """An answer is no page; the message says what it is."""


class Lister:
    """Asks for the list of one run."""

    def __init__(self, sender: Sender, contract: Contract, options: Options, find: Callable[..., None]) -> None:
        self._sender = sender
        self._contract = contract
        self._options = options
        self._find = find

    def look(self, results: Sequence[Result]) -> None:
        """Look at what the list has of the tasks of a run, and note with the first of them what is wrong."""
        made = [result for result in results if result.followed and result.case.accepted and result.history]
        mine = {result.task_id: result.history[-1] for result in made if not result.case.other_key}
        if LIST not in self._contract.operations or not mine:
            return
        shower = next(result for result in made if result.task_id in mine)
        try:
            for finding in self._findings(mine, {each.task_id for each in made if each.case.other_key}):
                self._find(shower, *finding)
        except UnreadablePageError as error:
            self._find(shower, PAGE, "a page of tasks", str(error))
        except NotTestedError:
            return

    def _findings(self, mine: dict[str, dict[str, Any]], theirs: set[str]) -> Iterator[Finding]:
        pages = [self._page({"pageNum": number, "pageSize": SIZE}) for number in range(1, PAGES + 1)]
        yield from judge_pages(pages, SIZE, mine)
        most = self._contract.requests[LIST].defaults["pageSize"]
        whole = self._page({})
        yield from judge_pages([whole], most, mine)
        yield from judge_strangers(whole, dict.fromkeys(theirs))
        if self._options.other_key:
            yield from judge_strangers(self._page({}, other_key=True), mine)

    def _page(self, parameters: dict[str, int], *, other_key: bool = False) -> list[dict[str, Any]]:
        operation = self._contract.operations[LIST]
        request = Request(operation.method, operation.path + (f"?{urlencode(parameters)}" if parameters else ""))
        reply = self._sender.ask(Case(LIST, request, LIST, NEVER, other_key=other_key), request)
        page = reply.body.get("data") if isinstance(reply.body, dict) else None
        if not isinstance(page, list) or not all(isinstance(task, dict) for task in page):
            raise UnreadablePageError(describe(reply))
        return page
