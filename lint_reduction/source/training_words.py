"""Words that the text of a module has if it trains on something, looked for before anything is parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lint_reduction.libraries import Libraries

#: How words are used to train that are as often used otherwise: ``p.grad``, ``def backward(ctx)``, "the backward pass".
_USES = {
    "grad": rb"grad(?:(?<=\bgrad)\s*[(]|(?<=\bgrad)\s+as\b|(?<=autograd\.grad)\b|(?<=func\.grad)\b)",
    "backward": rb"backward(?:(?<=\bbackward)(?<!def backward)\s*[(,)]|(?<=\bbackward)\s+as\b|(?<=\.backward)\b"
    rb"|(?<=import backward)\b)",
}


@dataclass(frozen=True, slots=True)
class TrainingWords:
    """The words, each with a pattern for how it is used to train, which begins with it so that it is found fast."""

    uses: tuple[tuple[bytes, re.Pattern[bytes]], ...]

    @classmethod
    def of(cls, libraries: Libraries) -> TrainingWords:
        """Return the words for some libraries."""
        words = libraries.sink_words() | frozenset(libraries.returns)
        # those that most programs train with come first
        ordered = sorted(words, key=lambda word: (word not in _USES, word))
        return cls(tuple((word.encode(), re.compile(_use(word))) for word in ordered))

    def are_in(self, data: bytes) -> bool:
        """Say whether one of them is used in a text."""
        return any(word in data and use.search(data) is not None for word, use in self.uses)


def _use(word: str) -> bytes:
    return _USES.get(word) or rf"{word}(?<=\b{word})\b".encode()
