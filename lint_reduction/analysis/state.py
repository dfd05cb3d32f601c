"""What changes while a function is interpreted: variables, object attributes, the branches taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from lint_reduction.analysis.code import Compare, Const, Expr, Logic, Unary, text
from lint_reduction.analysis.values import Alternatives, Option, Value, join, options_of
from lint_reduction.facts import Evidence
from lint_reduction.growth import Growth

_Key = TypeVar("_Key")
Guards = frozenset[tuple[str, bool]]
#: No tests.
NOTHING: Guards = frozenset()


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop that is being run.

    Attributes:
        count: what the number of rounds grows with, None if that is not known.
        evidence: how sure that is.
        mark: of the iterable.
        yields_data: whether its variable is data: batches or samples.
        length: source of the number of rounds, ``len(outputs) = len(targets)``.
        may_end_early: whether it may end in the middle of an accumulation window.
        parts: whether a round is a part of a batch.
        text: source of what it runs over.
        full_batches: whether it drops a last, shorter batch.
    """

    count: Growth | None
    evidence: Evidence
    mark: int
    yields_data: bool
    length: str = ""
    may_end_early: bool = False
    parts: bool = False
    text: str = ""
    full_batches: bool = False


@dataclass(slots=True)
class State:
    """One branch: values of variables and attributes, and the tests that hold.

    Attributes:
        variables: value by name.
        loop_of: how many loops were open where a variable got its value.
        heap: value of the attributes of objects, by identity and name.
        path: truth of the tests on the way here.
        alive: whether control can be here.
    """

    variables: dict[str, Value] = field(default_factory=dict)
    loop_of: dict[str, int] = field(default_factory=dict)
    heap: dict[tuple[int, str], Value] = field(default_factory=dict)
    path: dict[str, bool] = field(default_factory=dict)
    alive: bool = True

    def copy(self) -> State:
        """Return a copy that can go another way."""
        return State(dict(self.variables), dict(self.loop_of), dict(self.heap), dict(self.path), self.alive)

    def become(self, other: State) -> None:
        """Take over another state."""
        self.variables, self.loop_of, self.heap = other.variables, other.loop_of, other.heap
        self.path, self.alive = other.path, other.alive


#: The test that a value needs if it is only there when an option is not as usual.
UNUSUAL = ("unusual", True)


def merge(
    first: State,
    second: State,
    when_true: Guards = NOTHING,
    when_false: Guards = NOTHING,
    usual: bool | None = None,
) -> State:
    """Return the state after a branch, where both ways meet.

    Args:
        first: where the test holds.
        second: where it does not.
        when_true: what is known where the test holds; without it values cannot be told apart.
        when_false: what is known where it does not.
        usual: outcome of the test when nobody sets the option that it asks for, None for other tests.
    """
    if not first.alive or not second.alive:
        return first if first.alive else second
    merged = State(loop_of={**second.loop_of, **first.loop_of})
    merged.path = {key: truth for key, truth in first.path.items() if second.path.get(key) is truth}
    tests = when_true, when_false
    merged.variables = _join_all(first.variables, second.variables, tests, usual)
    merged.heap = _join_all(first.heap, second.heap, tests, usual)
    return merged


def _join_all(
    first: dict[_Key, Value], second: dict[_Key, Value], tests: tuple[Guards, Guards], usual: bool | None
) -> dict[_Key, Value]:
    joined = dict(second)
    for key, value in first.items():
        other = second.get(key)
        if other is None or other is value:
            joined[key] = value
        elif other != value:
            when_true, when_false = guarded(value, tests[0]), guarded(other, tests[1])
            if usual is not None:
                when_true, when_false = unusual(when_true, usual is False), unusual(when_false, usual is True)
            joined[key] = join((*when_true, *when_false))
    return joined


def guarded(value: Value, tests: Guards) -> tuple[Option, ...]:
    """Return the alternatives of a value with more tests that they need."""
    options = options_of(value)
    possible = tuple(o for o in options if not excludes(tests, o.guards)) or options
    return tuple(Option(o.value, o.guards | tests) for o in possible)


def excludes(one: Guards, other: Guards) -> bool:
    """Say whether two sets of tests cannot hold together."""
    return any((test, not truth) in other for test, truth in one)


def unusual(options: tuple[Option, ...], is_unusual: bool) -> tuple[Option, ...]:
    """Return alternatives marked as such that need an option to be set."""
    if not is_unusual:
        return options
    return tuple(Option(o.value, o.guards | {UNUSUAL}) for o in options)


def visible(value: Value, path: dict[str, bool]) -> Value:
    """Return a value without the alternatives that the branches taken exclude."""
    if not isinstance(value, Alternatives) or not path:
        return value
    possible = tuple(o for o in value.options if not _excluded(o.guards, path))
    if len(possible) == len(value.options) or not possible:
        return value
    return join(possible)


def _excluded(guards: Guards, path: dict[str, bool]) -> bool:
    for test, truth in guards:
        if path.get(test, truth) is not truth:
            return True
        subject, equals, _ = test.partition(" == ")
        if (
            truth
            and equals
            and any(holds and other != test and other.startswith(subject + " == ") for other, holds in path.items())
        ):
            return True
    return False


def tests_of(test: Expr, truth: bool) -> list[tuple[str, bool]]:
    """Return what is known of single tests when a condition is true, or false.

    Equal source text stands for equal outcome: ``if use_sum`` twice in a function takes the same way.
    """
    match test:
        case Unary("not", operand):
            return tests_of(operand, not truth)
        case Logic("and", left, right) if truth:
            return tests_of(left, truth) + tests_of(right, truth)
        case Logic("or", left, right) if not truth:
            return tests_of(left, truth) + tests_of(right, truth)
        case Compare("!=", left, right):
            return [(f"{text(left)} == {text(right)}", not truth)]
        case Compare("is not", left, right):
            return [(f"{text(left)} is {text(right)}", not truth)]
        case Compare("==" | "is", Const(), right):
            return [(f"{text(right)} == {text(test.left)}", truth)]
    return [(text(test), truth)]
