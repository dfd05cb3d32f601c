"""Losses, layers and distributions in a trace: what is given to them, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lint_reduction.verify.abstract import NO_PATHS, Abstract
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.losses import WEIGHTED, Loss
from lint_reduction.verify.noted import Noted
from lint_reduction.verify.values import Criterion, Distribution, Layer, Value, parts


class TracedObjects(Noted):
    """Notes what goes into objects of torch."""

    # What is noted

    def use(self, value: Value, *tags: str) -> None:
        """Note uses of the holes that a value is, unchanged."""
        for part in parts(value):
            if isinstance(part, Abstract) and part.is_pure:
                for path in part.roots:
                    self.found.uses.setdefault(path, set()).update(tags)
            elif isinstance(part, Abstract) and "tensor" in tags:
                for path in part.compared:
                    self.found.uses[path].add("tensor")

    def _roots(self, *values: Value) -> frozenset[str]:
        found = NO_PATHS
        for value in values:
            for part in parts(value):
                if isinstance(part, Abstract):
                    found |= part.roots
        return found

    def _joined(self, left: Value, right: Value) -> Abstract:
        likes = [v.like for v in (left, right) if isinstance(v, Abstract) and v.like and not v.is_number]
        if len(likes) == 2 and likes[0] != likes[1]:
            self.found.equal.append(likes[0] | likes[1])
        is_number = all(not isinstance(v, Abstract) or v.is_number for v in (left, right))
        like = frozenset().union(*likes) if likes else NO_PATHS
        return Abstract(self._roots(left, right), like, is_number=is_number)

    # Losses and objects

    def criterion(
        self, loss: Loss, arguments: Sequence[Value], options: Mapping[str, Value], place: Place
    ) -> Criterion:
        """Note the options of a criterion."""
        for name, value in options.items():
            self.use(value, "class weight" if "weight" in name else "option")
            self.see_weights(value)
        for value in arguments:
            self.use(value, "class weight")
            self.see_weights(value)
        return Criterion(loss.name, dict(options), None, place)

    def loss(
        self,
        loss: Loss,
        criterion: Criterion | None,
        arguments: Sequence[Value],
        options: Mapping[str, Value],
        place: Place,
    ) -> Value:
        """Note which hole reaches which argument."""
        names = [name for name, _ in loss.arguments]
        given = list(enumerate(arguments))
        given += [(names.index(name), value) for name, value in options.items() if name in names]
        for index, value in given:
            if index >= len(names):
                self.use(value, "class weight")
                continue
            self.use(value, "tensor")
            pure = isinstance(value, Abstract) and value.is_pure
            for path in self._roots(value):
                self.found.roles.setdefault(path, []).append((loss, index, pure))
        for name, value in options.items():
            self.see_weights(value)
            if name not in names:
                self.use(value, "class weight" if "weight" in name else "option")
            if name == "weight" and loss.name in WEIGHTED:
                self.found.weighing |= self._roots(value)
        ignored = options.get("ignore_index", criterion.options.get("ignore_index") if criterion else None)
        if type(ignored) is int:
            self.found.ignored.insert(0, ignored)
        if loss not in self.found.losses:
            self.found.losses.append(loss)
        like: frozenset[str] = NO_PATHS
        first = arguments[0] if arguments else None
        if options.get("reduction") == "none" and isinstance(first, Abstract) and loss.layouts[0][0] == "BD":
            like = first.like
        return Abstract(self._roots(list(arguments), list(options.values())), like)

    def layer(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Layer:
        """Return a module without parameters."""
        return Layer(name, None)

    def apply(self, layer: Layer, arguments: Sequence[Value]) -> Value:
        """Return its result."""
        self.use(list(arguments), "tensor")
        first = arguments[0] if arguments else None
        like = first.like if isinstance(first, Abstract) and layer.name not in ("Flatten",) else NO_PATHS
        return Abstract(self._roots(list(arguments)), like)

    def distribution(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Distribution:
        """Return an abstract distribution."""
        values = [*arguments, *options.values()]
        self.use(values, "tensor")
        likes = [v.like for v in values if isinstance(v, Abstract)]
        like = frozenset().union(*likes) if likes else NO_PATHS
        if len(like) > 1:
            self.found.equal.append(like)
        if name == "Categorical":
            for value in values:
                self.found.rank(value, least=2)
        return Distribution(name, tuple(arguments), options, Abstract(self._roots(values), like))

    def distributed(self, distribution: Distribution, name: str, arguments: Sequence[Value], *, called: bool) -> Value:
        """Return what a distribution gives."""
        self.use(list(arguments), "tensor")
        real = distribution.real
        assert isinstance(real, Abstract)
        like = real.like
        if distribution.name == "Categorical":
            # one number for each row of scores
            like = NO_PATHS
            drawn = arguments if name == "log_prob" else ()
            self.found.labels |= self._roots(*(v for v in drawn if isinstance(v, Abstract) and v.is_pure))
        return Abstract(real.roots | self._roots(list(arguments)), like)

    def divergence(self, left: Distribution, right: Distribution) -> Value:
        """Return a divergence."""
        return self._joined(left.real, right.real)
