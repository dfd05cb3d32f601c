"""The fixture ``growth`` for pytest; torch is imported when a test asks for it, and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from lint_reduction.verify.report import GrowthReport


@pytest.fixture(scope="session")
def growth() -> Callable[..., GrowthReport]:
    """Measure how the gradient of a training step grows with the batch: ``growth(step, make_batch).exponent``."""
    pytest.importorskip("torch", reason="measuring a gradient needs torch")
    from lint_reduction.verify.probe import check_growth

    return check_growth
