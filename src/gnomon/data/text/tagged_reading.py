"""Sources of tagged text as examples: files of columns and JSON lines; schemes detected, converted, repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import BadInput, Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.source import File, Source, Tree, counted, first_names, listed
from gnomon.data.splits import own_splits
from gnomon.data.text import conll, span_lines
from gnomon.data.text.files import Text, read_text, text_files
from gnomon.data.text.reading import OWN_SPLITS
from gnomon.data.text.tagged import Kind, Sentence, TaggedExamples, from_sentences
from gnomon.data.text.words import places_of
from gnomon.data.trees import FilesTree
from gnomon.metrics.spans import OUTSIDE, as_tags, breaks, detect, parts_of, spans_of

MAY_HOLD_COLUMNS = (".txt", ".tsv", ".csv", ".train", ".dev", ".testa", ".testb", ".test")
LARGEST_LOOK = 256 << 20  # bytes of a file that is read to tell whether it holds columns of tags
LEAST_SPAN_TAGS = 0.9  # of the tags that are not O: these are spans; with fewer, every tag stands for itself
MANY_BAD = 0.05  # of the sentences: nothing is learned from the rest
MOST_TOKENS = 512  # of one sentence: longer ones are divided, or the others of a batch would be padded to them
LARGEST_SHARE_WITHOUT = 0.5  # of a file's lines that a claim's columns may lack
ORDER = {"train": 0, "dev": 1, "test": 2}
MORE_SPLITS = {"testa": "dev", "testb": "test"}  # of CoNLL 2003


@dataclass(frozen=True)
class _Found:
    """What the files hold, before tags are read."""

    sentences: list[Sentence]
    documents: list[str | None]  # of each sentence
    counts: list[tuple[str, int]]  # sentences of each file, by its name
    bad: list[BadInput]
    notes: list[str]


def looks_tagged(source: Source) -> tuple[float, str]:
    """How certain it is (0 .. 1) that a source is tagged text, from its names and the beginning of its first file."""
    tree = _tree_of(source)
    if tree is None or not tree.files:
        return 0.0, "no files"
    files = _candidates(tree)
    if not files:
        return 0.0, "no files of columns or JSON lines"
    share = len(files) / len(tree.files)
    if all(_ends(file.name, conll.SUFFIXES) for file in files):
        return 0.95 * share, f"{counted(len(files), 'file')} of tokens in columns"
    first = next((file for file in files if 0 < file.size <= LARGEST_LOOK), None)
    text = None if first is None else read_text(tree, first)
    if not isinstance(text, Text):
        return 0.0, "nothing that can be looked into"
    if first is not None and _ends(first.name, span_lines.SUFFIXES):
        is_tagged = span_lines.has_spans_or_tags(span_lines.first_value(text.content))
        return (0.95 * share, "texts with spans in JSON lines") if is_tagged else (0.0, "JSON without spans")
    return (0.9 * share, "tokens in columns, with tags") if _has_columns_of_tags(text) else (0.0, "no columns of tags")


def _has_columns_of_tags(text: Text) -> bool:
    """Whether a file has blank lines between lines of the same number of columns, the last of them tags of spans."""
    lines = text.content[: 1 << 16].decode(errors="ignore").split("\n")[:-1]
    form = conll.form_of(lines, None)
    if form is None or form.width < 2 or form.is_universal or not any(not line.strip() for line in lines):
        return form is not None and form.is_universal
    rows = [conll.fields_of(line, has_tabs=form.has_tabs) for line in lines if line.strip()]
    fitting = [row[form.tag] for row in rows if len(row) == form.width]
    tags = [tag for tag in fitting if tag != OUTSIDE]
    are_spans = bool(tags) and sum(parts_of(tag) is not None for tag in tags) >= LEAST_SPAN_TAGS * len(tags)
    return are_spans and len(fitting) >= LARGEST_SHARE_WITHOUT * len(rows)


def read_tagged(source: Source, settings: DataSettings) -> Reading:
    """Every sentence with its tags, in BIO or without spans; splits by the names of files.

    Raises DataError where there are no tags, or where too much cannot be read.
    """
    tree = _required_tree(source)
    files = _candidates(tree)
    if not files:
        raise DataError(
            "there is no tagged text in it.", where=tree.origin,
            fix="give CoNLL files (.conll, .txt: a token and its tag in each line), or JSON lines of texts with spans.",
        )  # fmt: skip
    found = _read_files(tree, files, settings.tag_column, needs_tags=True)
    tags, kind, notes = _read_tags(found.sentences, settings.scheme, tree.origin)
    sentences, tags, documents, counts, more = _divided(found, tags, kind, settings.window or MOST_TOKENS)
    index = index_frame([one.id for one in sentences], group=documents)
    examples = from_sentences(sentences, tags, kind, index)
    return Reading(
        own_splits(*_in_order(examples, counts)), (*source.notes, *found.notes, *notes, *more), tuple(found.bad)
    )


def read_to_tag(source: Source, kind: Kind, window: int | None) -> Reading:
    """Sentences to tag, under the key "all": texts as they are given, lines of .txt, files of columns, JSON lines."""
    if source.texts:
        plain = [_plain(text, f"text {number}") for number, text in enumerate(source.texts, start=1)]
        found = _Found([one for one in plain if one.starts], [], [], _without_words(plain), [])
    else:
        tree = _required_tree(source)
        found = _read_files(tree, _candidates(tree) or tree.files, None, needs_tags=False)
    if not found.sentences:
        raise DataError("there is no text in it.", where=source.origin, fix="give a text.")
    tags = [as_tags([], len(one.starts)) for one in found.sentences] if kind == "spans" else [[]] * len(found.sentences)
    found = replace(found, documents=[None] * len(found.sentences), counts=[("all", len(found.sentences))])
    sentences, _, _, _, more = _divided(found, tags, kind, window or MOST_TOKENS)
    examples = from_sentences(sentences, [()] * len(sentences), kind, index_frame([one.id for one in sentences]))
    return Reading({"all": examples}, (*source.notes, *found.notes, *more), tuple(found.bad))


def _tree_of(source: Source) -> Tree | None:
    if source.tree is not None:
        return source.tree
    if source.table is not None and _ends(source.table, MAY_HOLD_COLUMNS):
        return FilesTree([source.table])
    return None


def _required_tree(source: Source) -> Tree:
    tree = _tree_of(source)
    if tree is None:
        raise DataError(
            "this is not tagged text.", where=source.origin, fix="give CoNLL files, or JSON lines of texts with spans."
        )
    return tree


def _candidates(tree: Tree) -> list[File]:
    """Files that may hold tagged text: those that say so by their names, else JSON lines, else plain text."""
    for suffixes in (conll.SUFFIXES, span_lines.SUFFIXES, MAY_HOLD_COLUMNS):
        found = [file for file in tree.files if _ends(file.name, suffixes)]
        if found:
            return found
    return text_files(tree)


def _ends(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a name has one of these endings, compressed or not."""
    return name.lower().removesuffix(".gz").endswith(suffixes)


def _read_files(tree: Tree, files: Sequence[File], tag_column: int | None, *, needs_tags: bool) -> _Found:
    found = _Found([], [], [], [], [])
    repairs = Counter[str]()
    leaves = [file.name.rpartition("/")[2] for file in files]
    are_told_apart = isinstance(tree, FilesTree) and len(set(leaves)) == len(files)  # moved, they are the same
    for file, leaf in zip(files, leaves, strict=True):
        text = read_text(tree, file)
        if isinstance(text, BadInput):
            found.bad.append(text)
            continue
        text = replace(text, name=leaf) if are_told_apart else text
        before = len(found.sentences)
        _read_file(text, found, repairs, tag_column, needs_tags=needs_tags)
        found.counts.append((text.name, len(found.sentences) - before))
        if len(found.sentences) == before:
            found.bad.append(BadInput(text.name, "no sentences"))
        found.notes.extend(f"{text.name}: {remark}" for remark in text.remarks)
    found.notes.extend(f"{what}: {count:,}" for what, count in repairs.items())
    total = len(found.sentences) + len(found.bad)
    if not found.sentences or len(found.bad) > max(MANY_BAD * total, 1):
        shown = f": {found.bad[0].where}, {found.bad[0].why}" if found.bad else ""
        raise DataError(
            f"{len(found.bad):,} of {counted(total, 'sentence')} cannot be read{shown}.",
            where=tree.origin, fix="write one token and its tag in each line, with the same separator in all lines.",
        )  # fmt: skip
    return found


def _read_file(text: Text, found: _Found, repairs: Counter[str], tag_column: int | None, *, needs_tags: bool) -> None:
    if _ends(text.name, span_lines.SUFFIXES):
        lines = span_lines.read_lines(text, needs_tags=needs_tags)
        found.sentences.extend(lines.sentences)
        found.documents.extend([None] * len(lines.sentences))
        found.bad.extend(lines.bad)
        found.notes.extend(listed(what, where) for what, where in lines.repairs.items())
        return
    form = conll.form_of(text.content.decode().split("\n"), tag_column)
    if form is None:
        return
    if not needs_tags and not _ends(text.name, conll.SUFFIXES) and not _has_columns_of_tags(text):
        plain = [
            _plain(line, f"{text.name} line {number}", number)
            for number, line in enumerate(text.content.decode().split("\n"), start=1)
            if line.strip()
        ]
        found.sentences.extend(one for one in plain if one.starts)
        found.documents.extend(None for one in plain if one.starts)
        found.bad.extend(_without_words(plain))
        return
    _check_columns(form, tag_column, text.name, needs_tags=needs_tags)
    columns = conll.read_columns(text, form, needs_tags=needs_tags)
    found.sentences.extend(columns.sentences)
    has_documents = len(set(columns.documents)) > 1
    found.documents.extend(f"{text.name} document {one}" if has_documents else None for one in columns.documents)
    found.bad.extend(columns.bad)
    if columns.repaired:
        repairs[f"lines of {text.name} that are divided by spaces, the others by tabs"] += columns.repaired


def _check_columns(form: conll.Form, tag_column: int | None, name: str, *, needs_tags: bool) -> None:
    if not needs_tags:
        return
    if form.width < 2:
        raise DataError(
            "its lines have one column.", where=name, fix="write a token and its tag in each line, with a tab between."
        )
    if not -form.width <= form.tag < form.width or tag_column == 0:
        raise DataError(
            f"tag_column={tag_column}, and its lines have {form.width} columns.", where=name,
            fix=f"write a number from 1 to {form.width}.",
        )  # fmt: skip


def _plain(text: str, name: str, line: int = 0) -> Sentence:
    places = places_of(text)
    return Sentence(name, text, [start for start, _ in places], [end for _, end in places], [], line)


def _without_words(sentences: Sequence[Sentence]) -> list[BadInput]:
    return [BadInput(one.id, "a text without words") for one in sentences if not one.starts]


def _read_tags(
    sentences: Sequence[Sentence], wanted: str | None, origin: str
) -> tuple[list[list[str]], Kind, list[str]]:  # fmt: skip
    """The tags of each sentence as they count, what they mark, and sentences about how they were read."""
    counts = Counter(tag for one in sentences for tag in one.tags)
    marked = sum(count for tag, count in counts.items() if tag != OUTSIDE)
    of_spans = sum(count for tag, count in counts.items() if tag != OUTSIDE and parts_of(tag) is not None)
    if len(counts) < 2:
        raise DataError(
            f"every token has the tag {next(iter(counts), '')!r}: there is nothing to learn.", where=origin,
            fix="check the column of the tags (tag_column=...).",
        )  # fmt: skip
    given = [one.tags for one in sentences]
    if wanted == "none" or (wanted is None and of_spans < LEAST_SPAN_TAGS * marked):
        why = "as set" if wanted else "they have no B- and I-"
        return given, "tags", [f"{len(counts):,} tags, each for itself ({why})"]
    notes = []
    odd = {tag: count for tag, count in counts.items() if parts_of(tag) is None}
    if odd:
        shown = first_names([f"{tag} {count:,}" for tag, count in sorted(odd.items())])
        notes.append(f"labels that are no tags of spans are read as O: {sum(odd.values()):,} ({shown})")
        given = [[OUTSIDE if tag in odd else tag for tag in tags] for tags in given] if odd else given
    scheme = wanted or detect(given)
    how = "as set" if wanted else "detected"
    converted = "" if scheme == "BIO" else ", converted to BIO"
    notes.insert(0, f"spans tagged in {scheme} ({how}{converted}); they are scored whole, by their ends and types")
    notes += _broken(sentences, given, scheme)
    return [as_tags(spans_of(tags), len(tags)) for tags in given], "spans", notes


def _broken(sentences: Sequence[Sentence], given: list[list[str]], scheme: str) -> list[str]:
    places = [
        f"{one.id.rpartition(' line ')[0]} line {one.line + place} {tags[place]}"
        for one, tags in zip(sentences, given, strict=True)
        for place in breaks(tags, scheme)
    ]
    how = "a span begins where none goes on, and ends where the next tag does not continue it"
    return [f"{listed(f'tags that break {scheme}', places)}: {how}"] if places else []


def _divided(
    found: _Found, tags: list[list[str]], kind: Kind, most: int
) -> tuple[list[Sentence], list[list[str]], list[str | None], list[tuple[str, int]], list[str]]:
    """Sentences of more than `most` tokens in parts of so many, where no span is cut if it is shorter than that."""
    sentences, own, documents = list[Sentence](), list[list[str]](), list[str | None]()
    counts, divided, place = list[tuple[str, int]](), list[str](), 0
    for name, count in found.counts:
        before = len(sentences)
        for number in range(place, place + count):
            one, its = found.sentences[number], tags[number]
            parts = _parts(one, its, kind, most)
            if len(parts) > 1:
                divided.append(one.id)
            sentences += [part for part, _ in parts]
            own += [part for _, part in parts]
            documents += [found.documents[number] or (one.id if len(parts) > 1 else None)] * len(parts)
        counts.append((name, len(sentences) - before))
        place += count
    if divided and any(documents):  # a group of its own for each sentence that has no document
        documents = [one or sentence.id for one, sentence in zip(documents, sentences, strict=True)]
    notes = [f"{listed(f'sentences of over {most:,} tokens, divided', divided)} (window=...)"] if divided else []
    return sentences, own, documents, counts, notes


def _parts(one: Sentence, tags: list[str], kind: Kind, most: int) -> list[tuple[Sentence, list[str]]]:
    if len(one.starts) <= most:
        return [(one, tags)]
    found, start = list[tuple[Sentence, list[str]]](), 0
    while start < len(one.starts):
        end = min(start + most, len(one.starts))
        if kind == "spans" and end < len(one.starts):
            between = (cut for cut in range(end, start, -1) if not tags[cut].startswith("I-"))
            end = next(between, end)
        first, last = one.starts[start], one.ends[end - 1]
        part = Sentence(
            f"{one.id} part {len(found) + 1}", one.text[first:last], [at - first for at in one.starts[start:end]],
            [at - first for at in one.ends[start:end]], [], one.line,
        )  # fmt: skip
        found.append((part, tags[start:end]))
        start = end
    return found


def _split_of(name: str) -> str | None:
    """Of "wnut/train.conll", "eng.testa", "en_ewt-ud-dev.conllu": the split that a part of the name says."""
    leaf = name.rpartition("/")[2].lower()
    known = {**OWN_SPLITS, **MORE_SPLITS}
    words = [word for part in leaf.split(".") for word in part.replace("_", "-").split("-")]
    found = {known[word] for word in words if word in known}
    return found.pop() if len(found) == 1 else None


def _in_order(examples: TaggedExamples, counts: list[tuple[str, int]]) -> tuple[TaggedExamples, list[tuple[str, int]]]:
    """The examples with the sizes of the splits that files are named after; none where not all are."""
    splits = [_split_of(name) for name, _ in counts]
    if "train" not in splits or not all(splits):
        return examples, []
    sizes = {name: 0 for name in ORDER if name in splits}
    rows: dict[str, list[pl.Series]] = {name: [] for name in sizes}
    place = 0
    for split, (_, count) in zip(splits, counts, strict=True):
        assert split is not None
        sizes[split] += count
        rows[split].append(pl.int_range(place, place + count, eager=True))
        place += count
    order = pl.concat([part for parts in rows.values() for part in parts]).to_numpy()
    return examples.take(order), list(sizes.items())
