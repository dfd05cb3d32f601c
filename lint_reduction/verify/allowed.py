"""The tables of what the interpreter may touch. What is not in a table is never called and never read."""

from __future__ import annotations

#: Bounds of one run.
MAX_STEPS = 60_000
MAX_ROUNDS = 64
MAX_DEPTH = 24
MAX_ELEMENTS = 1_000_000
MAX_TOTAL_ELEMENTS = 60_000_000
MAX_WORK = 2_000_000_000
MAX_INTEGER_BITS = 256
MAX_LENGTH = 4_096
MAX_TEXT = 8_192
MAX_PATH = 160
#: How much nested lists may hold in all, each list counted as often as it stands in another.
MAX_PARTS = 20_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Functions of one tensor, or of several of one shape, that keep the shape.
ELEMENTWISE = _words(
    """abs add sub subtract mul multiply div divide true_divide pow exp log log1p expm1 exp2 log2 log10 sqrt rsqrt
    square sigmoid tanh relu clamp clip clamp_min clamp_max neg reciprocal sign sin cos erf erfc lgamma digamma
    nan_to_num isnan isfinite isinf eq ne lt gt le ge logical_and logical_or logical_not logical_xor maximum minimum
    cumsum softmax log_softmax where masked_fill round floor ceil float_power logaddexp xlogy atan2 remainder fmod
    zeros_like ones_like full_like rand_like randn_like empty_like clone logit lerp addcmul addcdiv cosh sinh atan
    asin acos hypot triu tril flip roll detach heaviside"""
)
REDUCTIONS = _words("sum mean nansum nanmean norm dot logsumexp prod std var vdot inner trace")
FACTORIES = _words("zeros ones full empty rand randn randint arange linspace eye randperm")
#: Functions whose values carry no gradient.
CONSTANTS = FACTORIES | _words(
    "zeros_like ones_like full_like rand_like randn_like empty_like argmax argmin numel is_tensor bincount one_hot"
)
NOISE = _words("rand randn randint rand_like randn_like normal bernoulli multinomial randperm poisson")
TORCH_FUNCTIONS = (
    ELEMENTWISE
    | REDUCTIONS
    | FACTORIES
    | NOISE
    | _words(
        """max min amax amin argmax argmin masked_select gather cat concat concatenate stack hstack vstack split chunk
        squeeze unsqueeze flatten reshape transpose permute matmul mm bmm mv einsum tensor as_tensor numel is_tensor
        diag diagonal outer index_select topk sort argsort unbind count_nonzero cdist cosine_similarity std_mean
        var_mean any all movedim swapaxes bincount baddbmm addmm take_along_dim broadcast_to narrow median nonzero
        allclose quantile is_floating_point unique isclose aminmax tile repeat_interleave meshgrid cross dist"""
    )
)
ACTIVATIONS = _words(
    """softmax log_softmax sigmoid logsigmoid relu elu gelu leaky_relu softplus tanh normalize one_hot
    cosine_similarity pairwise_distance silu hardtanh threshold selu celu mish softmin"""
)
#: Functions that join sequences of several lengths.
PADDING = _words("pad_sequence")
#: Modules without parameters that are made and called.
LAYERS = _words(
    """Softmax LogSoftmax Sigmoid LogSigmoid Tanh ReLU GELU SiLU ELU LeakyReLU Softplus Flatten CosineSimilarity
    PairwiseDistance"""
)
#: Modules that hand their argument on.
IDENTITY_LAYERS = _words("Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout")
OPTIMIZERS = _words("SGD Adam AdamW RMSprop Adagrad Adadelta Adamax NAdam RAdam ASGD Rprop LBFGS Adafactor")
OPTIMIZER_OPTIONS = _words(
    """lr momentum weight_decay betas eps alpha nesterov dampening rho amsgrad lr_decay lambd centered maximize t0 etas
    step_sizes momentum_decay decoupled_weight_decay initial_accumulator_value beta2_decay d"""
)
DISTRIBUTIONS = _words(
    "Normal Bernoulli Categorical Independent Laplace Beta Uniform Poisson Gamma Exponential LogNormal HalfNormal"
)
DISTRIBUTION_METHODS = _words("log_prob entropy rsample sample")
DISTRIBUTION_ATTRIBUTES = _words("mean loc scale stddev variance logits probs")
MATHEMATICS = _words("log exp sqrt log2 log10 pow ceil floor sin cos tanh prod log1p expm1 fabs isnan isfinite isinf")
MATH_CONSTANTS = _words("pi e inf nan tau")
DTYPES = _words("float float16 float32 float64 double half bfloat16 long int int8 int16 int32 int64 bool uint8 short")
#: Constructors by type: ``torch.FloatTensor([1.0])``.
TENSOR_TYPES = _words("FloatTensor LongTensor Tensor DoubleTensor IntTensor BoolTensor ByteTensor")

#: Methods that move a tensor, or a structure of tensors, and change nothing.
MOVING = _words("to cuda cpu contiguous pin_memory requires_grad_ retain_grad share_memory_ xpu mps npu")
ELEMENTWISE_METHODS = (ELEMENTWISE - _words("where")) | _words(
    """float double half bfloat16 long int bool byte short type type_as exp_ log_ sqrt_ neg_ pow_ abs_ sigmoid_ tanh_
    relu_ round_ add_ sub_ mul_ div_ clamp_ clamp_min_ clamp_max_ masked_fill_ fill_diagonal_ zero_ fill_ detach_ copy_
    scatter scatter_ scatter_add scatter_add_ index_add index_add_ masked_scatter uniform_ normal_ bernoulli_ index_fill
    index_fill_ ceil_ floor_ squeeze_ where"""
)
TENSOR_METHODS = (
    ELEMENTWISE_METHODS
    | MOVING
    | REDUCTIONS
    | _words(
        """max min amax amin argmax argmin masked_select gather split chunk squeeze unsqueeze unsqueeze_ flatten
        reshape view view_as reshape_as transpose t permute matmul mm bmm mv size dim ndimension numel nelement item
        expand expand_as repeat repeat_interleave any all diag diagonal index_select narrow select unbind new_zeros
        new_ones new_full new_tensor new_empty requires_grad_ backward topk sort argsort count_nonzero outer
        swapaxes movedim is_floating_point nonzero ravel unflatten t_ transpose_ tile tolist bernoulli multinomial
        element_size take_along_dim median quantile addmm baddbmm cross is_contiguous get_device stride addbmm addmv"""
    )
)
TENSOR_ATTRIBUTES = _words("shape device dtype ndim grad data T mT requires_grad is_cuda is_leaf grad_fn")
IN_PLACE_NOISE = _words("uniform_ normal_ bernoulli_")

BUILTINS = _words(
    """len range sum min max abs int float bool enumerate zip list tuple isinstance issubclass round any all sorted
    dict reversed print str repr set frozenset hasattr getattr setattr super callable map filter iter next pow divmod
    type id vars dir input format object staticmethod classmethod property slice"""
)
LIST_METHODS = _words("append extend insert copy pop index count clear reverse")
TUPLE_METHODS = _words("index count")
DICT_METHODS = _words("items keys values get update pop copy setdefault")
TEXT_METHODS = _words("lower upper strip lstrip rstrip startswith endswith format join split replace capitalize title")

#: Libraries whose names the tables know; what is imported from others is not known.
LIBRARIES = _words("torch math numpy functools copy abc dataclasses typing tqdm contextlib collections itertools")
#: Calls that hand their first argument on.
PASSES_ON = _words(
    """torch.autograd.Variable torch.nn.DataParallel torch.nn.Parameter torch.nn.parameter.Parameter torch.jit.script
    torch.compile torch.nn.parallel.DistributedDataParallel torch.jit.trace torch.as_tensor copy.copy copy.deepcopy
    torch.nn.parallel.DataParallel torch.nn.SyncBatchNorm.convert_sync_batchnorm torch.autograd.variable.Variable"""
) - {"torch.as_tensor"}
#: Context managers without a value of interest.
NO_GRADIENT = _words("torch.no_grad torch.inference_mode torch.autograd.no_grad torch.autograd.grad_mode.no_grad")
#: Decorators that change nothing that is measured.
HARMLESS_DECORATORS = _words(
    """staticmethod classmethod property torch.jit.script torch.jit.export torch.jit.ignore torch.jit.unused
    torch.compile abc.abstractmethod abstractmethod typing.override override typing.no_type_check functools.wraps
    overrides overrides.overrides
    dataclass dataclasses.dataclass torch.enable_grad functools.cached_property cached_property
    torch.cuda.amp.autocast torch.amp.autocast torch.cuda.amp.custom_fwd torch.amp.custom_fwd typing.final final
    torch.autocast functools.total_ordering hydra.main"""
)
#: Methods of unknown objects: the parameters of a model.
PARAMETER_METHODS = _words("parameters trainable_parameters get_parameters")
#: Methods of unknown objects that hand their argument on, up to a constant that is divided out again.
SCALING_METHODS = _words("scale scale_loss")
GATHERING_METHODS = _words("gather reduce all_reduce gather_for_metrics all_gather reduce_mean prepare")
BACKWARD_METHODS = _words("backward manual_backward")
CLIPPING = _words(
    """torch.nn.utils.clip_grad_norm_ torch.nn.utils.clip_grad_norm torch.nn.utils.clip_grad_value_
    torch.nn.utils.clip_grad.clip_grad_norm_ torch.nn.utils.clip_grad.clip_grad_value_"""
)
#: Activations that keep the shape.
ELEMENTWISE_ACTIVATIONS = _words(
    "logsigmoid gelu elu leaky_relu softplus normalize silu hardtanh threshold selu celu mish softmin dropout"
)
#: Functions and methods that change the shape or the type, and no value.
SHAPING = _words(
    """view reshape flatten squeeze unsqueeze transpose permute t contiguous float double long int bool expand repeat
    repeat_interleave
    type type_as view_as swapaxes movedim detach clone cat stack concat chunk split
    unbind to byte half"""
)
