"""An experiment that a worker runs before it is locked, so that nothing is left to be imported behind the lock."""

from __future__ import annotations

import ast

from lint_reduction.verify.experiment import Callee, Experiment, Place, Unit

_SOURCE = """\
import torch
import torch.nn as nn


def train(model, loader):
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.{optimizer}(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(loader):
        loss = criterion(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
"""


def rehearsals() -> list[Experiment]:
    """Return experiments that use what the experiments of a worker may use."""
    return [_experiment(_SOURCE.format(optimizer=name)) for name in ("SGD", "Adam")]


def _experiment(source: str) -> Experiment:
    calls = {ast.unparse(node.func): node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
    place = {name: _place(node) for name, node in calls.items()}
    optimizer = next(place[name] for name in place if name.startswith("torch.optim."))
    return Experiment(
        rule="RED101",
        units=(Unit("rehearsal.py", source),),
        function="train",
        receiver=None,
        calls=(),
        end=place["loss.backward"],
        end_kind="backward",
        end_function="train",
        site=place["nn.MSELoss"],
        sites=(Callee(place["nn.MSELoss"], "torch.nn.MSELoss"),),
        optimizer=optimizer,
        optimizer_function="train",
        dials=("samples", "elements", "micro_batches", "ranks"),
    )


def _place(node: ast.expr) -> Place:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return Place(0, node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
