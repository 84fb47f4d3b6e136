"""The callbacks of the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .asking import ControlError, find, paging
from .attempt_bodies import attempt_bodies
from .bodies import delivery_body

if TYPE_CHECKING:
    from ..deliveries import Delivery
    from ..simulator import Simulator


def list_deliveries(
    simulator: Simulator,
    account: str | None,
    *,
    task_id: str | None = None,
    outcome: str | None = None,
    order: str = "oldest",
    **page: Any,
) -> list[dict[str, Any]]:
    """Return a page of the callbacks, or those of a task."""
    store, newest_first = simulator.store, order == "newest"
    if task_id is not None:
        task_id = find(simulator, account, task_id).task.task_id
        found = store.deliveries_of([task_id]).get(task_id, [])[:: -1 if newest_first else 1]
        return [_body(simulator, each) for each in found if outcome in {None, each.outcome or "pending"}]
    with paging("delivery"):
        found = store.deliveries(account, newest_first=newest_first, outcome=outcome, **page)
    return [_body(simulator, delivery) for delivery in found]


def resend_delivery(simulator: Simulator, account: str | None, *, delivery_id: str) -> dict[str, Any]:
    """Make one more attempt of a callback that is settled."""
    delivery = simulator.store.delivery(delivery_id)
    if delivery is None or account not in {None, delivery.account}:
        raise ControlError(f"there is no delivery {delivery_id[:60]!r}", 404)
    if not simulator.store.resend(delivery_id):
        raise ControlError(f"delivery {delivery_id} is pending; only a settled one can be sent again")
    with simulator.callbacks.held(delivery.account):
        simulator.callbacks.deliver_due(delivery.account)
    simulator.callbacks.settle(delivery.account)  # another process may have been faster
    return _body(simulator, simulator.store.delivery(delivery_id) or delivery)


def _body(simulator: Simulator, delivery: Delivery) -> dict[str, Any]:
    return delivery_body(delivery, attempt_bodies(simulator, delivery))
