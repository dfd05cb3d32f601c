"""Measure how the gradient of a training step follows the batch size, with the true model and loss.

One batch is made, and its samples are repeated; then the exponents are exact up to rounding. Batch normalization
sees the same statistics at every size, and random numbers (dropout, noise) are repeated with the samples.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar, cast

import torch
from torch import Tensor

from lint_reduction.errors import ProbeError
from lint_reduction.verify.measure import TOLERANCE
from lint_reduction.verify.observe import Observer, Parameters, named
from lint_reduction.verify.repeat import RandomNumbers, Samples
from lint_reduction.verify.report import GrowthReport, growth_of, notes_on

_Batch = TypeVar("_Batch")
#: More of them than there are powers to tell apart.
SIZES = (4, 8, 12, 16, 24, 32)
#: The most parameters that have a line of their own in a report.
_LINES = 12
#: How many coordinates of a gradient are reduced at once.
_CHUNK = 1 << 18

_Vectors = list[list[float]]


def check_growth(
    step: Callable[[_Batch], object],
    make_batch: Callable[[int], _Batch],
    sizes: Sequence[int] = SIZES,
    parameters: Parameters | None = None,
    *,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> GrowthReport:
    """Measure which power of the batch size the gradient of a training step grows with.

    A mean loss has the exponent 0, a sum 1. The step is run on one batch whose samples are repeated, with the same
    random numbers each time. Parameters, buffers, gradients and the state of random number generators are put back.

    Args:
        step: runs the model on a batch and returns the loss, or a mapping with a ``loss``; it may call ``backward()``
            itself, but must not step an optimizer, and what it clips is measured as it is then.
        make_batch: returns a batch of so many samples: tensors, in dictionaries, lists, tuples or dataclasses.
        sizes: batch sizes, multiples of the first; five or more, to tell a mixture from a fractional exponent.
        parameters: a module, or parameters with or without names; those that backward reaches if not given.
        seed: of the random numbers.
        tolerance: how far an exponent may be from a whole number, and the share of a term from nothing.

    Raises:
        ProbeError: the loss is not reduced or has no gradient, the batch cannot be repeated, or the sizes do not do.
    """
    times = _multiples(sizes)
    given = None if parameters is None else named(parameters)
    with _random_state():
        _seed(seed)
        samples = Samples(make_batch, sizes[0], sizes[1])
        with Observer() as observer, RandomNumbers() as numbers:
            for _, tensor in (given or {}).values():
                observer.add_parameter(tensor)
            runs = []
            for repeats in times:
                observer.rewind()
                _seed(seed)
                numbers.start(repeats)
                batch = cast("_Batch", samples.times(repeats))
                observer.run(partial(step, batch))
                runs.append(_gradients(observer.found))
            names = observer.names() | {key: name for key, (name, _) in (given or {}).items() if name}
    reached = any if given else all  # what is not given and not reached each time is made anew in each step
    keys = [key for key in given or observer.found if reached(key in run for run in runs)]
    if not keys:
        raise ProbeError("no gradient reaches the parameters")
    short = {key: _short([run.get(key) for run in runs]) for key in keys}
    return _report(tuple(sizes), short, _labels(keys, names), numbers.repeated, tolerance)


def assert_growth(
    step: Callable[[_Batch], object],
    make_batch: Callable[[int], _Batch],
    samples: float = 0,
    *,
    sizes: Sequence[int] = SIZES,
    parameters: Parameters | None = None,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> GrowthReport:
    """Assert that the gradient of a training step grows with this power of the batch size, in every parameter.

    Args:
        step, make_batch, sizes, parameters, seed, tolerance: as in ``check_growth``.
        samples: the exponent that is wanted: 0 for a mean, 1 for a sum.

    Returns:
        What was measured.

    Raises:
        AssertionError: it grows otherwise; the message is the report.
        ProbeError: it cannot be measured.
    """
    __tracebackhide__ = True
    report = check_growth(step, make_batch, sizes, parameters, seed=seed, tolerance=tolerance)
    if not report.grows_as(samples, tolerance):
        raise AssertionError(f"expected a gradient that grows as samples^{samples:g}\n{report}")
    return report


def _multiples(sizes: Sequence[int]) -> list[int]:
    if len(set(sizes)) < 2 or min(sizes) < 1:
        raise ProbeError(f"at least two different batch sizes are needed, not {list(sizes)}")
    if any(size % sizes[0] for size in sizes) or len(set(sizes)) < len(sizes):
        raise ProbeError(f"batch sizes are different multiples of the first, not {list(sizes)}")
    return [size // sizes[0] for size in sizes]


@contextmanager
def _random_state() -> Iterator[None]:
    """Put the random number generators of Python, numpy and torch back."""
    python, numpy = random.getstate(), sys.modules.get("numpy")
    state = numpy.random.get_state() if numpy else None
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        if numpy:
            numpy.random.set_state(state)


def _seed(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)


def _gradients(parameters: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Return the gradients that there are, on the CPU."""
    found = {key: tensor.grad for key, tensor in parameters.items() if tensor.grad is not None}
    return {key: gradient.detach().to_dense().cpu().clone() for key, gradient in found.items()}


def _short(gradients: Sequence[Tensor | None]) -> _Vectors:
    """Return short vectors with the same norms and products as gradients; one that is missing is zero."""
    like = next(gradient for gradient in gradients if gradient is not None)
    rows = [torch.zeros_like(like) if gradient is None else gradient for gradient in gradients]
    if like.is_complex():
        rows = [torch.view_as_real(row) for row in rows]
    vectors: _Vectors = [[] for _ in rows]
    for chunk in zip(*(row.reshape(-1).split(_CHUNK) for row in rows), strict=True):
        matrix = torch.stack(chunk).double()
        if matrix.shape[1] > len(rows):
            matrix = torch.linalg.qr(matrix.T, mode="r").R.T
        for vector, part in zip(vectors, matrix.tolist(), strict=True):
            vector.extend(part)
    return vectors


def _labels(keys: Sequence[int], names: Mapping[int, str]) -> dict[int, str]:
    """Return what each parameter is called in a report: its name, or that of its part of a model with many."""
    own = {key: names.get(key, f"parameter {index}") for index, key in enumerate(keys)}
    if len(keys) <= _LINES:
        return own
    depth = 1
    while len({name.split(".")[depth - 1] for name in own.values() if name.count(".") >= depth}) == 1:
        depth += 1
    return {key: ".".join(name.split(".")[:depth]) for key, name in own.items()}


def _report(
    sizes: tuple[int, ...], short: Mapping[int, _Vectors], labels: Mapping[int, str], repeated: bool, tolerance: float
) -> GrowthReport:
    parts: dict[str, _Vectors] = {}
    for key, vectors in short.items():
        group = parts.setdefault(labels[key], [[] for _ in sizes])
        for vector, more in zip(group, vectors, strict=True):
            vector.extend(more)
    together = [[value for part in parts.values() for value in part[index]] for index in range(len(sizes))]
    whole = growth_of(sizes, together, tolerance)
    groups = {name: growth_of(sizes, part, tolerance).beside(whole) for name, part in parts.items()}
    notes = notes_on(sizes, whole, groups)
    if not (repeated or whole.polynomial):
        notes.append("random numbers are drawn in the step that cannot be repeated with the samples")
    return GrowthReport(sizes, whole, groups, tuple(notes))
