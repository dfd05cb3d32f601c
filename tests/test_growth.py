"""The laws of the algebra of growths, by hypothesis, and what is no growth."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lint_reduction.growth import DENSITY, ELEMENTS, ONE, SAMPLES, Count, Growth

COUNTS = st.sampled_from(Count)
POWERS = st.fractions(min_value=-4, max_value=4, max_denominator=6)
PAIRS = st.lists(st.tuples(COUNTS, POWERS), max_size=6)
GROWTHS = PAIRS.map(Growth.from_powers)
#: Small enough that no power of them leaves the range of a float.
SIZES = st.dictionaries(COUNTS, st.floats(min_value=0.25, max_value=8.0), max_size=len(Count))


@given(GROWTHS, GROWTHS)
def test_multiplication_is_commutative(a: Growth, b: Growth) -> None:
    assert a * b == b * a
    assert hash(a * b) == hash(b * a)


@given(GROWTHS, GROWTHS, GROWTHS)
def test_multiplication_is_associative(a: Growth, b: Growth, c: Growth) -> None:
    assert (a * b) * c == a * (b * c)


@given(GROWTHS)
def test_one_is_neutral_and_every_growth_has_an_inverse(a: Growth) -> None:
    assert a * ONE == ONE * a == a / ONE == a
    assert a / a == a * a**-1 == ONE
    assert ONE / a == a**-1


@given(GROWTHS, GROWTHS)
def test_division_undoes_multiplication(a: Growth, b: Growth) -> None:
    assert a * b / b == a


@given(GROWTHS, GROWTHS, POWERS, POWERS)
def test_powers(a: Growth, b: Growth, p: Fraction, q: Fraction) -> None:
    assert a**p * a**q == a ** (p + q)
    assert (a**p) ** q == a ** (p * q)
    assert (a * b) ** p == a**p * b**p
    assert a**0 == ONE
    assert a**1 == a


@given(GROWTHS, st.integers(min_value=0, max_value=5))
def test_a_whole_power_is_a_product(a: Growth, n: int) -> None:
    product = ONE
    for _ in range(n):
        product *= a
    assert a**n == product


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_factors_does_not_matter(pairs: list[tuple[Count, Fraction]], random: object) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Growth.from_powers(shuffled) == Growth.from_powers(pairs)


@given(GROWTHS)
def test_counts_stand_once_in_the_order_of_their_class_and_never_to_the_power_zero(a: Growth) -> None:
    counts = [count for count, _ in a.powers]
    assert counts == [count for count in Count if count in counts]
    assert all(power != 0 for _, power in a.powers)


@given(GROWTHS)
def test_what_is_printed_is_read_back(a: Growth) -> None:
    assert Growth.parse(str(a)) == a
    assert str(Growth.parse(str(a))) == str(a)


@given(GROWTHS, COUNTS)
def test_exponent_and_without(a: Growth, count: Count) -> None:
    assert a.exponent(count) == dict(a.powers).get(count, 0)
    assert a.without([count]).exponent(count) == 0
    assert a.without([count]) * Growth.from_powers([(count, a.exponent(count))]) == a


@given(GROWTHS, GROWTHS, SIZES)
def test_evaluation_is_a_homomorphism(a: Growth, b: Growth, sizes: dict[Count, float]) -> None:
    assert math.isclose((a * b).evaluate(sizes), a.evaluate(sizes) * b.evaluate(sizes), rel_tol=1e-9)
    assert math.isclose((a / b).evaluate(sizes), a.evaluate(sizes) / b.evaluate(sizes), rel_tol=1e-9)
    assert ONE.evaluate(sizes) == 1.0


@given(GROWTHS, POWERS, SIZES)
def test_evaluation_of_a_power(a: Growth, power: Fraction, sizes: dict[Count, float]) -> None:
    assert math.isclose((a**power).evaluate(sizes), a.evaluate(sizes) ** float(power), rel_tol=1e-9)


@given(GROWTHS, GROWTHS, POWERS)
def test_the_exponent_in_samples_is_additive(a: Growth, b: Growth, power: Fraction) -> None:
    assert (a * b).in_samples == a.in_samples + b.in_samples
    assert (a / b).in_samples == a.in_samples - b.in_samples
    assert (a**power).in_samples == a.in_samples * power


@given(GROWTHS, SIZES)
def test_repeating_every_sample_multiplies_by_two_to_the_exponent_in_samples(
    a: Growth, sizes: dict[Count, float]
) -> None:
    repeated = dict(sizes)
    for count in (Count.SAMPLES, Count.VALID, Count.WEIGHTS):
        repeated[count] = 2 * sizes.get(count, 1.0)
    assert math.isclose(a.evaluate(repeated), a.evaluate(sizes) * 2 ** float(a.in_samples), rel_tol=1e-9)


def test_a_count_that_is_not_given_is_one() -> None:
    assert SAMPLES.evaluate({}) == 1.0
    assert (SAMPLES * ELEMENTS).evaluate({Count.SAMPLES: 32}) == 32.0


@pytest.mark.parametrize(
    ("growth", "text"),
    [
        (ONE, "1"),
        (SAMPLES, "samples"),
        (SAMPLES * ELEMENTS, "samples * elements"),
        (ELEMENTS**-1, "elements^-1"),
        (SAMPLES ** Fraction(1, 2), "samples^1/2"),
        (DENSITY, "samples^-1 * elements^-1 * valid"),
        (Growth.of(Count.SAMPLES, Count.SAMPLES), "samples^2"),
        (Growth.of(Count.MICRO_BATCHES), "micro_batches"),
    ],
)
def test_how_growths_are_printed(growth: Growth, text: str) -> None:
    assert str(growth) == text
    assert Growth.parse(text) == growth


@pytest.mark.parametrize(
    ("text", "growth"),
    [
        ("samples*elements", SAMPLES * ELEMENTS),
        ("  samples  *  samples^-1 ", ONE),
        ("1 * samples * 1", SAMPLES),
        ("1^3", ONE),
        ("samples^2/4", SAMPLES ** Fraction(1, 2)),
        ("elements * samples", SAMPLES * ELEMENTS),
    ],
)
def test_how_growths_may_be_written(text: str, growth: Growth) -> None:
    assert Growth.parse(text) == growth


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "*",
        "samples *",
        "* samples",
        "samples ** 2",
        "samples elements",
        "samples / elements",
        "sample",
        "Samples",
        "2",
        "2 * samples",
        "samples^",
        "samples^x",
        "samples^1.5",
        "samples^--1",
        "samples^1/0",
        "samples^1/-2",
        "samples ^ 2",
        "1 1",
    ],
)
def test_what_is_no_growth_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a (growth|count|power): "):
        Growth.parse(text)


@given(st.text(alphabet="samples*^-/1 0elnt_", max_size=20))
def test_reading_never_fails_in_another_way(text: str) -> None:
    try:
        growth = Growth.parse(text)
    except ValueError:
        return
    assert Growth.parse(str(growth)) == growth
