"""Answers to assumptions: what a service was asked and said, kept in a file, to be assumed from then on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .choice import Choice, UnknownChoiceError
from .printable import printable
from .spec import load_contract
from .strict_json import read_json

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1024 * 1024
"""Bytes of a file."""


class BrokenAnswersError(ValueError):
    """A file holds no answers that can be used; the message, one line, says why and names what there is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What settles an assumption: the alternative, and what came."""

    alternative: str
    came: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a service has answered to the questions of a contract."""

    contract: str
    url: str
    at: str
    """Date, as YYYY-MM-DD."""
    answers: dict[str, Answer]

    @property
    def assume(self) -> tuple[tuple[str, str], ...]:
        """What a `Choice` of that contract assumes by them."""
        return tuple((name, answer.alternative) for name, answer in self.answers.items())


def save_answers(answers: Answers, file: Path) -> None:
    """Write answers to a file. Raises OSError."""
    file.write_text(json.dumps(asdict(answers), indent=1) + "\n", encoding="utf-8")


def load_answers(file: Path, served: str) -> Answers:
    """Read answers to the questions of the contract that is served, or of one of `all`.

    Raises BrokenAnswersError for a file that cannot be read, answers of another contract, and what that does not know.
    """
    try:
        answers = _read(file)
        load_contract(Choice(answers.contract, assume=answers.assume))
    except OSError as error:
        raise BrokenAnswersError(f"{file}: {error.strerror}") from None
    except UnknownChoiceError as error:
        raise BrokenAnswersError(f"{file}: {error}") from None
    if served not in {answers.contract, "all"}:
        raise BrokenAnswersError(
            f"{file} holds answers of {answers.contract}, not of {served}: choose --contract {answers.contract}"
        )
    if not answers.answers:
        raise BrokenAnswersError(f"{file} holds no answers: none of the questions was settled")
    return answers


def _read(file: Path) -> Answers:
    """Return what a file holds. Raises OSError, and BrokenAnswersError, which says where it breaks off."""
    with file.open("rb") as stream:
        raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise _broken(file, f"it is larger than {LARGEST} bytes")
    try:
        value = read_json(raw)
    except ValueError:
        raise _broken(file, "it is no JSON") from None
    try:
        answers = {_text(name): _answer(file, name, entry) for name, entry in value["answers"].items()}
        return Answers(_text(value["contract"]), _text(value["url"]), _text(value["at"]), answers)
    except (KeyError, TypeError, AttributeError):
        raise _broken(file, "it has not the texts contract, url and at, and an object answers") from None


def _answer(file: Path, name: str, entry: Any) -> Answer:
    try:
        return Answer(_text(entry["alternative"]), tuple(map(_text, entry["came"])))
    except (KeyError, TypeError):
        raise _broken(file, f"{printable(name)[:60]} has not a text alternative and a list of texts came") from None


def _broken(file: Path, why: str) -> BrokenAnswersError:
    return BrokenAnswersError(f"{file} holds no answers, since {why}; `klingkit probe URL --out FILE` writes them")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
