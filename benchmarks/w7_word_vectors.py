"""W7: skip-gram, width 100, window 5, 5 negatives, beside gensim: words a second, and what the vectors know.

    python -m benchmarks.w7_word_vectors FOLDER --gensim-python OTHER/bin/python

FOLDER holds corpus.txt.gz, questions-words.txt and wordsim353.tsv. Both learn from the same words in the same lines,
for as many epochs; words are those of the text, seconds those of training alone. gensim may be in another environment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

import gnomon
from gnomon.data.opening import open_source
from gnomon.data.text.corpus import corpus_of, lowered
from gnomon.data.text.files import all_texts, text_files
from gnomon.workflow.vectors import vectors

QUESTIONS = ("questions-words.txt", "wordsim353.tsv")
PEER = """
import json, sys, time
from gensim.models import Word2Vec
path, epochs, seed, threads, rate, out = sys.argv[1:]
lines = [line.split() for line in open(path)]
model = Word2Vec(vector_size=100, window=5, min_count=5, sg=1, negative=5, sample=1e-3, workers=int(threads),
                 seed=int(seed) + 1, alpha=float(rate))
model.build_vocab(lines)
wall, cpu = time.perf_counter(), time.process_time()
model.train(lines, total_examples=len(lines), epochs=int(epochs))
found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
model.wv.save_word2vec_format(out, binary=True)
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Trained:
    """One training: its seconds, and the shares right of analogies and the correlation of similarities."""

    stack: str
    wall: float
    cpu: float
    analogies: float
    similarities: float


def write_words(folder: Path, most: int, path: Path) -> int:
    """The words of the corpus, in lower case, line by line; how many there are."""
    tree = open_source(folder / "corpus.txt.gz").tree
    assert tree is not None
    corpus = lowered(corpus_of(all_texts(tree, text_files(tree))[0]))
    lines = [end for end in corpus.lines.tolist() if end <= most]
    path.write_text("".join(" ".join(corpus.words[i] for i in corpus.ids[a:b]) + "\n" for a, b in pairwise(lines)))
    return lines[-1]


def with_gnomon(path: Path, questions: Path, epochs: int, seed: int, threads: int, scratch: Path) -> Trained:
    cpu = time.process_time()
    made = gnomon.fit(
        path, task="word_vectors", epochs=epochs, seed=seed, threads=threads, runs_folder=str(scratch / "runs")
    )
    cpu = time.process_time() - cpu
    return Trained("gnomon", made.history[-1]["seconds"], cpu, *_scores(made.path, questions))


def with_gensim(
    path: Path, questions: Path, epochs: int, seed: int, threads: int, scratch: Path, *, python: str, rate: float
) -> Trained:
    out = scratch / "gensim.bin"
    command = [python, "-c", PEER, *map(str, (path, epochs, seed, threads, rate, out))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Trained(f"gensim {rate:g}", found["wall"], found["cpu"], *_scores(out, questions))


def _scores(place: Path, questions: Path) -> tuple[float, float]:
    analogies, similarities = (vectors(place, evaluate=questions / name).scores for name in QUESTIONS)
    return analogies.all.share, similarities.spearman  # type: ignore[union-attr]


def table(found: list[Trained], words: int) -> list[str]:
    """`words`: of the text, times the epochs."""
    rows = ["| | words/s | words per CPU second | analogies right | Spearman's correlation |", "|---|---|---|---|---|"]
    for stack in dict.fromkeys(one.stack for one in found):
        own = [one for one in found if one.stack == stack]
        analogies = f"{100 * mean(one.analogies for one in own):.1f} % ({_each(100 * one.analogies for one in own)})"
        similar = f"{mean(one.similarities for one in own):.3f} ({_each(one.similarities for one in own)})"
        speed = f"{words / median(one.wall for one in own):,.0f} | {words / median(one.cpu for one in own):,.0f}"
        rows.append(f"| {stack} | {speed} | {analogies} | {similar} |")
    return rows


def _each(values: object) -> str:
    return ", ".join(f"{value:.3g}" for value in values)  # type: ignore[attr-defined]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gensim-python", help="an interpreter that has gensim; without it gnomon runs alone")
    parser.add_argument("--words", type=int, default=10**9, help="at most, of the corpus")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rates", type=float, nargs="*", default=[0.025], help="learning rates of gensim")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        path = scratch / "words.txt"
        words, found = write_words(given.folder, given.words, path), list[Trained]()
        for seed in range(given.seeds):
            found.append(with_gnomon(path, given.folder, given.epochs, seed, given.threads, scratch))
            for rate in given.rates if given.gensim_python else ():
                found.append(
                    with_gensim(
                        path, given.folder, given.epochs, seed, given.threads, scratch, python=given.gensim_python,
                        rate=rate,
                    )
                )  # fmt: skip
            print("\n".join(table(found, words * given.epochs)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
