"""Changes of a program by its syntax tree: what comes of it is Python again, most often."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random

from tests.fuzz.text import ANCHORS

_WRAPPERS = (
    "f(E)", "E + E", "E * E", "E / E", "-E", "[E][0]", "E.mean()", "E.sum()", "(E if x else E)", "(lambda: E)()",
    "(w := E)", "E.item()", "E.detach()", "[E for x in E]", "sum(E for x in E)", "E[0]", "f'{E}'", "E.backward()",
    "(E, E)",
    "{'a': E}['a']", "dict(a=E)", "E @ E", "E ** 2", "len(E)", "E.size(0)", "E.view(-1)", "E.mean(dim=0)", "(yield E)",
    "max(E, 1)", "E or E", "not E", "E < E < E", "torch.stack([E, E])", "list(zip(E, E))", "E.to(E)",
    "F.mse_loss(E, E)", "nn.MSELoss(reduction=E)(E, E)", "getattr(E, 'sum')()", "functools.partial(E, E)", "super().E",
    "E(*E, **E)",
)  # fmt: skip
_STATEMENTS = (
    "if x:\n    S", "if x:\n    S\nelse:\n    S", "for i in range(3):\n    S", "while x:\n    S",
    "try:\n    S\nfinally:\n    S",
    "try:\n    S\nexcept E as e:\n    S", "with torch.no_grad():\n    S", "def g(x, y=1, *a, **k):\n    S",
    "class A(B):\n    S",
    "async def g():\n    S",
    "match x:\n    case [a, *b]:\n        S\n    case A(b=c):\n        S\n    case _:\n        S",
    "def g():\n    nonlocal x\n    S", "lambda: 0\nS", "del x\nS", "global x\nS", "for x in y:\n    S\nelse:\n    S",
    "return S",
    "if (i + 1) % 4 == 0:\n    S", "with autocast():\n    S", "x = 1\nS", "from torch import *\nS", "S\nbreak",
    "S\nreturn x",
    "for epoch in range(9):\n    for x, y in loader:\n        S",
)  # fmt: skip
_CONSTANTS = (
    "sum", "mean", "none", "batchmean", "", "x" * 300, 0, 1, -1, 2, 32, 2**70, 10**300, 1e308, 1e-320, float("inf"),
    None, True, False, ..., b"sum", 1j, "\ud800", "é",
)  # fmt: skip
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.LShift, ast.BitOr)
_Slot = tuple[ast.AST, str, "int | None", ast.AST]


def changed(text: str, random: Random, others: Sequence[str]) -> str:
    """Change the tree of a program once or more; a text that is no program stays as it is."""
    tree = _parsed(text)
    if tree is None:
        return text
    for _ in range(random.choice((1, 1, 2, 4))):
        random.choice(_CHANGES)(tree, random, others)
    try:
        return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    except (ValueError, TypeError, AttributeError, RecursionError):
        # a node where none of its kind can be written
        return text


def _parsed(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _slots(tree: ast.AST, kind: type[ast.AST]) -> Iterator[_Slot]:
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if isinstance(value, kind):
                yield node, name, None, value
            elif isinstance(value, list):
                yield from ((node, name, at, item) for at, item in enumerate(value) if isinstance(item, kind))


def _put(slot: _Slot, new: ast.AST) -> None:
    node, name, at, _ = slot
    if at is None:
        setattr(node, name, new)
    else:
        getattr(node, name)[at] = new


def _expression(tree: ast.AST, random: Random) -> _Slot | None:
    found = [
        slot for slot in _slots(tree, ast.expr) if not isinstance(getattr(slot[3], "ctx", None), (ast.Store, ast.Del))
    ]
    return random.choice(found) if found else None


def _exchanged(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    other = _parsed(random.choice(others)) if random.random() < 0.6 else tree
    slot, new = _expression(tree, random), _expression(other or tree, random)
    if slot and new:
        _put(slot, deepcopy(new[3]))


class _Filled(ast.NodeTransformer):
    """Puts an expression, or a statement, where a template has a place for it."""

    def __init__(self, what: ast.AST) -> None:
        self.what = what

    def visit_Name(self, node: ast.Name) -> ast.AST:
        fits = node.id == "E" and isinstance(self.what, ast.expr)
        return deepcopy(self.what) if fits else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "S" and isinstance(self.what, ast.stmt):
            return deepcopy(self.what)
        return self.generic_visit(node)


def _wrapped(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    del others
    slot = _expression(tree, random)
    if slot:
        template = ast.parse(random.choice(_WRAPPERS), mode="eval")
        _put(slot, _Filled(slot[3]).visit(template).body)


def _statement(tree: ast.AST, random: Random) -> tuple[list[ast.stmt], int] | None:
    found = [(getattr(node, name), at) for node, name, at, _ in _slots(tree, ast.stmt) if at is not None]
    return random.choice(found) if found else None


def _below(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    del others
    place = _statement(tree, random)
    if place:
        body, at = place
        until = at + random.choice((1, 1, 2, 3))
        filled = [_Filled(statement) for statement in body[at:until]]
        template = random.choice(_STATEMENTS)
        body[at:until] = [new for fill in filled for new in fill.visit(ast.parse(template)).body]


def _rearranged(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    place = _statement(tree, random)
    other = _statement((_parsed(random.choice(others)) or tree) if random.random() < 0.4 else tree, random)
    if place is None or other is None:
        return
    (body, at), (far, there) = place, other
    match random.randrange(4):
        case 0:
            body[at : at + 1] = [] if len(body) > 1 else [ast.Pass()]
        case 1:
            body.insert(at, deepcopy(far[there]))
        case 2:
            body[at], far[there] = deepcopy(far[there]), deepcopy(body[at])
        case _:
            body[at:at] = deepcopy(body[at : at + 3])


def _renamed(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    del others
    names = [node for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute, ast.arg, ast.FunctionDef))]
    if not names:
        return
    node, new = random.choice(names), random.choice(ANCHORS)
    field = {ast.Name: "id", ast.Attribute: "attr", ast.arg: "arg"}.get(type(node), "name")
    old = getattr(node, field)
    for same in names if random.random() < 0.5 else [node]:
        if hasattr(same, field) and getattr(same, field) == old:
            setattr(same, field, new)


def _arguments(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    del others
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if not calls:
        return
    call = random.choice(calls)
    name = random.choice(
        ("reduction", "reduction", "size_average", "reduce", "weight", "ignore_index", None, *ANCHORS[:4])
    )
    value = ast.Constant(random.choice(_CONSTANTS[:5] + _CONSTANTS[13:]))
    match random.randrange(5):
        case 0 if call.args:
            del call.args[random.randrange(len(call.args))]
        case 1 if call.keywords:
            del call.keywords[random.randrange(len(call.keywords))]
        case 2:
            random.shuffle(call.args)
        case 3:
            call.args.insert(random.randrange(len(call.args) + 1), value)
        case _:
            call.keywords.append(ast.keyword(name, value))


def _constants(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    del others
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    if constants:
        random.choice(constants).value = random.choice(_CONSTANTS)


def _operators(tree: ast.Module, random: Random, others: Sequence[str]) -> None:
    del others
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.BinOp, ast.AugAssign))]
    if found:
        random.choice(found).op = random.choice(_OPERATORS)()


_CHANGES: tuple[Callable[[ast.Module, Random, Sequence[str]], None], ...] = (
    _exchanged, _exchanged, _wrapped, _wrapped, _below, _rearranged, _rearranged, _renamed, _arguments, _constants,
    _operators,
)  # fmt: skip
