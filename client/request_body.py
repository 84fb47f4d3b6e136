"""The body of a create, in the words of a contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .pictures import encode_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .dialect import Dialect
    from .pictures import Picture

PICTURES = ("scene_image", "style_image")
TEXTS = ("prompt", "negative_prompt", "callback_url", "external_task_id")


def request_body(dialect: Dialect, subjects: Sequence[Picture], fields: dict[str, Any]) -> bytes:
    """Return the body of a create; a field that is None is left out.

    Raises InputError for what the contract does not have, and for what cannot be written, before anything is sent.
    """
    if isinstance(subjects, (str, bytes, Path)):
        raise InputError("subjects is a list of pictures, not one picture")
    given = {name: value for name, value in fields.items() if value is not None}
    names = {name: dialect.word(name) for name in given}
    dialect.check_model(given.get("model_name"))
    dialect.check_number_of_subjects(len(subjects))
    return as_json(
        {
            "subject_image_list": [{"subject_image": encode_picture(subject)} for subject in subjects],
            **{names[name]: _on_the_wire(name, value) for name, value in given.items()},
        }
    )


def _on_the_wire(name: str, value: Any) -> Any:
    if name in PICTURES:
        return encode_picture(value)
    if name == "watermark":
        return {"enabled": value}
    if name in TEXTS and isinstance(value, str) and not is_unicode(value):
        raise InputError(f"{name} has a character that is half of one (a lone surrogate)")
    return value


def is_unicode(text: str) -> bool:
    """Tell whether a text can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_json(body: dict[str, Any]) -> bytes:
    """Return JSON. Raises InputError for what JSON cannot say."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        problem = type(error).__name__ if isinstance(error, RecursionError) else str(error)
    raise InputError(f"the request cannot be written as JSON: {problem}")
