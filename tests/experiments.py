"""Experiments made of whole small programs, as the slicer makes them of findings."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lint_reduction.verify.experiment import Experiment, Place, Unit
from lint_reduction.verify.losses import BY_CLASS, BY_FUNCTION
from lint_reduction.verify.values import place_of

_REDUCTIONS = {"sum", "mean", "kl_divergence"}


DIALS = ("samples", "elements", "valid", "classes", "micro_batches", "ranks")


def experiment(
    source: str,
    function: str = "train",
    *,
    end: str = "backward",
    rule: str = "RED101",
    dials: tuple[str, ...] = ("samples",),
    site: str = "",
) -> Experiment:
    """Return the experiment of a program: from a function, to the call of backward or the return in it.

    The site is the first call of a loss in the source, or the first reduction by hand, unless its text is
    given.
    """
    tree = ast.parse(source)
    names = dict(_definitions(tree))
    node = names.get(function)
    owner = function.rpartition(".")[0]
    stop = _end(node if node is not None else tree, end) or _end(tree, end)
    assert stop is not None
    found = next((c for c in _calls(tree) if site and ast.unparse(c) == site), None) or _site(tree)
    return Experiment(
        rule=rule,
        units=(Unit("program.py", source),),
        function=function,
        receiver=(0, owner) if owner and isinstance(names.get(owner), ast.ClassDef) else None,
        calls=(),
        end=place_of(0, stop),
        end_kind=end,
        end_function=_holder(names, stop),
        site=place_of(0, found) if found is not None else Place(0, 1, 0, 1, 0),
        optimizer=next((place_of(0, call) for call in _calls(tree) if "optim" in ast.unparse(call.func)), None),
        dials=dials,
    )


def _definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name, node
            yield from _definitions(node, f"{prefix}{node.name}.")
        else:
            yield from _definitions(node, prefix)


def _holder(names: dict[str, ast.AST], stop: ast.AST) -> str:
    holders = [name for name, node in names.items() if any(inner is stop for inner in ast.walk(node))]
    return max(holders, key=len, default="")


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _end(tree: ast.AST, kind: str) -> ast.expr | ast.stmt | None:
    if kind == "return":
        return next((node for node in ast.walk(tree) if isinstance(node, ast.Return)), None)
    return next((call for call in _calls(tree) if _called(call) in ("backward", "manual_backward")), None)


def _site(tree: ast.AST) -> ast.expr | None:
    losses = [call for call in _calls(tree) if _called(call) in {*BY_CLASS, *BY_FUNCTION}]
    return next(iter(losses), next((call for call in _calls(tree) if _called(call) in _REDUCTIONS), None))
