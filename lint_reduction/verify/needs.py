"""Which statements of the files around a finding are needed to run it: a backward slice by names.

Names are followed without regard to order, except where that is cheap to know: what comes after the step of the
optimizer does not matter, nor does the other side of a test that is decided. Attributes are followed by their names
alone, in the classes that are in play. What is kept too much costs time, what is missing is not known to a worker.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from lint_reduction.verify.bindings import Imported, bindings
from lint_reduction.verify.branches import Sides, is_off
from lint_reduction.verify.catalog import Catalog, Runnable, is_generator
from lint_reduction.verify.edits import call_of, called_in
from lint_reduction.verify.effects import (
    called_name,
    changes_options,
    fills,
    is_effect,
    is_step,
    sets_hook,
    stepping_functions,
)
from lint_reduction.verify.handed import Handed
from lint_reduction.verify.losses import is_loss_name
from lint_reduction.verify.modules import FunctionNode, Loop, Module, Modules, NoExperimentError, Scope, begin, end
from lint_reduction.verify.relevance import Relevance
from lint_reduction.verify.route import RouteNodes, Spot
from lint_reduction.verify.stretches import stretches_of
from lint_reduction.verify.uses import Uses, chain_of, changed, evaluated

#: Methods that run without being named where an object is built or used.
_UNNAMED = frozenset({"__init__", "__post_init__", "__len__"})
_CALLED = frozenset({"forward", "__call__"})


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
        handed: the calls that change gradients, or might.
    """

    modules: Modules
    route: RouteNodes
    sides: Sides
    leads_to_step: bool
    narrow: bool = False
    kept: dict[Module, set[ast.stmt]] = field(default_factory=dict)
    links: dict[Module, dict[str, tuple[Module, str]]] = field(default_factory=dict)
    _needed: set[tuple[Scope, str]] = field(default_factory=set)
    _attributes: set[str] = field(default_factory=set)
    _classes: dict[ast.ClassDef, Module] = field(default_factory=dict)
    _left_out: list[tuple[Module, ast.ClassDef]] = field(default_factory=list)
    _called: set[FunctionNode] = field(default_factory=set)
    _todo: list[tuple[Module, ast.stmt]] = field(default_factory=list)

    def __post_init__(self) -> None:
        route = self.route
        self._places = [route.site, *(spot for spot, _ in (*route.sites, *route.steps))]
        relevance = Relevance({spot.node for spot in self._places}, route.passed, self.modules.work)
        self._catalog = Catalog(self.modules, relevance, {spot.node for spot, _ in route.sites})
        self.handed = Handed(self.modules, self._catalog)
        self._known = {spot.node for spot, _ in route.known}
        self._stretches = stretches_of(route, self.sides, leads_to_step=self.leads_to_step)

    def fill(self) -> None:
        """Keep all that is needed.

        Raises:
            NoExperimentError: something on the path is nothing that a worker takes.
        """
        route = self.route
        for spot in (*route.calls, route.end, *self._places, *([route.optimizer] if route.optimizer else [])):
            self._keep_spot(spot)
        if route.receiver is not None:
            self._keep_spot(route.receiver)
        if isinstance(route.end.node, FunctionNode):
            self._call(route.end.module, route.end.node)
        # a criterion is used, whatever is done to it
        self._need_attribute("reduction")
        for scope, stretch in self._stretches.items():
            self._enter(stretch.module, scope)
        self._run()
        while self._keep_more():
            self._run()

    def drop_empty(self) -> None:
        """Drop the modules of which nothing is kept, and what leads to them."""
        while empty := [m for m, kept in self.kept.items() if not kept and not self.links.get(m)]:
            for module in empty:
                del self.kept[module]
            for links in self.links.values():
                for name in [name for name, (other, _) in links.items() if other in empty]:
                    del links[name]

    def _run(self) -> None:
        while self._todo:
            self.modules.work.check()
            self._process(*self._todo.pop())

    # --- statements

    def _keep_spot(self, spot: Spot) -> None:
        statement = spot.module.statement(spot.node)
        if statement is None:
            return
        for node in (statement, *spot.module.around(statement)):
            if isinstance(node, ast.stmt) and not spot.module.about(Runnable).is_taken(node):
                raise NoExperimentError(f"line {node.lineno} of {spot.module.path} holds what is not run")
        self._keep(spot.module, statement)

    def _keep(self, module: Module, statement: ast.stmt) -> None:
        kept = self.kept.setdefault(module, set())
        if statement not in kept and not self._is_dead(module, statement):
            kept.add(statement)
            self._todo.append((module, statement))

    def _is_dead(self, module: Module, statement: ast.stmt) -> bool:
        if is_off(module, statement, self.sides.taken) or not module.about(Runnable).is_taken(statement):
            return True
        stretch = self._stretches.get(module.scope(statement))
        return stretch is not None and stretch.leaves_out(statement)

    def _process(self, module: Module, statement: ast.stmt) -> None:
        """Keep what stands around a statement and what it uses."""
        for outer in module.around(statement):
            if isinstance(outer, ast.stmt):
                self._keep(module, outer)
        # a loop runs over what is wrapped in something unknown, a progress bar
        in_loop = isinstance(statement, ast.For)
        is_class = isinstance(statement, ast.ClassDef)
        catalog, sides = self._catalog, self.sides.taken
        uses = Uses(lambda call: not in_loop and catalog.is_boundary(module, call), sides, self._known)
        parts = evaluated(statement, sides)
        for node in parts:
            uses.add(node)
        scope = module.scope(statement)
        for name in uses.names | ({changed(statement)} - {""}):
            self._need(module, scope, name, base=is_class)
        for attribute in uses.attributes:
            self._need_attribute(attribute)
        for node in parts:
            self._follow_chains(module, scope, node)
        if isinstance(statement, ast.ClassDef):
            self._play(module, statement)
        elif isinstance(statement, Loop) and scope not in self._stretches:
            for node in ast.walk(statement):
                if isinstance(node, ast.Continue | ast.Break):
                    self._keep(module, node)

    # --- names

    def _need(self, module: Module, scope: Scope, name: str, *, base: bool = False) -> None:
        names = self._catalog.names(module)
        owner = names.owner(scope, name)
        if owner is None:
            self._need_star(module, name, base=base)
            return
        if (owner, name) in self._needed and not base:
            return
        self._needed.add((owner, name))
        for imported in names.imported.get((owner, name), ()):
            self._keep(module, imported.statement)
            self._link(module, imported, base=base)
        for statement in names.definers.get((owner, name), ()):
            is_lost = not module.about(Runnable).is_taken(statement) and name not in bindings(statement)
            if is_lost and (owner in self._stretches or getattr(owner, "name", "") in self.handed.editing):
                raise NoExperimentError(f"line {statement.lineno} of {module.path} changes `{name}` and is not run")
            self._define(module, statement, base=base)
        for attribute in self._attributes & names.stores.keys():
            self._keep_stores(module, attribute)

    def _define(self, module: Module, statement: ast.stmt, *, base: bool) -> None:
        if isinstance(statement, ast.ClassDef):
            if not base and self._leaves_out(module, statement):
                self._left_out.append((module, statement))
            else:
                self._keep(module, statement)
        elif isinstance(statement, FunctionNode):
            if not self._leaves_out(module, statement):
                self._call(module, statement)
        else:
            self._keep(module, statement)

    def _leaves_out(self, module: Module, definition: ast.ClassDef | FunctionNode) -> bool:
        """Say whether a definition is left to be unknown: a model, or what would make the experiment large."""
        if definition in self.route.functions:
            return False
        if isinstance(definition, FunctionNode) and is_generator(module, definition):
            return True
        is_model = isinstance(definition, ast.ClassDef) and self._catalog.is_model(module, definition)
        is_model = is_model and not self._adds_term(module, definition)
        if definition.name in self.handed.editing:
            return False
        is_loss = isinstance(definition, FunctionNode) and is_loss_name(definition.name)
        return is_model or (self.narrow and not is_loss and not self._catalog.concerns(module, definition))

    def _adds_term(self, module: Module, home: ast.AST) -> bool:
        """Say whether a class has a method that is called, and is called like a loss: it may be a term of this one."""
        members = self._catalog.names(module).members.get(home, {}) if isinstance(home, ast.ClassDef) else {}
        return any(is_loss_name(name) or name in self.handed.editing for name in members.keys() & self._attributes)

    def _call(self, module: Module, function: FunctionNode) -> None:
        """Keep what a function returns, and what it does on the way."""
        if function in self._called:
            return
        self._called.add(function)
        self._keep(module, function)
        # what a function on the route returns comes too late, unless it is a closure that an optimizer calls
        if function not in self._stretches or isinstance(module.scope(function), FunctionNode):
            for statement in module.own(function):
                if isinstance(statement, ast.Return):
                    self._keep(module, statement)
        self._enter(module, function)

    def _enter(self, module: Module, scope: Scope) -> None:
        """Keep the statements of a function that are run for what they do."""
        stretch = self._stretches.get(scope)
        relevance = self._catalog.relevance
        self._catalog.names(module)
        for statement in module.own(scope):
            in_time = stretch is None or (begin(statement) <= stretch.last and not stretch.is_over(statement))
            changes = is_effect(statement) or changes_options(statement)
            if (
                (in_time and changes)
                or (stretch is None and called_in(statement) in self.handed.editing)
                or sets_hook(statement)
                or fills(statement, relevance.names, relevance.attributes)
            ):
                self._keep(module, statement)

    # --- attributes and classes

    def _need_attribute(self, attribute: str) -> None:
        if attribute in self._attributes:
            return
        self._attributes.add(attribute)
        for home, module in list(self._classes.items()):
            for statement in self._catalog.names(module).members.get(home, {}).get(attribute, ()):
                self._keep_member(module, home, statement)
        for module in self._catalog.known:
            self._keep_stores(module, attribute)

    def _keep_stores(self, module: Module, attribute: str) -> None:
        for store in self._catalog.names(module).stores.get(attribute, ()):
            is_option = not store.root and (isinstance(store.scope, ast.Module) or store.scope in self._called)
            if is_option or (store.scope, store.root) in self._needed:
                self._keep(module, store.statement)

    def _play(self, module: Module, home: ast.ClassDef) -> None:
        """Keep of a class what its objects need whenever there are some."""
        if home in self._classes:
            return
        self._classes[home] = module
        is_foreign = self._catalog.is_foreign(module, home)
        for name, statements in self._catalog.names(module).members.get(home, {}).items():
            for statement in statements:
                is_method = isinstance(statement, FunctionNode)
                is_field = not is_method and not is_foreign and module.parents[statement] is home
                if name in self._attributes or is_field or (is_method and name in _UNNAMED | _CALLED):
                    self._keep_member(module, home, statement)

    def _keep_member(self, module: Module, home: ast.ClassDef, statement: ast.stmt) -> None:
        if not isinstance(statement, FunctionNode):
            self._keep(module, statement)
            return
        is_model = self._catalog.is_foreign(module, home) and not is_loss_name(home.name)
        is_called = statement.name in _CALLED and is_model
        if is_called and statement not in self.route.functions and not self._catalog.concerns(module, statement):
            # the model itself, in a class that trains it
            return
        if statement.name in _UNNAMED or not self._leaves_out(module, statement):
            self._call(module, statement)

    # --- other modules

    def _link(self, module: Module, imported: Imported, *, base: bool) -> None:
        parts = imported.name.split(".")
        if len(parts) > 1:
            self._link_package(module, parts)
            return
        target = self.modules.follow(module.path, imported.dotted)
        if target is None:
            return
        other, member = target
        self._add_link(module, imported.name, other, member.partition(".")[0])
        if member:
            self._need(other, other.tree, member.partition(".")[0], base=base)

    def _link_package(self, module: Module, parts: list[str]) -> None:
        """Link the packages of ``import a.b.c`` one to the next; one that is only a folder is an empty module."""
        here = module
        for index, part in enumerate(parts):
            dotted = ".".join(parts[: index + 1])
            target = self.modules.follow(module.path, dotted)
            if target is not None and target[1]:
                return
            other = target[0] if target is not None else self.modules.package(dotted)
            if target is None and self.modules.follow(module.path, ".".join(parts)) is None:
                return
            self._add_link(here, part, other, "")
            here = other

    def _add_link(self, module: Module, name: str, other: Module, member: str) -> None:
        self._catalog.names(other)
        self.kept.setdefault(other, set())
        self.links.setdefault(module, {})[name] = other, member

    def _need_star(self, module: Module, name: str, *, base: bool = False) -> None:
        for imported in self._catalog.names(module).stars:
            target = self.modules.follow(module.path, imported.dotted)
            if target is None or target[1] or target[0] is module:
                continue
            other = target[0]
            if name in self._catalog.names(other).bound[other.tree]:
                self._keep(module, imported.statement)
                self._add_link(module, name, other, name)
                self._need(other, other.tree, name, base=base)

    def _follow_chains(self, module: Module, scope: Scope, node: ast.AST) -> None:
        """Need what ``losses.f`` and ``package.losses.f`` name in the modules that they lead to."""
        names = self._catalog.names(module)
        for inner in ast.walk(node):
            chain = chain_of(inner)
            owner = names.owner(scope, chain[0]) if len(chain) > 1 else None
            for imported in names.imported.get((owner, chain[0]), ()) if owner is not None else ():
                parts = imported.name.split(".")
                target = self.modules.follow(module.path, imported.dotted)
                if target is not None and not target[1] and chain[: len(parts)] == parts:
                    self._need_in(target[0], chain[len(parts) :])

    def _need_in(self, module: Module, chain: list[str]) -> None:
        if not chain:
            return
        if chain[0] in self._catalog.names(module).bound[module.tree]:
            self._need(module, module.tree, chain[0])
            return
        inner = self.modules.submodule(module, chain[0])
        if inner is None:
            self._need_star(module, chain[0])
            return
        self._add_link(module, chain[0], inner, "")
        self._need_in(inner, chain[1:])

    # --- what is only seen when the rest is known

    def _keep_more(self) -> bool:
        """Keep what became needed by what was found later; return whether there was any."""
        for module, home in list(self._left_out):
            if not self._leaves_out(module, home):
                self._left_out.remove((module, home))
                self._keep(module, home)
        for scope, stretch in self._stretches.items():
            for statement in stretch.module.own(scope):
                if stretch.leaves_in_time(statement):
                    self._keep(stretch.module, statement)
        self._keep_edits()
        kept = {statement for statements in self.kept.values() for statement in statements}
        run = (s for scope, stretch in self._stretches.items() for s in stretch.module.own(scope) if s in kept)
        if not any(map(is_step, run)):
            self._keep_stepping_calls()
        return bool(self._todo)

    def _keep_edits(self) -> None:
        """Keep the calls that change gradients before the step, or options of the optimizer, if they are in view."""
        known = len(self.handed.editing)
        for scope, stretch in self._stretches.items():
            module = stretch.module
            kept = self.kept.get(module, set())
            for statement in module.own(scope):
                call = call_of(statement)
                if call is None or statement in kept or begin(statement) > stretch.last:
                    continue
                is_behind = begin(statement) > end(stretch.points[-1])
                is_reached = not is_off(module, statement, self.sides.taken)
                if is_reached and self.handed.is_edit(module, scope, call, is_behind=is_behind):
                    self._keep(module, statement)
        if len(self.handed.editing) > known:
            # what they call may be in functions that are kept already
            for function in list(self._called):
                self._enter(next(m for m in self._catalog.known if function in m.parents), function)

    def _keep_stepping_calls(self) -> None:
        """Keep the calls of functions that step, where the functions on the route do not do it themselves."""
        stepping = stepping_functions(self.modules.loaded)
        for scope, stretch in self._stretches.items():
            for statement in stretch.module.own(scope):
                if called_name(statement) in stepping and begin(statement) > stretch.begin:
                    stretch.last = max(stretch.last, end(statement))
                    self._keep(stretch.module, statement)
