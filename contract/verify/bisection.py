"""Find the boundary for which a pack of them was refused: ask again with half of them, and half of that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..judge.reading import task_id_of
from ..judge.reply import refused
from ..judge.rule_texts import named_rules
from .budget import BudgetError
from .selection import MAX_CREATES
from .sending import NotTestedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..cases.case import Boundary, Case
    from ..judge.deviation import Deviation
    from ..spec import Contract
    from ..targets.target import Reply
    from .sending import Sender


class Bisection:
    """Asks for one run, one question after the other, each of which can cost as much as any create."""

    def __init__(self, sender: Sender, contract: Contract) -> None:
        self._sender = sender
        self._contract = contract
        self.made: set[str] = set()
        """Ids of the tasks made of parts of a pack."""

    def blame(self, case: Case, reply: Reply, deviation: Deviation) -> Deviation:
        """Return the refusal of a right request as one of its single boundary, if its text does not name the rule anyway."""
        named = named_rules(self._contract, reply)
        tried = {boundary.requirement for boundary in case.covers}
        if len(case.covers) < 2 or deviation.requirement == "refusal.nothing" or not tried.isdisjoint(named):
            return deviation
        try:
            found = self._find(case)
        except (BudgetError, NotTestedError):
            return deviation
        return self._refused_for(found, named, deviation) if found else deviation

    def _find(self, case: Case) -> Boundary | None:
        """Return the one boundary that is refused; None if there is no room to look for it, or it is accepted by itself."""
        suspects: Sequence[Boundary] = case.covers
        while len(suspects) > 1:
            if self._sender.first_creates >= MAX_CREATES:
                return None
            middle = len(suspects) // 2
            first, second = suspects[:middle], suspects[middle:]
            suspects = first if self._refuses(case, first) else second
        # If the first half was accepted the second was not asked, and may be right by itself.
        return suspects[0] if self._refuses(case, suspects) else None

    def _refuses(self, case: Case, covers: Sequence[Boundary]) -> bool:
        part = replace(case, id=f"{case.id}/part", request=case.repack(tuple(covers)), covers=())
        made = task_id_of(self._sender.ask(part, part.request))
        if made:
            self.made.add(made)
        return not made

    def _refused_for(self, boundary: Boundary, named: Sequence[str], deviation: Deviation) -> Deviation:
        """Return the deviation as one of a boundary; a rule that the text names is likelier, if it is of the same field.

        Not if the text has shown already that the boundary itself is refused, and not the value that came with it.
        """
        is_shown = deviation.requirement == boundary.requirement
        likelier = (rule for rule in named if boundary.about and rule.startswith(f"{boundary.about}.") and not is_shown)
        requirement = next(likelier, boundary.requirement)
        label = boundary.label if requirement == boundary.requirement else ""
        return refused(self._contract, requirement, label, f"accepted, with {boundary.label}", deviation.got)
