"""Parameters called ``reduction`` of functions and classes that do not do what they promise."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lint_reduction.analysis.outline import Definition, Outline
from lint_reduction.analysis.values import SCALAR
from lint_reduction.facts import StepKind

if TYPE_CHECKING:
    from lint_reduction.analysis.machine import Machine
    from lint_reduction.analysis.training import SiteRecord
    from lint_reduction.analysis.values import Tensor

REDUCTION = "reduction"
#: What reads every parameter or attribute without naming it.
_READS_ALL = frozenset({"locals", "vars", "__dict__", "getattr", "asdict", "save_hyperparameters"})
#: Base classes that never look at the reduction of what is derived from them.
_PLAIN_BASES = frozenset({"Module", "object", "ABC", "_Loss", "_WeightedLoss", "Generic"})


def ignored_reductions(outline: Outline, harmless: frozenset[str]) -> frozenset[str]:
    """Return the qualified names of the functions and classes that take a reduction which nothing in them reads.

    Args:
        outline: of the module.
        harmless: decorators that leave alone what a function is given and what it returns.
    """
    takers = [d for d in outline.definitions if REDUCTION in d.own and _takes(d.node)]
    if not takers:
        return frozenset()
    classes = [d for d in outline.definitions if d.is_class]
    return frozenset(name for taker in takers for name in _ignoring(taker, classes, harmless))


def _takes(node: ast.AST) -> bool:
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    given = node.args
    return any(arg.arg == REDUCTION for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def _ignoring(taker: Definition, classes: list[Definition], harmless: frozenset[str]) -> Iterator[str]:
    assert isinstance(taker.node, (ast.FunctionDef, ast.AsyncFunctionDef))
    if any(_last_name(decorator) not in harmless for decorator in taker.node.decorator_list):
        return
    stored = set(_stored(taker.node))
    if _reads(taker.node.body, {REDUCTION}, stored):
        return
    home = taker.parent
    if taker.name != "__init__" or home is None or not home.is_class:
        if not stored:
            yield taker.qualname
        return
    family = _family(home, classes)
    if family is not None and not any(_reads(member.body, set(), stored | {REDUCTION}) for member in family):
        yield home.qualname


def _stored(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the attributes that a constructor only keeps the reduction in."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == REDUCTION:
            yield from (target.attr for target in node.targets if isinstance(target, ast.Attribute))


def _reads(body: list[ast.stmt], names: set[str], attributes: set[str]) -> bool:
    """Say whether statements read a variable or an attribute other than to keep it."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        match node:
            case ast.Assign(targets, ast.Name(name)) if name in names and all(_is_kept(t, attributes) for t in targets):
                continue
            case ast.Name(name, ctx) if name in _READS_ALL or (name in names and not isinstance(ctx, ast.Store)):
                return True
            case ast.Attribute(_, name, ctx) if name in _READS_ALL:
                return True
            case ast.Attribute(_, name, ctx) if name in attributes and not isinstance(ctx, ast.Store):
                return True
        stack.extend(ast.iter_child_nodes(node))
    return False


def _is_kept(target: ast.expr, attributes: set[str]) -> bool:
    return isinstance(target, ast.Attribute) and target.attr in attributes


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _family(home: Definition, classes: list[Definition]) -> list[ast.ClassDef] | None:
    """Return a class with those of the module that it is derived from and that are derived from it.

    None if it is derived from a class of another module that may read the reduction.
    """
    by_name = {c.name: c.node for c in classes if isinstance(c.node, ast.ClassDef)}
    assert isinstance(home.node, ast.ClassDef)
    family = [home.node]
    for member in family:
        for base in map(_last_name, member.bases):
            if base in by_name and by_name[base] not in family:
                family.append(by_name[base])
            elif base not in by_name and base not in _PLAIN_BASES:
                return None
    names = {home.name}
    for node in by_name.values():
        if names & set(map(_last_name, node.bases)):
            names.add(node.name)
            family.append(node)
    return family


def mark_ignored(sites: Iterable[SiteRecord], ignored: frozenset[str]) -> None:
    """Note on the first loss call of each function and class that ignores a reduction that it does."""
    seen: set[str] = set()
    for record in sorted(sites, key=lambda record: record.mark) if ignored else ():
        scope = record.function
        while scope and scope not in ignored:
            scope = scope.rpartition(".")[0]
        if scope and scope not in seen:
            seen.add(scope)
            record.ignored_parameter = REDUCTION


def note_second_reduction(machine: Machine, name: str, tensor: Tensor) -> None:
    """Note a loss call whose result is one number before the option that should decide that is asked."""
    if tensor.axes != SCALAR or name not in ("mean", "sum"):
        return
    wanted = f"{REDUCTION} == {name!r}"
    if not any(holds and test.endswith(wanted) for test, holds in machine.state.path.items()):
        return
    for summand in tensor.summands:
        if summand.site is not None and len(summand.hops) == 1 and summand.hops[0].kind is StepKind.SITE:
            machine.sites[summand.site.index].ignored_parameter = REDUCTION
