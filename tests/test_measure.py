"""Exponents and Laurent fits: polynomials with known coefficients are found again, and nothing else is called one."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lint_reduction.verify.measure import POWERS, ROUNDING, Kind, Laurent, classify, exponent, laurent

SIZES = (1, 2, 3, 4, 6, 8)
SIZE_LISTS = st.lists(st.integers(1, 512), min_size=5, max_size=8, unique=True)
VALUES = st.floats(-1e3, 1e3).filter(lambda value: abs(value) > 1e-3)
VECTORS = st.lists(VALUES, min_size=1, max_size=4)
PURE = {-1: Kind.DIVIDED_TWICE, 0: Kind.MEAN, 1: Kind.SUM, 2: Kind.SQUARED}


def polynomial(sizes: tuple[int, ...] | list[int], terms: dict[int, list[float]]) -> list[list[float]]:
    """Return what a sum of powers with coefficients is at some sizes, in each coordinate."""
    columns = [dict(zip(terms, column, strict=True)) for column in zip(*terms.values(), strict=True)]
    return [[math.fsum(c * size**power for power, c in column.items()) for column in columns] for size in sizes]


def norms(gradients: list[list[float]]) -> list[float]:
    return [math.hypot(*gradient) for gradient in gradients]


@given(SIZE_LISTS, st.floats(-3, 3), st.floats(1e-6, 1e6))
def test_the_exponent_of_a_power_is_found(sizes: list[int], power: float, factor: float) -> None:
    measured = exponent(sizes, [factor * size**power for size in sizes])
    assert measured == pytest.approx(power, abs=1e-9)


@given(SIZE_LISTS, st.lists(st.floats(1e-6, 1e6), min_size=8, max_size=8), st.floats(1e-6, 1e6), st.integers(1, 100))
def test_an_exponent_has_no_unit(sizes: list[int], values: list[float], factor: float, repeats: int) -> None:
    values = values[: len(sizes)]
    expected = pytest.approx(exponent(sizes, values), abs=1e-8)
    assert exponent(sizes, [factor * value for value in values]) == expected
    assert exponent([repeats * size for size in sizes], values) == expected


@given(SIZE_LISTS, st.lists(st.floats(1e-6, 1e6), min_size=8, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_sizes_does_not_matter(sizes: list[int], values: list[float], random: object) -> None:
    pairs = list(zip(sizes, values, strict=False))
    gradients = [[value, -value * size] for size, value in pairs]
    before = exponent(sizes, [value for _, value in pairs]), laurent(sizes, gradients)
    order = list(range(len(pairs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    sizes = [sizes[i] for i in order]
    assert exponent(sizes, [pairs[i][1] for i in order]) == pytest.approx(before[0], abs=1e-9)
    after = laurent(sizes, [gradients[i] for i in order])
    assert after.shares == pytest.approx(before[1].shares, abs=1e-6)
    assert after.residual == pytest.approx(before[1].residual, abs=1e-9)


@pytest.mark.parametrize("norm", [0.0, math.inf, math.nan, -1.0])
def test_without_a_finite_positive_norm_there_is_no_exponent(norm: float) -> None:
    assert exponent((1, 2, 4), (1.0, norm, 1.0)) is None
    assert classify(None).kind is Kind.UNDEFINED
    assert classify(math.nan).kind is Kind.UNDEFINED


@given(st.fixed_dictionaries({power: st.lists(VALUES, min_size=3, max_size=3) for power in POWERS}))
def test_the_coefficients_of_a_polynomial_are_found(terms: dict[int, list[float]]) -> None:
    fit = laurent(SIZES, polynomial(SIZES, terms))
    sizes_of_terms = {power: math.hypot(*terms[power]) * 8.0**power for power in POWERS}
    total = sum(sizes_of_terms.values())
    assert fit.shares == pytest.approx({power: size / total for power, size in sizes_of_terms.items()}, abs=1e-9)
    assert fit.residual < 1e-12
    assert fit.exact


@given(SIZE_LISTS, st.sampled_from(POWERS), VECTORS)
def test_a_pure_power_is_named(sizes: list[int], power: int, vector: list[float]) -> None:
    assume(max(sizes) >= 2 * min(sizes))
    gradients = polynomial(sizes, {power: vector})
    found = classify(exponent(sizes, norms(gradients)), laurent(sizes, gradients))
    assert (found.kind, found.powers) == (PURE[power], (power,))
    assert found.kind.power == power
    assert found.exponent == pytest.approx(power, abs=1e-6)


@given(VECTORS, st.floats(-1e150, 1e150).filter(lambda factor: abs(factor) > 1e-150))
def test_shares_and_residual_have_no_unit(vector: list[float], factor: float) -> None:
    gradients = polynomial(SIZES, {0: vector, 1: vector[::-1]})
    fit = laurent(SIZES, gradients)
    scaled = laurent(SIZES, [[factor * value for value in gradient] for gradient in gradients])
    repeated = laurent([4 * size for size in SIZES], gradients)
    for other in (scaled, repeated):
        assert other.shares == pytest.approx(fit.shares, abs=1e-9)
        assert other.exact


@given(VECTORS, st.randoms(use_true_random=False))
def test_the_order_of_coordinates_does_not_matter(vector: list[float], random: object) -> None:
    gradients = polynomial(SIZES, {-1: vector, 1: vector[::-1]})
    order = list(range(len(vector)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = laurent(SIZES, [[gradient[i] for i in order] for gradient in gradients])
    assert shuffled.shares == pytest.approx(laurent(SIZES, gradients).shares, abs=1e-12)


@given(st.floats(-4, 4).filter(lambda power: min(abs(power - whole) for whole in POWERS) > 0.05))
def test_what_is_no_polynomial_leaves_a_residual(power: float) -> None:
    gradients = [[size**power] for size in SIZES]
    assert not laurent(SIZES, gradients).exact
    assert classify(exponent(SIZES, norms(gradients)), laurent(SIZES, gradients)).powers == ()


@given(VECTORS, st.lists(st.floats(-1, 1), min_size=24, max_size=24))
def test_rounding_in_float32_is_no_residual(vector: list[float], noise: list[float]) -> None:
    gradients = polynomial(SIZES, {0: vector})
    noisy = [[v * (1 + 2**-23 * noise.pop()) for v in gradient] for gradient in gradients]
    found = classify(exponent(SIZES, norms(noisy)), laurent(SIZES, noisy))
    assert found.kind is Kind.MEAN


def test_a_mixture_has_the_name_of_its_terms_and_not_of_its_exponent() -> None:
    gradients = [[1.0 + 0.2 * size] for size in SIZES]
    alpha = exponent(SIZES, norms(gradients))
    found = classify(alpha, laurent(SIZES, gradients))
    assert (found.kind, found.powers, str(found)) == (Kind.MIXED, (0, 1), "mean + sum")
    assert found.kind.power is None
    assert found.exponent == alpha
    assert str(classify(alpha)) == "other"


def test_terms_that_are_orthogonal_are_seen_together() -> None:
    gradients = [[1.0, 0.0, 0.5 / size] for size in SIZES]
    assert classify(0.0, laurent(SIZES, gradients)).powers == (-1, 0)


@pytest.mark.parametrize(
    ("power", "kind"), [(0.5, Kind.ROOT), (0.25, Kind.OTHER), (-0.5, Kind.OTHER), (-2, Kind.OTHER)]
)
def test_what_is_no_polynomial_is_named_by_its_exponent(power: float, kind: Kind) -> None:
    gradients = [[float(size) ** power] for size in SIZES]
    found = classify(exponent(SIZES, norms(gradients)), laurent(SIZES, gradients))
    assert found.kind is kind
    assert found.kind.power in (Fraction(1, 2), None)


def test_the_tolerance_is_that_of_exponents_and_of_shares() -> None:
    assert classify(0.04).kind is Kind.OTHER
    assert classify(0.04, tolerance=0.05).kind is Kind.MEAN
    fit = Laurent({-1: 0.0, 0: 0.97, 1: 0.03, 2: 0.0}, 0.0)
    assert classify(0.02, fit).kind is Kind.MIXED
    assert classify(0.02, fit, tolerance=0.05).kind is Kind.MEAN
    assert not Laurent({}, 2 * ROUNDING).exact


def test_no_gradient_and_a_broken_one() -> None:
    zero = laurent(SIZES, [[0.0, 0.0]] * 6)
    assert (zero.residual, set(zero.shares.values())) == (0.0, {0.0})
    assert laurent(SIZES, [[]] * 6) == zero
    for value in (math.inf, math.nan):
        assert laurent(SIZES, [[1.0]] * 5 + [[value]]).residual == math.inf
        assert not laurent(SIZES, [[1.0]] * 5 + [[value]]).exact


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ((1, 2), "2 batch sizes, but 6 measurements"),
        ((1, 2, 3, 4, 6, 0), "positive"),
        ((1, 2, 3, 4, 4, 4), "at least 5 different batch sizes"),
    ],
)
def test_sizes_that_tell_nothing_are_refused(sizes: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        laurent(sizes, [[1.0]] * 6)


def test_one_size_has_no_exponent() -> None:
    with pytest.raises(ValueError, match="at least 2 different"):
        exponent((4, 4), (1.0, 1.0))


def test_measuring_needs_no_torch() -> None:
    code = "import sys, lint_reduction.verify.measure; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
