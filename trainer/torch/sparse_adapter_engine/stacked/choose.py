"""Chooses a GPU's operations: each candidate is compared on random rows with the plain one in
float32. Missing or wrong ones are logged and left out, and the fastest of the rest is used."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from .attention import SHORT_ROWS, Attend, Spans, flash, padded, varlen
from .hash_dropout import Drop, drop
from .operations import Operations
from .update import Adam, adam

_log = logging.getLogger(__name__)
_HEADS, _DIM = 12, 64
# Maximum error, relative to the norm of the plain result in float32.
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
# TF32 rounds products to 10 bits.
_TF32_TOLERANCE = 5e-3


# A candidate replaces another if it takes less than this share of the other's time.
_CLEARLY = 0.85


@dataclass(frozen=True)
class _Candidate:
    name: str
    run: Callable[[], Sequence[Tensor]]


def choose(
    device: torch.device, precision: int, without: frozenset[str] = frozenset()
) -> Operations:
    """The operations for stacked trials on a GPU. without: names of candidates not to try
    (`attention`, `adam`, `dropout`: the Triton kernels; `flash`, `varlen`; `graphs`)."""
    dtype = torch.bfloat16 if precision == job_pb2.PRECISION_BF16 else torch.float32
    kernels = _kernels()
    names: dict[str, str] = {}
    short = _attention(device, dtype, precision, kernels, without, longest=SHORT_ROWS)
    long = _attention(device, dtype, precision, None, without, longest=384)
    names["attention"] = f"{short[0]} up to {SHORT_ROWS} tokens, {long[0]} beyond"
    attention = _by_length(short, long)
    adam_name, chosen_adam = _adam(device, kernels, without)
    drop_name, chosen_drop = _drop(device, dtype, kernels, without)
    graphs = "graphs" not in without and _graphs_work(device)
    names |= {"adam": adam_name, "dropout": drop_name}
    names["steps"] = "graphs" if graphs else "eager"
    return Operations(attention, chosen_drop, chosen_adam, graphs, names)


def _kernels() -> dict[str, ModuleType]:
    """The modules with Triton kernels by name; none if Triton is not installed."""
    try:
        from .kernels import adam as adam_kernel
        from .kernels import attention as attention_kernel
        from .kernels import dropout as dropout_kernel
    except ImportError as error:
        _log.info("no Triton kernels: %s", error)
        return {}
    return {
        "attention": attention_kernel,
        "adam": adam_kernel,
        "dropout": dropout_kernel,
    }


def _by_length(short: tuple[str, Attend], long: tuple[str, Attend]) -> Attend:
    """Uses `short` for rows up to SHORT_ROWS tokens and `long` for longer ones, if they support the
    heads' width; else the plain operation, which supports any."""

    def attention(
        query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans
    ) -> Tensor:
        name, chosen = short if keys.longest <= SHORT_ROWS else long
        if not _takes(name, query.shape[1] // heads):
            chosen = padded
        return chosen(query, key_value, heads, queries, keys)

    return attention


def _takes(name: str, dim: int) -> bool:
    """Whether a kind of attention supports heads of this width."""
    if name == "triton":
        return dim in (16, 32, 64, 128)
    return name == "padded" or (dim % 8 == 0 and dim <= 256)


def _attention(
    device: torch.device,
    dtype: torch.dtype,
    precision: int,
    kernels: dict[str, ModuleType] | None,
    without: frozenset[str],
    longest: int,
) -> tuple[str, Attend]:
    random = torch.Generator().manual_seed(longest)
    lengths = torch.randint(longest // 8, longest + 1, (256,), generator=random)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]).to(
        device, torch.int32
    )
    row_of = torch.arange(lengths.numel()).repeat_interleave(lengths).to(device, torch.int32)
    spans = Spans(starts, row_of, longest)
    width = _HEADS * _DIM
    query = torch.randn(row_of.numel(), width, generator=random).to(device) * _DIM**-0.5
    key_value = torch.randn(row_of.numel(), 2 * width, generator=random).to(device)
    gradient = torch.randn(row_of.numel(), width, generator=random).to(device)

    def results(attend: Attend, kind: torch.dtype) -> Sequence[Tensor]:
        q, kv = (x.to(kind).requires_grad_() for x in (query, key_value))
        context = attend(q, kv, _HEADS, spans, spans)
        return [context.detach(), *torch.autograd.grad(context, (q, kv), gradient.to(kind))]

    tried: dict[str, Attend] = {"padded": padded}
    if dtype != torch.float32:
        tried |= {"flash": flash, "varlen": varlen}
    if kernels and "attention" in kernels:
        products = "tf32" if precision == job_pb2.PRECISION_TF32 else "ieee"
        tried["triton"] = partial(kernels["attention"].short_rows, precision=products)
    if "attention" in without:
        tried.pop("triton", None)
    tolerance = _TF32_TOLERANCE if precision == job_pb2.PRECISION_TF32 else _TOLERANCE[dtype]
    candidates = [
        _Candidate(name, partial(results, attend, dtype))
        for name, attend in tried.items()
        if name not in without
    ]
    name = _fastest("attention", candidates, results(padded, torch.float32), tolerance)
    return name, tried[name]


def _adam(
    device: torch.device, kernels: dict[str, ModuleType], without: frozenset[str]
) -> tuple[str, Adam]:
    random = torch.Generator().manual_seed(1)
    tensors = torch.randn(4, 4, 200_000, generator=random).to(device)
    tensors[3].square_()
    rows = torch.tensor([[1e-3, 0.1, 0.5, 0.1, 0.001, 1e-8, 0.1, 0.03]] * 4, device=device)
    decayed = ((0, 1000), (5000, 90_000))

    def results(operation: Adam) -> Sequence[Tensor]:
        p, g, m, v = tensors.clone().unbind(0)
        operation(p, g, m, v, rows, decayed)
        return [p, m, v]

    tried: dict[str, Adam] = {"torch": adam}
    if "adam" in kernels and "adam" not in without:
        tried["triton"] = kernels["adam"].adam
    candidates = [_Candidate(name, partial(results, each)) for name, each in tried.items()]
    name = _fastest("adam", candidates, results(adam), 1e-5)
    return name, tried[name]


def _drop(
    device: torch.device,
    dtype: torch.dtype,
    kernels: dict[str, ModuleType],
    without: frozenset[str],
) -> tuple[str, Drop]:
    random = torch.Generator().manual_seed(2)
    x = torch.randn(4, 100_000, generator=random).to(device)
    keys = torch.tensor([3, 2**40 + 5, -7, 2**62], device=device)
    probabilities = torch.tensor([0.0, 0.1, 0.5, 0.9], device=device)
    first = torch.tensor([0, 1, 100_000, 7], device=device)

    def results(operation: Drop, kind: torch.dtype) -> Sequence[Tensor]:
        return [operation(x.to(kind), keys, first, probabilities)]

    tried: dict[str, Drop] = {"torch": drop}
    if "dropout" in kernels and "dropout" not in without:
        tried["triton"] = kernels["dropout"].drop
    candidates = [_Candidate(name, partial(results, each, dtype)) for name, each in tried.items()]
    name = _fastest("dropout", candidates, results(drop, torch.float32), _TOLERANCE[dtype])
    return name, tried[name]


def _fastest(
    what: str, candidates: Sequence[_Candidate], expected: Sequence[Tensor], tolerance: float
) -> str:
    """The name of the fastest candidate with the expected result. A later one wins only by a clear
    margin."""
    times: dict[str, float] = {}
    for candidate in candidates:
        try:
            found = candidate.run()
            error = max(
                float((one.float() - two).norm() / two.norm())
                for one, two in zip(found, expected, strict=True)
            )
            # Also true if it is NaN.
            if not error <= tolerance:
                _log.warning("%s: %s is off by %.2g and is not used", what, candidate.name, error)
                continue
            times[candidate.name] = _milliseconds(candidate.run)
        except Exception as error:
            # Any exception of a kernel or a missing operation rules the candidate out. If the
            # device is lost, the plain one fails too.
            _log.warning("%s: %s cannot be used: %s", what, candidate.name, _first_line(error))
    if not times:
        raise RuntimeError(f"no operation for {what} works on this device")
    told = ", ".join(f"{name} {time:.2f} ms" for name, time in times.items())
    _log.info("%s: %s", what, told)
    chosen, *others = times
    for name in others:
        # The first of several about equally fast, so that a resumed run does not get another by
        # chance.
        if times[name] < _CLEARLY * times[chosen]:
            chosen = name
    return chosen


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _milliseconds(run: Callable[[], object], times: int = 5) -> float:
    run()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(times):
        run()
    end.record()
    torch.cuda.synchronize()
    elapsed: float = begin.elapsed_time(end)
    return elapsed / times


def _graphs_work(device: torch.device) -> bool:
    """Whether a forward and backward pass can be captured and replayed with other numbers."""
    weight = torch.randn(64, 64, device=device, requires_grad=True)
    x, out = torch.ones(64, 64, device=device), torch.zeros(64, 64, device=device)

    def work() -> None:
        (found,) = torch.autograd.grad((x @ weight).square().sum(), weight)
        out.copy_(found)

    try:
        work()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
        x.mul_(2)
        graph.replay()
        replayed = out.clone()
        work()
        return torch.equal(replayed, out)
    except RuntimeError as error:
        _log.warning("steps are not captured as graphs: %s", _first_line(error))
        return False
