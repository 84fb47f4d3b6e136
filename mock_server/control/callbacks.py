"""The callbacks of the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .asking import ControlError, find, paging
from .bodies import delivery_body

if TYPE_CHECKING:
    from ..simulator import Simulator


def list_deliveries(
    simulator: Simulator, account: str | None, *, task_id: str | None = None, **page: Any
) -> list[dict[str, Any]]:
    """Return a page of the callbacks, oldest first, or those of a task."""
    store = simulator.store
    if task_id is not None:
        find(simulator, account, task_id)
        return [delivery_body(delivery) for delivery in store.deliveries_of([task_id]).get(task_id, [])]
    with paging("delivery"):
        return [delivery_body(delivery) for delivery in store.deliveries(account, **page)]


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
    return delivery_body(simulator.store.delivery(delivery_id) or delivery)
