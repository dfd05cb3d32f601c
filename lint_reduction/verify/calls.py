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
    OPTIMIZER_OPTIONS,
    OPTIMIZERS,
    PARAMETER_METHODS,
    PASSES_ON,
    SCALING_METHODS,
    TENSOR_METHODS,
    TENSOR_TYPES,
    TORCH_FUNCTIONS,
)
from lint_reduction.verify.builtin_calls import BuiltinCalls
from lint_reduction.verify.functions import CRITERION
from lint_reduction.verify.losses import is_loss_name, loss_class, loss_function, modern
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
    parts,
)

_MODES = MOVING | {"train", "eval", "half", "float", "double", "bfloat16", "apply", "zero_grad"}
_REGISTERING = frozenset({"register_buffer", "register_parameter"})
_SCHEDULE = re.compile(r"sched|warm|scaler|lr_|ema|meter|prof|logger|timer|bar|env", re.IGNORECASE)
_PROGRESS = frozenset({"tqdm", "track", "progress_bar", "ProgressBar"})


class Calls(BuiltinCalls):
    """Evaluates calls."""

    def _call(self, node: ast.Call) -> Value:
        place = self.place(node)
        is_inherited = isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"
        if place in self.decisions.sites and not is_inherited:
            callee: Value = Library(self.decisions.sites[place])
        elif isinstance(node.func, ast.Attribute):
            owner = self.evaluate(node.func.value)
            if isinstance(owner, Hole):
                return self._call_on_hole(owner, node.func.attr, node)
            is_own = isinstance(owner, Instance) and owner.owner.definition(node.func.attr) is not None
            if isinstance(owner, Instance) and node.func.attr in PARAMETER_METHODS and not is_own:
                return Parameters()
            if isinstance(owner, Instance | Criterion | Layer) and node.func.attr in _MODES and not is_own:
                return owner
            if isinstance(owner, Instance) and node.func.attr in _REGISTERING and not is_own:
                return self.call_builtin("setattr", (owner, *self.entries(node.args[:2])), {})
            if isinstance(owner, Optimizer):
                return self._call_optimizer(owner, node.func.attr)
            if isinstance(owner, Distribution) and node.func.attr in DISTRIBUTION_METHODS:
                return self.domain.distributed(owner, node.func.attr, self._settled(node), called=True)
            callee = self.attribute(owner, node.func.attr)
        else:
            callee = self.evaluate(node.func)
        return self._call_value(callee, node)

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
        return self.call(callee, arguments, options, node)

    def _settled(self, node: ast.Call) -> list[Value]:
        return [self.settle(value) for value in self.entries(node.args)]

    # What is not known

    def _unknown(self, path: str, node: ast.Call) -> Value:
        """Return the result of a call that is never made: a hole by the text of the call."""
        name = path.rpartition(".")[2]
        if self.place(node) == self.experiment.site:
            raise BlockedError(f"`{path}` is not known")
        if name in ("main", "init_process_group", "manual_seed"):
            return None
        return Hole.at(f"{path}({self._text_of(node)})")

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
        return result

    def _call_on_hole(self, owner: Hole, name: str, node: ast.Call) -> Value:
        """Call a method of something unknown: of a tensor if it has such a name, else never."""
        is_other = name == "backward" or (name in GATHERING_METHODS and len(node.args) == 1)
        if name in TENSOR_METHODS and not is_other and self.is_filled(owner):
            if name in MOVING:
                return owner
            return self._call_value(Bound(self.settle(owner), name), node)
        if name == "backward" and not node.args:
            return self._backward(self.settle(owner), node)
        if name in PARAMETER_METHODS:
            return Parameters()
        if name in ("named_parameters", "named_modules"):
            return [("parameter", value) for value in self.iterate(Parameters())]
        if name in BACKWARD_METHODS and node.args:
            return self._backward(self.settle(self.evaluate(node.args[0])), node)
        if name in SCALING_METHODS | GATHERING_METHODS and len(node.args) >= 1:
            return self.evaluate(node.args[0])
        if name in _MODES:
            return owner
        if name == "step" and not _SCHEDULE.search(owner.path.rpartition(".")[2]):
            self._step(None)
        if name == "step" and "scaler" in owner.path and self.backwards:
            stepped = self.evaluate(node.args[0]) if node.args else None
            self._step(stepped if isinstance(stepped, Optimizer) else None)
        if name == "clip_grad_norm_" and len(node.args) > 1:
            return self.domain.clip(name, self.settle(self.evaluate(node.args[1])))
        return self._call_by_name(owner, name, node)

    def _call_by_name(self, owner: Hole, name: str, node: ast.Call) -> Value:
        """Call the method of the one class that computes the loss and has such a method, or nothing."""
        known = self.object_with(owner, name)
        if known is not None:
            return self._call_value(self.attribute(known, name), node)
        return self._unknown(f"{owner.path}.{name}", node)

    def _step(self, optimizer: Optimizer | None) -> None:
        if self.backwards:
            self.latest = optimizer or self.latest
            self.finish()

    def _call_optimizer(self, owner: Optimizer, name: str) -> Value:
        if name == "step":
            self._step(owner)
        return None

    # What is known

    def is_allowed(self, library: Library) -> bool:
        """Whether a name of a library is in the tables."""
        name = modern(library.name)
        if name in PASSES_ON | CLIPPING or loss_class(name) or loss_function(name):
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
                return self._call_library(callee, arguments, options, node)
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
            built = self.domain.criterion(loss, *self._clean(arguments, options), self.place(node))
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
        value = self.domain.loss(loss, callee, *self._clean(arguments, options), self.place(node))
        self.executed.add(callee.place)
        return value

    def _call_bound(
        self, callee: Bound, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call
    ) -> Value:
        value, name = callee.receiver, callee.name
        if not self.domain.is_tensor(value):
            return self.call_method(callee, arguments, options)
        if name == "backward":
            gradient = arguments[0] if arguments else options.get("gradient")
            return self._backward(value, node, self.settle(gradient))
        if name in ("item", "tolist") and self.experiment.end_kind == "read" and self.is_end(node):
            return self._backward(value, node)
        return self.domain.method(value, name, *self._clean(arguments, options))

    def _clean(self, arguments: Sequence[Value], options: dict[str, Value]) -> tuple[list[Value], dict[str, Value]]:
        """Return settled arguments without the ones that only say where a tensor is, and how it is laid out."""
        kept = {name: value for name, value in options.items() if name not in _PLACEMENT}
        return [self._settled_deep(value) for value in arguments], {
            name: self._settled_deep(value) for name, value in kept.items()
        }

    def _settled_deep(self, value: Value, depth: int = 3) -> Value:
        if depth == 3:
            parts(value)
        if isinstance(value, Hole):
            is_place = value.path.rpartition(".")[2] in ("device", "dtype", "rank", "gpu")
            return value if is_place else self.settle(value)
        if depth and isinstance(value, list):
            return [self._settled_deep(entry, depth - 1) for entry in value]
        if depth and isinstance(value, tuple):
            return tuple(self._settled_deep(entry, depth - 1) for entry in value)
        return value

    def _call_library(
        self, callee: Library, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call
    ) -> Value:
        name = modern(callee.name)
        head, _, last = name.rpartition(".")
        if name in PASSES_ON:
            return arguments[0] if arguments else None
        if name in CLIPPING:
            limit = arguments[1] if len(arguments) > 1 else options.get("max_norm", options.get("clip_value"))
            return self.domain.clip(last, self.settle(limit))
        if name == "torch.autograd.backward":
            return self._autograd(arguments, options, node)
        loss = loss_class(name)
        if loss is not None:
            return self.domain.criterion(loss, *self._clean(arguments, options), self.place(node))
        loss = loss_function(name)
        if loss is not None:
            return self.domain.loss(loss, None, *self._clean(arguments, options), self.place(node))
        if head == "torch.optim":
            return self._optimizer(last, arguments, options, node)
        if head == "torch.nn":
            return self.domain.layer(last, *self._clean(arguments, options))
        if name in ("torch.device", "torch.cuda.is_available"):
            return Hole.at("device") if last == "device" else False
        if head == "torch.distributions":
            return self._distribution(last, arguments, options)
        return self.domain.function(name, *self._clean(arguments, options))

    def _autograd(self, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call) -> Value:
        """Call ``torch.autograd.backward``."""
        gradient = arguments[1] if len(arguments) > 1 else options.get("grad_tensors")
        loss, given = (v[0] if isinstance(v, list | tuple) and len(v) == 1 else v for v in (arguments[0], gradient))
        return self._backward(self.settle(loss), node, self.settle(given))

    def _distribution(self, name: str, arguments: Sequence[Value], options: dict[str, Value]) -> Value:
        if name != "kl_divergence":
            return self.domain.distribution(name, *self._clean(arguments, options))
        left, right = arguments
        if isinstance(left, Distribution) and isinstance(right, Distribution):
            return self.domain.divergence(left, right)
        raise BlockedError("the divergence is of no distributions")

    def _optimizer(self, name: str, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call) -> Optimizer:
        given: dict[Value, Value] = {key: self.settle(v) for key, v in options.items() if key in OPTIMIZER_OPTIONS}
        if len(arguments) > 1:
            given.setdefault("lr", self.settle(arguments[1]))
        place = self.place(node)
        self.latest = self.optimizers[place] = Optimizer(name, given, place)
        return self.latest

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

    def _backward(self, value: Value, node: ast.Call, gradient: Value = None) -> Value:
        """Compute the gradient, if this is the end; other calls of backward are of other losses."""
        if self.is_end(node):
            self.train(value, gradient)
        return None

    def train(self, value: Value, gradient: Value = None) -> None:
        """Compute the gradient of a loss."""
        self.domain.backward(value, gradient)
        self.backwards += 1


_PLACEMENT = frozenset({"device", "generator", "pin_memory", "layout", "memory_format", "non_blocking", "out", "names"})
_TABLES: dict[str, frozenset[str]] = {
    "torch": TORCH_FUNCTIONS | TENSOR_TYPES | {"device"},
    "torch.special": frozenset({"expit", "xlogy", "logit"}),
    "torch.nn.functional": ACTIVATIONS | {"dropout"},
    "torch.nn": LAYERS | IDENTITY_LAYERS,
    "torch.optim": OPTIMIZERS,
    "torch.distributions": DISTRIBUTIONS | {"kl_divergence"},
    "torch.cuda": frozenset({"is_available"}),
    "torch.autograd": frozenset({"backward"}),
    "math": MATHEMATICS,
}


def looks_like_loss(path: str) -> bool:
    """Whether the result of an unknown call is called like a loss; it is no data then."""
    called = path.partition("(")[0].rpartition(".")[2]
    return "(" in path and is_loss_name(called)
