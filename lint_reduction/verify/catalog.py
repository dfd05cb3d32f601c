"""What is known of the definitions in the files around a finding, without running any of them."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field

from lint_reduction.verify import gate
from lint_reduction.verify.bindings import Names
from lint_reduction.verify.modules import FunctionNode, Module, Modules, Scope
from lint_reduction.verify.relevance import Relevance

#: Packages whose calls are run for what they are given; of others only the result matters, and that is not known.
_RUN = frozenset(
    "torch numpy math functools itertools copy collections typing dataclasses enum einops operator argparse types"
    " contextlib tqdm random statistics".split()
)
#: Bases that make no class something of another library.
_PLAIN = frozenset(
    "object Enum IntEnum StrEnum Flag IntFlag NamedTuple TypedDict ABC Protocol Generic dict list tuple set str int"
    " float Exception SimpleNamespace Iterator Iterable".split()
)
_DEEPEST_LINEAGE = 8


@dataclass(eq=False)
class Catalog:
    """Answers questions about definitions.

    Attributes:
        modules: where to look.
        relevance: which definitions have to do with the loss.
        sites: the loss calls on the path.
    """

    modules: Modules
    relevance: Relevance
    sites: Collection[ast.AST]
    _names: dict[Module, Names] = field(default_factory=dict)

    @property
    def known(self) -> list[Module]:
        """The modules that were asked for so far."""
        return list(self._names)

    def names(self, module: Module) -> Names:
        """Return the names of a module."""
        if module not in self._names:
            self._names[module] = module.about(Names)
            self.relevance.add(module)
        return self._names[module]

    def concerns(self, module: Module, node: ast.AST) -> bool:
        """Say whether a definition has to do with the loss."""
        self.names(module)
        return self.relevance.concerns(module, node)

    def is_model(self, module: Module, home: ast.ClassDef) -> bool:
        """Say whether a class belongs to another library by its base, and has nothing to do with the loss."""
        return self.is_foreign(module, home) and not self.concerns(module, home)

    def is_foreign(self, module: Module, home: ast.ClassDef, depth: int = 0) -> bool:
        """Say whether a class has a base of another library."""
        for base in home.bases:
            inner = base.value if isinstance(base, ast.Subscript) else base
            name = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
            found = self._class(module, ast.unparse(inner)) if depth < _DEEPEST_LINEAGE else None
            if found is None and name not in _PLAIN:
                return True
            if found is not None and self.is_foreign(*found, depth + 1):
                return True
        return False

    def _class(self, module: Module, name: str, depth: int = 0) -> tuple[Module, ast.ClassDef] | None:
        names = self.names(module)
        for statement in names.definers.get((module.tree, name), ()):
            if isinstance(statement, ast.ClassDef):
                return module, statement
        for imported in names.imported.get((module.tree, name.partition(".")[0]), ()):
            if name != imported.name and not name.startswith(imported.name + "."):
                continue
            target = self.modules.follow(module.path, imported.dotted + name[len(imported.name) :])
            if target is not None and target[1] and depth < _DEEPEST_LINEAGE:
                return self._class(*target, depth + 1)
        return None

    def is_boundary(self, module: Module, call: ast.Call) -> bool:
        """Say whether a call is one of another library that is not run, so that it needs no arguments."""
        if call in self.sites:
            return False
        function: ast.expr = call.func
        while isinstance(function, ast.Attribute):
            function = function.value
        if not isinstance(function, ast.Name):
            return False
        names = self.names(module)
        owner = names.owner(module.scope(call), function.id)
        imported = [] if owner is None else names.imported.get((owner, function.id), [])
        roots = {i.dotted.partition(".")[0] for i in imported if self.modules.follow(module.path, i.dotted) is None}
        return bool(roots) and not roots & _RUN


class Runnable:
    """Which statements of a module a worker takes at all."""

    def __init__(self, module: Module) -> None:
        self._known: dict[ast.stmt, bool] = {}

    def is_taken(self, statement: ast.stmt) -> bool:
        """Say whether a worker takes a statement, apart from the statements in it."""
        if statement not in self._known:
            self._known[statement] = _is_runnable(statement)
        return self._known[statement]


def _is_runnable(statement: ast.stmt) -> bool:
    if not isinstance(statement, gate.NODES):
        return False
    try:
        for child in ast.iter_child_nodes(statement):
            if not isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                gate.check(child)
    except gate.RefusedError:
        return False
    return True


def is_generator(module: Module, function: ast.AST) -> bool:
    """Say whether a function yields or awaits."""
    inner = (node for node in ast.walk(function) if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await))
    return any(_home(module, node) is function for node in inner)


def _home(module: Module, node: ast.AST) -> Scope | ast.Lambda | None:
    return next((n for n in module.around(node) if isinstance(n, FunctionNode | ast.Lambda)), None)
