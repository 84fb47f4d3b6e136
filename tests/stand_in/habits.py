"""What nobody knows of the real service, as switches: each with the answer that is inferred first, and others after it.

Every switch is an open question or an inference of the facts' sections 4 to 7. A service may have any of these answers and
be the real one.
"""

import random
from dataclasses import dataclass, field, fields
from typing import TypeVar

T = TypeVar("T")


def _open(inferred: T, *others: T) -> T:
    """A field with the inferred answer as its default, and all answers kept beside it."""
    answer: T = field(default=inferred, metadata={"answers": (inferred, *others)})
    return answer


@dataclass(frozen=True, slots=True)
class Habits:
    # Texts and envelopes of refusals that were never recorded.
    inferred_texts: bool = _open(True, False)
    """A refusal whose text is inferred has that text, or one of its own."""
    refusal_form: str = _open("kling", "gateway", "1200", "422")
    """Envelope, status and code of a refusal that is only inferred."""
    enum_text: str = _open("short", "allowed", "supported")
    voice: str = _open("plain", "curt", "chatty")
    """How it words what nobody has seen."""
    no_key_form: str = _open("gateway", "bare", "kling")
    """Envelope of the 401, whose status and words alone are documented."""
    unknown_task: str = _open("task_not_exist", "kling", "404")
    wrong_path: str = _open("html", "moved", "html-200")
    wrong_method: str = _open("1202", "405", "path")
    unreadable_form: str = _open("400", "500", "1200")

    # What a body may be.
    strict_json: bool = _open(True, False)
    """NaN, a byte order mark, invalid UTF-8 and lone surrogates are refused, or read as well as can be."""
    content_type_matters: bool = _open(True, False)
    last_key_wins: bool = _open(True, False)
    nul_allowed: bool = _open(True, False)
    nesting: int = _open(200, 40, 900)
    body_megabytes: int = _open(80, 120, 70)

    # What a field may be.
    plain_generation: bool = _open(False, True)
    """On CometAPI, a request without subjects makes a plain picture."""
    n_checked: bool = _open(True, False)
    """`n` out of range is refused where no page gives a range, or set to the nearest number."""
    n_coerced: bool = _open(False, True)
    """`1.0` and `"1"` are read as 1."""
    text_coerced: bool = _open(False, True)
    """A number is read as text where text is asked for."""
    prompt_in_bytes: bool = _open(False, True)
    empty_prompt: bool = _open(True, False)
    any_callback_url: bool = _open(True, False)
    empty_picture_is_absent: bool = _open(False, True)
    both_scene_names: bool = _open(False, True)
    """On `cometapi`, the name of the newer page is known too."""
    sibling_models: str = _open("invalid", "not supported")
    """What a model of a sibling is refused with: both texts were recorded."""
    watermark_known: bool = _open(True, False)
    """On `cometapi-2026`, whose name of the field is inferred."""
    loose_base64: bool = _open(False, True)
    """Line breaks, the URL-safe alphabet, and missing padding."""
    decimal_megabytes: bool = _open(False, True)
    big_picture: str = _open("1201", "later", "413")
    no_picture: str = _open("later", "at once")
    """What is Base64 but no picture fails in its task, or is refused."""
    backward_order: bool = _open(False, True)
    """Of several faults, the last field's is told."""

    # Accounts and ids.
    bare_key: bool = _open(False, True)
    any_case_of_bearer: bool = _open(True, False)
    path_before_key: bool = _open(True, False)
    query_by_external_id: bool = _open(False, True)
    failed_frees_id: bool = _open(False, True)
    refused_takes_id: bool = _open(False, True)
    head_answers: bool = _open(True, False)
    trailing_slash: bool = _open(False, True)
    newest_first: bool = _open(True, False)
    page_checked: bool = _open(True, False)

    # Tasks.
    processing_after: float = _open(0.9, 1.7, 0.3)
    ends_after: float = _open(29.0, 24.5, 40.0)
    fails_after: float = _open(1.65, 1.9)
    failing_skips_processing: bool = _open(False, True)
    updated_by_looking: bool = _open(False, True)
    """`updated_at` of an unfinished task is the moment of the query, or that of its last transition."""
    index_shown: bool = _open(True, False)
    message_on_success: bool = _open(True, False)
    unused_results: bool = _open(False, True)
    """`videos` and `audios` stand empty beside `images`."""
    unit_deduction: bool = _open(False, True)
    own_fields: bool = _open(False, True)
    """Fields that no page mentions."""
    ratio_in_steps: bool = _open(False, True)
    """The sides of a picture are multiples of 32, so that 21:9 is 3 % off."""

    # Callbacks.
    callback_twice: bool = _open(False, True)
    callback_backwards: bool = _open(False, True)
    """Callbacks that are due together arrive in another order."""

    def says(self, plain: str) -> str:
        """A text that nobody has seen, worded its own way."""
        return {"plain": plain, "curt": "Bad request", "chatty": f"Sorry, {plain}. Please look at your request again."}[
            self.voice
        ]


AS_INFERRED = Habits(voice="chatty")
"""As the facts infer, with texts of its own where they are unknown."""


def _otherwise() -> Habits:
    return Habits(**{one.name: one.metadata["answers"][1] for one in fields(Habits)})


OTHERWISE = _otherwise()
"""Everything that is inferred the other way round."""


def by_chance(seed: int) -> Habits:
    """Any service that the facts allow."""
    chance = random.Random(seed)
    return Habits(**{one.name: chance.choice(one.metadata["answers"]) for one in fields(Habits)})
