"""What a simulator and the receivers of callbacks raise, kept until the test can be told."""

from __future__ import annotations

from collections import Counter


class RaisedErrors:
    """Errors, each once: one like another, from the next attempt or another thread, is counted."""

    def __init__(self) -> None:
        self._errors: list[BaseException] = []
        self._again: Counter[int] = Counter()
        """How often each error, by its `id`, was raised again."""

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._errors)

    def add(self, error: BaseException) -> None:
        """Keep an error."""
        alike = (known for known in self._errors if type(known) is type(error) and str(known) == str(error))
        if (first := next(alike, None)) is None:
            self._errors.append(error)
        elif first is not error:
            self._again[id(first)] += 1

    def take(self) -> list[BaseException]:
        """Return the errors, with a note of how often they came, and forget them."""
        errors, self._errors = self._errors, []
        for error in errors:
            if again := self._again.pop(id(error), 0):
                error.add_note(f"({again} more of the same)")
        return errors
