"""Beam search with the same tokens as Transformers' `generate`, but without what makes that slow.

A text's keys and values are kept once for all of its beams, whose queries read them together. The
decoder's own lie in two buffers, and reordering beams copies from one into the other. On a GPU the
host asks only every few tokens whether the search is over; the extra tokens change nothing in a
finished search.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import Cache, DynamicCache, EncoderDecoderCache
from transformers.cache_utils import CacheLayerMixin

# A sum of logarithms below any that a search may reach.
_NEVER = -1.0e9
# Tokens between two checks whether the search is over, each of which waits for the GPU.
_GPU_TOKENS = 8


@dataclass(frozen=True)
class Settings:
    """A search's settings: Generation of job.proto, the token that begins a text, and those that
    end it."""

    beams: int
    least: int
    most: int
    no_repeat_ngram: int
    length_penalty: float
    start: int
    ends: tuple[int, ...]

    @staticmethod
    def of(asked: job_pb2.Generation, start: int, ends: int | list[int]) -> "Settings":
        """asked: the job's; start, ends: from the model's config.json."""
        return Settings(
            beams=asked.beams,
            least=asked.min_length,
            most=asked.max_length,
            no_repeat_ngram=asked.no_repeat_ngram,
            length_penalty=asked.length_penalty,
            start=start,
            ends=tuple(ends) if isinstance(ends, list) else (ends,),
        )


class Decoder(Protocol):
    """Predicts the next tokens. Beams of a row are neighbours: n = rows · beams."""

    @property
    def device(self) -> torch.device: ...

    def next(self, tokens: Tensor) -> Tensor:
        """Logits float32 [n, vocabulary] for the token after these, int64 [n], which follow the
        tokens of earlier calls."""

    def reorder(self, beams: Tensor) -> None:
        """Continues with other beams: int64 [n], which of the present ones each copies."""


def search(decoder: Decoder, rows: int, settings: Settings) -> list[Tensor]:
    """The best text found for each row, int64 [tokens] on the CPU, up to its end if it has one."""
    found = (
        _beam_search(decoder, rows, settings)
        if settings.beams > 1
        else _greedy_search(decoder, rows, settings)
    )
    ends = torch.tensor(settings.ends)
    return [_to_the_end(row, ends) for row in found.cpu()]


def _to_the_end(row: Tensor, ends: Tensor) -> Tensor:
    places = torch.isin(row, ends).nonzero()
    return row[: int(places[0]) + 1] if places.numel() else row


def _greedy_search(decoder: Decoder, rows: int, settings: Settings) -> Tensor:
    """int64 [rows, tokens]."""
    ends = torch.tensor(settings.ends, device=decoder.device)
    text = torch.full((rows, 1), settings.start, device=decoder.device)
    ended = torch.zeros(rows, dtype=torch.bool, device=decoder.device)
    for step in range(settings.most):
        logits = _allowed(decoder.next(text[:, -1]), text, settings, ends)
        text = torch.cat([text, logits.argmax(-1, keepdim=True)], 1)
        ended |= torch.isin(text[:, -1], ends)
        if _asks(step, decoder.device) and bool(ended.all()):
            break
    return text[:, 1:]


def _beam_search(decoder: Decoder, rows: int, settings: Settings) -> Tensor:
    """int64 [rows, settings.most]; what follows an end is meaningless."""
    device, beams, most = decoder.device, settings.beams, settings.most
    ends = torch.tensor(settings.ends, device=device)
    # Enough that `beams` of them go on, whichever end.
    candidates = max(2, 1 + len(settings.ends)) * beams
    is_top = torch.arange(candidates, device=device) < beams
    # The first token is the start token. Scores are sums of logarithms, divided by length **
    # penalty for ended texts.
    running = torch.full((rows, beams, 1 + most), settings.start, device=device)
    running_scores = torch.zeros(rows, beams, device=device)
    # All beams are equal at first, so only the first may go on.
    running_scores[:, 1:] = _NEVER
    ended, ended_scores = running.clone(), torch.full((rows, beams), _NEVER, device=device)
    has_ended = torch.zeros(rows, beams, dtype=torch.bool, device=device)
    may_improve = torch.ones(rows, 1, dtype=torch.bool, device=device)
    firsts = torch.arange(rows, device=device).unsqueeze(1) * beams
    for step in range(most):
        length = step + 1
        text = running[:, :, :length].flatten(0, 1)
        likely = _allowed(torch.log_softmax(decoder.next(text[:, -1]), -1), text, settings, ends)
        scores, origins, tokens = _best(likely, running_scores, candidates)
        found = _take(running, origins)
        found[:, :, length] = tokens
        ends_here = torch.isin(tokens, ends) | (length == most)

        best = (scores + ends_here * _NEVER).topk(beams)
        running, running_scores = _take(found, best.indices), best.values

        final = scores / length**settings.length_penalty
        final += (~may_improve) * _NEVER
        final += (~(ends_here & is_top)) * _NEVER
        best_ended = torch.cat([ended_scores, final], 1).topk(beams)
        ended, ended_scores = (
            _take(torch.cat([ended, found], 1), best_ended.indices),
            best_ended.values,
        )
        has_ended = torch.cat([has_ended, ends_here & is_top], 1).gather(1, best_ended.indices)

        worst = torch.where(has_ended, ended_scores.min(1, keepdim=True).values, _NEVER)
        may_improve &= (running_scores[:, :1] / length**settings.length_penalty > worst).any(
            1, keepdim=True
        )
        if length == most or (_asks(step, device) and not bool(may_improve.any())):
            break
        decoder.reorder((origins.gather(1, best.indices) + firsts).view(-1))
    return ended[:, 0, 1:]


def _asks(step: int, device: torch.device) -> bool:
    return device.type == "cpu" or step % _GPU_TOKENS == _GPU_TOKENS - 1


def _take(texts: Tensor, indices: Tensor) -> Tensor:
    """texts [rows, n, tokens] at indices [rows, m]: [rows, m, tokens]."""
    return texts.gather(1, indices.unsqueeze(2).expand(-1, -1, texts.shape[2]))


def _best(likely: Tensor, scores: Tensor, candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations of each row: scores, beams and tokens, [rows, candidates] each, best
    first. likely: logarithms [rows · beams, vocabulary]; scores: of the beams, [rows, beams]."""
    rows, beams = scores.shape
    # First within each beam: the best of all are among each beam's best, and the vocabularies need
    # not be sorted together.
    of_beam = likely.topk(min(candidates, likely.shape[1]))
    sums = (of_beam.values.view(rows, beams, -1) + scores.unsqueeze(2)).flatten(1)
    best = sums.topk(candidates)
    tokens = of_beam.indices.view(rows, -1).gather(1, best.indices)
    return best.values, best.indices // of_beam.values.shape[1], tokens


def _allowed(scores: Tensor, text: Tensor, settings: Settings, ends: Tensor) -> Tensor:
    """scores [n, vocabulary], changed in place: −∞ for tokens that may not follow text [n, length].
    ends: the settings', on the device."""
    length, size = text.shape[1], settings.no_repeat_ngram
    if 0 < size <= length:
        # If the tokens before some token of the text equal the text's last ones, that token would
        # repeat an n-gram.
        windows = text.unfold(1, size, 1)
        repeats = (windows[..., :-1] == text[:, None, length + 1 - size :]).all(-1)
        banned = torch.where(repeats, -torch.inf, 0.0)
        scores.scatter_add_(1, windows[..., -1], banned)
    if length - 1 < settings.least:
        scores.index_fill_(1, ends, -torch.inf)
    return scores


class _Buffers:
    """Keys and values of all layers for each beam and each token read: [tokens, 2 · layers, n,
    heads, dim]. Tokens come first so that those in use are contiguous."""

    def __init__(self, layers: int, n: int, most: int) -> None:
        self._shape = (most, 2 * layers, n)
        self._now: Tensor | None = None
        self._other: Tensor | None = None

    def put(self, layer: int, at: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keeps a layer's key and value [n, heads, 1, dim] for token `at`. Returns those of all
        tokens up to it, [n, heads, at + 1, dim]."""
        if self._now is None:
            self._now, self._other = (
                key.new_empty(*self._shape, key.shape[1], key.shape[3]) for _ in range(2)
            )
        found = []
        for place, own in enumerate((key, value), start=2 * layer):
            self._now[at, place] = own.squeeze(2)
            found.append(self._now[: at + 1, place].permute(1, 2, 0, 3))
        return found[0], found[1]

    def reorder(self, used: int, beams: Tensor) -> None:
        """Puts the beams of the first `used` tokens in another order."""
        assert self._now is not None and self._other is not None, "a token was read"
        torch.index_select(self._now[:used], 2, beams, out=self._other[:used])
        self._now, self._other = self._other, self._now


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """A layer of `_Buffers`, as Transformers' attention asks for it."""

    def __init__(self, buffers: _Buffers, index: int) -> None:
        super().__init__()
        self._buffers, self._index, self._used = buffers, index, 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: the buffers are made with their first token."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        self._used += 1
        return self._buffers.put(self._index, self._used - 1, key_states, value_states)

    def get_seq_length(self) -> int:
        return self._used

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._used + query_length, 0

    def get_max_length(self) -> int:
        return -1


class Cached:
    """A Decoder that keeps the keys and values of what it has read, a text's once for all of its
    beams."""

    def __init__(
        self,
        decoder: Any,
        words: Callable[[Tensor], Tensor],
        texts: Tensor,
        layers: int,
        beams: int,
        most: int,
    ) -> None:
        """decoder: Transformers' own, with `layers` layers; words: computes logits from its last
        hidden states; texts: the encoder's states, [rows, tokens, d]; most: maximum tokens to
        read."""
        self._decoder, self._words, self._texts = decoder, words, texts
        self._read = _Buffers(layers, texts.shape[0] * beams, most)
        own = Cache(layers=[_Layer(self._read, index) for index in range(layers)])
        self._past = EncoderDecoderCache(own, DynamicCache())

    @property
    def device(self) -> torch.device:
        return self._texts.device

    def next(self, tokens: Tensor) -> Tensor:
        """See Decoder."""
        output = self._decoder(
            input_ids=tokens.unsqueeze(1),
            encoder_hidden_states=self._texts,
            past_key_values=self._past,
            use_cache=True,
        )
        return self._words(output.last_hidden_state.squeeze(1))

    def reorder(self, beams: Tensor) -> None:
        """See Decoder."""
        self._read.reorder(self._past.get_seq_length(), beams)
