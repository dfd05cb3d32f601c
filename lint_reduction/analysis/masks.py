"""Masks: truth values for the positions of a tensor, and what they keep of a loss."""

from __future__ import annotations

from dataclasses import replace

from lint_reduction.analysis.values import CHOICE, COMPARISON, Constant, Hop, Opaque, Summand, Tensor, Value
from lint_reduction.facts import Evidence, StepKind
from lint_reduction.growth import DENSITY, ONE
from lint_reduction.libraries import Names

_CHOICE = frozenset({"choice"})
#: What makes a comparison a choice among the values computed, not a look at which positions hold data.
_CHOOSING = frozenset({"difference", "draw", "choice", "probability"})
#: What a mask is made of that keeps all but the padding of a sample, and so one position at least.
_PADDING = frozenset({"padding"})
#: What the numbers of positions are made of: ``torch.arange``.
POSITIONS = "positions"


def chooses(value: Tensor) -> bool:
    """Say whether a comparison with a tensor is a threshold on a loss, an error or a probability, or a draw."""
    return value.is_loss or bool(value.made_of & _CHOOSING)


def as_probability(value: Tensor) -> Tensor:
    """Return a tensor that remembers that it is a probability: how sure a network is."""
    return replace(value, made_of=value.made_of | {"probability"})


def as_mask(value: Tensor, evidence: Evidence = Evidence.SHAPE, *, choice: bool = False) -> Tensor:
    """Return the outcome of a comparison with a tensor: a mask, which keeps a share of the positions.

    A margin, a dropout mask and the like are part of a loss, or keep the same share each time: they grow
    with nothing.
    """
    choice = choice or chooses(value)
    summand = Summand(ONE if choice else DENSITY, batch=value.batch, gradient=False)
    made_of = _CHOICE if choice else frozenset()
    return Tensor(
        (summand,),
        value.axes,
        value.batch,
        is_mask=True,
        arithmetic=True,
        made_of=made_of,
        evidence=evidence,
        text=value.text,
    )


def chosen_by_name(names: Names, outcome: Value, *operands: str) -> Value:
    """Return the outcome of a comparison: a mask that chooses, if an operand is called ``threshold`` or the like."""
    if not any(map(names.is_cutoff, operands)):
        return outcome
    if isinstance(outcome, Opaque) and outcome.name == COMPARISON and outcome.usual is None:
        return replace(outcome, name=CHOICE)
    return as_mask(outcome, choice=True) if isinstance(outcome, Tensor) and outcome.is_mask else outcome


def beside_padding(mask: Tensor) -> Tensor:
    """Return a mask that keeps all but the padding of each sample."""
    return replace(mask, made_of=mask.made_of | _PADDING)


def finds_padding(names: Names, op: str, left: Value, right: Value) -> bool:
    """Say whether a comparison tells data from padding: ``x != 0``, ``x.ne(pad)``, ``arange(n) < lengths[:, None]``."""
    if op not in ("==", "!="):
        return any(isinstance(v, Tensor) and POSITIONS in v.made_of for v in (left, right))
    return any(_is_padding(names, value) for value in (left, right))


def _is_padding(names: Names, value: Value) -> bool:
    """Say whether a number stands for padding; labels that are ignored may be all of them."""
    if isinstance(value, Constant):
        return type(value.value) is int and value.value == 0
    if not isinstance(value, Opaque) or names.role(value.name) != "padding_value":
        return False
    return "ignore" not in value.name.lower()


def counts_kept(mask: Tensor) -> bool:
    """Say whether the sum of a value may be 0 because it is a mask, and one that may keep nothing."""
    return mask.is_mask and not mask.made_of & _PADDING


def keep_masked(value: Tensor, mask: Tensor, mark: int, text: str) -> Tensor:
    """Return a tensor with what a mask leaves out set to zero."""
    growth = mask.growth
    if growth is None or growth == ONE:
        return replace(value, arithmetic=True)
    hop = Hop(StepKind.MASK, mark, growth, mask.evidence, text)
    return replace(value, summands=tuple(s.step(hop) for s in value.summands), arithmetic=True, is_mask=False)


def unmasked(value: Tensor) -> Tensor:
    """Return a number for each position that was computed from masks: weights, which keep no share."""
    return replace(value, summands=(Summand(batch=value.batch, gradient=False),), is_mask=False, arithmetic=True)
