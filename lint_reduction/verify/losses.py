"""What the losses of torch take: which argument is what, and in which layouts, for where shapes say nothing.

Layouts are letters, one for each axis: B samples, T tokens, C classes, D features, H and W pixels, S and s the
lengths of scores and targets of CTC, 1 an axis of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What a tensor is for a loss."""

    REAL = "prediction"
    LOGIT = "score"
    LOG_PROBABILITY = "log-probability"
    PROBABILITY = "probability"
    VARIANCE = "variance"
    CLASS = "class index"
    BINARY = "binary target"
    TARGET_PROBABILITY = "target distribution"
    TARGET = "target"
    SIGN = "sign"
    COUNT = "count"
    CLASSES = "list of classes"
    INPUT_LENGTH = "input length"
    TARGET_LENGTH = "target length"
    MASK = "mask"
    WEIGHT = "weight"
    CLASS_WEIGHT = "class weight"
    ROW = "row index"
    LENGTH = "length"
    INPUT = "input"

    @property
    def is_learned(self) -> bool:
        """Whether a model puts it out."""
        return self in _LEARNED


_LEARNED = {Role.REAL, Role.LOGIT, Role.LOG_PROBABILITY, Role.PROBABILITY, Role.VARIANCE}


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss of torch.

    Attributes:
        name: of the class.
        function: of the functional form.
        arguments: name and role of each tensor.
        layouts: of these, one text each.
    """

    name: str
    function: str
    arguments: tuple[tuple[str, Role], ...]
    layouts: tuple[tuple[str, ...], ...]

    def role(self, argument: int) -> Role:
        """Return the role of an argument; one behind the last is like the last."""
        return self.arguments[min(argument, len(self.arguments) - 1)][1]


def _same(count: int, *layouts: str) -> tuple[tuple[str, ...], ...]:
    return tuple((layout,) * count for layout in layouts)


_ALIKE = (*_same(2, "BD", "BTD", "B", "B1", "BT", "BDHW", "B1HW"), ("B1", "B"), ("BT1", "BT1"))
_CLASSES = (
    ("BC", "B"),
    ("BTC", "BT"),
    ("BCT", "BT"),
    ("BCHW", "BHW"),
    ("BC", "BC"),
    ("BTC", "BTC"),
    ("BC", "B1"),
)
#: Tried first where a recurrent network is in view that takes time first.
TIME_FIRST = ("TBC", "TB")
_REAL, _TARGET, _LOGIT, _SIGN = Role.REAL, Role.TARGET, Role.LOGIT, Role.SIGN


def _loss(name: str, function: str, roles: dict[str, Role], layouts: tuple[tuple[str, ...], ...]) -> Loss:
    return Loss(name, function, tuple(roles.items()), layouts)


def _pair(name: str, function: str, first: Role, second: Role, layouts: tuple[tuple[str, ...], ...]) -> Loss:
    return _loss(name, function, {"input": first, "target": second}, layouts)


def _triplet(name: str, function: str) -> Loss:
    return _loss(name, function, {"anchor": _REAL, "positive": _REAL, "negative": _REAL}, _same(3, "BD"))


_ALL = (
    _pair("L1Loss", "l1_loss", _REAL, _TARGET, _ALIKE),
    _pair("MSELoss", "mse_loss", _REAL, _TARGET, _ALIKE),
    _pair("SmoothL1Loss", "smooth_l1_loss", _REAL, _TARGET, _ALIKE),
    _pair("HuberLoss", "huber_loss", _REAL, _TARGET, _ALIKE),
    _pair("CrossEntropyLoss", "cross_entropy", _LOGIT, Role.CLASS, _CLASSES),
    _pair("NLLLoss", "nll_loss", Role.LOG_PROBABILITY, Role.CLASS, _CLASSES),
    _pair("BCELoss", "binary_cross_entropy", Role.PROBABILITY, Role.BINARY, _ALIKE),
    _pair("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", _LOGIT, Role.BINARY, _ALIKE),
    _pair("KLDivLoss", "kl_div", Role.LOG_PROBABILITY, Role.TARGET_PROBABILITY, _same(2, "BC", "BTC", "BCT")),
    _pair("PoissonNLLLoss", "poisson_nll_loss", _REAL, Role.COUNT, _ALIKE),
    _loss(
        "GaussianNLLLoss",
        "gaussian_nll_loss",
        {"input": _REAL, "target": _TARGET, "var": Role.VARIANCE},
        _same(3, "BD", "B1", "BTD"),
    ),
    _loss(
        "CTCLoss",
        "ctc_loss",
        {
            "log_probs": Role.LOG_PROBABILITY,
            "targets": Role.CLASS,
            "input_lengths": Role.INPUT_LENGTH,
            "target_lengths": Role.TARGET_LENGTH,
        },
        (("SBC", "Bs", "B", "B"),),
    ),
    _loss(
        "MarginRankingLoss",
        "margin_ranking_loss",
        {"input1": _REAL, "input2": _REAL, "target": _SIGN},
        _same(3, "B", "BD"),
    ),
    _pair("HingeEmbeddingLoss", "hinge_embedding_loss", _REAL, _SIGN, _ALIKE),
    _loss(
        "CosineEmbeddingLoss",
        "cosine_embedding_loss",
        {"input1": _REAL, "input2": _REAL, "target": _SIGN},
        (("BD", "BD", "B"),),
    ),
    _pair("SoftMarginLoss", "soft_margin_loss", _REAL, _SIGN, _ALIKE),
    _pair("MultiMarginLoss", "multi_margin_loss", _LOGIT, Role.CLASS, (("BC", "B"),)),
    _pair("MultiLabelMarginLoss", "multilabel_margin_loss", _LOGIT, Role.CLASSES, _same(2, "BC")),
    _pair("MultiLabelSoftMarginLoss", "multilabel_soft_margin_loss", _LOGIT, Role.BINARY, _same(2, "BC")),
    _triplet("TripletMarginLoss", "triplet_margin_loss"),
    _triplet("TripletMarginWithDistanceLoss", "triplet_margin_with_distance_loss"),
)

#: By the name of the class, and by that of the function.
BY_CLASS = {loss.name: loss for loss in _ALL}
BY_CLASS["NLLLoss2d"] = BY_CLASS["NLLLoss"]
BY_FUNCTION = {loss.function: loss for loss in _ALL}
#: Losses whose ``weight`` has one number for each class, and whose mean divides by it.
WEIGHTED = frozenset({"CrossEntropyLoss", "NLLLoss", "NLLLoss2d"})
_CALLED = re.compile(r"loss|criteri|elbo|objective|kld|diverg|entropy|penalt|nll|^ce$|bce|mse", re.IGNORECASE)
#: Names of the arguments that are tensors.
TENSORS = frozenset(name for loss in _ALL for name, _ in loss.arguments)
#: What a loss is taken to be where there is none: something reduced by hand.
BY_HAND = _loss("", "", {"input": _REAL}, (("BD",), ("B",), ("BTD",), ("BT",), ("BDHW",)))


def is_loss_name(name: str) -> bool:
    """Whether a function of this name returns a loss, and so no data."""
    return _CALLED.search(name) is not None


def modern(name: str) -> str:
    """Return a library name as it is in the tables: without the module that a class is defined in."""
    for old, new in _PREFIXES:
        if name.startswith(old):
            name = new + name.rpartition(".")[2]
    return name


_PREFIXES = (
    ("torch.nn.modules.", "torch.nn."),
    ("torch.functional.", "torch."),
    ("torch.optim.sgd.", "torch.optim."),
    ("torch.optim.adam.", "torch.optim."),
    ("torch.optim.adamw.", "torch.optim."),
    ("torch.optim.rmsprop.", "torch.optim."),
    ("torch.distributions.normal.", "torch.distributions."),
    ("torch.distributions.categorical.", "torch.distributions."),
    ("torch.distributions.kl.", "torch.distributions."),
    ("numpy.", "math."),
)


def loss_class(name: str) -> Loss | None:
    """Return the loss whose class a library name is."""
    head, _, last = modern(name).rpartition(".")
    return BY_CLASS.get(last) if head == "torch.nn" else None


def loss_function(name: str) -> Loss | None:
    """Return the loss whose functional form a library name is."""
    head, _, last = modern(name).rpartition(".")
    return BY_FUNCTION.get(last) if head == "torch.nn.functional" else None
