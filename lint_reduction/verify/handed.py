"""Calls around the step of an optimizer that are handed what has gradients: those that change them, and the unknown."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from lint_reduction.verify.catalog import Catalog
from lint_reduction.verify.edits import HARMLESS, Edits, Methods, called_root, edits_in
from lint_reduction.verify.effects import called
from lint_reduction.verify.modules import FunctionNode, Module, Modules, Scope


@dataclass(eq=False)
class Handed:
    """What is known of such calls.

    Attributes:
        modules: where to look.
        catalog: what is known of definitions.
        editing: the names of functions that change gradients or options and are called.
        unseen: the texts of calls that are handed something and are not in view, in order.
    """

    modules: Modules
    catalog: Catalog
    editing: set[str] = field(default_factory=set)
    unseen: dict[str, None] = field(default_factory=dict)

    def is_edit(self, module: Module, scope: Scope, call: ast.Call, *, is_behind: bool) -> bool:
        """Say whether a call changes gradients or options of an optimizer; note one that might.

        Args:
            module, scope: where the call stands.
            call: it.
            is_behind: whether it is behind backward, where gradients can be changed.
        """
        tables = [other.about(Edits) for other in self._modules_of(module, scope, call)]
        gradients = frozenset[str]().union(*(edits.functions for edits in tables))
        options = frozenset[str]().union(*(edits.options for edits in tables))
        name = module.about(Edits).imported(called(call))
        given = [*call.args, *(keyword.value for keyword in call.keywords), *self._stands_for(module, scope, call)]
        if (is_behind and (name in gradients or any(edits_in(node, gradients) for node in given))) or name in options:
            self.editing |= gradients | options | {name}
            return True
        if is_behind and module.about(Edits).is_given(call) and not self._is_seen(module, scope, call):
            self.unseen[ast.unparse(call)] = None
        return False

    def _stands_for(self, module: Module, scope: Scope, call: ast.Call) -> list[ast.expr]:
        """Return what a variable that is called was made of: ``scale`` of ``partial(scale, 2)``."""
        names = self.catalog.names(module)
        owner = names.owner(scope, called_root(call))
        made = names.definers.get((owner, called_root(call)), ()) if owner is not None else ()
        values = [statement.value for statement in made if isinstance(statement, ast.Assign)]
        return [node for value in values for node in ast.walk(value) if isinstance(node, ast.Name | ast.Lambda)]

    def _modules_of(self, module: Module, scope: Scope, call: ast.Call) -> list[Module]:
        """Return the modules in which a call may lead: its own, those in play, and those that its names come from."""
        names = self.catalog.names(module)
        roots = {node.id for node in ast.walk(call.func) if isinstance(node, ast.Name)}
        owners = [(names.owner(scope, root), root) for root in roots]
        found = [i for owner, root in owners if owner is not None for i in names.imported.get((owner, root), ())]
        targets = [self.modules.follow(module.path, imported.dotted) for imported in found]
        return list(dict.fromkeys([module, *self.catalog.known, *(t[0] for t in targets if t is not None)]))

    def _is_seen(self, module: Module, scope: Scope, call: ast.Call) -> bool:
        """Say whether it is known what a call does to gradients: a function in view, or one of torch."""
        if called(call) in HARMLESS:
            return True
        names = self.catalog.names(module)
        root = called_root(call)
        owner = names.owner(scope, root)
        if isinstance(call.func, ast.Name) and owner is not None and names.definers.get((owner, root)):
            return any(isinstance(node, FunctionNode) for node in names.definers[owner, root])
        imported = names.imported.get((owner, root), ()) if owner is not None else ()
        if any(i.dotted.partition(".")[0] == "torch" for i in imported):
            return True
        if isinstance(call.func, ast.Attribute):
            return any(call.func.attr in other.about(Methods).by_name for other in self.catalog.known)
        return any(self.modules.follow(module.path, i.dotted) is not None for i in imported)
