"""Answers that refuse, and their envelopes."""

import random
import string
import time
import uuid
from typing import Any

from .habits import Habits


class Refused(Exception):  # noqa: N818 - it is an answer, and no mistake of the program
    """Status, code, text and envelope of an answer."""

    def __init__(self, status: int, code: int | str, text: str, form: str = "kling") -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.form = form


class Refusals:
    """The refusals of one service: the known ones as they are known, the others by its habits."""

    def __init__(self, contract: str, habits: Habits) -> None:
        self.contract = contract
        self.habits = habits

    def known(self, text: str) -> Refused:
        """A recorded text of 400/1201."""
        return Refused(400, 1201, text)

    def not_in_enum(self, name: str, value: str, allowed: tuple[str, ...]) -> Refused:
        """A value outside an enum: the text was recorded with and without what is allowed."""
        end = "" if self.habits.enum_text == "short" else f", {self.habits.enum_text} values: {', '.join(allowed)}"
        return self.known(f"{name} value '{value}' is invalid{end}")

    def inferred(self, text: str) -> Refused:
        """A refusal of which nobody has seen the answer."""
        own = text if self.habits.inferred_texts else self.habits.says("a field has a value that is not possible here")
        form = self.habits.refusal_form
        if form == "gateway" and self.contract != "kling":
            return Refused(400, "invalid_request", own, "gateway")
        if form == "422":
            return Refused(422, 1201, own)
        return Refused(400, 1200 if form == "1200" else 1201, own)

    def unreadable(self) -> Refused:
        """A body that is no JSON object, or not said to be JSON."""
        text = self.habits.says("the body could not be understood")
        if self.contract == "kling" or self.habits.unreadable_form == "1200":
            return Refused(400, 1200, text)
        return Refused(int(self.habits.unreadable_form), "invalid_request", text, "middleware")

    def too_big(self) -> Refused:
        """More bytes than this service reads."""
        text = self.habits.says("there is too much of it")
        return (
            Refused(413, 1200, text)
            if self.contract == "kling"
            else Refused(413, "invalid_request", text, "middleware")
        )

    def big_picture(self) -> Refused:
        """A file over 10 MB, where it is refused at once."""
        return (
            self.too_big()
            if self.habits.big_picture == "413"
            else Refused(400, 1201, self.habits.says("a file is too large"))
        )

    def unknown_task(self, asked: str) -> Refused:
        """An id that is no task of the asking account."""
        if self.contract == "kling" or self.habits.unknown_task == "kling":
            return self.known(f"Task not found by id/external id: {asked}")
        if self.habits.unknown_task == "404":
            return Refused(404, 1203, self.habits.says("there is no such task"))
        return Refused(400, "task_not_exist", "task_not_exist", "task")

    def wrong_method(self) -> Refused:
        """A known path asked in a way that it does not have."""
        if self.habits.wrong_method == "405":
            return Refused(405, "", "", "html")
        if self.habits.wrong_method == "path":
            return self.wrong_path()
        return Refused(404, 1202, self.habits.says("this method is not for this path"))

    def wrong_path(self) -> Refused:
        """No path of this service: CometAPI answers a redirect or a page, the vendor a JSON of five keys."""
        if self.contract == "kling":
            return Refused(404, "", "No message available", "spring")
        return {
            "html": Refused(404, "", "", "html"),
            "moved": Refused(301, "", "", "moved"),
            "html-200": Refused(200, "", "", "html"),
        }[self.habits.wrong_path]

    def key(self, code: int, text: str) -> Refused:
        """No key, or a bad one."""
        if self.contract == "kling":
            return Refused(401, code, text)
        form = {"gateway": "middleware", "bare": "bare", "kling": "kling-string"}[self.habits.no_key_form]
        return Refused(401, "", "invalid token", form)


def gateway_request_id(now: float, chance: random.Random) -> str:
    """The moment, nine digits of nanoseconds, and eight letters or digits."""
    moment = time.strftime("%Y%m%d%H%M%S", time.gmtime(now))
    tail = "".join(chance.choices(string.ascii_letters + string.digits, k=8))
    return f"{moment}{int(now % 1 * 1_000_000_000):09d}{tail}"


def body_of(refused: Refused, request_id: str, path: str, now: float) -> dict[str, Any] | str:
    """What stands in the answer: a JSON object, or a page."""
    text = f"{refused.text} (request id: {request_id})"
    error = {"message": text, "type": "comet_api_error", "code": refused.code}
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(now))
    bodies: dict[str, dict[str, Any] | str] = {
        "kling": {"code": refused.code, "message": refused.text, "request_id": str(uuid.uuid4())},
        "kling-string": {"code": refused.code, "message": refused.text, "request_id": str(uuid.uuid4())},
        "gateway": {"error": error | {"param": ""}},
        "middleware": {"error": error},
        "bare": {"message": refused.text},
        "task": {"code": refused.code, "message": refused.text, "data": None},
        "spring": {
            "timestamp": moment,
            "status": refused.status,
            "error": "Not Found",
            "message": refused.text,
            "path": path,
        },
        "moved": "",
        "html": "<!doctype html><title>Not here</title><p>Nothing to see.",
    }
    return bodies[refused.form]
