"""At which step of its trial an adapter is."""

import json
from pathlib import Path


def adapter_step(trial: Path) -> int | None:
    """The step of the adapter in a trial's folder; None if none is there, or does not say it."""
    try:
        content = json.loads((trial / "adapter" / "adapter_config.json").read_bytes())
        step = content["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def describe_other_step(trial_id: str, found: int | None, asked: int) -> str:
    """What is wrong with an adapter that is not of the step that predictions are asked for."""
    step = "an unknown step" if found is None else f"step {found}"
    return (
        f"trials/{trial_id}/adapter is of {step}, not of step {asked}, which spec.predict.at_step "
        f"asks for; a train job with until_step {asked} writes it"
    )
