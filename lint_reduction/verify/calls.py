"""Calls: of what is known, by tables; of what is not known, never, and without looking at the arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from lint_reduction.verify.allowed import (
    ACTIVATIONS,
    BACKWARD_METHODS,
    CLIPPING,
    DISTRIBUTION_METHODS,
    DISTRIBUTIONS,
    GATHERING_METHODS,
    IDENTITY_LAYERS,
    LAYERS,
    MATHEMATICS,
    MOVING,
    OPTIMIZERS,
    PADDING,
    PARAMETER_METHODS,
    PASSES_ON,
    SCALING_METHODS,
    TENSOR_METHODS,
    TENSOR_TYPES,
    TORCH_FUNCTIONS,
)
from lint_reduction.verify.effects import HOOKS, reads_gradient
from lint_reduction.verify.functions import CRITERION
from lint_reduction.verify.library_calls import FOR_EACH, NUMBERED, LibraryCalls
from lint_reduction.verify.losses import is_loss_name, loss_class, loss_function, modern
from lint_reduction.verify.rows import is_of_sample
from lint_reduction.verify.values import (
    BlockedError,
    Bound,
    Builtin,
    Class,
    Criterion,
    Distribution,
    Function,
    Hole,
    Instance,
    Layer,
    Library,
    Optimizer,
    Parameters,
    Partial,
    Super,
    Value,
)

_MODES = MOVING | {"train", "eval", "half", "float", "double", "bfloat16", "apply", "zero_grad"}
_REGISTERING = frozenset({"register_buffer", "register_parameter"})
_SCHEDULE = re.compile(r"sched|warm|scaler|lr_|ema|meter|prof|logger|timer|bar|env", re.IGNORECASE)
#: Hooks of parameters that are followed.
_FOLLOWED = frozenset({"register_hook", "register_post_accumulate_grad_hook"})
_PROGRESS = frozenset({"tqdm", "track", "progress_bar", "ProgressBar"})


class Calls(LibraryCalls):
    """Evaluates calls."""

    def _call(self, node: ast.Call) -> Value:
        place = self.place(node)
        is_inherited = isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"
        if place in self.decisions.sites and not is_inherited:
            callee: Value = Library(self.decisions.sites[place].name)
        elif isinstance(node.func, ast.Attribute):
            owner = self.evaluate(node.func.value)
            if node.func.attr in HOOKS:
                return self._hang(owner, node.func.attr, node)
            if isinstance(owner, Hole):
                return self._call_on_hole(owner, node.func.attr, node)
            is_own = isinstance(owner, Instance) and owner.owner.definition(node.func.attr) is not None
            if isinstance(owner, Instance) and node.func.attr in PARAMETER_METHODS and not is_own:
                return Parameters()
            if isinstance(owner, Instance | Criterion | Layer) and node.func.attr in _MODES and not is_own:
                return owner
            if isinstance(owner, Instance) and node.func.attr in BACKWARD_METHODS and not is_own and node.args:
                return self.end_in(self.settle(self.evaluate(node.args[0])), node)
            if isinstance(owner, Instance) and node.func.attr in _REGISTERING and not is_own:
                return self.call_builtin("setattr", (owner, *self.entries(node.args[:2])), {})
            if isinstance(owner, Optimizer):
                return self._call_optimizer(owner, node)
            if isinstance(owner, Distribution) and node.func.attr in DISTRIBUTION_METHODS:
                return self.domain.distributed(owner, node.func.attr, self._settled(node), called=True)
            callee = self.attribute(owner, node.func.attr)
        else:
            callee = self.evaluate(node.func)
        return self._call_value(callee, node)

    def _hang(self, owner: Value, name: str, node: ast.Call) -> Value:
        """Keep a function that changes the gradient of each parameter; no other one is followed."""
        is_parameter = any(owner is entry for entry in self.trained)
        if name not in _FOLLOWED or not is_parameter or self.backwards or len(node.args) != 1:
            raise BlockedError(f"`{name}` may change the gradient")
        function = self.evaluate(node.args[0])
        known = [hook.node for _, hook in self.hooks if isinstance(hook, Function)]
        # one on each parameter is one for all of them
        if not isinstance(function, Function) or function.node not in known:
            self.hooks.append((name, function))
        return None

    def _run_hooks(self, node: ast.Call) -> None:
        """Do to the gradients what was hung on the parameters."""
        for name, function in self.hooks:
            if self.backwards > 1:
                raise BlockedError("a hook is not followed over several backward passes")
            for leaf in self.iterate(Parameters()):
                if name != "register_hook":
                    self.call(function, (leaf,), {}, node)
                    continue
                changed = self.call(function, (self.domain.attribute(leaf, "grad"),), {}, node)
                if changed is not None:
                    self.domain.assign(leaf, "grad", self.settle(changed))

    def _call_value(self, callee: Value, node: ast.Call) -> Value:
        if isinstance(callee, Library):
            if not self.is_allowed(callee):
                return self._call_foreign(callee, node)
        elif isinstance(callee, Hole) or (
            isinstance(callee, Instance) and (self.is_network(callee) or self.is_blank(callee))
        ):
            return self.numbered(self._unknown(callee.path, node), node)
        arguments = self.entries(node.args)
        options: dict[str, Value] = {}
        for keyword in node.keywords:
            if keyword.arg is not None:
                options[keyword.arg] = self.evaluate(keyword.value)
            else:
                more = self.evaluate(keyword.value)
                if isinstance(more, dict):
                    options.update({str(key): value for key, value in more.items()})
        site = self.decisions.sites.get(self.place(node))
        if site is not None and isinstance(callee, Library):
            options = {**dict(site.options), **options}
            arguments = [] if site.is_built else arguments
        return self.call(callee, arguments, options, node)

    def _settled(self, node: ast.Call) -> list[Value]:
        return [self.settle(value) for value in self.entries(node.args)]

    # What is not known

    def _unknown(self, path: str, node: ast.Call) -> Value:
        """Return the result of a call that is never made: a hole by the text of the call."""
        name = path.rpartition(".")[2]
        if self.place(node) == self.experiment.site or (self.backwards and reads_gradient(node)):
            raise BlockedError(f"`{path}` is not known")
        if name in ("main", "init_process_group", "manual_seed"):
            return None
        return self._of_row(Hole.at(f"{path}({self._text_of(node)})"), node)

    def _of_row(self, result: Hole, node: ast.Call) -> Value:
        """Return what a call on one sample returns: its row of what it would be for the batch."""
        result = self.of_sample(result, node)
        if self.row is None or is_of_sample(result.path):
            return result
        index, names = self.row
        parts = [part for argument in node.args for part in ast.walk(argument)]
        whole = self.settle(result) if any(isinstance(p, ast.Name) and p.id in names for p in parts) else result
        if not self.domain.is_tensor(whole):
            return result
        is_batch = any(isinstance(part, ast.Attribute) and part.attr == "unsqueeze" for part in parts)
        return self.domain.item(whole, slice(index, index + 1) if is_batch else index)

    def _text_of(self, node: ast.Call) -> str:
        """Return the text of the arguments of a call."""
        return self.program.note(
            "text", node, lambda: ", ".join([*map(ast.unparse, node.args), *map(ast.unparse, node.keywords)])
        )

    def _call_foreign(self, callee: Library, node: ast.Call) -> Value:
        if callee.last in _PROGRESS and node.args:
            return self.evaluate(node.args[0])
        if callee.name == "functools.partial" and node.args:
            values = self.entries(node.args)
            options = {k.arg: self.evaluate(k.value) for k in node.keywords if k.arg is not None}
            return Partial(values[0], tuple(values[1:]), options)
        result = self._unknown(callee.name, node)
        if callee.last[:1].isupper() and isinstance(result, Hole):
            self.built.add(result.path)
            if callee.name in _CONTAINERS:
                self.containers.add(result.path)
        return result

    def _call_on_hole(self, owner: Hole, name: str, node: ast.Call) -> Value:
        """Call a method of something unknown: of a tensor if it has such a name, else never."""
        is_other = name == "backward" or (name in GATHERING_METHODS and len(node.args) == 1)
        if name in TENSOR_METHODS and not is_other and self.is_filled(owner):
            if name in MOVING:
                return owner
            return self._call_value(Bound(self.settle(owner), name), node)
        if name == "backward" and not node.args:
            return self.end_in(self.settle(owner), node)
        if name in PARAMETER_METHODS:
            return Parameters()
        if name in ("named_parameters", "named_modules"):
            return [("parameter", value) for value in self.iterate(Parameters())]
        if name in BACKWARD_METHODS and node.args:
            return self.end_in(self.settle(self.evaluate(node.args[0])), node)
        is_scaler = name in SCALING_METHODS and (name != "scale" or len(node.args) + len(node.keywords) == 1)
        if (is_scaler or name in GATHERING_METHODS) and node.args:
            several = name == "prepare" and len(node.args) > 1
            return tuple(self.entries(node.args)) if several else self.evaluate(node.args[0])
        if name in _MODES:
            if name == "apply" and self.backwards and node.args:
                self.call(self.evaluate(node.args[0]), (owner,), {}, node)
            return owner
        if name == "step":
            self._step_of_hole(owner, node)
        if name == "clip_grad_norm_" and len(node.args) > 1:
            return self.domain.clip(name, self.settle(self.evaluate(node.args[1])))
        return self._call_by_name(owner, name, node)

    def _step_of_hole(self, owner: Hole, node: ast.Call) -> None:
        """Step with an optimizer that is not known, or with what scales gradients for one."""
        if not _SCHEDULE.search(owner.path.rpartition(".")[2]):
            self._run_closure(node)
            self._step(None)
        if "scaler" in owner.path and self.backwards:
            stepped = self.evaluate(node.args[0]) if node.args else None
            self._step(stepped if isinstance(stepped, Optimizer) else None)

    def _call_by_name(self, owner: Hole, name: str, node: ast.Call) -> Value:
        """Call the method of the one class that computes the loss and has such a method, or nothing."""
        known = self.object_with(owner, name)
        if known is not None:
            return self._call_value(self.attribute(known, name), node)
        return self._unknown(f"{owner.path}.{name}", node)

    def _step(self, optimizer: Optimizer | None) -> None:
        self.latest = optimizer or self.latest
        if self.experiment.framework_divides and self.backwards < self.domain.rounds:
            # the optimizer of a framework waits for the last micro-batch
            return
        if self.backwards:
            self.finish()

    def _call_optimizer(self, owner: Optimizer, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "step":
            self._run_closure(node)
            self._step(owner)
        return None

    def _run_closure(self, node: ast.Call) -> None:
        """Call the function that an optimizer is given to compute the gradient, once."""
        given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "closure")]
        first = given[0] if given and not self.backwards else None
        closure = self.held(first.id) if isinstance(first, ast.Name) else None
        if isinstance(first, ast.Lambda):
            closure = self.evaluate(first)
        if isinstance(closure, Function):
            self.call(closure, (), {}, node)

    # What is known

    def is_allowed(self, library: Library) -> bool:
        """Whether a name of a library is in the tables."""
        name = modern(library.name)
        if name in PASSES_ON | CLIPPING | {NUMBERED} or loss_class(name) or loss_function(name):
            return True
        head, _, last = name.rpartition(".")
        return last in _TABLES.get(head, ()) or (head == "torch.linalg" and last in ("norm", "vector_norm"))

    def call(self, callee: Value, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call) -> Value:
        """Call a value that is known."""
        self.tick()
        match callee:
            case Function():
                return self.invoke(callee, arguments, options)
            case Class():
                return self.instantiate(callee, arguments, options)
            case Instance() | Criterion() | Layer() | Bound():
                return self._call_made(callee, arguments, options, node)
            case Partial(callee=inner, arguments=given, options=defaults):
                return self.call(inner, (*given, *arguments), {**defaults, **options}, node)
            case Builtin(name=name):
                return self.call_builtin(name, arguments, options)
            case Library(name=name):
                if not self.is_allowed(callee):
                    return Hole.at(f"{name}(...)")
                return self.call_library(callee, arguments, options, node)
            case Hole(path=path):
                return Hole.at(f"{path}()")
            case Super():
                return None
        raise BlockedError("something that is no function is called")

    def _call_made(
        self,
        callee: Instance | Criterion | Layer | Bound,
        arguments: Sequence[Value],
        options: dict[str, Value],
        node: ast.Call,
    ) -> Value:
        """Call an object, or a method of one."""
        if isinstance(callee, Instance):
            return self._call_instance(callee, arguments, options, node)
        if isinstance(callee, Criterion | Layer):
            return self._call_object(callee, arguments, options, node)
        if isinstance(callee.receiver, Instance):
            return self._call_inherited(callee.receiver, callee.name, arguments, options, node)
        return self._call_bound(callee, arguments, options, node)

    def _call_instance(
        self, callee: Instance, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call
    ) -> Value:
        if self.loss_of_class(callee.owner) is not None and self.is_blank(callee, of_loss=True):
            return self._call_inherited(callee, "forward", arguments, options, node)
        return self.call_instance(callee, arguments, options)

    def _call_inherited(
        self, receiver: Instance, name: str, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call
    ) -> Value:
        """Call a method that a user class has from a loss class of torch: its constructor, or the loss itself."""
        loss = self.loss_of_class(receiver.owner)
        assert loss is not None
        if name == "__init__":
            built = self.domain.criterion(loss, *self.clean(arguments, options), self.place(node))
            receiver.attributes.update({"reduction": "mean", **built.options})
            receiver.attributes[CRITERION] = built
            return None
        criterion = receiver.attributes.get(CRITERION)
        if not isinstance(criterion, Criterion):
            criterion = self.domain.criterion(loss, (), {}, self.place(node))
        return self._call_object(criterion, arguments, options, node)

    def _call_object(
        self, callee: Criterion | Layer, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call
    ) -> Value:
        if isinstance(callee, Layer):
            settled = [self.settle(value) for value in arguments]
            return settled[0] if callee.name in IDENTITY_LAYERS else self.domain.apply(callee, settled)
        loss = loss_class(f"torch.nn.{callee.name}")
        assert loss is not None
        return self.made(
            callee.place, self.domain.loss(loss, callee, *self.clean(arguments, options), self.place(node))
        )

    def _call_bound(
        self, callee: Bound, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call
    ) -> Value:
        value, name = callee.receiver, callee.name
        if not self.domain.is_tensor(value):
            return self.call_method(callee, arguments, options)
        if name == "backward":
            gradient = arguments[0] if arguments else options.get("gradient")
            return self.end_in(value, node, self.settle(gradient))
        if name in ("item", "tolist") and self.experiment.end_kind == "read" and self.is_end(node):
            return self.end_in(value, node)
        self.see_reduced(node, name, value)
        return self.domain.method(value, name, *self.clean(arguments, options))

    # The end

    def is_end(self, node: ast.expr) -> bool:
        """Whether a node is where the path of the loss ends, or holds that place, or is a part of it."""
        end, place = self.experiment.end, self.place(node)
        if end.unit != place.unit:
            return False
        inside = (place.line, place.column) >= (end.line, end.column)
        inside = inside and (place.end_line, place.end_column) <= (end.end_line, end.end_column)
        around = (place.line, place.column) <= (end.line, end.column)
        return inside or (around and (place.end_line, place.end_column) >= (end.end_line, end.end_column))

    def end_in(self, value: Value, node: ast.Call, gradient: Value = None) -> Value:
        """Compute the gradient, if this is the end; other calls of backward are of other losses."""
        if self.is_end(node):
            self.train(value, gradient)
            self._run_hooks(node)
        return None

    def train(self, value: Value, gradient: Value = None) -> None:
        """Compute the gradient of a loss."""
        if self.experiment.framework_divides and self.experiment.end_kind == "backward":
            value = self.domain.binary(ast.Div(), value, self.domain.count("micro_batches"))
        self.domain.backward(value, gradient)
        self.backwards += 1
        self.frames_at_end = tuple(self.frames)
        self.is_looped = self.is_looped or self.loops > 0


#: What holds parts of a network: a loop over it is none over batches.
_CONTAINERS = frozenset({"torch.nn.ModuleList", "torch.nn.Sequential", "torch.nn.ModuleDict"})
_TABLES: dict[str, frozenset[str]] = {
    "torch": TORCH_FUNCTIONS | TENSOR_TYPES | {"device"} | frozenset(FOR_EACH),
    "torch.distributed": frozenset({"all_reduce"}),
    "torch.special": frozenset({"expit", "xlogy", "logit"}),
    "torch.nn.functional": ACTIVATIONS | {"dropout"},
    "torch.nn.utils.rnn": PADDING,
    "torch.nn": LAYERS | IDENTITY_LAYERS,
    "torch.optim": OPTIMIZERS,
    "torch.distributions": DISTRIBUTIONS | {"kl_divergence"},
    "torch.cuda": frozenset({"is_available"}),
    "torch.autograd": frozenset({"backward"}),
    "math": MATHEMATICS,
}


def _is_method(statement: ast.stmt, name: str) -> bool:
    return isinstance(statement, ast.FunctionDef) and statement.name == name


def looks_like_loss(path: str) -> bool:
    """Whether the result of an unknown call is called like a loss; it is no data then."""
    called = path.partition("(")[0].rpartition(".")[2]
    return "(" in path and is_loss_name(called)
