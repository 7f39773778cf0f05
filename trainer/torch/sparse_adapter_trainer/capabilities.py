"""What this trainer can do, and the id of its artifact root."""

import os
import uuid
from pathlib import Path

from sparse_adapter.trainer.v1 import capabilities_pb2

from sparse_adapter_engine import handled
from sparse_adapter_engine.device.names import cpu_name
from sparse_adapter_engine.files.temporary_names import name_beside
from sparse_adapter_engine.pruners import PRUNERS

from . import __version__
from .worker import EngineLike

PROTOCOL_VERSION = 1
# One job at a time: a job uses every core or the whole GPU, and cohorts already share the work.
SLOTS = 1
# A pass holds whole trials up to a fixed number of tokens, so a cohort's size does not determine
# its memory; this limits requests.
MAX_COHORT = 64
# On a CPU a pass is full with a few trials. A GPU's passes are larger; 16 is what was measured.
PREFERRED_COHORT = {"cpu": 10, "cuda": 16}


def describe(engine: EngineLike, root: Path, queue_length: int) -> capabilities_pb2.Capabilities:
    """The capabilities of a trainer with this engine."""
    device = _device(engine)
    return capabilities_pb2.Capabilities(
        protocol_version=PROTOCOL_VERSION,
        framework="torch",
        framework_version=engine.environment["torch"],
        trainer_version=__version__,
        devices=[device],
        slots=SLOTS,
        queue_length=queue_length,
        max_cohort=MAX_COHORT,
        preferred_cohort=PREFERRED_COHORT[device.kind],
        architectures=engine.architectures,
        attention_modules=handled.ATTENTION_MODULES,
        ffn_modules=handled.FFN_MODULES,
        unfrozen=handled.UNFROZEN,
        adapter_norms=handled.ADAPTER_NORMS,
        fields=handled.FIELDS,
        mask_structures=handled.MASK_STRUCTURES,
        mask_rules=handled.MASK_RULES,
        prunes_during_training=True,
        precisions=engine.precisions,
        pruners=list(PRUNERS),
        task_kinds=handled.TASK_KINDS,
        artifact_root_id=root_id(root),
        artifact_service=True,
        hub_download=True,
        environment=engine.environment,
    )


def root_id(root: Path) -> str:
    """The content of `<root>/.root-id`, which is created if it is missing.

    If two processes create it at once, one wins. Whoever may read the folder may read its id, also
    where the umask would keep other users out.
    """
    path = root / ".root-id"
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        own = name_beside(path)
        own.write_text(uuid.uuid4().hex)
        own.chmod(0o600 | (root.stat().st_mode & 0o044))
        try:
            os.link(own, path)
        except FileExistsError:
            pass
        finally:
            own.unlink()
    return path.read_text().strip()


def _device(engine: EngineLike) -> capabilities_pb2.Device:
    if engine.device != "cpu":
        import torch

        # The engine's own device: each thread has its own current one, and the engine lives in
        # another thread.
        properties = torch.cuda.get_device_properties(engine.device)
        return capabilities_pb2.Device(
            kind="cuda", name=properties.name, memory_bytes=properties.total_memory
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return capabilities_pb2.Device(
        kind="cpu",
        name=cpu_name(),
        memory_bytes=memory,
        threads=int(engine.environment["threads"]),
    )


def with_memory_used(
    capabilities: capabilities_pb2.Capabilities, engine: EngineLike
) -> capabilities_pb2.Capabilities:
    """The capabilities with the memory of the engine's GPU that is in use now."""
    if engine.device == "cpu":
        return capabilities
    import torch

    now = capabilities_pb2.Capabilities()
    now.CopyFrom(capabilities)
    try:
        free, total = torch.cuda.mem_get_info(engine.device)
    except RuntimeError:
        # A GPU that has failed; the engine's thread says so.
        return now
    now.devices[0].memory_used_bytes = total - free
    return now
