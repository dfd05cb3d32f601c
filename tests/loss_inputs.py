"""Valid inputs for the losses of the library tables, and how a gradient grows on them.

Learned inputs are made of data and of one shared parameter of two numbers. A batch grows by repeating
it along an axis, never by drawing more of it: a mean then keeps its gradient and a sum doubles it, up
to rounding, and exponents are integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softmax, softplus

from lint_reduction.growth import Count

N, D, C, T = 4, 6, 5, 3
"""Samples, features, classes and positions of a base batch."""
TIMES = (1, 2, 4, 8)
IGNORED = -100

SAMPLES, ELEMENTS, CLASSES = Count.SAMPLES, Count.ELEMENTS, Count.CLASSES
_DRAWS = torch.Generator().manual_seed(0)


@dataclass(frozen=True, slots=True)
class Input:
    """One tensor of a call.

    Attributes:
        data: the base batch.
        axes: what each axis counts, None for one that is never repeated.
        form: what turns the data into valid values.
        learned: whether the shared parameter stands before ``form``.
    """

    data: Tensor
    axes: tuple[Count | None, ...]
    form: Callable[[Tensor], Tensor] = torch.clone
    learned: bool = False

    def tensor(self, theta: Tensor, times: Mapping[Count, int]) -> Tensor:
        """Return the tensor, each axis repeated as often as ``times`` says of its count."""
        data = self.data.repeat([1 if axis is None else times.get(axis, 1) for axis in self.axes])
        return self.form(theta[0] * data + theta[1] if self.learned else data)


@dataclass(frozen=True, slots=True)
class Problem:
    """The inputs of a loss in order, and the options of its constructor or function."""

    inputs: tuple[Input, ...]
    options: Mapping[str, object] = field(default_factory=dict)

    def counts(self) -> list[Count]:
        """Return the counts that the batch can be repeated along."""
        axes = {axis for entry in self.inputs for axis in entry.axes}
        return [count for count in Count if count in axes]

    def arguments(self, theta: Tensor, times: Mapping[Count, int]) -> tuple[list[Tensor], dict[str, object]]:
        """Return the tensors and the options of a call."""
        tensors = [entry.tensor(theta, times) for entry in self.inputs]
        options = {k: v.tensor(theta, times) if isinstance(v, Input) else v for k, v in self.options.items()}
        return tensors, options


@dataclass(frozen=True, slots=True)
class Variant:
    """A use of a loss in which ``mean`` may divide by something else.

    Attributes:
        function: the functional form.
        divisor: what the sum of the unreduced loss is divided by.
        problem: the inputs.
        reduction: the reduction that averages.
    """

    function: str
    divisor: str
    problem: Problem
    reduction: str = "mean"


def parameter() -> Tensor:
    """Return the shared parameter."""
    return torch.tensor([0.7, 0.1], dtype=torch.float64, requires_grad=True)


def exponents(loss: Callable[[Tensor, Mapping[Count, int]], Tensor], count: Count) -> list[float]:
    """Return the exponents in a count of the gradient of the shared parameter, one for each doubling."""
    norms = []
    for times in TIMES:
        theta = parameter()
        (gradient,) = torch.autograd.grad(loss(theta, {count: times}), theta)
        norms.append(gradient.norm().item())
    return [math.log2(after / before) for before, after in pairwise(norms)]


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=_DRAWS, dtype=torch.float64)


def _uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=_DRAWS, dtype=torch.float64)


def _signs(*shape: int) -> Tensor:
    return torch.randint(2, shape, generator=_DRAWS).double() * 2 - 1


def _labels(*shape: int) -> Tensor:
    """Return one class per position, the first one ignored."""
    labels = torch.randint(C, shape, generator=_DRAWS)
    labels.view(-1)[0] = IGNORED
    return labels


def _over_classes(function: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda data: function(data, dim=1)


def _over_pixels(data: Tensor) -> Tensor:
    return softmax(data.flatten(2), dim=2).view_as(data)


def _corners(data: Tensor) -> Tensor:
    """Return boxes, the far corner beyond the near one, of a corner and a size."""
    return torch.cat([data[:, :2], data[:, :2] + data[:, 2:] + 0.1], dim=1)


ROWS, GRID, IMAGES = (SAMPLES,), (SAMPLES, ELEMENTS), (SAMPLES, ELEMENTS, None, None)
VECTORS = (SAMPLES, None)
"""Samples of which only the whole has a loss: features and classes are not repeated."""
SCORES, POSITIONS = (SAMPLES, None, ELEMENTS), (SAMPLES, ELEMENTS)

_LOGITS = Input(_normal(N, C, T), SCORES, learned=True)
_LOG_PROBABILITIES = Input(_normal(N, C, T), SCORES, _over_classes(log_softmax), learned=True)
_TARGETS = Input(_labels(N, T), POSITIONS)
_ALL_VALID = Input(_TARGETS.data.clamp(min=0), POSITIONS)
_MEMBERS = Input(torch.randint(C, (N,), generator=_DRAWS), ROWS)
_MEMBER_LISTS = torch.tensor([[2, 0, -1, 1, 1], [3, -1, 0, 0, 0], [0, 1, 4, -1, 2], [1, -1, 0, 0, 0]])
"""The classes of each sample; -1 ends the list."""
_SOFT_TARGETS = Input(_normal(N, C, T), SCORES, _over_classes(softmax))
_PREDICTION = Input(_normal(N, D), GRID, learned=True)
_BINARY = Input((_signs(N, D) + 1) / 2, GRID)
_WEIGHT = Input(_uniform(N, D) + 0.1, GRID)
_CLASS_WEIGHT = _uniform(C) + 0.1
_CLASS_SCORES = Input(_normal(N, C), VECTORS, learned=True)
_EMBEDDING = Input(_normal(N, D), VECTORS, learned=True)
_OTHERS = (Input(_normal(N, D), VECTORS), Input(_normal(N, D), VECTORS))
_PIXELS = (Input(_uniform(N, C, 6, 6), IMAGES, learned=True), Input(_uniform(N, C, 6, 6), IMAGES))
_WHOLE_IMAGE = Input(_uniform(N, C, 6, 6), (SAMPLES, None, None, None), learned=True)

_REGRESSION = Problem((_PREDICTION, Input(_normal(N, D), GRID)))
_BINARY_LOGITS = Problem((_PREDICTION, _BINARY))
_CROSS_ENTROPY = Problem((_LOGITS, _TARGETS))
_NLL = Problem((_LOG_PROBABILITIES, _TARGETS))
_POISSON = Problem((_PREDICTION, Input(_uniform(N, D) * 3, GRID)))
_KL_DIVERGENCE = Problem(
    (
        Input(_normal(N, C, T), (SAMPLES, CLASSES, ELEMENTS), _over_classes(log_softmax), learned=True),
        Input(_normal(N, C, T), (SAMPLES, CLASSES, ELEMENTS), _over_classes(softmax)),
    )
)
_MARGIN_SIGNS = Problem((_PREDICTION, Input(_signs(N, D), GRID)))
_ONE_CLASS = Problem((_CLASS_SCORES, _MEMBERS))
_SEVERAL_CLASSES = Problem((_CLASS_SCORES, Input((_signs(N, C) + 1) / 2, VECTORS)))
_TRIPLET = Problem((_EMBEDDING, *_OTHERS))
_BOXES = Problem((Input(_uniform(N, 4), VECTORS, _corners, learned=True), Input(_uniform(N, 4), VECTORS, _corners)))
_IMAGES = Problem(_PIXELS, {"window_size": 3})
_HEAT_MAPS = Problem(tuple(Input(p.data, p.axes, _over_pixels, p.learned) for p in _PIXELS))

_CTC_SCORES = Input(_normal(8, N, C), (None, SAMPLES, None), lambda data: log_softmax(data, dim=2), learned=True)
_CTC_TARGETS = torch.randint(1, C, (N, 3), generator=_DRAWS)
_LENGTHS = torch.tensor([3, 1, 2, 3])
_CTC_INPUT_LENGTHS = Input(torch.full((N,), 8), ROWS)
_CTC = Problem((_CTC_SCORES, Input(_CTC_TARGETS, VECTORS), _CTC_INPUT_LENGTHS, Input(_LENGTHS, ROWS)))

_LINEAR = Problem((_EMBEDDING, Input(_normal(C, T, D), (None, ELEMENTS, None)), _TARGETS))
_LINEAR_MODULE = Problem(
    (_EMBEDDING, Input(_labels(N), ROWS)), {"in_features": D, "num_classes": C, "dtype": torch.float64}
)
_RNNT = Problem(
    (
        Input(_normal(N, 6, 4, C), (SAMPLES, None, None, None), torch.Tensor.float, learned=True),
        Input(_CTC_TARGETS.int(), VECTORS),
        Input(torch.full((N,), 6).int(), ROWS),
        Input(_LENGTHS.int(), ROWS),
    )
)

#: By the whole name of a loss, or its last part, or the last part of its functional form.
PROBLEMS: dict[str, Problem] = {
    "l1_loss": _REGRESSION,
    "mse_loss": _REGRESSION,
    "smooth_l1_loss": _REGRESSION,
    "huber_loss": _REGRESSION,
    "binary_cross_entropy": Problem((Input(_PREDICTION.data, GRID, torch.sigmoid, learned=True), _BINARY)),
    "binary_cross_entropy_with_logits": _BINARY_LOGITS,
    "cross_entropy": _CROSS_ENTROPY,
    "nll_loss": _NLL,
    "NLLLoss2d": _NLL,
    "kl_div": _KL_DIVERGENCE,
    "poisson_nll_loss": _POISSON,
    "PoissonNLLLoss": _POISSON,
    "gaussian_nll_loss": Problem((*_REGRESSION.inputs, Input(_normal(N, D), GRID, softplus))),
    "hinge_embedding_loss": _MARGIN_SIGNS,
    "soft_margin_loss": _MARGIN_SIGNS,
    "multilabel_margin_loss": Problem((_CLASS_SCORES, Input(_MEMBER_LISTS, VECTORS))),
    "multilabel_soft_margin_loss": _SEVERAL_CLASSES,
    "multi_margin_loss": _ONE_CLASS,
    "margin_ranking_loss": Problem(
        (Input(_normal(N), ROWS, learned=True), Input(_normal(N), ROWS), Input(_signs(N), ROWS)), {"margin": 1.0}
    ),
    "cosine_embedding_loss": Problem((_EMBEDDING, _OTHERS[0], Input(_signs(N), ROWS)), {"margin": -0.5}),
    "triplet_margin_loss": _TRIPLET,
    "triplet_margin_with_distance_loss": _TRIPLET,
    "ctc_loss": _CTC,
    "linear_cross_entropy": _LINEAR,
    "LinearCrossEntropyLoss": _LINEAR_MODULE,
    "AdaptiveLogSoftmaxWithLoss": Problem(
        (_EMBEDDING, _MEMBERS), {"in_features": D, "n_classes": C, "cutoffs": [2], "dtype": torch.float64}
    ),
    "sigmoid_focal_loss": _BINARY_LOGITS,
    "sigmoid_focal_loss_star": _BINARY_LOGITS,
    "generalized_box_iou_loss": _BOXES,
    "distance_box_iou_loss": _BOXES,
    "complete_box_iou_loss": _BOXES,
    "giou_loss": _BOXES,
    "fvcore.nn.smooth_l1_loss": Problem(_REGRESSION.inputs, {"beta": 1.0}),
    "focal_loss": Problem((_LOGITS, _ALL_VALID), {"alpha": 0.25}),
    "binary_focal_loss_with_logits": Problem(_BINARY_LOGITS.inputs, {"alpha": 0.25}),
    "cauchy_loss": _REGRESSION,
    "charbonnier_loss": _REGRESSION,
    "geman_mcclure_loss": _REGRESSION,
    "welsch_loss": _REGRESSION,
    "ssim_loss": _IMAGES,
    "ssim3d_loss": Problem(
        tuple(Input(_uniform(N, C, 4, 4, 4), (*IMAGES, None), learned=learned) for learned in (True, False)),
        {"window_size": 3},
    ),
    "MS_SSIMLoss": Problem((_WHOLE_IMAGE, Input(_PIXELS[1].data, _WHOLE_IMAGE.axes))),
    "kl_div_loss_2d": _HEAT_MAPS,
    "js_div_loss_2d": _HEAT_MAPS,
    "BinaryCrossEntropy": _BINARY_LOGITS,
    "AsymmetricLossMultiLabel": _BINARY_LOGITS,
    "AsymmetricLossSingleLabel": _ONE_CLASS,
    "cosine_similarity": Problem((_EMBEDDING, _OTHERS[0])),
    "total_variation": Problem((_WHOLE_IMAGE,)),
    "info_nce": Problem((_EMBEDDING, _OTHERS[0])),
    "rnnt_loss": _RNNT,
    "fastai.losses.FocalLoss": Problem((_LOGITS, _ALL_VALID)),
    "LabelSmoothingCrossEntropy": Problem((_LOGITS, _ALL_VALID)),
    "DiceLoss": Problem(
        (Input(_LOGITS.data, (SAMPLES, None, None), learned=True), Input(_ALL_VALID.data, VECTORS)),
    ),
}


def _ctc(lengths: Tensor, targets: Input) -> Problem:
    return Problem((_CTC_SCORES, targets, _CTC_INPUT_LENGTHS, Input(lengths, ROWS)))


VARIANTS: dict[str, Variant] = {
    "weighted l1": Variant("l1_loss", "weight", Problem(_REGRESSION.inputs, {"weight": _WEIGHT})),
    "weighted mse": Variant("mse_loss", "weight", Problem(_REGRESSION.inputs, {"weight": _WEIGHT})),
    "weighted huber": Variant("huber_loss", "numel", Problem(_REGRESSION.inputs, {"weight": _WEIGHT})),
    "weighted bce": Variant(
        "binary_cross_entropy", "numel", Problem(PROBLEMS["binary_cross_entropy"].inputs, {"weight": _WEIGHT})
    ),
    "weighted logits": Variant(
        "binary_cross_entropy_with_logits", "numel", Problem(_BINARY_LOGITS.inputs, {"weight": _WEIGHT})
    ),
    "pos_weight": Variant(
        "binary_cross_entropy_with_logits",
        "numel",
        Problem(_BINARY_LOGITS.inputs, {"pos_weight": Input(_uniform(D) + 0.1, (ELEMENTS,))}),
    ),
    "class weights": Variant("cross_entropy", "weights", Problem(_CROSS_ENTROPY.inputs, {"weight": _CLASS_WEIGHT})),
    "another ignore_index": Variant(
        "cross_entropy", "valid", Problem((_LOGITS, _ALL_VALID), {"ignore_index": int(_ALL_VALID.data[1, 1])})
    ),
    "label smoothing": Variant("cross_entropy", "valid", Problem(_CROSS_ENTROPY.inputs, {"label_smoothing": 0.1})),
    "smoothed class weights": Variant(
        "cross_entropy",
        "weights",
        Problem(_CROSS_ENTROPY.inputs, {"label_smoothing": 0.1, "weight": _CLASS_WEIGHT}),
    ),
    "probabilities": Variant("cross_entropy", "numel", Problem((_LOGITS, _SOFT_TARGETS))),
    "weighted probabilities": Variant(
        "cross_entropy", "numel", Problem((_LOGITS, _SOFT_TARGETS), {"weight": _CLASS_WEIGHT})
    ),
    "nll class weights": Variant("nll_loss", "weights", Problem(_NLL.inputs, {"weight": _CLASS_WEIGHT})),
    "linear class weights": Variant(
        "linear_cross_entropy", "weights", Problem(_LINEAR.inputs, {"weight": _CLASS_WEIGHT})
    ),
    "batchmean": Variant("kl_div", "samples", _KL_DIVERGENCE, "batchmean"),
    "weighted margins": Variant("multi_margin_loss", "samples", Problem(_ONE_CLASS.inputs, {"weight": _CLASS_WEIGHT})),
    "weighted labels": Variant(
        "multilabel_soft_margin_loss", "samples", Problem(_SEVERAL_CLASSES.inputs, {"weight": _CLASS_WEIGHT})
    ),
    "concatenated targets": Variant(
        "ctc_loss",
        "target_length",
        _ctc(_LENGTHS, Input(torch.cat([row[:n] for row, n in zip(_CTC_TARGETS, _LENGTHS, strict=True)]), ROWS)),
    ),
    "an empty target": Variant(
        "ctc_loss", "target_length", _ctc(torch.tensor([3, 0, 2, 1]), Input(_CTC_TARGETS, VECTORS))
    ),
}
