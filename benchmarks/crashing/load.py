"""Clients that ask for tasks, poll them and look at the control API, while the servers are killed under them."""

from __future__ import annotations

import http.client
import json
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from klingkit.mock_server.control.client import Control

from .ledger import ENDED, RANK, Ledger, Order

if TYPE_CHECKING:
    import threading

    from .server import Server

PATH = "/kling/v1/images/generations"
PICTURES = [{"subject_image": "https://example.com/a.png"}, {"subject_image": "https://example.com/b.png"}]
TAKEN = "external_task_id.unique"
ACCOUNTS = [f"crash-{number}" for number in range(8)]
LIMITED = ACCOUNTS[:3]
"""Whose balance is small."""
BALANCE = "3"
TRAVELLER = ACCOUNTS[-1]
"""Which moves a clock of its own."""
ANSWER_S = 20.0
BACK_OFF_S = 0.02
MOST_AT_WORK = 6000
"""Tasks in all: fewer than a simulator keeps."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: Any


class Connection:
    """A connection for each server that is kept alive, and opened anew when its server was killed."""

    def __init__(self, servers: list[Server], chance: random.Random) -> None:
        self._connections = [http.client.HTTPConnection("127.0.0.1", each.port, timeout=ANSWER_S) for each in servers]
        self._random = chance

    def ask(
        self, method: str, path: str, key: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Answer | None:
        """Return the answer of one of the servers; None if none came, or not all of it."""
        connection = self._random.choice(self._connections)
        data = None if body is None else json.dumps(body).encode()
        head = {"Authorization": f"Bearer {key}", **(headers or {})}
        if data:
            head["Content-Type"] = "application/json"
        try:
            connection.request(method, path, data, head)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(BACK_OFF_S)
            return None
        return Answer(response.status, response.headers, json.loads(text))


@dataclass(slots=True)
class Client:
    """One client: what it does next is drawn from its seed."""

    name: str
    seed: str
    servers: list[Server]
    ledger: Ledger
    callback_url: str
    pause_s: float
    stop: threading.Event
    random: random.Random = field(init=False)
    connection: Connection = field(init=False)
    made: int = 0
    to_repeat: Order | None = None
    """A create without an answer, which a client sends again."""

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed} {self.name}")
        self.connection = Connection(self.servers, self.random)

    def run(self) -> None:
        """Go on until it is to stop."""
        actions = [self.create] * 5 + [self.poll] * 8 + [self.look] * 2 + [self.repeat, self.top_up, self.travel]
        while not self.stop.is_set():
            try:
                self.random.choice(actions)()
            except Exception as error:  # noqa: BLE001 - an answer that nobody expects
                self.ledger.broken(f"an answer that cannot be understood: {error!r}")
            self.stop.wait(self.random.uniform(0, 2 * self.pause_s))

    def create(self) -> None:
        """Ask for a task; once more for one of which no answer came."""
        order, self.to_repeat = self.to_repeat, None
        if order is None:
            if len(self.ledger.orders) >= MOST_AT_WORK:
                return
            self.made += 1
            order = Order(
                account=self.random.choice(ACCOUNTS),
                external_id=f"{self.seed}-{self.name}-{self.made}",
                pictures=self.random.randint(1, 3),
                fails=self.random.random() < 0.2,
                by_polls=self.random.random() < 0.1,
                is_called_back=self.random.random() < 0.5,
            )
            self.ledger.order(order)
        self._ask_for(order)

    def _ask_for(self, order: Order) -> None:
        body: dict[str, Any] = {
            "subject_image_list": PICTURES,
            "prompt": "two friends in Paris",
            "n": order.pictures,
            "external_task_id": order.external_id,
        }
        if order.is_called_back:
            body["callback_url"] = self.callback_url
        preferred = [
            text for wanted, text in ((order.fails, "scenario=fail"), (order.by_polls, "progression=polls")) if wanted
        ]
        headers = {"Prefer": ", ".join(preferred)} if preferred else {}
        answer = self.connection.ask("POST", PATH, order.account, body, headers)
        if answer is None or answer.status == 503:
            order.unsure = True
            self.to_repeat = order
            self.ledger.count("creates without an answer" if answer is None else "creates answered 503")
        elif answer.status == 200:
            self.ledger.acknowledge(order, answer.body["data"]["task_id"])
        elif answer.headers.get("Klingkit-Rule", "").startswith(TAKEN):
            self._note_taken(order)
        elif answer.status >= 500:
            self.ledger.broken(f"a create was answered {answer.status}: {answer.body}")
        else:
            self.ledger.count("creates refused")

    def _note_taken(self, order: Order) -> None:
        if not order.unsure:
            self.ledger.broken(f"{order.external_id} was refused as taken, though nobody had used it")
        order.refused = True
        self.ledger.count("creates refused as taken")

    def repeat(self) -> None:
        """Use an external id a second time: that is refused."""
        if (order := self._some_task()) and not order.fails:
            body = {"subject_image_list": PICTURES, "external_task_id": order.external_id}
            answer = self.connection.ask("POST", PATH, order.account, body)
            if answer and answer.status == 200:
                self.ledger.broken(f"{order.external_id} was made twice: as task {order.task_id} and as {answer.body}")

    def poll(self) -> None:
        """Query a task that was acknowledged: it is there, and has not gone back."""
        if order := self._some_task():
            self.query(order)

    def query(self, order: Order) -> bool:
        """Query a task; tell whether there is nothing more to learn of it."""
        asked_at = time.monotonic()
        answer = self.connection.ask("GET", f"{PATH}/{order.name}", order.account)
        if answer is None or answer.status == 503:
            return False
        self.ledger.count("polls answered")
        if answer.status != 200:
            self.ledger.broken(f"task {order.name} was acknowledged, and a query says {answer.status} {answer.body}")
            return True
        self.ledger.see(order, answer.body["data"]["task_status"], asked_at)
        return RANK[order.status] == ENDED

    def look(self) -> None:
        """Look at a task by the control API: what is recorded as delivered there must not be delivered again."""
        if (order := self._some_task()) is None:
            return
        answer = self.connection.ask("GET", f"/_mock/tasks/{order.task_id}", order.account)
        if answer and answer.status == 404:
            self.ledger.broken(f"task {order.task_id} was acknowledged, and the control API does not know it")
        elif answer and answer.status == 200:
            for delivery in answer.body["timeline"]["callbacks"]:
                if delivery["outcome"] == "delivered":
                    self.ledger.see_finished(delivery["id"])

    def top_up(self) -> None:
        """Give a limited account money."""
        self.connection.ask("PATCH", "/_mock/account", self.random.choice(LIMITED), {"balance": BALANCE})

    def travel(self) -> None:
        """Move the clock of an account: when that is answered, all tasks that it knew of have ended."""
        known = [order for order in self.ledger.acknowledged() if order.account == TRAVELLER and not order.by_polls]
        answer = self.connection.ask("POST", "/_mock/clock/advance", TRAVELLER, {"by": "10m"})
        if answer and answer.status == 200:
            self.ledger.count("journeys")
            for order in known:
                order.over_since = order.over_since or time.monotonic()
        elif answer and answer.status == 409:  # its server was ended in order, or it took too long
            self.ledger.count(f"journeys ended before their destination: {answer.body['error'][:40]}")
        elif answer and answer.status != 503:
            self.ledger.broken(f"a journey was answered {answer.status}: {answer.body}")

    def _some_task(self) -> Order | None:
        """Return a task that was acknowledged, rather one of the last."""
        with self.ledger.lock:
            recent = list(self.ledger.orders.values())[-200:]
        known = [order for order in recent if order.task_id]
        return self.random.choice(known) if known else None


def finish(client: Client, url: str, due: float) -> None:
    """Let each clock go on, and poll each task until it has ended, also those that nobody was told of."""
    while not (answer := client.connection.ask("POST", "/_mock/clock/resume", TRAVELLER)) or answer.status != 200:
        if time.monotonic() > due:
            client.ledger.broken(f"the clock of {TRAVELLER} does not go on: {answer}")
            return
        time.sleep(0.1)
    left = []
    for account in ACCOUNTS:
        for task in Control.over_http(url, key=account).tasks():
            if order := client.ledger.orders.get(task["external_task_id"]):
                order.found = task["task_id"]
                left.append(order)
    while left := [order for order in left if not client.query(order)]:
        if time.monotonic() > due:
            client.ledger.broken(f"{len(left)} tasks have not ended, such as {left[0].name} ({left[0].status})")
            return
        time.sleep(0.05)
