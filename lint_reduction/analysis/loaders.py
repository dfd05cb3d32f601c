"""Loaders of data: what a call that makes one says of its batches."""

from __future__ import annotations

from collections.abc import Sequence

from lint_reduction.analysis import sinks
from lint_reduction.analysis.code import Call, last_name, text
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.values import Constant, Loader, Mapping, Object, Tensor, Value, options_of
from lint_reduction.growth import SAMPLES

#: How the number of rows of a tensor, an array or a table is read.
_ROWS = (".shape[0]", ".size(0)")


def loader(machine: Machine, call: Call, values: Sequence[Value]) -> Value:
    """Return the loader that a call makes which takes what torch's own does."""
    size = sinks.argument(call, values, (1, "batch_size"))
    if size is None:
        size = next((v for v in map(_batch_size_in, values) if v is not None), None)
    keywords = {arg.keyword for arg in call.args if arg.keyword}
    has_sampler = "batch_sampler" in keywords or any(arg.stars for arg in call.args)
    dataset = sinks.argument(call, values, (0, "dataset"))
    of_tensors = isinstance(dataset, Object) and dataset.name == "torch.utils.data.TensorDataset"
    of_tensors = of_tensors and "collate_fn" not in keywords
    dropping = sinks.argument(call, values, (8, "drop_last"))
    drops_last = has_sampler or (dropping is not None and dropping != Constant(False))
    single = not has_sampler and bool(values) if size is None else isinstance(size, Constant) and size.value == 1
    is_full = _is_number_of_rows(size) or (not has_sampler and _is_length_of_dataset(call, size))
    return Loader(single, of_tensors=of_tensors, drops_last=drops_last, is_full=is_full)


def _batch_size_in(value: Value) -> Value | None:
    """Return the batch size among options that a call is given as ``**options``."""
    return dict(value.entries).get("batch_size") if isinstance(value, Mapping) else None


def _is_number_of_rows(size: Value | None) -> bool:
    """Say whether a batch size was counted off something, such as the table that the data are made of."""
    options = [option.value for option in options_of(size)] if size is not None else []
    counted = [v for v in options if isinstance(v, Tensor) and v.growth == SAMPLES and v.text.endswith(_ROWS)]
    return bool(options) and len(counted) == len(options)


def _is_length_of_dataset(call: Call, size: Value | None) -> bool:
    """Say whether the size of the batches of a loader is the length of its data set, or of the tensors in it."""
    exprs = {arg.keyword or str(i): arg.value for i, arg in enumerate(call.args)}
    dataset, given = exprs.get("dataset", exprs.get("0")), exprs.get("batch_size", exprs.get("1"))
    match dataset:
        case None:
            return False
        case Call(func, args) if last_name(func) == "TensorDataset":
            counted = [text(arg.value) for arg in args]
        case _:
            counted = [text(dataset)]
    lengths = {form.format(one) for one in counted for form in ("len({})", "{}.shape[0]", "{}.size(0)")}
    # the length may have been counted before, under a name
    return text(given) in lengths or (isinstance(size, Tensor) and size.text in lengths)
