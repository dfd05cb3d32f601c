"""Find PyTorch losses whose reduction makes the gradient depend on the batch."""

from __future__ import annotations

__version__ = "0.1.0"
