"""Why a callback of a task has not come, in one sentence: what a person asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..attempt_words import words_of
from ..clock import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..deliveries import Delivery
    from ..simulator import Simulator
    from ..tasks import Task

NO_URL = "its create had no callback_url, so none is sent; give one, or query the task"
MOVED_BY = {
    "manual": "only a hand moves the task: move_task takes it a step further",
    "polls": "only queries move the task, each a step further",
}
"""What brings a task to its next step where time does not."""


def why_no_callback(simulator: Simulator, task: Task, deliveries: Sequence[Delivery]) -> str:
    """Say why a callback of a task has not come, or will not, and what to do; empty if each was delivered."""
    if not task.callback_url:
        return NO_URL
    delivery = next((each for each in deliveries if each.outcome != "delivered"), None)
    if delivery is None:
        return ""
    about = f"the callback of {delivery.status}"
    if not delivery.attempts:
        return f"{about} {_when(simulator, task, delivery)}"
    words = words_of(delivery.attempts[-1])
    failed = f"{words.why}; {words.do}" if words.do else words.why
    others = [each.status for each in deliveries if each is not delivery and each.outcome in {"refused", "given_up"}]
    likewise = f" (and neither came {' and '.join(others)})" if others else ""
    if delivery.outcome == "refused":
        return f"{about} was not sent{likewise}: {failed}"
    if delivery.outcome:
        return f"{about} was given up after {len(delivery.attempts)} attempts{likewise}, the last because {failed}"
    return (
        f"attempt {len(delivery.attempts)} of {about} failed: {failed}. The next one {_when(simulator, task, delivery)}"
    )


def _when(simulator: Simulator, task: Task, delivery: Delivery) -> str:
    """Say when an attempt comes, or what it waits for."""
    if delivery.due_at is None:
        return f"waits until the task is {task.plan.steps[delivery.trigger][0]}, and {MOVED_BY[task.progression]}"
    owner, clock = simulator.store.clock(task.account)
    now = clock.at(simulator.clocks.machine())
    ahead = delivery.due_at - now
    if ahead <= 0:
        return (
            "is due now, and about to be made"
            if simulator.callbacks.in_background
            else "is due when the clock is moved"
        )
    if clock.standing is None:
        return f"is due at {iso(delivery.due_at)}"
    whose = "the account's" if owner else "the server's"
    due = f"is due in {ahead / 1000:.1f} s, at {iso(delivery.due_at)}"
    return f"{due}, and {whose} clock stands still: advance it, or resume it"
