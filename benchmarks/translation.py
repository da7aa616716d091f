"""W8, beam search and training of a Transformer from text to text: `python -m benchmarks.translation [search] [train]`.

3 + 3 layers, width 256, 4 heads, vocabulary 8,000, float32. `search`: width 4, 30 steps, on equal weights beside
MarianMTModel.generate of HuggingFace transformers (norm after, as there; its logits are compared first, its positions
are set to gnomon's order of the same sinusoids) and a loop over sentences that reads each hypothesis from its
beginning at every step; and what is kept of each hypothesis. `train`: pairs of `GNOMON_DATA`/multi30k-en-de by
`gnomon fit`, by a plain loop around nn.Transformer in random order, padded to the longest of each batch, and by
Lightning with the same module and batches. transformers and lightning are peers: without them their rows are missing.
Stacks take turns; of each the first step or search warms up. CPU seconds, which tell more on a busy machine, are those
of all threads, and medians of units a CPU second are compared; three minutes on two cores.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from benchmarks.text import fitted
from benchmarks.workload import DATA
from gnomon.core.family import PairInputs
from gnomon.data.text.tokens import END, PADDING, SPECIAL, UNKNOWN, split
from gnomon.models._transformer_pairs import TransformerPairs
from gnomon.nn.attention import FEED_FORWARD, sinusoids
from gnomon.nn.beam import search
from gnomon.nn.initialise import initialise

WIDTH, LAYERS, HEADS, BEAM, STEPS, BATCH, ALPHA = 256, 3, 4, 4, 30, 64, 0.7
RATE, DROPOUT, SMOOTHING = 1e-3, 0.1, 0.1


class Timed(NamedTuple):
    """What was done, in how many seconds."""

    units: float
    wall: float
    cpu: float  # of all threads


Stacks = Mapping[str, Callable[[], Timed]]


class Stopwatch:
    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def timed(self, units: float) -> Timed:
        return Timed(units, time.perf_counter() - self.began[0], time.process_time() - self.began[1])


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def in_turn(stacks: Stacks, repeats: int) -> dict[str, list[Timed]]:
    found: dict[str, list[Timed]] = {name: [] for name in stacks}
    for _ in range(repeats):
        for name, run in stacks.items():
            found[name].append(run())
    return found


def rows(found: Mapping[str, Sequence[Timed]], unit: str) -> list[str]:
    def each(name: str) -> list[float]:
        return [one.units / one.cpu for one in found[name]]

    ours = median(each("gnomon"))
    lines = [
        f"| stack | {unit} per CPU second | lowest - highest | {unit} per second | gnomon / it |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, times in found.items():
        rates, wall = each(name), median(one.units / one.wall for one in times)
        middle = median(rates)
        lines.append(
            f"| {name} | {middle:,.1f} | {min(rates):,.1f} - {max(rates):,.1f} | {wall:,.1f} | {ours / middle:.2f} |"
        )
    return lines


# --- search -------------------------------------------------------------------------------------------------------
def net(num_ids: int, norm: str = "after", width: int = WIDTH) -> TransformerPairs:
    inputs = PairInputs(num_ids, STEPS, num_ids, STEPS, is_shared=True)
    model = TransformerPairs(
        inputs, width=width, layers=LAYERS, heads=HEADS, dropout=0.0, norm="after" if norm == "after" else "before"
    )
    initialise(model, "xavier", torch.Generator().manual_seed(0))
    return model.eval()


def marian_of(model: TransformerPairs) -> Any:
    """The same net as MarianMTModel."""
    from transformers import MarianConfig, MarianMTModel  # type: ignore[import-not-found]

    num_ids, width = model.embedding.weight.shape
    config = MarianConfig(
        vocab_size=num_ids, d_model=width, encoder_layers=LAYERS, decoder_layers=LAYERS, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=FEED_FORWARD * width, decoder_ffn_dim=FEED_FORWARD * width,
        activation_function="gelu", scale_embedding=True, dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
        max_position_embeddings=4 * STEPS, pad_token_id=PADDING, eos_token_id=END, forced_eos_token_id=None,
        decoder_start_token_id=END,
    )  # fmt: skip
    twin = MarianMTModel(config).eval()
    own = model.state_dict()
    theirs = {"model.shared.weight": own["embedding.weight"], "final_logits_bias": own["bias"][None]}
    parts = {
        "attention.output": "self_attn.out_proj", "first_norm": "self_attn_layer_norm", "wide": "fc1", "narrow": "fc2",
        "second_norm": "final_layer_norm", "across.queries": "encoder_attn.q_proj",
        "across.output": "encoder_attn.out_proj", "across_norm": "encoder_attn_layer_norm",
    }  # fmt: skip
    for side in ("encoder", "decoder"):
        for layer in range(LAYERS):
            for leaf in ("weight", "bias"):
                here, there = f"{side}.{layer}.", f"model.{side}.layers.{layer}."
                for name, other in parts.items():
                    if f"{here}{name}.{leaf}" in own:
                        theirs[f"{there}{other}.{leaf}"] = own[f"{here}{name}.{leaf}"]
                for name, value in zip("qkv", own[f"{here}attention.inputs.{leaf}"].chunk(3), strict=True):
                    theirs[f"{there}self_attn.{name}_proj.{leaf}"] = value
                if side == "decoder":
                    for name, value in zip("kv", own[f"{here}across.seen.{leaf}"].chunk(2), strict=True):
                        theirs[f"{there}encoder_attn.{name}_proj.{leaf}"] = value
        theirs[f"model.{side}.embed_positions.weight"] = sinusoids(torch.arange(4 * STEPS), width).float()
    missing, unexpected = twin.load_state_dict(theirs, strict=False)
    tied = {"lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"}
    if set(missing) - tied or unexpected:
        raise RuntimeError(f"the weights do not fit MarianMTModel: {missing}, {unexpected}")
    twin.tie_weights()
    return twin


def difference(model: TransformerPairs, twin: Any, ids: Tensor, lengths: Tensor) -> float:
    """The largest between the logits of both, of random targets."""
    before = torch.randint(SPECIAL, model.embedding.num_embeddings, (len(ids), 12))
    with torch.no_grad():
        theirs = twin(input_ids=ids, attention_mask=_there(ids, lengths), decoder_input_ids=before, use_cache=False)
        return float((model(ids, lengths, before) - theirs.logits).abs().max())


def _there(ids: Tensor, lengths: Tensor) -> Tensor:
    return (torch.arange(ids.shape[1]) < lengths[:, None]).long()


@torch.no_grad()
def one_by_one(model: TransformerPairs, ids: Tensor, length: int) -> list[int]:
    """Beam search as tutorials write it, for one sentence (1, S): every hypothesis is read from its beginning."""
    lengths, hypotheses = torch.tensor([length]), [(0.0, [END])]
    found = model._read(ids, lengths)
    for step in range(STEPS):
        before = torch.tensor([words for _, words in hypotheses])
        each = len(hypotheses)
        logits = model._said(model._decoded(found.expand(each, -1, -1), lengths.expand(each), before))[:, -1]
        values = logits.log_softmax(dim=-1)
        values[:, PADDING] = -math.inf
        if step < STEPS - 1:
            values[:, END] = -math.inf
        top, words = values.topk(BEAM, dim=1)
        more = [
            (total + float(top[row, rank]), [*own, int(words[row, rank])])
            for row, (total, own) in enumerate(hypotheses)
            for rank in range(BEAM)
        ]
        hypotheses = sorted(more, reverse=True)[:BEAM]
    return hypotheses[0][1][1:]


def kept(model: TransformerPairs, ids: Tensor, lengths: Tensor, width: int, steps: int) -> int:
    """Bytes of what a search keeps after so many steps: memory of the sources once, and of each hypothesis its places.

    Room that is not used yet counts.
    """
    memory = model.encode(ids, lengths)
    state = model.begin(memory)
    for _ in range(steps):
        last = torch.full((len(ids), width), END)
        with torch.no_grad():
            _, state = model.step(last, memory, state)
    return sum(one.numel() * one.element_size() for one in (*memory, *state) if isinstance(one, Tensor))


def searched(repeats: int, batch: int, num_ids: int, width: int) -> list[str]:
    torch.manual_seed(0)
    model = net(num_ids, width=width)
    lengths = torch.randint(8, STEPS, (batch,))
    ids = torch.randint(SPECIAL, num_ids, (batch, STEPS)) * _there(torch.empty(batch, STEPS), lengths)
    ids[torch.arange(batch), lengths - 1] = END

    def ours() -> Timed:
        watch = Stopwatch()
        found = search(model, ids, lengths, width=BEAM, most=STEPS, alpha=ALPHA, least=STEPS - 1)
        assert all(len(one[0].ids) == STEPS - 1 for one in found)
        return watch.timed(batch)

    few = range(min(2, batch))

    def plain() -> Timed:
        watch = Stopwatch()
        for row in few:
            one_by_one(model, ids[row : row + 1, : lengths[row]], int(lengths[row]))
        return watch.timed(len(few))

    stacks = {"gnomon": ours, "a sentence at a time, nothing kept": plain}
    lines = [f"width {BEAM}, {STEPS} steps, batch {batch}, vocabulary {num_ids:,}, threads {torch.get_num_threads()}"]
    if has("transformers"):
        twin = marian_of(model)
        lines.append(
            f"largest difference of the logits to MarianMTModel's: {difference(model, twin, ids, lengths):.1e}"
        )

        def theirs() -> Timed:
            watch = Stopwatch()
            found = twin.generate(
                input_ids=ids, attention_mask=_there(ids, lengths), num_beams=BEAM, do_sample=False,
                max_new_tokens=STEPS, min_new_tokens=STEPS, length_penalty=ALPHA, early_stopping=False,
            )  # fmt: skip
            assert found.shape == (batch, STEPS + 1)
            return watch.timed(batch)

        stacks["HuggingFace generate"] = theirs
    in_turn(stacks, 1)
    lines += ["", *rows(in_turn(stacks, repeats), "sentences")]
    sizes = {
        (wide, steps): kept(model, ids, lengths, wide, steps) / 2**20
        for wide, steps in ((BEAM, STEPS // 2), (BEAM, STEPS), (BEAM, 2 * STEPS), (2 * BEAM, STEPS))
    }
    parts = ", ".join(f"{wide} x {steps} ids {size:,.1f} MiB" for (wide, steps), size in sizes.items())
    return [*lines, "", f"kept of {batch} sentences: {parts}"]


# --- training -----------------------------------------------------------------------------------------------------
class Plain(nn.Module):
    """nn.Transformer as its tutorial has it, with the norm before and one table for the target's ids and the logits."""

    def __init__(self, num_sources: int, num_targets: int, width: int) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(num_sources, width), nn.Embedding(num_targets, width)
        with warnings.catch_warnings(action="ignore"):  # nested tensors, which are for models at rest
            self.transformer = nn.Transformer(
                width, HEADS, LAYERS, LAYERS, FEED_FORWARD * width, DROPOUT, "gelu", batch_first=True, norm_first=True
            )
        self.dropout, self.head = nn.Dropout(DROPOUT), nn.Linear(width, num_targets)
        self.head.weight = self.target.weight
        nn.init.normal_(self.source.weight, std=width**-0.5)
        nn.init.normal_(self.target.weight, std=width**-0.5)
        self.register_buffer("positions", sinusoids(torch.arange(1_000), width).float())

    def forward(self, ids: Tensor, before: Tensor) -> Tensor:
        positions = cast(Tensor, self.positions)
        scale = math.sqrt(positions.shape[1])
        x = self.dropout(self.source(ids) * scale + positions[: ids.shape[1]])
        y = self.dropout(self.target(before) * scale + positions[: before.shape[1]])
        later = torch.ones(before.shape[1], before.shape[1], dtype=torch.bool).triu(1)
        padded = ids == PADDING
        found = self.transformer(
            x, y, tgt_mask=later, src_key_padding_mask=padded, memory_key_padding_mask=padded,
            tgt_key_padding_mask=before == PADDING, tgt_is_causal=True,
        )  # fmt: skip
        logits: Tensor = self.head(found)
        return logits


class Pairs(NamedTuple):
    """Ids of both sides, each with its end, and how many ids there are."""

    sources: list[Tensor]
    targets: list[Tensor]
    num_sources: int
    num_targets: int


def encoded(folder: Path, most: int) -> Pairs:
    """By the words that gnomon divides into."""
    sides, sizes = list[list[Tensor]](), list[int]()
    for language in ("en", "de"):
        texts = [split(line, "word") for line in (folder / f"train.{language}").read_text().splitlines()]
        words = [word for word, _ in Counter(word for text in texts for word in text).most_common(most)]
        place = {word: number for number, word in enumerate(words, SPECIAL)}
        sides.append([torch.tensor([*(place.get(word, UNKNOWN) for word in text), END]) for text in texts])
        sizes.append(SPECIAL + len(words))
    return Pairs(sides[0], sides[1], *sizes)


def batches(pairs: Pairs, batch: int) -> list[tuple[Tensor, Tensor]]:
    """In random order, padded to the longest of each batch."""
    order = torch.randperm(len(pairs.sources)).split(batch)
    return [
        (pad_sequence([pairs.sources[i] for i in some], True), pad_sequence([pairs.targets[i] for i in some], True))
        for some in (one.tolist() for one in order)
    ]


def loss_of(model: nn.Module, ids: Tensor, target: Tensor) -> Tensor:
    logits = model(ids, functional.pad(target[:, :-1], (1, 0), value=END))
    return functional.cross_entropy(
        logits.flatten(0, 1), target.flatten(), ignore_index=PADDING, label_smoothing=SMOOTHING
    )


def with_gnomon(folder: Path, words: int, batch: int, units: int, width: int, threads: int) -> Timed:
    """The second of two epochs."""
    clock, _ = fitted(
        folder, source="en", target="de", model="transformer", level="word", vocabulary=words, epochs=2, width=width,
        layers=LAYERS, heads=HEADS, dropout=DROPOUT, label_smoothing=SMOOTHING, batch_size=batch, optimiser="adam",
        learning_rate=RATE, weight_decay=0.0, threads=threads,
    )  # fmt: skip
    return Timed(units, clock.wall[-1], clock.cpu[-1])


def by_hand(pairs: Pairs, batch: int, width: int) -> Timed:
    """One epoch, after its first step."""
    model = Plain(pairs.num_sources, pairs.num_targets, width).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    watch, units = Stopwatch(), 0
    for number, (ids, target) in enumerate(batches(pairs, batch)):
        optimiser.zero_grad()
        loss_of(model, ids, target).backward()
        optimiser.step()
        units += int((target != PADDING).sum()) if number else 0
        watch = watch if number else Stopwatch()
    return watch.timed(units)


def with_lightning(pairs: Pairs, batch: int, width: int) -> Timed:
    """One epoch, after its first step."""
    import lightning

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.units = Plain(pairs.num_sources, pairs.num_targets, width), 0

        def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
            self.units += int((batch[1] != PADDING).sum()) if number else 0
            return loss_of(self.net, *batch)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=RATE)

        def on_train_batch_end(self, _outputs: Any, _batch: Any, number: int) -> None:
            if number == 0:
                self.watch = Stopwatch()

        def on_train_epoch_end(self) -> None:
            self.timed = self.watch.timed(self.units)

    both = cast(Any, list(zip(pairs.sources, pairs.targets, strict=True)))
    data = torch.utils.data.DataLoader(
        both, batch, shuffle=True,
        collate_fn=lambda some: tuple(pad_sequence(list(side), True) for side in zip(*some, strict=True)),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        trainer = lightning.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=scratch,
        )  # fmt: skip
        module = Module()
        trainer.fit(module, data)
    return module.timed


def trained(source: Path, repeats: int, num_pairs: int, words: int, batch: int, width: int, threads: int) -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for split_name, most in (("train", num_pairs), ("val", 64)):
            for language in ("en", "de"):
                lines = (source / f"{split_name}.{language}").read_text().splitlines()[:most]
                (folder / f"{split_name}.{language}").write_text("\n".join(lines) + "\n")
        pairs = encoded(folder, words)
        tokens = sum(map(len, pairs.targets))
        stacks = {
            "gnomon": lambda: with_gnomon(folder, words, batch, tokens, width, threads),
            "nn.Transformer by hand": lambda: by_hand(pairs, batch, width),
        }
        if has("lightning"):
            stacks["Lightning"] = lambda: with_lightning(pairs, batch, width)
        found = in_turn(stacks, repeats)
    each = tokens / len(pairs.targets)
    title = (
        f"{len(pairs.targets):,} pairs, {each:.1f} words of a target, {pairs.num_targets:,} kinds, threads {threads}"
    )
    return [title, "", *rows(found, "target words")]


def main(arguments: Sequence[str] | None = None) -> list[str]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=[], help="search, train; both if neither")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--words", type=int, default=8_000, help="of the vocabulary")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--pairs", type=int, default=1_280, help="of train")
    parser.add_argument("--source", type=Path, default=DATA / "multi30k-en-de")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    what, lines = given.what or ["search", "train"], list[str]()
    if "search" in what:
        lines += [*searched(given.repeats, given.batch, given.words, given.width), ""]
    if "train" in what:
        options = (given.pairs, given.words, given.batch, given.width, given.threads)
        lines += trained(given.source, given.repeats, *options)
    print("\n".join(lines))
    return lines


if __name__ == "__main__":
    main()
