"""Which statements of the files around a finding are needed to run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from lint_reduction.facts import StepKind
from lint_reduction.verify.branches import Sides, is_off
from lint_reduction.verify.effects import is_effect, is_step, stepping_functions
from lint_reduction.verify.modules import At, FunctionNode, Loop, Module, Modules, Scope, begin, end
from lint_reduction.verify.names import Imported, Names
from lint_reduction.verify.relevance import Relevance
from lint_reduction.verify.route import RouteNodes, Spot
from lint_reduction.verify.uses import Uses, evaluated

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
#: Methods that run without being named where an object is built or used.
_UNNAMED = frozenset({"__init__", "__post_init__", "__len__"})
_CALLED = frozenset({"forward", "__call__"})
_ITERATING = frozenset({"__iter__", "__next__", "__getitem__", "__enter__"})


@dataclass(eq=False)
class _Stretch:
    """What of a function on the route is run: up to its point, and on to the step of the optimizer.

    Attributes:
        last: where that ends.
        loop: the loop around the point, whose statements may run before it in the next round.
        points: the nodes in it that the path runs through.
    """

    last: At
    loop: Loop | None
    points: list[ast.AST]


@dataclass(eq=False)
class Slice:
    """The statements that a finding needs.

    Attributes:
        modules: where to look.
        route: the path of the finding.
        sides: the tests that are decided.
        leads_to_step: whether a run is led to the step of the optimizer in every round.
        narrow: whether definitions that have nothing to do with the loss are left out wherever they are.
        kept: the statements of each module.
        links: what each module imports from another one.
    """

    modules: Modules
    route: RouteNodes
    sides: Sides
    leads_to_step: bool
    narrow: bool = False
    kept: dict[Module, set[ast.stmt]] = field(default_factory=dict)
    links: dict[Module, dict[str, tuple[Module, str]]] = field(default_factory=dict)
    _names: dict[Module, Names] = field(default_factory=dict)
    _needed: set[tuple[Scope, str]] = field(default_factory=set)
    _attributes: set[str] = field(default_factory=set)
    _classes: dict[ast.ClassDef, Module] = field(default_factory=dict)
    _left_out: list[tuple[Module, ast.ClassDef]] = field(default_factory=list)
    _stretches: dict[Scope, _Stretch] = field(default_factory=dict)
    _todo: list[tuple[Module, ast.stmt]] = field(default_factory=list)
    _called: set[ast.AST] = field(default_factory=set)
    _packages: dict[Module, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spots = [spot for spot, _ in (*self.route.sites, *self.route.steps)]
        value = {spot.node for spot in (self.route.site, *spots)}
        is_returned = self._returns_loss
        passed = set() if is_returned else set(self.route.functions)
        for spot in (*self.route.calls, self.route.end):
            home = spot.module.class_of(spot.module.function(spot.node) or spot.node)
            passed |= {home} if home is not None else set()
        if self.route.receiver is not None:
            passed.add(self.route.receiver.node)
        self._relevance = Relevance(value, passed)
        self._known = {spot.node for spot, _ in self.route.known}
        self._lay_stretches()

    # --- what to begin with

    def fill(self) -> None:
        """Keep all that is needed."""
        route = self.route
        for spot in (*route.calls, route.end, route.site, *(s for s, _ in (*route.sites, *route.steps))):
            self._keep_node(spot)
        if route.optimizer is not None:
            self._keep_node(route.optimizer)
        if route.receiver is not None and isinstance(route.receiver.node, ast.ClassDef):
            self._keep(route.receiver.module, route.receiver.node)
        if self._returns_loss:
            self._call(route.end.module, route.end.node)
        for scope in self._stretches:
            self._enter(self._module_of(scope), scope)
        self._run()
        while self._keep_more():
            self._run()

    @property
    def _returns_loss(self) -> bool:
        return self.route.end.node in (self.route.end.module.function(self.route.end.node),)

    def _lay_stretches(self) -> None:
        for spot in (*self.route.calls, *(() if self._returns_loss else (self.route.end,))):
            scope: Scope = spot.module.function(spot.node) or spot.module.tree
            self._names_of(spot.module)
            stretch = self._stretches.get(scope)
            points = [spot.node] if stretch is None else [*stretch.points, spot.node]
            last = max(points, key=lambda node: begin(node))  # type: ignore[arg-type]
            loop = next((n for n in _inside(spot.module, last) if isinstance(n, Loop)), None)
            self._stretches[scope] = _Stretch(self._horizon(spot.module, scope, last, loop), loop, points)

    def _horizon(self, module: Module, scope: Scope, point: ast.AST, loop: Loop | None) -> At:
        """Return where the step of the optimizer ends that belongs to a point of a function."""
        statement = module.statement(point)
        assert statement is not None
        last = end(statement)
        own = [s for s in ast.walk(scope) if isinstance(s, ast.stmt) and module.scope(s) is scope and begin(s) > last]
        steps = sorted((s for s in own if self._is_step(s) and not is_off(module, s, self.sides.taken)), key=begin)
        inner = [s for s in steps if loop is not None and loop in module.around(s)]
        chosen = inner[-1:] or steps[:1]
        if chosen and self.leads_to_step:
            self.sides.lead_to(module, chosen[0])
        return end(chosen[0]) if chosen else last

    def _is_step(self, statement: ast.stmt) -> bool:
        windows = {spot.node for spot, kind in self.route.steps if kind is StepKind.WINDOW}
        return is_step(statement) or (isinstance(statement, ast.Expr) and statement.value in windows)

    # --- the work

    def _run(self) -> None:
        while self._todo:
            module, statement = self._todo.pop()
            self._process(module, statement)

    def _keep_node(self, spot: Spot) -> None:
        statement = spot.module.statement(spot.node)
        if statement is not None:
            self._keep(spot.module, statement)

    def _keep(self, module: Module, statement: ast.stmt) -> None:
        kept = self.kept.setdefault(module, set())
        if statement not in kept and not self._is_dead(module, statement):
            kept.add(statement)
            self._todo.append((module, statement))

    def _process(self, module: Module, statement: ast.stmt) -> None:
        for outer in module.around(statement):
            if isinstance(outer, ast.stmt):
                self._keep(module, outer)
        is_class = isinstance(statement, ast.ClassDef)
        in_loop = isinstance(statement, ast.For | ast.AsyncFor)
        uses = Uses(lambda call: not in_loop and self._is_boundary(module, call), self.sides.taken, self._known)
        for node in evaluated(statement, self.sides.taken):
            uses.add(node)
        scope = module.scope(statement)
        for name in uses.names:
            self._need(module, scope, name, base=is_class)
        for attribute in uses.attributes:
            self._need_attribute(attribute)
        for node in evaluated(statement, self.sides.taken):
            self._follow_chains(module, scope, node)
        if isinstance(statement, ast.ClassDef):
            self._play(module, statement)
        if isinstance(statement, Loop) and module.scope(statement) not in self._stretches:
            self._keep_jumps(module, statement)

    def _need(self, module: Module, scope: Scope, name: str, *, base: bool = False) -> None:
        names = self._names_of(module)
        owner = names.owner(scope, name)
        if owner is None:
            self._need_star(module, name)
            return
        if (owner, name) in self._needed and not base:
            return
        self._needed.add((owner, name))
        for imported in names.imported.get((owner, name), ()):
            self._keep(module, imported.statement)
            self._link(module, imported, base=base)
        for statement in names.definers.get((owner, name), ()):
            self._define(module, statement, base=base)
        for attribute in self._attributes & names.stores.keys():
            self._keep_stores(module, attribute)

    def _define(self, module: Module, statement: ast.stmt, *, base: bool) -> None:
        if isinstance(statement, ast.ClassDef):
            if not base and self._is_model(module, statement):
                self._left_out.append((module, statement))
                return
            self._keep(module, statement)
        elif isinstance(statement, FunctionNode):
            if not self._leaves_out(module, statement):
                self._call(module, statement)
        else:
            self._keep(module, statement)

    def _leaves_out(self, module: Module, function: FunctionNode) -> bool:
        """Say whether a function is left to be unknown, to keep the experiment small."""
        if not self.narrow or function in self.route.functions:
            return False
        return not self._relevance.concerns(module, self._names_of(module), function)

    def _call(self, module: Module, function: ast.AST) -> None:
        """Keep what a function returns, and what it does on the way."""
        if function in self._called:
            return
        self._called.add(function)
        if isinstance(function, FunctionNode):
            self._keep(module, function)
            on_way = function in self._stretches and not isinstance(module.scope(function), FunctionNode)
            for node in _own(module, function):
                if (isinstance(node, ast.Return) and not on_way) or (
                    isinstance(node, ast.stmt) and not on_way and _yields(node)
                ):
                    self._keep(module, node)
            self._enter(module, function)

    def _enter(self, module: Module, scope: Scope) -> None:
        """Keep the statements of a function that are run for what they do."""
        stretch = self._stretches.get(scope)
        names = self._names_of(module)
        for statement in _own(module, scope):
            if not isinstance(statement, ast.Expr | ast.Assign | ast.AugAssign):
                continue
            if (stretch is not None and is_effect(statement) and begin(statement) <= stretch.last) or (
                stretch is None and is_effect(statement) and not isinstance(scope, ast.ClassDef)
            ):
                self._keep(module, statement)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                if self._fills(module, names, statement.value):
                    self._keep(module, statement)

    def _fills(self, module: Module, names: Names, call: ast.Call) -> bool:
        """Say whether a call that is a statement of its own computes something of the loss, or builds its object."""
        match call.func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
                return True
            case ast.Name(id=name):
                return name in self._relevance.names
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return name in self._relevance.attributes
        return False

    # --- attributes and classes

    def _need_attribute(self, attribute: str) -> None:
        if attribute in self._attributes:
            return
        self._attributes.add(attribute)
        for home, module in list(self._classes.items()):
            self._keep_members(module, home, attribute)
        for module in list(self._names):
            self._keep_stores(module, attribute)

    def _keep_stores(self, module: Module, attribute: str) -> None:
        for store in self._names_of(module).stores.get(attribute, ()):
            is_option = not store.root and (isinstance(store.scope, ast.Module) or store.scope in self._called)
            if is_option or (store.scope, store.root) in self._needed:
                self._keep(module, store.statement)

    def _play(self, module: Module, home: ast.ClassDef) -> None:
        """Keep of a class what its objects need whenever there are some."""
        if home in self._classes:
            return
        self._classes[home] = module
        names = self._names_of(module)
        members = names.members.get(home, {})
        is_model = self._is_foreign(module, home)
        concerned = self._relevance.concerns(module, names, home)
        for name, statements in members.items():
            for statement in statements:
                is_method = isinstance(statement, FunctionNode)
                unnamed = name in _UNNAMED or (name in _ITERATING and concerned)
                called = name in _CALLED and (not is_model or self._relevance.concerns(module, names, statement))
                field_ = not is_method and not is_model and module.parents[statement] is home
                if name in self._attributes or (is_method and (unnamed or called)) or field_:
                    self._keep_member(module, home, statement)

    def _keep_members(self, module: Module, home: ast.ClassDef, attribute: str) -> None:
        for statement in self._names_of(module).members.get(home, {}).get(attribute, ()):
            self._keep_member(module, home, statement)

    def _keep_member(self, module: Module, home: ast.ClassDef, statement: ast.stmt) -> None:
        if not isinstance(statement, FunctionNode):
            self._keep(module, statement)
            return
        names = self._names_of(module)
        is_model = statement.name in _CALLED and self._is_foreign(module, home)
        if is_model and statement is not self.route.end.node and not self._relevance.concerns(module, names, statement):
            return
        if not self._leaves_out(module, statement) or statement.name in _UNNAMED:
            self._call(module, statement)

    def _is_model(self, module: Module, home: ast.ClassDef) -> bool:
        """Say whether a class belongs to another library by its base, and has nothing to do with the loss."""
        foreign = self._is_foreign(module, home)
        return (foreign or self.narrow) and not self._relevance.concerns(module, self._names_of(module), home)

    def _is_foreign(self, module: Module, home: ast.ClassDef, depth: int = 0) -> bool:
        for base in home.bases:
            inner = base.value if isinstance(base, ast.Subscript) else base
            name = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
            found = self._class(module, inner) if depth < 8 else None
            if found is None and name not in _PLAIN:
                return True
            if found is not None and self._is_foreign(*found, depth + 1):
                return True
        return False

    def _class(self, module: Module, node: ast.expr) -> tuple[Module, ast.ClassDef] | None:
        name = ast.unparse(node)
        names = self._names_of(module)
        for statement in names.definers.get((module.tree, name), ()):
            if isinstance(statement, ast.ClassDef):
                return module, statement
        for imported in names.imported.get((module.tree, name.partition(".")[0]), ()):
            rest = name[len(imported.name) :] if name.startswith(imported.name) else ""
            target = self.modules.follow(module.path, imported.dotted + rest)
            if target is not None and target[1] and target[0] is not module:
                return self._class(target[0], ast.parse(target[1], mode="eval").body)
        return None

    # --- other modules

    def _link(self, module: Module, imported: Imported, *, base: bool) -> None:
        target = self.modules.follow(module.path, imported.dotted)
        if target is None:
            return
        other, member = target
        self._names_of(other)
        if member:
            first = member.partition(".")[0]
            self._add_link(module, imported.name, other, first)
            self._need(other, other.tree, first, base=base)
        else:
            self._add_link(module, imported.name, other, "")

    def _add_link(self, module: Module, name: str, other: Module, member: str) -> None:
        self.kept.setdefault(other, set())
        self.links.setdefault(module, {})[name] = other, member

    def _need_star(self, module: Module, name: str) -> None:
        for imported in self._names_of(module).stars:
            target = self.modules.follow(module.path, imported.dotted)
            if target is None or target[1]:
                continue
            other = target[0]
            names = self._names_of(other)
            if name in names.bound[other.tree]:
                self._keep(module, imported.statement)
                self._add_link(module, name, other, name)
                self._need(other, other.tree, name)

    def _follow_chains(self, module: Module, scope: Scope, node: ast.AST) -> None:
        """Need what ``losses.f`` and ``package.losses.f`` name in the modules that they lead to."""
        for inner in ast.walk(node):
            chain = _chain(inner) if isinstance(inner, ast.Attribute) else []
            if len(chain) > 1:
                self._follow_chain(module, scope, chain)

    def _follow_chain(self, module: Module, scope: Scope, chain: list[str]) -> None:
        names = self._names_of(module)
        owner = names.owner(scope, chain[0])
        if owner is None:
            return
        for imported in names.imported.get((owner, chain[0]), ()):
            parts = imported.name.split(".")
            target = self.modules.follow(module.path, imported.dotted)
            if target is not None and not target[1] and chain[: len(parts)] == parts:
                self._need_in(target[0], chain[len(parts) :])

    def _need_in(self, module: Module, chain: list[str]) -> None:
        if not chain:
            return
        if chain[0] in self._names_of(module).bound[module.tree]:
            self._need(module, module.tree, chain[0])
            return
        inner = self.modules.submodule(module, chain[0])
        if inner is not None:
            self._add_link(module, chain[0], inner, "")
            self._need_in(inner, chain[1:])
        else:
            self._need_star(module, chain[0])

    # --- what runs and what does not

    def _is_dead(self, module: Module, statement: ast.stmt) -> bool:
        if is_off(module, statement, self.sides.taken):
            return True
        stretch = self._stretches.get(module.scope(statement))
        if stretch is None or begin(statement) <= stretch.last:
            return False
        if isinstance(statement, FunctionNode | ast.ClassDef):
            return False
        return stretch.loop is None or stretch.loop not in module.around(statement)

    def _keep_more(self) -> bool:
        """Keep what became needed by what was found later; return whether there was any."""
        for module, home in list(self._left_out):
            if not self._is_model(module, home):
                self._left_out.remove((module, home))
                self._keep(module, home)
        for scope, stretch in self._stretches.items():
            self._keep_window(self._module_of(scope), scope, stretch)
        if not any(self._has_step(scope) for scope in self._stretches):
            self._keep_stepping_calls()
        return bool(self._todo)

    def _keep_window(self, module: Module, scope: Scope, stretch: _Stretch) -> None:
        """Keep the jumps between the end of the path and the step of the optimizer."""
        points = [begin(point) for point in stretch.points]  # type: ignore[arg-type]
        for node in _own(module, scope):
            if isinstance(node, ast.Continue | ast.Break) and max(points) < begin(node) <= stretch.last:
                self._keep(module, node)

    def _keep_jumps(self, module: Module, loop: Loop) -> None:
        for node in ast.walk(loop):
            if isinstance(node, ast.Continue | ast.Break):
                self._keep(module, node)

    def _has_step(self, scope: Scope) -> bool:
        kept = self.kept.get(self._module_of(scope), set())
        return any(s in kept and is_step(s) for s in _own(self._module_of(scope), scope) if isinstance(s, ast.stmt))

    def _keep_stepping_calls(self) -> None:
        """Keep the calls of functions that step, where the functions on the route do not do it themselves."""
        stepping = stepping_functions(self.modules.loaded)
        for scope, stretch in self._stretches.items():
            module = self._module_of(scope)
            for node in _own(module, scope):
                name = _called_name(node)
                if name in stepping and isinstance(node, ast.stmt) and begin(node) > begin(stretch.points[0]):  # type: ignore[arg-type]
                    stretch.last = max(stretch.last, end(node))
                    self._keep(module, node)

    def _is_boundary(self, module: Module, call: ast.Call) -> bool:
        """Say whether a call is one of another library, that is not run."""
        if any(spot.node is call for spot, _ in self.route.sites):
            return False
        function: ast.expr = call.func
        while isinstance(function, ast.Attribute):
            function = function.value
        if not isinstance(function, ast.Name):
            return False
        names = self._names_of(module)
        owner = names.owner(module.scope(call), function.id)
        imported = [] if owner is None else names.imported.get((owner, function.id), [])
        roots = {i.dotted.partition(".")[0] for i in imported if self.modules.follow(module.path, i.dotted) is None}
        return bool(roots) and not roots & _RUN

    def _names_of(self, module: Module) -> Names:
        if module not in self._names:
            self._names[module] = Names(module)
            self._relevance.add(module, self._names[module])
        return self._names[module]

    def _module_of(self, scope: Scope) -> Module:
        return next(m for m in self._names if scope is m.tree or scope in m.parents)


def _own(module: Module, scope: Scope) -> Iterator[ast.AST]:
    """Yield the statements of a scope, not those of functions and classes in it."""
    todo: list[ast.AST] = list(scope.body)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, FunctionNode | ast.ClassDef):
            todo += [
                c for c in ast.iter_child_nodes(node) if isinstance(c, ast.stmt | ast.excepthandler | ast.match_case)
            ]


def _inside(module: Module, node: ast.AST) -> Iterator[ast.AST]:
    for outer in module.around(node):
        if isinstance(outer, Scope):
            return
        yield outer


def _yields(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()) | ast.Assign(value=ast.Yield() | ast.YieldFrom()):
            return True
    return False


def _chain(node: ast.expr) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def _called_name(node: ast.AST) -> str:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(), attr=name))):
            return name
    return ""
