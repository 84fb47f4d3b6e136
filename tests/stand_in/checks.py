"""What a create must be, in the order of the facts' section 6.3, and why its task will fail if it does."""

import base64
import binascii
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from PIL import JpegImagePlugin, PngImagePlugin

from .habits import Habits
from .refusals import Refusals

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
SIBLING_MODELS = frozenset(
    {"kling-v1", "kling-v1-5", "kling-v2", "kling-v2-new", "kling-v2-1", "kling-v3", "kling-image-o1"}
)

Fetch = Callable[[str], bytes | None]
"""The bytes behind a URL, or nothing."""


@dataclass(frozen=True, slots=True)
class Terms:
    """In what the three contracts differ, from the table of section 1."""

    models: tuple[str, ...]
    default_model: str
    fewest_subjects: int
    scene: str
    n_has_range: bool
    negative_prompt_limit: int | None
    watermark: bool


TERMS = {
    "cometapi": Terms(("kling-v2",), "kling-v2", 2, "scence_image", False, None, False),
    "cometapi-2026": Terms(("kling-v2", "kling-v2-1"), "kling-v2", 1, "scene_image", True, 2500, True),
    "kling": Terms(("kling-v2-1", "kling-v2"), "kling-v2-1", 1, "scene_image", True, None, True),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a create asks for, when every check is passed."""

    number: int
    ratio: str
    pictures: tuple[str, ...]
    callback_url: str
    external_id: str
    watermark: bool


class Checks:
    """The checks of one service on one contract."""

    def __init__(self, contract: str, habits: Habits, fetch: Fetch, megabytes: int) -> None:
        terms = TERMS[contract]
        if contract == "cometapi-2026" and not habits.watermark_known:
            terms = replace(terms, watermark=False)
        self.contract, self.terms, self.habits, self.fetch = contract, terms, habits, fetch
        self.megabytes = megabytes
        self.refusals = Refusals(contract, habits)

    def wish(self, body: dict[str, Any]) -> Wish:
        """What the body asks for; `Refused` by the first check that it fails."""
        given = {name: value for name, value in body.items() if value is not None or name == "subject_image_list"}
        self.model(given)
        plain = self.is_plain(given)
        subjects = self.plain_reference(given) if plain else self.subjects(given)
        wish = self.fields(given, plain=plain)
        pictures = (*subjects, *wish.pictures)
        for picture in pictures:
            self.file(picture)
        return replace(wish, pictures=pictures)

    def model(self, given: dict[str, Any]) -> None:
        """A model that this path has."""
        model = given.get("model_name", self.terms.default_model)
        if not isinstance(model, str):
            raise self.wrong_type("model_name", "string")
        if model in self.terms.models:
            return
        if model in SIBLING_MODELS and self.habits.sibling_models == "not supported":
            raise self.refusals.known("model is not supported")
        raise self.refusals.not_in_enum("model_name", model, self.terms.models)

    def is_plain(self, given: dict[str, Any]) -> bool:
        """Whether it is a request of the sibling on the same path."""
        if self.contract == "kling" or not self.habits.plain_generation or given.get("subject_image_list") is not None:
            return False
        if not self.text(given, "prompt"):
            raise self.refusals.inferred("prompt cannot be empty")
        return True

    def plain_reference(self, given: dict[str, Any]) -> tuple[str, ...]:
        """The one picture that a plain picture may be made after."""
        return (self.text(given, "image"),) if "image" in given else ()

    def subjects(self, given: dict[str, Any]) -> tuple[str, ...]:
        """The subject pictures: enough of them, none blank."""
        if given.get("subject_image_list") is None:
            raise self.refusals.inferred("subject_image_list cannot be empty")
        items = given["subject_image_list"]
        if not isinstance(items, list):
            raise self.wrong_type("subject_image_list", "array")
        if not self.terms.fewest_subjects <= len(items) <= 4:
            raise self.refusals.inferred(f"subject_image_list: size must be between {self.terms.fewest_subjects} and 4")
        return tuple(self.subject(item) for item in items)

    def subject(self, item: Any) -> str:
        """One picture of the list."""
        if not isinstance(item, dict):
            raise self.wrong_type("subject_image_list", "object")
        picture = item.get("subject_image")
        if picture is None or (isinstance(picture, str) and not picture.strip()):
            raise self.refusals.inferred("subject_image: must not be blank")
        if not isinstance(picture, str):
            raise self.wrong_type("subject_image", "string")
        return picture

    def fields(self, given: dict[str, Any], *, plain: bool) -> Wish:
        """All other fields, each by its own check."""
        checks: list[tuple[str, Callable[[], Any]]] = [
            ("prompt", lambda: self.prompt(given, 500 if plain else 2500)),
            ("negative", lambda: self.negative_prompt(given)),
            ("references", lambda: self.references(given)),
            ("n", lambda: self.number(given, ranged=plain or self.terms.n_has_range)),
            ("ratio", lambda: self.ratio(given)),
            ("watermark", lambda: self.watermark(given)),
            ("callback_url", lambda: self.callback_url(given)),
            ("external_id", lambda: self.text(given, "external_task_id")),
        ]
        if self.habits.backward_order:
            checks.reverse()
        found = {name: check() for name, check in checks}
        return Wish(
            found["n"],
            found["ratio"],
            found["references"],
            found["callback_url"],
            found["external_id"],
            found["watermark"],
        )

    def prompt(self, given: dict[str, Any], longest: int) -> None:
        text = self.text(given, "prompt")
        if "prompt" in given and not text and not self.habits.empty_prompt:
            raise self.refusals.inferred("prompt: must not be blank")
        size = len(text.encode("utf-8", "surrogatepass")) if self.habits.prompt_in_bytes else len(text)
        if size > longest:
            raise self.refusals.known(f"prompt: size must be between 0 and {longest}")

    def negative_prompt(self, given: dict[str, Any]) -> None:
        if self.terms.negative_prompt_limit is None:
            return
        if len(self.text(given, "negative_prompt")) > self.terms.negative_prompt_limit:
            raise self.refusals.inferred(
                f"negative_prompt: size must be between 0 and {self.terms.negative_prompt_limit}"
            )

    def references(self, given: dict[str, Any]) -> tuple[str, ...]:
        """Scene and style."""
        names = [self.terms.scene, "style_image"]
        if self.contract == "cometapi" and self.habits.both_scene_names:
            names.append("scene_image")
        present = [self.text(given, name) for name in names if name in given]
        return tuple(one for one in present if one or not self.habits.empty_picture_is_absent)

    def number(self, given: dict[str, Any], *, ranged: bool) -> int:
        """How many pictures."""
        asked = given.get("n", 1)
        if self.habits.n_coerced and not isinstance(asked, bool):
            asked = _as_whole(asked)
        if isinstance(asked, bool) or not isinstance(asked, int):
            raise self.wrong_type("n", "integer")
        if not ranged and not self.habits.n_checked:
            return min(9, max(1, asked))
        if asked > 9:
            raise self.refusals.inferred("n: must be less than or equal to 9")
        if asked < 1:
            raise self.refusals.inferred("n: must be greater than or equal to 1")
        return asked

    def ratio(self, given: dict[str, Any]) -> str:
        ratio = given.get("aspect_ratio", "16:9")
        if not isinstance(ratio, str):
            raise self.wrong_type("aspect_ratio", "string")
        if ratio not in RATIOS:
            raise self.refusals.not_in_enum("aspect_ratio", ratio, RATIOS)
        return ratio

    def watermark(self, given: dict[str, Any]) -> bool:
        if not self.terms.watermark or "watermark_info" not in given:
            return False
        info = given["watermark_info"]
        if not isinstance(info, dict):
            raise self.wrong_type("watermark_info", "object")
        enabled = info.get("enabled")
        if not isinstance(enabled, bool | None):
            raise self.wrong_type("enabled", "boolean")
        return bool(enabled)

    def callback_url(self, given: dict[str, Any]) -> str:
        url = self.text(given, "callback_url")
        if url and not self.habits.any_callback_url and not re.match(r"https?://\S+$", url):
            raise self.refusals.inferred("callback_url is invalid")
        return url

    def text(self, given: dict[str, Any], name: str) -> str:
        """A field of text, empty where it is absent."""
        value = given.get(name, "")
        if self.habits.text_coerced and isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise self.wrong_type(name, "string")
        return value

    def wrong_type(self, name: str, expected: str) -> Exception:
        return self.refusals.inferred(f"{name} value type is invalid, expected {expected}")

    def file(self, picture: str) -> None:
        """A URL, or Base64 of a file that is not too large."""
        if is_url(picture):
            return
        data = self.decode(picture)
        if data is None:
            raise self.refusals.known("File is not in a valid base64 format")
        if self.is_too_big(data) and self.habits.big_picture != "later":
            raise self.refusals.big_picture()
        if self.habits.no_picture == "at once" and size_of(data) is None:
            raise self.refusals.inferred("File is not in a valid base64 format")

    def is_too_big(self, data: bytes) -> bool:
        return len(data) > self.megabytes * (1_000_000 if self.habits.decimal_megabytes else 1 << 20)

    def decode(self, picture: str) -> bytes | None:
        """The file, or nothing where the text is no Base64."""
        if self.habits.loose_base64:
            picture = re.sub(r"\s", "", picture).replace("-", "+").replace("_", "/").rstrip("=")
            picture += "=" * (-len(picture) % 4)
        try:
            return base64.b64decode(picture, validate=True) or None
        except (binascii.Error, ValueError):
            return None

    def failure(self, pictures: tuple[str, ...]) -> str:
        """Why a task on these pictures fails, or nothing."""
        return next((reason for reason in map(self.reason, pictures) if reason), "")

    def reason(self, picture: str) -> str:
        data = self.fetch(picture) if is_url(picture) else self.decode(picture)
        if data is None:
            return "Something went wrong when we tried to get the contents of the file."
        if self.is_too_big(data):
            return self.habits.says("a file is too large")
        size = size_of(data)
        return "" if size and min(size) >= 300 and max(size) <= 2.5 * min(size) else "Image pixel is invalid"


def is_url(picture: str) -> bool:
    return bool(re.match(r"https?://[^/\s]", picture, re.IGNORECASE))


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG that is whole, in pixels."""
    try:
        if data.startswith(b"\x89PNG"):
            png = PngImagePlugin.PngImageFile(io.BytesIO(data))
            size = png.size
            png.verify()
            return size
        jpeg = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        return jpeg.size if data.rstrip(b"\0").endswith(b"\xff\xd9") else None
    except (OSError, SyntaxError, ValueError, IndexError):
        return None


def _as_whole(value: Any) -> Any:
    """A number that says the same as a whole one, as that."""
    try:
        return int(value) if float(value) == int(value) else value
    except (TypeError, ValueError, OverflowError):
        return value
