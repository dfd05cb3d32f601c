"""A random program as a sequence of choices: recorded, replayed, made smaller."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Choices:
    """Where a grammar takes its decisions from.

    Every decision has the name of a production and a list of alternatives, the simplest first. Numbers that are
    given are replayed; after the last of them, each decision is drawn, or is the simplest where there is no source.

    Attributes:
        given: the decisions to replay.
        source: where further ones are drawn from.
        taken: the decisions so far.
        used: how often each alternative of each production was chosen.
        offered: the alternatives that could have been chosen.
    """

    given: Sequence[int] = ()
    source: random.Random | None = None
    taken: list[int] = field(default_factory=list)
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    offered: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of_seed(cls, seed: int, index: int) -> Choices:
        """Return the choices of one program of a run."""
        return cls(source=random.Random(f"{seed}:{index}"))

    def pick(self, production: str, alternatives: Sequence[str], weights: Sequence[int] | None = None) -> str:
        """Choose one of some alternatives."""
        position = len(self.taken)
        if position < len(self.given):
            index = min(self.given[position], len(alternatives) - 1)
        elif self.source is not None:
            index = self.source.choices(range(len(alternatives)), weights)[0]
        else:
            index = 0
        self.taken.append(index)
        self.used[production, alternatives[index]] += 1
        self.offered.update((production, alternative) for alternative in alternatives)
        return alternatives[index]

    def chance(self, production: str, percent: int) -> bool:
        """Choose between no, the simpler one, and yes."""
        return self.pick(production, ("no", "yes"), (100 - percent, percent)) == "yes"


def shrink(
    given: Sequence[int], fails: Callable[[Sequence[int]], Sequence[int] | None], attempts: int = 200
) -> list[int]:
    """Return choices that still fail and of which none can be left out or made simpler.

    Args:
        given: choices that fail.
        fails: runs choices; returns those that were really taken if it fails, None if it does not.
        attempts: how many runs at most.
    """
    best = list(given)
    improved = True
    while improved and attempts > 0:
        improved = False
        for candidate in _simpler(best):
            attempts -= 1
            taken = fails(candidate) if attempts > 0 else None
            if taken is not None and _size(taken) < _size(best):
                best, improved = list(taken), True
                break
    return best


def _size(choices: Sequence[int]) -> tuple[int, int, list[int]]:
    return sum(map(bool, choices)), len(choices), list(choices)


def _simpler(choices: list[int]) -> list[list[int]]:
    """Return what to try instead: a beginning, stretches of zeros, without a stretch, with one number lower."""
    found = [choices[: len(choices) * part // 8] for part in range(1, 8)]
    for width in (8, 4, 2, 1):
        starts = range(0, len(choices) - width + 1, max(1, width // 2))
        found += [choices[:s] + [0] * width + choices[s + width :] for s in starts if any(choices[s : s + width])]
        found += [choices[:start] + choices[start + width :] for start in starts]
    for position, number in enumerate(choices):
        found += [[*choices[:position], lower, *choices[position + 1 :]] for lower in range(1, number)]
    return found
