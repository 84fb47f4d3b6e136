"""What must hold after all the killing: of tasks, money, callbacks and the journal."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from klingkit.mock_server.auth import account_name
from klingkit.mock_server.control.client import Control

from .load import ACCOUNTS, TRAVELLER

if TYPE_CHECKING:
    from .ledger import Ledger, Order
    from .receiver import Receipt

SETTLE_S = 60.0
"""Time for what is pending to be delivered."""
MARGIN_MS = 2000
"""Between the clocks of this process and of the request's journal entry."""


def settle(url: str, ledger: Ledger) -> None:
    """Wait until no callback is pending."""
    due = time.monotonic() + SETTLE_S
    while pending := Control.over_http(url).health()["callbacks"]["pending"]:
        if time.monotonic() > due:
            ledger.broken(f"{pending} callbacks are still pending after {SETTLE_S:.0f} s")
            return
        time.sleep(0.1)


def check(url: str, ledger: Ledger, receipts: list[Receipt]) -> None:
    """Compare what is there with what was acknowledged; what does not fit goes into the ledger."""
    if not ledger.acknowledged():
        ledger.broken("no create was acknowledged, so that nothing was tested; see the log of the servers")
    tasks: dict[str, dict[str, Any]] = {}
    for account in ACCOUNTS:
        control = Control.over_http(url, key=account)
        of_account = control.tasks()
        tasks |= {task["task_id"]: task for task in of_account}
        _check_money(account, control.account(), of_account, ledger)
    _check_tasks(tasks, ledger)
    _check_callbacks(tasks, ledger, receipts)
    _check_journal(Control.over_http(url).journal(), tasks, ledger)


def _check_money(account: str, state: dict[str, Any], tasks: list[dict[str, Any]], ledger: Ledger) -> None:
    costs = sum((Decimal(task["cost"]) for task in tasks if task["status"] != "failed"), Decimal(0))
    if Decimal(state["spent"]) != costs:
        ledger.broken(f"{account} has spent {state['spent']}, and its tasks that have not failed cost {costs}")
    if state["balance"] is not None and Decimal(state["balance"]) < 0:
        ledger.broken(f"{account} has a balance of {state['balance']}")
    if state["slots_held"]:
        ledger.broken(f"{account} holds {state['slots_held']} slots, and all its tasks have ended")


def _check_tasks(tasks: dict[str, dict[str, Any]], ledger: Ledger) -> None:
    by_external_id: dict[str, list[dict[str, Any]]] = {}
    for task in tasks.values():
        by_external_id.setdefault(task["external_task_id"], []).append(task)
    for external_id in by_external_id.keys() - ledger.orders.keys():
        ledger.broken(f"there is a task of {external_id!r}, which nobody asked for")
    for order in ledger.orders.values():
        _check_order(order, by_external_id.get(order.external_id, []), ledger)


def _check_order(order: Order, found: list[dict[str, Any]], ledger: Ledger) -> None:
    name = order.external_id
    if len(found) > 1:
        ledger.broken(f"{name} is there {len(found)} times: {', '.join(task['task_id'] for task in found)}")
    if not found and order.task_id:
        ledger.broken(f"task {order.task_id} ({name}) was acknowledged, and is not there")
    if not found and order.refused:
        ledger.broken(f"{name} was refused as taken, and there is no task of it")
    if found and not order.task_id and not order.unsure:
        ledger.broken(f"{name} was refused, and is there as task {found[0]['task_id']}")
    for task in found:
        if order.task_id and task["task_id"] != order.task_id:
            ledger.broken(f"{name} was acknowledged as task {order.task_id}, and is there as {task['task_id']}")
        if not order.task_id:
            ledger.count("tasks made without an answer")
        expected = "failed" if order.fails else "succeed"
        if task["status"] != expected:
            ledger.broken(f"task {task['task_id']} is {task['status']}, and should be {expected}")
        if task["account"] != account_name(order.account):
            ledger.broken(f"task {task['task_id']} belongs to {task['account']}, and not to {order.account}")
        told = [each["status"] for each in task["timeline"]["callbacks"]]
        planned = [each["status"] for each in task["timeline"]["planned"]]
        if told != (planned if order.is_called_back else []):
            ledger.broken(f"task {task['task_id']} has callbacks for {told}, and passes {planned}")


def _check_callbacks(tasks: dict[str, dict[str, Any]], ledger: Ledger, receipts: list[Receipt]) -> None:
    received = Counter(receipt.delivery_id for receipt in receipts if receipt.answered == 200)
    ledger.counts["callbacks received"] = len(receipts)
    ledger.counts["callbacks received again, since a kill came before the record"] = sum(received.values()) - len(
        received
    )
    for task in tasks.values():
        reached = {each["status"] for each in task["timeline"]["happened"]}
        for delivery in task["timeline"]["callbacks"]:
            if delivery["status"] not in reached:
                continue
            if not received[delivery["id"]]:
                ledger.broken(f"the callback of task {task['task_id']} for {delivery['status']} never came")
            if delivery["outcome"] != "delivered":
                ledger.broken(
                    f"the callback of task {task['task_id']} for {delivery['status']} is {delivery['outcome']}"
                )
    for receipt in receipts:
        late = receipt.at - ledger.finished.get(receipt.delivery_id, receipt.at)
        if late > 0:
            ledger.broken(
                f"the callback of task {receipt.task_id} for {receipt.status} came again {late:.3f} s after it was seen as delivered"
            )


def _check_journal(entries: list[dict[str, Any]], tasks: dict[str, dict[str, Any]], ledger: Ledger) -> None:
    numbers = [entry["number"] for entry in entries]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        ledger.broken("numbers of the journal are not in order, or come twice")
    creates = {entry["task_id"]: entry for entry in entries if entry["method"] == "POST" and entry["status"] == 200}
    for task_id in creates.keys() - tasks.keys():
        ledger.broken(f"the journal has a create of task {task_id}, which is not there")
    by_the_machine = [entry["at"] for entry in entries if entry["account"] != account_name(TRAVELLER)]
    since = min(by_the_machine, default=0) + MARGIN_MS
    for order in ledger.acknowledged():
        if order.acknowledged_at * 1000 > since and order.task_id not in creates:
            ledger.broken(f"task {order.task_id} was acknowledged, and the journal does not know of it")
