"""What the control API knows of the API that is simulated: its document, evidence and open questions; and of mistakes in its use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from klingkit.contract.behaviours import KINDS, as_json, aspects_of, evidence_body
from klingkit.contract.evidence import GRADES

from ..advice import REMEDIES, advise
from ..clocks import SERVER
from ..scenario_arguments import check_known
from ..store import TooManyError
from .asking import ControlError, check_reaches_an_account, contracts_of, is_for_accounts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from klingkit.contract import Assumption

    from ..simulator import Simulator


def get_api(simulator: Simulator, account: str | None, *, contract: str | None = None) -> dict[str, Any]:
    """Return the document of a contract, of several by its name."""
    served = {found.name: found for found in contracts_of(simulator, account)}
    try:
        check_known("contract", contract or next(iter(served)), served)
    except ValueError as error:
        raise ControlError(str(error)) from None
    return served[contract or next(iter(served))].document


def get_advice(simulator: Simulator, account: str | None) -> list[dict[str, Any]]:
    """Return likely mistakes of the client."""
    return [
        {
            "kind": mistake.kind,
            "text": mistake.text,
            "do": REMEDIES[mistake.kind],
            "account": mistake.account,
            "request": mistake.request,
        }
        for mistake in advise(simulator, account)
    ]


def get_evidence(
    simulator: Simulator,
    account: str | None,
    *,
    contract: str | None = None,
    text: str = "",
    kind: str | None = None,
    grade: str | None = None,
) -> dict[str, Any]:
    """Return every aspect of every behaviour of a contract, or those of a kind, of a grade, and that have all words of a text."""
    choice = contract and contract.replace(" ", "+")  # which a plus in a query string stands for
    try:
        chosen = simulator.contracts.by_text(choice) if choice else contracts_of(simulator, account)[0]
        check_known("kind", kind or KINDS[0], KINDS)
        check_known("grade", grade or GRADES[0], GRADES)
    except ValueError as error:
        raise ControlError(str(error)) from None
    words = text.split()
    return as_json(
        chosen,
        (
            aspect
            for aspect in aspects_of(chosen)
            if kind in {None, aspect.kind} and grade in {None, aspect.evidence.grade} and aspect.has(words)
        ),
    )


def list_assumptions(simulator: Simulator, account: str | None) -> list[dict[str, Any]]:
    """Return the open questions of the contracts that answer an account, with what each can be and what is taken."""
    everybody, own = contracts_of(simulator, None), simulator.store.own_settings(account or "")
    asked = dict(own.get("assume", ()))
    found = []
    for contract, served in zip(contracts_of(simulator, account), everybody, strict=True):
        by_default = {each.id: each.default for each in simulator.contracts.by_text(contract.choice.name).assumptions}
        for_all = {each.id: each.default for each in served.assumptions}
        found += [
            {
                "contract": contract.name,
                "id": each.id,
                "question": each.question,
                "alternatives": [{"name": name, "does": does} for name, does in each.alternatives.items()],
                "fixed": each.fixed,
                "default": by_default[each.id],
                "taken": each.default,
                "set_for": _set_for(each, asked, by_default[each.id], for_all.get(each.id)),
                "for_accounts": is_for_accounts(each),
                "about": list(each.about),
                "probe": each.probe,
                "evidence": [
                    {"aspect": aspect, **evidence_body(contract, known)} for aspect, known in each.aspects.items()
                ],
            }
            for each in contract.assumptions
        ]
    return found


def _set_for(question: Assumption, asked: Collection[str], default: str, for_all: str | None) -> str | None:
    """Return who has chosen what is taken: `account`, `server`, or None for what is taken anyway."""
    if question.id in asked or question.default not in {default, for_all}:
        return "account"
    return None if question.default == default else "server"


def set_assumption(
    simulator: Simulator, account: str | None, *, assumption_id: str, alternative: str | None
) -> list[dict[str, Any]]:
    """Take another answer to one question, or (None) that which is taken without it; the others stay as they are."""
    contracts, settings = simulator.contracts, simulator.store.settings(account or "")
    try:
        known = dict.fromkeys(each.id for found in contracts_of(simulator, account) for each in found.assumptions)
        check_known("assumption", assumption_id, known)
    except ValueError as error:
        raise ControlError(str(error), 404) from None
    try:
        if alternative is not None:
            contracts.check_assume(((assumption_id, alternative),))
            if settings.plain_generation:
                contracts.check_plain(((assumption_id, alternative),))
        if account is not None:
            check_reaches_an_account(simulator, [assumption_id])

        def change(own: Mapping[str, Any]) -> dict[str, Any]:
            assume = {name: each for name, each in own.get("assume", ()) if name != assumption_id}
            return {
                "assume": tuple(sorted({**assume, **({assumption_id: alternative} if alternative else {})}.items()))
            }

        simulator.store.configure(account, change, simulator.clocks.now(account or SERVER))
    except (ValueError, TooManyError) as error:
        raise ControlError(str(error)) from None
    return [each for each in list_assumptions(simulator, account) if each["id"] == assumption_id]
