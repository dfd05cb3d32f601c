"""The plot of a measured curve."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from lint_reduction.curves import draw
from lint_reduction.growth import Count
from lint_reduction.verdict import Curve


def curve(power: float, sizes: tuple[int, ...] = (4, 8, 16, 32)) -> Curve:
    return Curve(Count.SAMPLES, "gradient", sizes, tuple(2.5 * size**power for size in sizes), power)


def test_a_sum_is_the_diagonal() -> None:
    assert draw(curve(1), width=8, height=2) == [
        "×8 ┤    ⣀⠤⠒⠉",
        "×1 ┤⣀⠤⠒⠉",
        "   └────────",
        "    4     32 samples",
    ]


def test_a_mean_is_the_floor() -> None:
    assert draw(curve(0), width=8, height=2)[:2] == ["×8 ┤", "×1 ┤⣀⣀⣀⣀⣀⣀⣀⣀"]


def test_a_loss_divided_twice_falls() -> None:
    lines = draw(curve(-1), width=8, height=2)
    assert lines[0].startswith("×1 ┤⠉")
    assert lines[1].startswith("÷8 ┤")


def test_what_is_steeper_than_a_sum_stays_inside() -> None:
    assert draw(curve(2), width=8, height=3)[0].startswith("×64 ┤")


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw(Curve(Count.SAMPLES, "gradient", (4,), (1.0,), None)) == []
    assert draw(Curve(Count.SAMPLES, "gradient", (4, 8), (0.0, 1.0), None)) == []
    assert draw(Curve(Count.SAMPLES, "gradient", (4, 8), (1.0, math.inf), None)) == []


@given(
    st.lists(st.integers(1, 10_000), min_size=2, max_size=6, unique=True).map(sorted),
    st.lists(st.floats(1e-12, 1e12), min_size=6, max_size=6),
    st.integers(6, 40),
    st.integers(2, 8),
)
def test_every_curve_fits_its_frame(sizes: list[int], norms: list[float], width: int, height: int) -> None:
    lines = draw(Curve(Count.SAMPLES, "gradient", tuple(sizes), tuple(norms[: len(sizes)]), None), width, height)
    assert len(lines) == height + 2
    margin = lines[0].index("┤")
    assert all(len(line) <= margin + 1 + width for line in lines[:-1])
    assert any(0x2800 < ord(c) <= 0x28FF for line in lines for c in line)
