"""One rule of the API, and the error that it answers, as `openapi.yaml` has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .evidence import ANSWER, RULE_ASPECTS, ContractError, Evidence, Sources

if TYPE_CHECKING:
    from collections.abc import Mapping


QUOTED = 1000


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """One row of the catalogue (`x-errors`, `x-gateway-errors`): what the service answers, and how well that is known."""

    key: str
    http: int
    envelope: str
    """`kling`, `gateway`, `task`, `html` or `unrouted`."""
    code: int | str
    message: str
    aspects: Mapping[str, Evidence]
    """How well `answer` and `text` are known."""


class _Known(dict[str, Any]):
    """What is known of a text; of the rest the braces stay."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a request must satisfy."""

    id: str
    pointer: str
    """JSON pointer into `openapi.yaml`."""
    phase: str
    """`sync` (refused at once) or `async` (accepted, then the task fails)."""
    stage: str
    """One of `x-stages` for a sync rule, else empty."""
    error: ErrorSpec | None
    """None for an async rule."""
    message: str
    """Template of the text; filled from `params` and the details of the violation."""
    aspects: Mapping[str, Evidence]
    """How well each of RULE_ASPECTS is known."""
    params: Mapping[str, Any] = field(default_factory=dict)
    rank: tuple[int, ...] = ()
    """Place in the documented order of checks."""
    continued: tuple[str, ...] = ()
    """What can follow its text, where that is known in several forms; anything may follow this."""
    kind: str = ""
    """Kind of the input that has broken it, for which the aspects hold; empty for the rule as such."""
    assumption: str = ""
    """Id of the open question that such input belongs to."""

    def text(self, **details: object) -> str:
        """Return the message of a violation; it quotes at most QUOTED characters of a value, since nobody knows what more would do."""
        quoted = {name: str(value)[:QUOTED] for name, value in details.items()}
        return self.message.format_map({**self.params, **quoted})

    @property
    def template(self) -> str:
        """The message with what is known before a violation; the rest stays in braces."""
        return self.message.format_map(_Known(self.params))

    def require_error(self) -> ErrorSpec:
        """Return the error of a sync rule."""
        if self.error is None:
            raise ContractError(f"rule {self.id} ends a task; it refuses no request")
        return self.error

    @property
    def explanation(self) -> str:
        """Id, place in the contract and evidence, in one line: that of the answer, and of what else has another."""
        evidence = self.aspects[ANSWER].grade
        others = [f"; {name}={aspect.grade}" for name, aspect in self.aspects.items() if aspect.grade != evidence]
        assumed = f"; assumption={self.assumption}" if self.assumption else ""
        return f'{self.id}; spec="#{self.pointer}"; evidence={evidence}{"".join(others)}{assumed}'


def make_rule(
    rule_id: str,
    pointer: str,
    entry: Mapping[str, Any],
    errors: Mapping[str, ErrorSpec],
    sources: Sources,
    **more: Any,
) -> Rule:
    """Build a rule from its entry in the contract; the message is that of the error where the entry has none."""
    phase = entry.get("phase", "sync")
    error = None if phase == "async" else errors[entry["error"]]
    return Rule(
        id=rule_id,
        pointer=pointer,
        phase=phase,
        stage=more.pop("stage", "") or entry.get("stage", ""),
        error=error,
        message=entry.get("message") or (error.message if error else ""),
        continued=tuple(entry.get("continued", ())),
        aspects=sources.aspects(entry.get("evidence"), RULE_ASPECTS, f"#{pointer}"),
        **more,
    )
