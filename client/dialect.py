"""What the three contracts of this feature have in common, and in which words they differ."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .errors import InputError

MOST_SUBJECTS = 4


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one contract is spoken: where, and in which words."""

    name: str
    base_url: str
    path: str
    base_url_variable: str
    """The environment variable that says another base URL."""
    fields: dict[str, str] = field(repr=False)
    """Names on the wire of the fields that not every contract has, by the names here."""
    models: frozenset[str]
    fewest_subjects: int
    finds_tasks: bool = False
    """Tasks can be listed, and asked for by their external_task_id."""

    def word(self, name: str) -> str:
        """Return a field's name on the wire. Raises InputError for a field that only another contract has."""
        self._check(name, {other.name for other in DIALECTS.values() if name in other.fields})
        return self.fields.get(name, name)

    def check_model(self, name: object) -> None:
        """Raise InputError for a model that only another contract has; of one that none has, the service is to judge."""
        self._check(f"model {name}", {other.name for other in DIALECTS.values() if name in other.models})

    def check_finds_tasks(self, what: str) -> None:
        """Raise InputError if this contract cannot find tasks."""
        self._check(what, {other.name for other in DIALECTS.values() if other.finds_tasks})

    def check_number_of_subjects(self, number: int) -> None:
        """Raise InputError for too few or too many."""
        if not self.fewest_subjects <= number <= MOST_SUBJECTS:
            raise InputError(
                f"{number} subjects: the contract {self.name} takes {self.fewest_subjects} to {MOST_SUBJECTS}"
            )

    def _check(self, what: str, having: set[str]) -> None:
        """Raise InputError, which names them, if only other contracts have something."""
        if having and self.name not in having:
            raise InputError(
                f"the contract {self.name} has no {what}; {' and '.join(sorted(having))} {'has' if len(having) == 1 else 'have'} it"
            )


COMETAPI = Dialect(
    "cometapi",
    base_url="https://api.cometapi.com",
    path="/kling/v1/images/generations",
    base_url_variable="COMETAPI_BASE_URL",
    fields={"scene_image": "scence_image"},  # the spelling of the API
    models=frozenset({"kling-v2"}),
    fewest_subjects=2,
)
COMETAPI_2026 = replace(
    COMETAPI,
    name="cometapi-2026",
    fields={"scene_image": "scene_image", "negative_prompt": "negative_prompt", "watermark": "watermark_info"},
    models=frozenset({"kling-v2", "kling-v2-1"}),
    fewest_subjects=1,
)
KLING = replace(
    COMETAPI_2026,
    name="kling",
    base_url="https://api-singapore.klingai.com",
    path="/v1/images/multi-image2image",
    base_url_variable="KLING_BASE_URL",
    finds_tasks=True,
)
DIALECTS = {dialect.name: dialect for dialect in (COMETAPI, COMETAPI_2026, KLING)}


def dialect_of(contract: str) -> Dialect:
    """Return how a contract is spoken. Raises InputError for a name that is none."""
    if contract not in DIALECTS:
        raise InputError(f"there is no contract {contract!r:.60}; the contracts are {', '.join(DIALECTS)}")
    return DIALECTS[contract]
