"""Types of the library tables, and how a table becomes those types.

A loss, an optimizer, a sink, a wrapper and a companion are written the same way by us in
``libraries/*.toml`` and by users in their configuration; ``read_tables`` checks both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lint_reduction.config import unknown_key
from lint_reduction.errors import ConfigError
from lint_reduction.facts import Behavior, Companion
from lint_reduction.growth import Growth

_Model = TypeVar("_Model")

LEGACY = ("size_average", "reduce")
_REDUCTIONS = ("mean", "sum", "batchmean")


@dataclass(frozen=True, slots=True)
class LossModel:
    """A loss of a library: a module class, its functional form, or both.

    Attributes:
        name: the class, empty if there is none.
        function: the functional form, empty if there is none.
        default: the reduction when none is given.
        fixed: whether there is no reduction to choose.
        none: growth of the axes of the unreduced loss.
        growths: growth by reduction.
        more_positions: whether the input may have further positions.
        divisor: what ``mean`` divides the unreduced sum by.
        accepts: reductions that run.
        warns: those that torch warns about.
        positional: constructor parameters that can be given by position, in order.
        keyword_only: the others.
        inputs: parameters of the call that take tensors of the batch.
        function_positional: parameters of the functional form, in order.
        function_keyword_only: the others.
        output: the field of the result that holds the loss, empty if the result is the loss.
        source: where this is documented.
    """

    name: str
    function: str
    default: str
    fixed: bool
    none: Growth
    growths: Mapping[str, Growth]
    more_positions: bool
    divisor: str
    accepts: tuple[str, ...]
    warns: tuple[str, ...]
    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    inputs: tuple[str, ...]
    function_positional: tuple[str, ...]
    function_keyword_only: tuple[str, ...]
    output: str
    source: str

    @property
    def legacy(self) -> tuple[str, ...]:
        """The deprecated flags that the loss has."""
        return tuple(p for p in LEGACY if p in self.positional or p in self.function_positional)

    def growth(self, reduction: str) -> Growth | None:
        """Return the growth under a reduction, None for one that is not known."""
        if reduction == "elementwise_mean":
            reduction = "mean"
        return self.growths.get(reduction)


@dataclass(frozen=True, slots=True)
class OptimizerModel:
    """An optimizer of a library.

    Attributes:
        name: the class.
        behavior: how its update follows a constant factor on the gradient.
        learning_rate: position and name of the learning rate.
        weight_decay: ``coupled`` (added to the gradient), ``decoupled`` or empty.
        decoupled_flag: the option that decouples weight decay, if any.
        accumulator: the option that sets an initial accumulator, if any.
        first_steps: whether some first steps follow the gradient.
    """

    name: str
    behavior: Behavior
    learning_rate: tuple[int, str]
    weight_decay: str
    decoupled_flag: str
    accumulator: str
    first_steps: bool


@dataclass(frozen=True, slots=True)
class SinkModel:
    """A place where a loss is trained on.

    One of ``method`` (``Class.method``), ``function``, ``returns`` (a method whose return value is
    trained on, of a subclass of ``bases``) and ``criterion_of`` (a call that is given a criterion
    and trains with it) says what it is.

    Attributes:
        argument: position and name of the loss or the criterion.
        gradient: position and name of the gradient argument.
        optimizer: position and name of the optimizer.
        key, item: where the loss stands in a dictionary or a tuple that is returned.
        configure: the method that returns the optimizer.
        default_optimizer: what steps if nothing else is said.
        steps: whether the call steps as well.
        companions: what sees the size of the gradient there.
        divides: whether the loss is divided by the number of micro-batches there.
        divides_by: arguments of the constructor of which one makes it so.
        normalizer: the parameter of a step that, where it takes it, is to normalize the loss instead.
        normalizer_flags: the attributes that turn this off when they are false.
    """

    method: str
    function: str
    returns: str
    criterion_of: str
    bases: tuple[str, ...]
    argument: tuple[int, str]
    gradient: tuple[int, str] | None
    optimizer: tuple[int, str] | None
    key: str
    item: int
    configure: str
    default_optimizer: str
    steps: bool
    companions: frozenset[Companion]
    divides: bool
    divides_by: tuple[str, ...]
    normalizer: str
    normalizer_flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrapperModel:
    """A call that hands its argument back, or something that stands for it.

    Attributes:
        function: resolved name of a function or class, or empty.
        method: ``Class.method``, or empty.
        argument: position of the argument.
        all: whether all arguments come back, as a tuple if there are several.
        averages_ranks: whether the gradients of what comes back are averaged over processes.
    """

    function: str
    method: str
    argument: int
    all: bool
    averages_ranks: bool


@dataclass(frozen=True, slots=True)
class CompanionModel:
    """A call that sees the size of the gradient."""

    function: str
    method: str
    companion: Companion


@dataclass(frozen=True, slots=True)
class Tables:
    """What some tables say, in the order of the files."""

    losses: tuple[LossModel, ...] = ()
    optimizers: tuple[OptimizerModel, ...] = ()
    sinks: tuple[SinkModel, ...] = ()
    wrappers: tuple[WrapperModel, ...] = ()
    companions: tuple[CompanionModel, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: Tables) -> Tables:
        return Tables(
            self.losses + other.losses,
            self.optimizers + other.optimizers,
            self.sinks + other.sinks,
            self.wrappers + other.wrappers,
            self.companions + other.companions,
            self.aliases + other.aliases,
        )


@dataclass(slots=True)
class Entry:
    """One table of a file while it is read: every key must be taken, every value be of its type."""

    values: dict[str, object]
    place: str
    taken: set[str] = field(default_factory=set)

    def _take(self, key: str, kind: type | tuple[type, ...], default: object) -> object:
        self.taken.add(key)
        value = self.values.get(key, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{self.place}: {key} is of the wrong type: {value!r}")
        return value

    def text(self, key: str, default: str = "") -> str:
        """Take a string."""
        return str(self._take(key, str, default))

    def flag(self, key: str) -> bool:
        """Take a truth value, false if it is not given."""
        return bool(self._take(key, bool, False))

    def number(self, key: str, default: int) -> int:
        """Take an integer."""
        value = self._take(key, int, default)
        assert isinstance(value, int)
        return value

    def texts(self, key: str, default: Iterable[str] = ()) -> tuple[str, ...]:
        """Take a list of strings."""
        value = self._take(key, (list, tuple), tuple(default))
        assert isinstance(value, (list, tuple))
        if not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{self.place}: {key} must be a list of strings")
        return tuple(value)

    def slot(self, key: str) -> tuple[int, str] | None:
        """Take a parameter: its position and its name."""
        value = self._take(key, list, [])
        assert isinstance(value, list)
        if not value:
            return None
        if len(value) != 2 or type(value[0]) is not int or type(value[1]) is not str:
            raise ConfigError(f'{self.place}: {key} must be a position and a name, such as [0, "loss"]')
        return value[0], value[1]

    def growth(self, key: str, default: str) -> Growth:
        """Take a growth."""
        try:
            return Growth.parse(self.text(key, default))
        except ValueError as error:
            raise ConfigError(f"{self.place}: {key}: {error}") from None

    def member(self, key: str, known: Mapping[str, object], default: str = "") -> str:
        """Take one of some known words."""
        word = self.text(key, default)
        if word not in known:
            raise ConfigError(f"{self.place}: {key} must be one of {', '.join(known)}, not {word!r}")
        return word

    def companions(self) -> frozenset[Companion]:
        """Take a list of companions."""
        known = {companion.value: companion for companion in Companion}
        words = self.texts("companions")
        for word in words:
            if word not in known:
                raise ConfigError(f"{self.place}: no companion {word!r}; known: {', '.join(known)}")
        return frozenset(known[word] for word in words)

    def finish(self) -> None:
        """Complain about a key that nobody took."""
        for key in self.values:
            if key not in self.taken:
                raise ConfigError(unknown_key(self.place, key, tuple(sorted(self.taken))))


def _loss(entry: Entry) -> LossModel:
    none = entry.growth("none", "samples * elements")
    growths = {name: entry.growth(name, "1") for name in _REDUCTIONS if name in entry.values or name == "mean"}
    growths.setdefault("sum", none)
    accepts = entry.texts("accepts", ("none", "mean", "sum", "elementwise_mean"))
    fixed = entry.text("fixed")
    model = LossModel(
        name=entry.text("name"),
        function=entry.text("function"),
        default=fixed or entry.text("default", "mean"),
        fixed=bool(fixed),
        none=none,
        growths=growths,
        more_positions=entry.flag("more_positions"),
        divisor=entry.text("divisor", "numel"),
        accepts=accepts,
        warns=entry.texts("warns", ("elementwise_mean",) if "elementwise_mean" in accepts else ()),
        positional=entry.texts("positional"),
        keyword_only=entry.texts("keyword_only"),
        inputs=entry.texts("inputs", ("input", "target")),
        function_positional=entry.texts("function_positional"),
        function_keyword_only=entry.texts("function_keyword_only"),
        output=entry.text("output"),
        source=entry.text("source"),
    )
    entry.taken.update(("default", *_REDUCTIONS))
    if not model.name and not model.function:
        raise ConfigError(f"{entry.place}: a loss needs a name or a function")
    entry.finish()
    if not {"default", "fixed", "none", *_REDUCTIONS} & entry.values.keys():
        raise ConfigError(f'{entry.place}: nothing says how it is reduced; give its default, such as "sum"')
    if model.default != "none" and model.growth(model.default) is None:
        known = ", ".join(("none", *growths))
        raise ConfigError(
            f"{entry.place}: {'fixed' if fixed else 'default'} must be one of {known}, not {model.default!r}"
        )
    return model


def _optimizer(entry: Entry) -> OptimizerModel:
    behaviors = {behavior.value: behavior for behavior in Behavior}
    model = OptimizerModel(
        name=entry.text("name"),
        behavior=behaviors[entry.member("behavior", behaviors)],
        learning_rate=entry.slot("learning_rate") or (1, "lr"),
        weight_decay=entry.member("weight_decay", dict.fromkeys(("", "coupled", "decoupled"))),
        decoupled_flag=entry.text("decoupled_flag"),
        accumulator=entry.text("accumulator"),
        first_steps=entry.flag("first_steps"),
    )
    if not model.name:
        raise ConfigError(f"{entry.place}: an optimizer needs a name")
    return model


def _sink(entry: Entry) -> SinkModel:
    model = SinkModel(
        method=entry.text("method"),
        function=entry.text("function"),
        returns=entry.text("returns"),
        criterion_of=entry.text("criterion_of"),
        bases=entry.texts("bases"),
        argument=entry.slot("argument") or (0, "loss"),
        gradient=entry.slot("gradient"),
        optimizer=entry.slot("optimizer"),
        key=entry.text("key"),
        item=entry.number("item", -1),
        configure=entry.text("configure"),
        default_optimizer=entry.text("default_optimizer"),
        steps=entry.flag("steps"),
        companions=entry.companions(),
        divides=entry.flag("divides"),
        divides_by=entry.texts("divides_by"),
        normalizer=entry.text("normalizer"),
        normalizer_flags=entry.texts("normalizer_flags"),
    )
    if sum(map(bool, (model.method, model.function, model.returns, model.criterion_of))) != 1:
        raise ConfigError(f"{entry.place}: a sink needs one of method, function, returns, criterion_of")
    return model


def _wrapper(entry: Entry) -> WrapperModel:
    return WrapperModel(
        entry.text("function"),
        entry.text("method"),
        entry.number("argument", 0),
        entry.flag("all"),
        entry.flag("averages_ranks"),
    )


def _companion(entry: Entry) -> CompanionModel:
    known = {companion.value: companion for companion in Companion}
    word = entry.member("companion", known)
    return CompanionModel(entry.text("function"), entry.text("method"), known[word])


def _alias(entry: Entry) -> tuple[str, str]:
    return entry.text("from"), entry.text("to")


def _read_each(
    tables: Mapping[str, object], key: str, place: str, read: Callable[[Entry], _Model]
) -> tuple[_Model, ...]:
    entries = tables.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{place}: {key} must be a list of tables, [[{key}]]")
    models = []
    for values in entries:
        name = next((str(values[k]) for k in ("name", "function", "method", "returns") if k in values), "?")
        entry = Entry(values, f"{place}: {key} {name}")
        models.append(read(entry))
        entry.finish()
    return tuple(models)


def read_tables(tables: Mapping[str, object], place: str) -> Tables:
    """Turn the tables of a file into models.

    Args:
        tables: the parsed TOML; keys other than ``TABLE_KEYS`` are not looked at.
        place: what to call the file in messages.

    Raises:
        ConfigError: a key is unknown, or a value of the wrong type.
    """
    return Tables(
        _read_each(tables, "loss", place, _loss),
        _read_each(tables, "optimizer", place, _optimizer),
        _read_each(tables, "sink", place, _sink),
        _read_each(tables, "wrapper", place, _wrapper),
        _read_each(tables, "companion", place, _companion),
        _read_each(tables, "alias", place, _alias),
    )
