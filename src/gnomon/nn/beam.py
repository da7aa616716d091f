"""Beam search: the likeliest texts that a decoder finds, for a batch of sentences at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gnomon.core.errors import UsageError

PADDING, END = 0, 2  # ids (gnomon.data.text.tokens)


class Found(NamedTuple):
    """A text that was found."""

    ids: list[int]  # without the END that it has
    log_probability: float  # in nats, of all ids and END
    score: float  # log_probability / (number of ids, END counted) ** alpha


class Decoder(Protocol):
    """A model that writes a text, place by place, for each source of a batch.

    Memory and state are named tuples of tensors, all batch first, and whole numbers.
    """

    def __call__(self, ids: Tensor, lengths: Tensor, before: Tensor) -> Tensor:
        """(B, S) ids of sources, (B, T) of what stands before each place of the targets -> (B, T, V) logits."""

    def encode(self, ids: Tensor, lengths: Tensor) -> Any:
        """The memory: what is computed of each source once."""

    def begin(self, memory: Any) -> Any:
        """The state before the first place."""

    def step(self, last: Tensor, memory: Any, state: Any) -> tuple[Tensor, Any]:
        """(B, W) the last id of W hypotheses of each sentence -> (B, W, V) logits of the next, and the state after."""

    def reordered(self, state: Any, rows: Tensor) -> Any:
        """The state of hypotheses that go on from those at `rows` (B, W) of each sentence."""


class _Beam(NamedTuple):
    """The live hypotheses of the sentences that are still searched; W of each, the likeliest first."""

    words: Tensor  # (B, W, T) ids so far
    sums: Tensor  # (B, W) float64: log probabilities; -inf where there are fewer hypotheses than W
    greedy: Tensor  # (B,) which of them always took the likeliest id; -1: it has ended
    most: Tensor  # (B,) ids of a text at most, its END included
    to_beat: Tensor  # (B,) float64: the score of the worst of the `n_best` texts found so far; -inf: fewer were found
    sentence: Tensor  # (B,) its place in the batch


@torch.no_grad()
def search(
    model: Decoder, ids: Tensor, lengths: Tensor, *, width: int, most: int | Tensor, alpha: float = 0.7,
    n_best: int = 1, least: int = 0, no_repeat: int = 0, never: Sequence[int] = (PADDING,), ends_early: bool = True,
) -> list[list[Found]]:  # fmt: skip
    """For each sentence the `n_best` texts with the highest scores among those found, the best first, all different.

    `width` hypotheses of each sentence go on at a time: those with the highest sums of log probabilities; one that says
    END among the `width` likeliest next steps is found. `most` ids, END included, is where every text ends; `least`
    ids come before END, no `no_repeat` ids in a row come twice, ids in `never` not at all (where that leaves nothing, a
    text ends). Log probabilities are the model's, whatever is not allowed. A sentence is done when no live hypothesis
    can beat the score of the n-th best text, however it goes on: with `ends_early` off the answers are the same, later.
    The greedy hypothesis, which always takes the likeliest id, is never dropped: no answer scores less than it. With
    width 1 it is the answer. Raises UsageError for a width below 1 or `n_best`, or a negative alpha.
    Source: Graves 2012, section 2.5; the score: Wu et al. 2016, section 7 (without their constant).
    """
    if width < max(1, n_best) or n_best < 1 or alpha < 0:
        raise UsageError(
            f"a beam of width {width} can not give {n_best} texts with length_alpha={alpha}.",
            fix="use a beam of at least 1 and at least n_best, and length_alpha of 0 or more.",
        )
    memory = model.encode(ids, lengths)
    state = model.begin(memory)
    beam = _first(ids, most)
    found: list[list[Found]] = [[] for _ in range(len(ids))]
    while len(beam.sums):
        last = functional.pad(beam.words, (1, 0), value=END)[..., -1]
        logits, state = model.step(last, memory, state)
        values = _allowed(logits, beam, least=least, no_repeat=no_repeat, never=never)
        rows, beam = _advanced(values, beam, found, width=width, alpha=alpha, n_best=n_best)
        state = model.reordered(state, rows)
        highest = beam.sums.amax(dim=1)
        is_live = highest > -torch.inf
        if ends_early:
            is_live &= highest / beam.most**alpha > beam.to_beat
        if width == 1:
            is_live &= beam.greedy >= 0
        kept = is_live.nonzero()[:, 0]
        if len(kept) < len(is_live):
            memory, state, beam = (_rows(one, kept) for one in (memory, state, beam))
    return found


def log_probabilities(model: Decoder, ids: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """(B,) float64: the model's log probability of each target (ids without END), END included."""
    longest = max(map(len, targets), default=0) + 1
    wanted = torch.full((len(targets), longest), PADDING, device=ids.device)
    for row, target in zip(wanted, targets, strict=True):
        row[: len(target) + 1] = torch.tensor([*target, END])
    logits = model(ids, lengths, functional.pad(wanted[:, :-1], (1, 0), value=END))
    costs = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none", ignore_index=PADDING)
    return -costs.view(wanted.shape).double().sum(dim=1)


def _first(ids: Tensor, most: int | Tensor) -> _Beam:
    batch, device = len(ids), ids.device
    limit = most.to(device) if isinstance(most, Tensor) else torch.full((batch,), most, device=device)
    return _Beam(
        words=torch.empty(batch, 1, 0, dtype=torch.long, device=device),
        sums=torch.zeros(batch, 1, dtype=torch.float64, device=device),
        greedy=torch.zeros(batch, dtype=torch.long, device=device),
        most=limit.clamp_min(1),
        to_beat=torch.full((batch,), -torch.inf, dtype=torch.float64, device=device),
        sentence=torch.arange(batch, device=device),
    )


def _allowed(logits: Tensor, beam: _Beam, *, least: int, no_repeat: int, never: Sequence[int]) -> Tensor:
    """(B, W, V) log probabilities of the next id, -inf of one that is not allowed."""
    values = logits.log_softmax(dim=2)
    ends, place = values[..., END].clone(), beam.words.shape[2]
    values[..., list(never)] = -torch.inf
    if place < least:
        values[..., END] = -torch.inf
    if 0 < no_repeat <= place:
        _bar_repeats(values, beam.words, no_repeat)
    must_end = (place + 1 >= beam.most)[:, None] | (values.amax(dim=2) == -torch.inf)
    if must_end.any():
        values.masked_fill_(must_end[..., None], -torch.inf)
        values[..., END] = torch.where(must_end, ends, values[..., END])
    return values


def _bar_repeats(values: Tensor, words: Tensor, number: int) -> None:
    """Bar ids after which the last `number` would be a row that the words (B, W, T) have already."""
    rows = words.unfold(2, number, 1)  # (B, W, T - number + 1, number)
    own = words[..., words.shape[2] - number + 1 :]
    is_begun = (rows[..., :-1] == own[:, :, None]).all(dim=3)
    values.scatter_(2, torch.where(is_begun, rows[..., -1], PADDING), -torch.inf)


def _advanced(
    values: Tensor, beam: _Beam, found: list[list[Found]], *, width: int, alpha: float, n_best: int
) -> tuple[Tensor, _Beam]:
    """Which hypotheses (B, W) go on, and the beam after this place; texts that end here are added to `found`."""
    each = min(2 * width, values.shape[2])
    top, ids = (one.flatten(1) for one in values.topk(each, dim=2))  # (B, W * each): of each hypothesis, the best
    totals = beam.sums.repeat_interleave(each, dim=1) + top
    ranked, order = totals.topk(min(2 * width, totals.shape[1]), dim=1)  # at least `width` that do not end
    own = (beam.greedy * each).clamp_min(0)[:, None]  # (B, 1): the likeliest id of the greedy hypothesis, its first
    is_own = (order == own) & (beam.greedy >= 0)[:, None]
    is_end = ids.gather(1, order) == END
    own_ends = (beam.greedy >= 0)[:, None] & (ids.gather(1, own) == END)

    ends = torch.cat([is_end[:, :width], own_ends & ~is_own[:, :width].any(dim=1, keepdim=True)], dim=1)
    ends_at = torch.cat([order[:, :width], own], dim=1)
    to_beat = _noted(beam, found, totals.gather(1, ends_at), ends_at // each, ends, alpha=alpha, n_best=n_best)

    first = is_end.to(torch.int8).sort(dim=1, stable=True).indices[:, :width]  # those that go on, then those that end
    chosen = order.gather(1, first)
    sums = ranked.gather(1, first).masked_fill(is_end.gather(1, first), -torch.inf)
    place = is_own.gather(1, first)
    lacks = (beam.greedy >= 0)[:, None] & ~own_ends & ~place.any(dim=1, keepdim=True)  # it takes the place of the last
    chosen[:, -1:] = torch.where(lacks, own, chosen[:, -1:])
    sums[:, -1:] = torch.where(lacks, totals.gather(1, own), sums[:, -1:])
    place[:, -1:] |= lacks
    greedy = torch.where(own_ends[:, 0] | (beam.greedy < 0), -1, place.to(torch.int8).argmax(dim=1))

    rows = chosen // each
    before = beam.words.gather(1, rows[..., None].expand(-1, -1, beam.words.shape[2]))
    words = torch.cat([before, ids.gather(1, chosen)[..., None]], dim=2)
    return rows, beam._replace(words=words, sums=sums, greedy=greedy, to_beat=to_beat)


def _noted(
    beam: _Beam, found: list[list[Found]], totals: Tensor, rows: Tensor, ends: Tensor, *, alpha: float, n_best: int
) -> Tensor:
    """Texts that end here, at `rows` (B, N) where `ends`, are noted if among the best; returns what is then to beat."""
    scores = totals / (beam.words.shape[2] + 1) ** alpha
    sentences, places = (ends & (scores > beam.to_beat[:, None])).nonzero(as_tuple=True)
    if not len(sentences):
        return beam.to_beat
    to_beat = beam.to_beat.tolist()
    new = zip(
        sentences.tolist(), beam.sentence[sentences].tolist(), beam.words[sentences, rows[sentences, places]].tolist(),
        totals[sentences, places].tolist(), scores[sentences, places].tolist(), strict=True,
    )  # fmt: skip
    for row, sentence, *text in new:
        best = found[sentence]
        best.append(Found(*text))
        best.sort(key=lambda one: -one.score)
        del best[n_best:]
        if len(best) == n_best:
            to_beat[row] = best[-1].score
    return torch.tensor(to_beat, dtype=torch.float64, device=beam.to_beat.device)


def _rows(record: Any, kept: Tensor) -> Any:
    """A named tuple of tensors, batch first, with some of its rows."""
    return type(record)(*(one[kept] if isinstance(one, Tensor) else one for one in record))
