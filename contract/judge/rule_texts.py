"""Which rules a text can be of, and which limit it tells: the message of a rule, read backwards."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from .reading import inner_of

if TYPE_CHECKING:
    from ..rule import Rule
    from ..spec import Contract
    from ..targets.target import Reply


def named_rules(contract: Contract, reply: Reply) -> list[str]:
    """Return the ids of the rules that a refusal can mean by its text."""
    message = inner_of(reply.body).get("message")
    if not isinstance(message, str):
        return []
    return [rule.id for rule in contract.rules.values() if rule.error and _pattern(rule).match(message)]


def wrongly_told(contract: Contract, rule: Rule, text: str) -> str:
    """Return the rule whose limit a text tells wrongly, such as `maxItems` in a text about `minItems`; empty if there is none."""
    match = _pattern(rule).fullmatch(text)
    told = match.groupdict().items() if match else ()
    wrong = (
        f"{field_of(rule.id)}.{name}" for name, value in told if name in rule.params and value != str(rule.params[name])
    )
    return next((rule_id for rule_id in wrong if rule_id in contract.rules), "")


def is_of(rule: Rule, text: str) -> bool:
    """Tell whether a text is that of a rule with its limits, in any form in which it is known, whatever value it quotes."""
    forms = (rule.template, *(f"{rule.template}{more}{{more}}" for more in rule.continued))
    return any(_compiled(form).fullmatch(text) for form in forms)


def field_of(rule_id: str) -> str:
    """Return the field that a rule is of, as its id has it."""
    return rule_id.rpartition(".")[0]


def _pattern(rule: Rule) -> re.Pattern[str]:
    """Return what every text of a rule looks like, whatever its limits and values, which are its groups."""
    return _compiled(rule.message.replace("{field}", str(rule.params.get("field", ""))))


@cache
def _compiled(template: str) -> re.Pattern[str]:
    """Turn each `{name}` of a template into a group of that name, which takes anything.

    A service with another limit is then recognized by the same text, and the group says which limit it has. Python takes
    a name for one group only, so a name that comes again must repeat what the first one took.
    """
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        again = match[1] in seen
        seen.add(match[1])
        return f"(?P={match[1]})" if again else f"(?P<{match[1]}>.*)"

    # The braces are looked for after `re.escape`, which has put a backslash before each of them.
    return re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(template)), re.DOTALL)
