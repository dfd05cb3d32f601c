"""What is known of other people's code: data, one file per library, read once."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

from lint_reduction.growth import Count
from lint_reduction.libraries.schema import (
    CompanionModel,
    LossModel,
    OptimizerModel,
    SinkModel,
    Tables,
    WrapperModel,
    read_tables,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HERE = Path(__file__).parent
_WORD_LISTS = ("uncertain", "constants", "losses", "drawing", "optimizers", "models", "gathering", "cutoffs", "looking")
_NOT_TABLES = ("names.toml", "operations.toml")
#: Where a new word begins in a name without underscores.
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
#: Names of which the words are kept: a program says the same ones again and again.
_WORDS_KEPT = 8192
#: Packages without a table of which the analysis knows what their functions do.
_BY_HEART = frozenset({"numpy", "einops", "tqdm", "omegaconf", "hydra", "yaml"})
_Kept = TypeVar("_Kept")
_CallModel: TypeAlias = SinkModel | WrapperModel | CompanionModel


@dataclass(frozen=True, slots=True)
class Names:
    """What a name alone is taken for.

    Attributes:
        counts: counts by name.
        uncertain: words that make a number uncertain.
        constants: words of numbers that never depend on the batch.
        roles: role by name: criterion, loader, dataset, batch, mask, padding_value, batch_axis.
        losses: words of functions that return a loss.
        drawing: words of functions that return other data each time.
        optimizers: words of things that step.
        models: words of things that have weights.
        gathering: parts of the names of what brings together what several processes computed.
        cutoffs: words of what a mask chooses by.
        looking: words of functions that change nothing.
    """

    counts: Mapping[str, Count]
    uncertain: frozenset[str]
    constants: frozenset[str]
    roles: Mapping[str, str]
    losses: frozenset[str]
    drawing: frozenset[str]
    optimizers: frozenset[str]
    models: frozenset[str]
    gathering: frozenset[str]
    cutoffs: frozenset[str]
    looking: frozenset[str]

    @property
    def window_words(self) -> frozenset[str]:
        """The names of a number of micro-batches."""
        return frozenset(name for name, count in self.counts.items() if count is Count.MICRO_BATCHES)

    def count(self, name: str) -> Count | None:
        """Return what a variable of this name counts, None if nothing is known."""
        return _by_suffix(self.counts, _plain(name))

    def role(self, name: str) -> str:
        """Return the role of a variable of this name, empty if it has none."""
        role = _by_suffix(self.roles, _plain(name)) or ""
        if role == "batch" and (set(_words(name)) - {"batch", "samples"}) & self.uncertain:
            # num_items_in_batch is no batch
            return ""
        return role

    def is_constant(self, name: str) -> bool:
        """Say whether a number of this name never depends on the batch: a temperature."""
        words = _words(name)
        return any(word in self.constants for word in words) and not self.is_uncertain(name)

    def is_uncertain(self, name: str) -> bool:
        """Say whether a number of this name may count anything."""
        return any(word in self.uncertain for word in _words(name))

    def counts_by_name(self, name: str) -> bool:
        """Say whether a number of this name counts something: ``num_pos``, ``n_valid``, ``batch_size``."""
        return self.count(name) is not None or bool(set(_words(name)) & {"n", "num", "count", "numel", "nb", "cnt"})

    def is_optimizer(self, name: str) -> bool:
        """Say whether something of this name is an optimizer, and no scheduler."""
        words = set(_words(name))
        return bool(words & self.optimizers) and not words & {"sched", "scheduler", "lr"}

    def is_model(self, name: str) -> bool:
        """Say whether something of this name is a network, or a part of one."""
        words = _words(name)
        return bool(words) and words[-1] in self.models

    def is_loss_word(self, name: str) -> bool:
        """Say whether a function of this name returns a loss."""
        return any(word in self.losses for word in _words(name))

    def gathers(self, name: str) -> bool:
        """Say whether something of this name brings together what several processes computed."""
        return any(word in name.lower() for word in self.gathering)

    def is_cutoff(self, name: str) -> bool:
        """Say whether a mask that compares with something of this name chooses by how sure a network is."""
        return any(word in self.cutoffs for word in _words(name))

    def only_looks(self, name: str) -> bool:
        """Say whether a function of this name changes nothing of what it is handed."""
        return any(word in self.looking for word in _words(name))

    def is_drawing_word(self, name: str) -> bool:
        """Say whether a function of this name returns other data each time."""
        return any(word in self.drawing for word in _words(name))


def _plain(name: str) -> str:
    return name.rpartition(".")[2].strip("_").lower()


@functools.lru_cache(_WORDS_KEPT)
def _words(name: str) -> tuple[str, ...]:
    spaced = _HUMP.sub("_", name.rpartition(".")[2])
    return tuple(word.rstrip("0123456789") for word in spaced.lower().split("_") if word)


def _by_suffix(table: Mapping[str, _Kept], name: str) -> _Kept | None:
    while name:
        if name in table:
            return table[name]
        _, underscore, name = name.partition("_")
        if not underscore:
            break
    return None


@dataclass(frozen=True, slots=True)
class Libraries:
    """Everything known of other people's code, ready to be looked up by resolved name."""

    tables: Tables
    losses: Mapping[str, tuple[LossModel, bool]]
    """By resolved name: the model, and whether the name is the class."""
    optimizers: Mapping[str, OptimizerModel]
    functions: Mapping[str, _CallModel]
    methods: Mapping[str, tuple[_CallModel, ...]]
    """By method name without its class."""
    returns: Mapping[str, tuple[SinkModel, ...]]
    operations: Mapping[str, str]
    """Kind by name of a tensor operation."""
    operation_modules: tuple[str, ...]
    names: Names
    renamed: frozenset[str]
    """Packages of which some names are listed as those of another."""

    def canonical(self, name: str) -> str:
        """Return the name under which the tables list something that has several."""
        if name.partition(".")[0] not in self.renamed:
            return name
        for old, new in self.tables.aliases:
            if name == old or name.startswith(old + "."):
                return new + name[len(old) :]
        return name

    def lists(self, name: str) -> bool:
        """Say whether a table has an entry of a resolved name."""
        return name in self.losses or name in self.optimizers or name in self.functions

    def operation(self, name: str) -> str | None:
        """Return the operation that a resolved function name stands for: ``exp`` for ``torch.exp``."""
        module, _, operation = name.rpartition(".")
        return operation if module in self.operation_modules else None

    def with_tables(self, tables: Tables, counts: Mapping[str, Count]) -> Libraries:
        """Return these libraries with a user's own entries, which win."""
        names = self.names
        merged = replace(names, counts={**names.counts, **counts})
        return _build(self.tables + tables, merged, self.operations, self.operation_modules)

    def sink_words(self) -> frozenset[str]:
        """Return the names of which one is used where a loss is trained on, unless a trainer calls a step."""
        words = {"backward", "grad", "functional_grad", "value_and_grad", "minimize"}
        for sink in self.tables.sinks:
            for name in (sink.method, sink.function, sink.criterion_of):
                # an engine that is called is known by its class
                words.add(name.removesuffix(".__call__").rpartition(".")[2])
        words |= {name for name, role in self.names.roles.items() if role == "loss_scaler"}
        return frozenset(word for word in words if word)

    def loss_names(self) -> frozenset[str]:
        """Return the last components of all names of losses: what a file must mention."""
        return frozenset(name.rpartition(".")[2] for name in self.losses)


def _build(tables: Tables, names: Names, operations: Mapping[str, str], modules: tuple[str, ...]) -> Libraries:
    losses: dict[str, tuple[LossModel, bool]] = {}
    for loss in tables.losses:
        if loss.name:
            losses[loss.name] = loss, True
        if loss.function:
            losses[loss.function] = loss, False
    functions: dict[str, _CallModel] = {}
    methods: dict[str, tuple[_CallModel, ...]] = {}
    returns: dict[str, tuple[SinkModel, ...]] = {}
    models: tuple[_CallModel, ...] = (*tables.sinks, *tables.wrappers, *tables.companions)
    for model in models:
        if model.function:
            functions[model.function] = model
        if model.method:
            last = model.method.rpartition(".")[2]
            methods[last] = (*methods.get(last, ()), model)
    for sink in tables.sinks:
        if sink.returns:
            returns[sink.returns] = (*returns.get(sink.returns, ()), sink)
        if sink.criterion_of:
            functions[sink.criterion_of] = sink
    optimizers = {optimizer.name: optimizer for optimizer in tables.optimizers}
    renamed = frozenset(old.partition(".")[0] for old, _ in tables.aliases)
    return Libraries(tables, losses, optimizers, functions, methods, returns, operations, modules, names, renamed)


def _load(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        values: dict[str, object] = tomllib.load(file)
    return values


def _read_names(values: dict[str, object]) -> Names:
    def section(name: str) -> dict[str, list[str]]:
        part = values[name]
        assert isinstance(part, dict)
        return part

    counts = {name: Count(count) for count, names in section("counts").items() for name in names}
    roles = {name: role for role, names in section("roles").items() for name in names}
    words = {name: frozenset(section(name)["words"]) for name in _WORD_LISTS}
    return Names(
        counts,
        words["uncertain"],
        words["constants"],
        roles,
        words["losses"],
        words["drawing"],
        words["optimizers"],
        words["models"],
        words["gathering"],
        words["cutoffs"],
        words["looking"],
    )


@functools.cache
def load_libraries() -> Libraries:
    """Read the tables that come with the package."""
    tables = Tables()
    for path in sorted(_HERE.glob("*.toml")):
        if path.name not in _NOT_TABLES:
            tables += read_tables(_load(path), path.name)
    names = _read_names(_load(_HERE / "names.toml"))
    operations: dict[str, str] = {}
    modules: tuple[str, ...] = ()
    for kind, listed in _load(_HERE / "operations.toml").items():
        assert isinstance(listed, list)
        if kind == "modules":
            modules = tuple(listed)
        else:
            operations.update(dict.fromkeys(listed, kind))
    return _build(tables, names, operations, modules)


@functools.cache
def known_packages() -> frozenset[str]:
    """Return the packages whose source says no more than is known of them."""
    libraries = load_libraries()
    tables = libraries.tables
    names = [*libraries.losses, *libraries.optimizers, *libraries.functions, *libraries.operation_modules]
    names += [name for sink in tables.sinks for name in (sink.method, *sink.bases)]
    names += [wrapper.method for wrapper in tables.wrappers]
    names += [name for alias in tables.aliases for name in alias]
    return _BY_HEART | {name.partition(".")[0] for name in names if name}
