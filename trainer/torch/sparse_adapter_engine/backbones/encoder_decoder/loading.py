"""Loading BART and T5 through Transformers."""

import torch
from sparse_adapter.trainer.v1 import job_pb2
from transformers import AutoModelForSeq2SeqLM

from sparse_adapter_engine.backbones.config import read_config
from sparse_adapter_engine.backbones.finite import require_finite
from sparse_adapter_engine.errors import bad_artifact

from .encoder_decoder import EncoderDecoder
from .hooks import ATTENTION
from .limits import ENCODER_DECODERS, misfits


def load_encoder_decoder(
    path: str, device: torch.device, precision: int = job_pb2.PRECISION_FLOAT32
) -> EncoderDecoder:
    """Loads a frozen encoder–decoder from a Hugging Face directory or hub id; in bfloat16 for
    PRECISION_BF16, else in float32.

    Raises JobFailed (BAD_ARTIFACT) if it is missing, broken, not finite or not supported.
    """
    config = read_config(path)
    if config.model_type not in ENCODER_DECODERS:
        raise bad_artifact(
            f"backbone {path}: model_type {config.model_type!r} is not one of "
            f"{', '.join(ENCODER_DECODERS)}"
        )
    for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id"):
        if getattr(config, name, None) is None:
            raise bad_artifact(
                f"backbone {path}: its config.json has no {name}, which decoding needs"
            )
    dtype = torch.bfloat16 if precision == job_pb2.PRECISION_BF16 else torch.float32
    try:
        model, loading = AutoModelForSeq2SeqLM.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            attn_implementation=ATTENTION,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise bad_artifact(f"backbone {path}: its weights cannot be loaded: {error}") from error
    if loading["missing_keys"]:
        raise bad_artifact(f"backbone {path}: its weights have no {min(loading['missing_keys'])}")
    require_finite(path, model)
    return EncoderDecoder(model.to(device))


def require_fit(backbone: EncoderDecoder, spec: job_pb2.JobSpec) -> None:
    """Raises JobFailed (BAD_ARTIFACT) for what the model cannot do. The request's check could not
    read a hub id's config.json."""
    for field, reason in misfits(spec, backbone.config):
        raise bad_artifact(f"backbone {spec.backbone.path}: {field} {reason}")
