"""A measured curve drawn for a terminal: both axes logarithmic, so that growth is a slope."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lint_reduction.verdict import Curve

#: Bits of a braille character, by row and column of its dots.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_ROWS, _COLUMNS = 4, 2


def draw(curve: Curve, width: int = 24, height: int = 4) -> list[str]:
    """Return the lines of a small plot, empty if there is nothing to draw.

    Both axes span the same factor unless the curve is steeper than the plot is high: a sum is the diagonal, a mean is
    the floor.

    Args:
        curve: what was measured.
        width, height: of the plot without its labels, in characters.
    """
    if len(curve.sizes) < 2 or any(not math.isfinite(norm) or norm <= 0 for norm in curve.norms):
        return []
    xs = [math.log(size / curve.sizes[0]) for size in curve.sizes]
    ys = [math.log(norm / curve.norms[0]) for norm in curve.norms]
    if xs[-1] <= 0:
        return []
    low = min(0.0, *ys)
    high = max(low + xs[-1], *ys)
    if low < 0 <= max(ys) < 1e-6:
        low, high = min(low, -xs[-1]), 0.0
    grid = [[0] * width for _ in range(height)]
    for x, y in _points(xs, ys, width * _COLUMNS):
        column = round(x / xs[-1] * (width * _COLUMNS - 1))
        row = round((high - y) / (high - low) * (height * _ROWS - 1))
        grid[row // _ROWS][column // _COLUMNS] |= _DOTS[row % _ROWS][column % _COLUMNS]
    return _framed(grid, _factor(high), _factor(low), curve)


def _points(xs: Sequence[float], ys: Sequence[float], count: int) -> list[tuple[float, float]]:
    """Return points on the straight lines between the measured ones."""
    points = []
    for index in range(count):
        x = xs[-1] * index / (count - 1)
        after = next(i for i in range(1, len(xs)) if x <= xs[i] + 1e-12)
        share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
        points.append((x, ys[after - 1] + share * (ys[after] - ys[after - 1])))
    return points


def _factor(logarithm: float) -> str:
    factor = math.exp(logarithm)
    return f"×{factor:.3g}" if factor >= 1 else f"÷{1 / factor:.3g}"


def _framed(grid: Sequence[Sequence[int]], high: str, low: str, curve: Curve) -> list[str]:
    margin = max(len(high), len(low))
    lines = []
    for index, row in enumerate(grid):
        label = high if index == 0 else low if index == len(grid) - 1 else ""
        dots = "".join(chr(0x2800 + bits) if bits else " " for bits in row)
        lines.append(f"{label:>{margin}} ┤{dots}".rstrip())
    first, last = str(curve.sizes[0]), str(curve.sizes[-1])
    width = len(grid[0])
    lines.append(f"{'':{margin}} └{'─' * width}")
    lines.append(f"{'':{margin}}  {first}{last:>{width - len(first)}} {curve.count.value}")
    return lines
