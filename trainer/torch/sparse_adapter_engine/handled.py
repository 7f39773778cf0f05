"""Which values of the contract's enumerations this engine handles.

Capabilities and checks of jobs follow from these lists, never from the contract: a value that the
contract gains is refused by its name until somebody has written what it means here. Pruners have a
table of their own (`pruners/`), and so have task kinds (`tasks/families.py`); precisions depend on
the device.
"""

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from sparse_adapter.trainer.v1 import job_pb2

ATTENTION_MODULES = (
    job_pb2.ATTENTION_MODULE_NONE,
    job_pb2.ATTENTION_MODULE_SEQUENTIAL,
    job_pb2.ATTENTION_MODULE_PARALLEL,
    job_pb2.ATTENTION_MODULE_LORA,
    job_pb2.ATTENTION_MODULE_PREFIX,
    job_pb2.ATTENTION_MODULE_PROMPT,
    job_pb2.ATTENTION_MODULE_PARALLEL_CONTEXT,
    job_pb2.ATTENTION_MODULE_CONCAT,
)
FFN_MODULES = (
    job_pb2.FFN_MODULE_NONE,
    job_pb2.FFN_MODULE_SEQUENTIAL,
    job_pb2.FFN_MODULE_PARALLEL,
    job_pb2.FFN_MODULE_LORA,
    job_pb2.FFN_MODULE_AFTER_NORM,
)
UNFROZEN = (job_pb2.UNFROZEN_NONE, job_pb2.UNFROZEN_BIASES, job_pb2.UNFROZEN_ALL)
MASK_STRUCTURES = (
    job_pb2.MASK_STRUCTURE_WEIGHTS,
    job_pb2.MASK_STRUCTURE_N_M,
    job_pb2.MASK_STRUCTURE_UNITS,
)
MASK_RULES = (job_pb2.MASK_RULES_EXACT, job_pb2.MASK_RULES_OFFICIAL)
TASK_KINDS = (
    job_pb2.TASK_KIND_CLASSIFICATION,
    job_pb2.TASK_KIND_REGRESSION,
    job_pb2.TASK_KIND_QUESTION_ANSWERING,
    job_pb2.TASK_KIND_SUMMARIZATION,
)

# Later fields of a trial (later_fields.py) and of a job's work, by path.
FIELDS = (
    "adapter.attention_scale",
    "adapter.attention_norm",
    "adapter.attention_init",
    "adapter.learned_scale",
    "adapter.inner_dropout",
    "adapter.ffn_after_dropout",
    "adapter.prefix_init",
    "adapter.prefix_use",
    "adapter.frozen",
    "adapter.unfrozen_tensors",
    "adapter.padded_tokens",
    "prune.scoring_batch",
    "prune.keeps_removed_weights",
    "prune.keeps_scoring_gradients",
    "prune.repeats",
    "prune.scoring_head",
    "prune.scoring_head_steps",
    "train.optimizer",
    "train.accumulated_batches",
    "train.loss_parts",
    "predict.at_step",
)
ADAPTER_NORMS = (
    job_pb2.ADAPTER_NORM_NONE,
    job_pb2.ADAPTER_NORM_BEFORE,
    job_pb2.ADAPTER_NORM_AFTER,
    job_pb2.ADAPTER_NORM_UPDATE,
)

# The settings of a trial that capabilities do not list, by message and field.
SETTINGS: dict[tuple[str, str], tuple[EnumTypeWrapper, tuple[int, ...]]] = {
    ("adapter", "norm"): (job_pb2.AdapterNorm, ADAPTER_NORMS),
    ("adapter", "attention_norm"): (job_pb2.AdapterNorm, ADAPTER_NORMS),
    ("adapter", "attention_init"): (
        job_pb2.AdapterInit,
        (job_pb2.ADAPTER_INIT_GAUSSIAN, job_pb2.ADAPTER_INIT_ZERO_UP),
    ),
    ("adapter", "prefix_init"): (job_pb2.PrefixInit, (job_pb2.PREFIX_INIT_TORCH,)),
    ("adapter", "prefix_use"): (
        job_pb2.PrefixUse,
        (
            job_pb2.PREFIX_USE_CROSS,
            job_pb2.PREFIX_USE_CROSS_PLAIN,
            job_pb2.PREFIX_USE_CROSS_RELU,
            job_pb2.PREFIX_USE_CROSS_GATED,
            job_pb2.PREFIX_USE_CROSS_RELU_NORMED,
            job_pb2.PREFIX_USE_CROSS_RELU_GATED,
        ),
    ),
    ("train", "optimizer"): (job_pb2.Optimizer, (job_pb2.OPTIMIZER_ADAMW_DECAY_AFTER,)),
    ("adapter", "activation"): (
        job_pb2.Activation,
        (job_pb2.ACTIVATION_RELU, job_pb2.ACTIVATION_GELU, job_pb2.ACTIVATION_SWISH),
    ),
    ("adapter", "init"): (
        job_pb2.AdapterInit,
        (job_pb2.ADAPTER_INIT_GAUSSIAN, job_pb2.ADAPTER_INIT_ZERO_UP),
    ),
    ("prune", "scope"): (
        job_pb2.PruneScope,
        (job_pb2.PRUNE_SCOPE_GLOBAL, job_pb2.PRUNE_SCOPE_LOCAL),
    ),
    ("prune", "schedule"): (
        job_pb2.PruneSchedule,
        (
            job_pb2.PRUNE_SCHEDULE_EXPONENTIAL,
            job_pb2.PRUNE_SCHEDULE_LINEAR,
            job_pb2.PRUNE_SCHEDULE_CUBIC,
        ),
    ),
    ("prune", "control"): (
        job_pb2.MaskControl,
        (
            job_pb2.MASK_CONTROL_NONE,
            job_pb2.MASK_CONTROL_INVERTED,
            job_pb2.MASK_CONTROL_SHUFFLED,
        ),
    ),
    ("prune", "scoring_head"): (
        job_pb2.ScoringHead,
        (job_pb2.SCORING_HEAD_PRIOR, job_pb2.SCORING_HEAD_WARMED_UP),
    ),
    ("train", "schedule"): (
        job_pb2.LearningRateSchedule,
        (
            job_pb2.LEARNING_RATE_SCHEDULE_LINEAR,
            job_pb2.LEARNING_RATE_SCHEDULE_CONSTANT,
        ),
    ),
}
