"""How tests start workers: with a handler that does as it is told, and mostly without torch, which takes 50 ms."""

from __future__ import annotations

from pathlib import Path

from lint_reduction.verify import lockdown

_HANDLER = str(Path(__file__).with_name("worker_handler.py"))

#: The alarm is no wall, and would ring at a handler that executes what it is given.
WALLS = tuple(layer for layer in lockdown.LAYERS if layer != "audit")

#: Without torch, with all layers.
BARE: dict[str, object] = {"test_handler": _HANDLER, "test_bare": True}
#: Without torch and without the alarm.
UNALARMED = {**BARE, "layers": WALLS}
#: As the verifier starts them, but for the handler.
WITH_TORCH: dict[str, object] = {"test_handler": _HANDLER}
