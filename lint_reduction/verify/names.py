"""What a name says about a number that is not known: conventions, and each use of one is an assumption that is told."""

from __future__ import annotations

import re
from enum import Enum

from lint_reduction.verify.rows import is_of_sample
from lint_reduction.verify.synth import IGNORED, Sizes


class Size(Enum):
    """What an unknown number counts, and so follows."""

    SAMPLES = "the number of samples"
    MICRO_BATCHES = "the number of micro-batches"
    CLASSES = "the number of classes"
    TOKENS = "the number of tokens"
    FEATURES = "the number of features"
    RANKS = "the number of processes"
    DATA = "the size of the data set, a constant"
    BATCHES = "the number of batches of an epoch, a constant"
    ONE = "the constant 1"
    SHARE = "the constant 0.5"
    RATE = "the constant 0.01"
    IGNORED = "the index that is ignored"
    YES = "true"
    NO = "false"

    def amount(self, sizes: Sizes) -> float | int | bool:
        """Return the number, for sizes of the axes."""
        letter = _LETTERS.get(self)
        if letter is not None:
            return sizes.size(letter)
        if self is Size.MICRO_BATCHES:
            return sizes.micro_batches
        if self is Size.RANKS:
            return sizes.ranks
        return sizes.ignored if self is Size.IGNORED else _CONSTANTS[self]


#: By ``Count`` value.
COUNTED = {
    "samples": Size.SAMPLES,
    "elements": Size.TOKENS,
    "valid": Size.TOKENS,
    "classes": Size.CLASSES,
    "micro_batches": Size.MICRO_BATCHES,
    "ranks": Size.RANKS,
    "batches": Size.BATCHES,
}
_LETTERS = {Size.SAMPLES: "B", Size.CLASSES: "C", Size.TOKENS: "T", Size.FEATURES: "D"}
_CONSTANTS = {
    Size.DATA: 960,
    Size.BATCHES: 7,
    Size.ONE: 1,
    Size.SHARE: 0.5,
    Size.RATE: 0.01,
    Size.YES: True,
    Size.NO: False,
}

_BATCH = re.compile(
    r"(^|[^a-z])((n|num|train|mini|micro|per_gpu|per_device|per_device_train|local|total|real|cur|current|this|true)_?)*"
    r"(batch_?(size|sz|len)|bsz?|batchsize|mb_size|nbatch|n_samples|num_samples|n_batch)('\])?$",
    re.IGNORECASE,
)
_ACCUMULATION = re.compile(
    r"accum|acc_steps|iter_size|update_freq|subdivision|virtual_batch|micro_?batch", re.IGNORECASE
)
_RANKS = re.compile(r"world_size|n_?gpus?$|num_?gpus?$|num_replicas|num_processes|device_count", re.IGNORECASE)
_TOKENS = re.compile(
    r"seq_?len|max_len|bptt|num_steps|block_size|n_?ctx|tgt_len|src_len|time_?steps|num_tokens$", re.IGNORECASE
)
_CLASSES = re.compile(
    r"num_?class|n_?class|nclass|vocab|ntok|num_?labels|n_?labels|output_dim|out_dim|n_?cls|num_?tags|tag_?size|(^|_)nc$",
    re.IGNORECASE,
)
_COUNTED_TOKENS = re.compile(r"n_?tok|num_?tok", re.IGNORECASE)
_PARAMETER = re.compile(r"\.(weight|bias)(\.data)?$")
_LOADER = re.compile(r"load|dl\b|iter|batches", re.IGNORECASE)
#: A part of what a loader yields.
_OF_BATCH = re.compile(r"^next\(.*\)\[|\]\[\d+\]$")
_DATA = re.compile(r"data_?set|train_data|corpus|train_set", re.IGNORECASE)
_SAMPLES = re.compile(
    r"(^|_)(batch|samples|examples|sentences|documents|instances|graphs|data_?points)$",
    re.IGNORECASE,
)
#: The call of what gets data: it is given nothing, or their number.
_GETS = re.compile(
    r"^[\w.]*(?<![a-z])(sample|sample_batch|get_batch|next_batch|fetch|random_batch)\(([\w.]*(batch|size|bs|\d))?\)"
    r"|^next\(",
    re.IGNORECASE,
)
_RATE = re.compile(r"(^|_)lr$|learning_rate", re.IGNORECASE)
_IGNORED = re.compile(r"ignore|pad", re.IGNORECASE)
_OFF = re.compile(r"cuda|gpu|fp16|(^|_)amp|half|distrib|verbose|debug|log|parallel|ddp|deepspeed", re.IGNORECASE)
_SCALAR = re.compile(
    r"lambda|alpha|beta|gamma|coef|scale|eps|tau|temp|factor|ratio|margin|m_n|^num_|^n_|steps|weight$|_w$|^w_|annea|"
    r"smooth|sigma|clip|penalt|rate|epoch|step|norm$|^max_|^min_|momentum|decay",
    re.IGNORECASE,
)
_SHARE = re.compile(r"alpha|beta|gamma|lambda|ratio|coef|momentum|rho$|(^|_)mix|blend", re.IGNORECASE)
_OPTIONS = re.compile(
    r"^(args?|opts?|options?|hparams|config|cfg|conf|flags|hps?|hp|self|kwargs|settings)[.\[]", re.IGNORECASE
)
_MASK = re.compile(r"mask", re.IGNORECASE)
_LATER = re.compile(r" \(\d+\)(?=$|[.\[(])")
_LENGTHS = re.compile(r"len(gth)?s?$|count|n_tok|num_tok|ntok|sizes?$", re.IGNORECASE)


def last_part(path: str) -> str:
    """Return what a path is called at its end; the whole of it where that is a call."""
    return path if path.endswith(")") else re.split(r"[.\[]", path)[-1].strip("'\"]")


def number_by_name(path: str) -> Size | None:
    """Return what a number counts whose name leaves no doubt, None for any other."""
    last = last_part(path)
    if path.startswith("len(") and path.endswith(")"):
        inner = path[4:-1]
        if is_of_sample(inner):
            # what belongs to one sample is one
            return Size.ONE
        if _OF_BATCH.search(inner):
            return Size.SAMPLES
        return Size.DATA if _DATA.search(inner) else Size.BATCHES if _LOADER.search(inner) else Size.SAMPLES
    if last.startswith("get_world_size") or path.endswith("get_world_size()") or _RANKS.search(last):
        return Size.RANKS
    if path.endswith(".training"):
        return Size.YES
    if "(" in last:
        return None
    if _ACCUMULATION.search(last):
        return Size.MICRO_BATCHES
    if _BATCH.search(last):
        return Size.SAMPLES
    return None


def number_by_use(path: str, uses: set[str]) -> Size | None:
    """Return what a number counts that is used as one, by weaker signs; None if it may be a tensor."""
    last = last_part(path)
    for pattern, size in ((_CLASSES, Size.CLASSES), (_TOKENS, Size.TOKENS)):
        # what is divided by is the number of tokens that there are, not of those in a vocabulary
        if pattern.search(last) and not ("divisor" in uses and _COUNTED_TOKENS.search(last)):
            return size
    if _IGNORED.search(last) and not _MASK.search(last) and "tensor" not in uses:
        return Size.IGNORED
    if _RATE.search(last):
        return Size.RATE
    if uses == {"test"} and _OFF.search(last):
        return Size.NO
    if _SHARE.search(last) and "size" not in uses:
        # no term vanishes that is multiplied with what is left of 1
        return Size.SHARE
    is_setting = _OPTIONS.match(path) is not None and "(" not in path
    if _SCALAR.search(last) or is_setting or last.isupper():
        return Size.ONE
    if uses == {"test"}:
        return Size.ONE
    return Size.ONE if "divisor" in uses else None


def is_option(path: str) -> bool:
    """Whether a path leads to a setting of the program, which is no tensor and does not follow the batch."""
    return _OPTIONS.match(path) is not None or last_part(path).isupper()


def first_call(path: str) -> str:
    """Return the path of the same output of the first call of a network, for a path of a later one."""
    return _LATER.sub("", path)


def is_output(path: str) -> bool:
    """Whether something is what a call puts out, and not one that gets so many samples."""
    return "(" in path and _GETS.search(path) is None


def is_batch(path: str) -> bool:
    """Whether something is called like the samples of a batch, each by itself."""
    return _SAMPLES.search(last_part(path)) is not None


def is_data(path: str) -> bool:
    """Whether something is called like the data of an epoch, of which there are batches."""
    return _LOADER.search(last_part(path)) is not None or _DATA.search(last_part(path)) is not None


def is_key(path: str) -> bool:
    """Whether something is called like the key of a dictionary, or like a constant of another module."""
    last = last_part(path)
    return last.lower().endswith("key") or ("." in path and last.isupper() and "(" not in path)


def is_mask(path: str) -> bool:
    """Whether something is called a mask."""
    return _MASK.search(last_part(path)) is not None


def is_length(path: str) -> bool:
    """Whether something is called like lengths or counts."""
    return _LENGTHS.search(last_part(path)) is not None


def is_parameter(path: str) -> bool:
    """Whether something is called as the parameters of a layer are, which follow no batch: ``self.head.weight``."""
    return _PARAMETER.search(path) is not None


def is_weight(path: str) -> bool:
    """Whether something is called a weight."""
    return last_part(path).lower().endswith(("weight", "weights"))


__all__ = [
    "IGNORED",
    "Size",
    "is_length",
    "is_mask",
    "is_option",
    "is_parameter",
    "is_weight",
    "last_part",
    "number_by_name",
    "number_by_use",
]
