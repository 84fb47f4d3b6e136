"""Completion in bash, which cuts words at `=`: click takes `prompt-length=by` for three of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import BashComplete, add_completion_class

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@add_completion_class
class BashWords(BashComplete):
    """Puts together what bash has cut, and does not offer again what it has of a word already."""

    there = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one at it."""
        args, cut = super().get_completion_args()
        words: list[str] = []
        after_equals = False
        for word in (*args, cut):
            if words and (word == "=" or after_equals):
                words[-1] += word
            else:
                words.append(word)
            after_equals = word == "="
        *args, incomplete = words
        self.there = incomplete if cut == "=" else incomplete.removesuffix(cut)
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script: what is to stand in place of the part that bash holds for the word."""
        item.value = item.value.removeprefix(self.there)
        return super().format_completion(item)
