"""A positional argument lands in a parameter that it is not meant for.

## What goes wrong

The first parameters of most losses are not the ones people think of. `nn.MSELoss("sum")` sets
`size_average`, and is a mean; `nn.CrossEntropyLoss(None, 0)` sets `size_average=0`, and is a sum that
ignores nothing; `nn.SmoothL1Loss(0.5)` leaves `beta` at 1.0; `nn.CTCLoss("sum")` sets `blank`. Nothing is
raised, and torch prints at most that some arguments are deprecated.

## How to fix it

Name the argument: `nn.CrossEntropyLoss(ignore_index=0)`, `nn.MSELoss(reduction="sum")`.

## When it is fine

For `None`; for a variable that is called like the parameter it lands in (then see RED301).

## Fix safety

Safe: what a deprecated flag does is written as the equal `reduction`, which makes it visible and keeps it.
Whether it was meant is for you to say, so look at each. No fix for a value in any other parameter.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
- pytorch/pytorch#74411
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Argument, LossSite
from lint_reduction.finding import Confidence, Finding, Fix, flag_fix
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED302", over=LossSite, severity=Severity.ERROR)
def legacy_positional(site: LossSite) -> Iterator[Finding]:
    """Report each positional literal in a deprecated parameter, or of a type that its parameter cannot take."""
    for argument in site.arguments:
        if argument.keyword or argument.literal is None:
            continue
        if _is_misplaced(site, argument):
            effect = f"; the reduction is {site.reduction}" if site.reduction else ""
            yield Finding(
                site.span,
                f"{argument.literal} is bound to {argument.parameter}{effect}",
                Severity.ERROR,
                Confidence.HIGH,
                "Give the argument by name.",
                fix=_fix(site),
            )


def _fix(site: LossSite) -> Fix | None:
    """Return the fix that keeps what the call does, None if something besides a flag is misplaced."""
    misplaced = [a for a in site.arguments if not a.keyword and a.literal is not None and _is_misplaced(site, a)]
    return flag_fix(site) if all(argument.parameter in site.legacy for argument in misplaced) else None


def _is_misplaced(site: LossSite, argument: Argument) -> bool:
    assert argument.literal is not None
    value = argument.literal.value
    if argument.parameter in site.legacy:
        return value is not None
    if argument.parameter == "reduction":
        return value is not None and not isinstance(value, str)
    return isinstance(value, str) and argument.parameter in _NEVER_TEXT


_NEVER_TEXT = frozenset(
    """
    weight pos_weight blank margin p beta delta ignore_index label_smoothing log_input full eps swap log_target
    zero_infinity input target input1 input2 anchor positive negative log_probs targets input_lengths target_lengths
    """.split()
)
