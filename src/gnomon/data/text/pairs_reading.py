"""Sources of pairs of texts as examples: line-aligned files, columns of tables, JSON lines; and texts to translate."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from gnomon.core.errors import DataError, GnomonError, UsageError
from gnomon.core.example import BadInput, Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.source import File, Source, Tree, counted, display_name, first_names, listed
from gnomon.data.tables import Table, located, peek_table, read_table, split_files, table_from_frame
from gnomon.data.tables.kinds import Kind
from gnomon.data.tables.table import nearest
from gnomon.data.text.files import Text, all_texts, read_text
from gnomon.data.text.pairs import PairExamples, pairs_of
from gnomon.data.text.reading import OWN_SPLITS, remarks_of

TEXT = Kind("text")
USUAL = (("source", "target"), ("src", "tgt"), ("src", "trg"))  # what the two sides are called where nobody says it
LANGUAGE = re.compile(r"[a-z]{2}([_-][a-z]{2,4})?")  # an ending that names one: de, pt-br
NO_LANGUAGES = frozenset({"md", "py", "js", "ts", "rs", "gz", "xz", "pq", "qa", "db", "sh", "vw"})
MORE_SPLITS = {"newstest": "test", "tst": "test", "newsdev": "dev", "tune": "dev"}
JSON_LINES = (".jsonl", ".ndjson")
MOST_BAD = 0.05  # of the pairs: more without one of their sides means that the files are not what was meant
LOOK = 1 << 14  # bytes of JSON lines that tell what they hold
ASK = "which side is translated into which?"


@dataclass
class _Rows:
    """Pairs of one split, before they are examples."""

    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    references: list[list[str]] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    times: list[Any] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@dataclass
class _Found:
    """All that was read."""

    names: tuple[str, str] = ("", "")
    splits: dict[str, _Rows] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    bad: list[BadInput] = field(default_factory=list)


# --- what a source is ---------------------------------------------------------------------------------------------
def looks_like_pairs(source: Source, settings: DataSettings) -> tuple[float, str]:
    """How certain it is (0 .. 1), from names and first rows, that a source is pairs of texts; and why."""
    asked = 0.99 if settings.source is not None else 0.0
    if _is_table(source):
        if asked:
            return asked, f"pairs of texts, from {display_name(settings.source or '')}"
        try:
            names = _column_names(source, settings)
        except GnomonError:  # reading it says so, whichever task it is for
            return 0.0, "cannot be looked into"
        return (0.97, "columns named source and target") if {"source", "target"} <= set(names) else (0.0, "one side")
    if source.tree is None:
        return 0.0, "no files"
    stems = _stems(source.tree)
    endings = _shared_endings(stems)
    if asked:
        return asked, f"files of lines, from {display_name(settings.source or '')}"
    if len(endings) != 2 or not _are_languages(endings):
        return 0.0, "no two files of lines with one name"
    share = sum(map(len, stems.values())) / len(source.tree.files)
    return 0.9 * share, f"{counted(len(stems), 'pair')} of files, {' and '.join(map(display_name, endings))}"


def _are_languages(endings: Sequence[str]) -> bool:
    if any(set(endings) == set(pair) for pair in USUAL):
        return True
    return all(LANGUAGE.fullmatch(one) and one not in NO_LANGUAGES for one in endings)


def _is_table(source: Source) -> bool:
    if source.table is not None or source.frame is not None:
        return True
    return source.tree is not None and (split_files(source.tree) is not None or bool(_json_files(source.tree)))


# --- reading ------------------------------------------------------------------------------------------------------
def read_pairs(source: Source, settings: DataSettings) -> Reading:
    """Every pair, in the splits that the source has. Raises DataError, and UsageError where a choice is the user's."""
    if settings.target is not None and len(settings.target) != 1:
        raise UsageError("a text is translated into one target.", fix=f"set target={settings.target[0]}.")
    if _is_table(source):
        found = _from_tables(source, settings)
    elif source.tree is not None:
        found = _from_files(source.tree, settings)
    else:
        raise DataError(
            "this is an array, not pairs of texts.", where=source.origin,
            fix="give line-aligned files, a table with two columns of texts, or a frame of them.",
        )  # fmt: skip
    if "train" not in found.splits and "all" not in found.splits:
        raise DataError("there are no pairs to train on.", where=source.origin, fix="add files named train.")
    total = sum(len(rows.ids) for rows in found.splits.values())
    if not total or len(found.bad) > MOST_BAD * (total + len(found.bad)):
        first = f": {found.bad[0].where} has {found.bad[0].why}" if found.bad else ""
        raise DataError(
            f"{len(found.bad):,} of {counted(total + len(found.bad), 'pair')} lack one of their sides{first}.",
            where=source.origin, fix="check that line i of one file is the translation of line i of the other.",
        )  # fmt: skip
    notes = [*source.notes, f"translated from {display_name(found.names[0])} into {display_name(found.names[1])}"]
    splits = {name: _examples(rows, found, name, notes) for name, rows in found.splits.items()}
    same = sum(one in some for rows in found.splits.values() for one, some in zip(rows.sources, rows.references,
                                                                                  strict=True))  # fmt: skip
    if same:
        notes.append(f"pairs whose target is the source: {same:,} of {total:,}")
    return Reading(splits, (*notes, *found.notes), tuple(found.bad))


def _examples(rows: _Rows, found: _Found, split: str, notes: list[str]) -> PairExamples:
    """One example for each source: what follows it again is another reference of it."""
    place: dict[str, int] = {}
    kept: list[int] = []
    references: list[list[str]] = []
    for row, (text, some) in enumerate(zip(rows.sources, rows.references, strict=True)):
        at = place.setdefault(text, len(kept))
        if at == len(kept):
            kept.append(row)
            references.append([*some])  # two people may agree
        else:
            references[at] += [one for one in some if one not in references[at]]
    what, several = "" if split == "all" else f" of {split}", sum(len(some) > 1 for some in references)
    again = sum(map(len, rows.references)) - sum(map(len, references))
    if several:
        notes.append(f"sources{what} with more than one reference: {several:,} of {len(kept):,}")
    if again:
        notes.append(f"pairs{what} that occur again, counted once: {again:,}")
    index = index_frame([rows.ids[row] for row in kept], group=[rows.groups[row] for row in kept])
    if any(one is not None for one in rows.times):
        index = index.with_columns(time=pl.Series([rows.times[row] for row in kept]))
    if len(set(rows.files)) > 1:
        index = index.with_columns(pl.Series("tag.file", [rows.files[row] for row in kept], dtype=pl.String))
    return pairs_of([rows.sources[row] for row in kept], references, index, found.names)


def _add(rows: _Rows, found: _Found, name: str, source: str, references: Sequence[str], **more: Any) -> None:
    """One pair, or why it is none. A pair without both sides is nothing at all."""
    some = [text for text in references if text.strip()]
    if not source.strip() or not some:
        if source.strip() or some:
            found.bad.append(BadInput(name, "an empty source" if some else "an empty target"))
        return
    rows.ids.append(name)
    rows.sources.append(source)
    rows.references.append(some)
    rows.groups.append(more.get("group"))
    rows.times.append(more.get("time"))
    rows.files.append(more.get("file", ""))


# --- line-aligned files -------------------------------------------------------------------------------------------
def _parts_of(name: str) -> tuple[str, str]:
    """ "wmt/train.de.gz" -> ("wmt/train", "de"); "test.de.1", one of several references, and "en.txt" likewise."""
    plain = name.removesuffix(".gz").removesuffix(".txt")
    folder, _, leaf = plain.rpartition("/")
    words = leaf.split(".")
    if len(words) > 2 and words[-1].isdecimal():
        words.pop()
    stem = ".".join(words[:-1])
    return (f"{folder}/{stem}" if folder else stem), words[-1].lower()


def _stems(tree: Tree) -> dict[str, dict[str, list[File]]]:
    """{stem: {ending: files}}; of a target with several references, several files."""
    found: dict[str, dict[str, list[File]]] = {}
    for file in tree.files:
        stem, ending = _parts_of(file.name)
        found.setdefault(stem, {}).setdefault(ending, []).append(file)
    return found


def _shared_endings(stems: Mapping[str, Mapping[str, Sequence[File]]]) -> list[str]:
    """The endings of stems that have several, in alphabetical order."""
    return sorted({ending for by_ending in stems.values() if len(by_ending) > 1 for ending in by_ending})


def _sides(stems: Mapping[str, Mapping[str, Sequence[File]]], settings: DataSettings, origin: str) -> tuple[str, str]:
    """The endings of source and target. Raises UsageError to ask."""
    endings = _shared_endings(stems)
    if not endings:
        raise DataError(
            "no two of its files are the two sides of pairs.", where=origin,
            fix="name them by what they are and their language: train.en and train.de, line by line.",
        )  # fmt: skip
    return _chosen(endings, settings, origin, "files that end in")


def _chosen(names: Sequence[str], settings: DataSettings, origin: str, what: str) -> tuple[str, str]:
    """The names of source and target among `names`: as set, or where there is no doubt. Raises UsageError to ask."""
    target = settings.target[0] if settings.target else None
    for given, key in ((settings.source, "source"), (target, "target")):
        if given is not None and given not in names:
            raise UsageError(
                f"{key}={display_name(given)}, and there are no {what} {display_name(given)}.",
                where=origin, fix=nearest(given, names),
            )  # fmt: skip
    usual = next(((one, two) for one, two in USUAL if {one, two} <= set(names)), None)
    source = settings.source or (usual[0] if usual and usual[0] != target else None)
    target = target or (usual[1] if usual and usual[1] != source else None)
    others = [name for name in names if name not in (source, target)]
    if source is None and target is not None and len(others) == 1:
        source = others[0]
    elif target is None and source is not None and len(others) == 1:
        target = others[0]
    if source is None or target is None or source == target:
        one, other = source or others[0], target or next((name for name in names if name != (source or others[0])), "?")
        raise UsageError(
            f"{ASK} There are {what} {first_names(names, 20)}.", where=origin,
            fix=f"add source={display_name(one)} target={display_name(other)}.",
        )  # fmt: skip
    return source, target


def _from_files(tree: Tree, settings: DataSettings) -> _Found:
    for key in ("group", "time"):
        if getattr(settings, key) is not None:
            raise UsageError(f"{key}= names a column, and these are files.", where=tree.origin, fix=f"leave {key} out.")
    stems = _stems(tree)
    found = _Found(_sides(stems, settings, tree.origin))
    whole = {stem: files for stem, files in stems.items() if set(found.names) <= files.keys()}
    if not whole:
        raise DataError(
            f"no two files have one name and the endings {' and '.join(map(display_name, found.names))}.",
            where=tree.origin, fix="name them alike: train.en and train.de.",
        )  # fmt: skip
    left = [file.name for stem, files in stems.items() if stem not in whole for some in files.values() for file in some]
    if left:
        found.notes.append(listed("files that are no side of a pair, left out", left))
    named = {stem: _split_of(stem) for stem in whole}
    for stem in whole:
        split = (named[stem] or "train") if any(named.values()) else "all"
        if named[stem] is None and split == "train":
            found.notes.append(f"{display_name(stem)} names no split: read as train")
        _read_aligned(tree, stem, whole[stem], found, found.splits.setdefault(split, _Rows()))
    return found


def _split_of(stem: str) -> str | None:
    """Of "test_2016_flickr", "dev/de", "newstest2014": the split that a part of the name says."""
    words = [re.sub(r"\d+$", "", word) for word in re.split(r"[/._\-]", stem.lower())]
    found = {(OWN_SPLITS | MORE_SPLITS)[word] for word in words if word in OWN_SPLITS or word in MORE_SPLITS}
    return found.pop() if len(found) == 1 else None


def _read_aligned(
    tree: Tree, stem: str, by_ending: Mapping[str, Sequence[File]], found: _Found, rows: _Rows
) -> None:  # fmt: skip
    """Line i of each file belongs to line i of the others. Raises DataError where they have not as many."""
    first, second = (by_ending[name] for name in found.names)
    if len(first) > 1:
        raise DataError(
            f"the source has {len(first)} files: {first_names([file.name for file in first])}.", where=tree.origin,
            fix="keep one; only targets may have several files, one for each reference.",
        )  # fmt: skip
    texts = []
    for file in (*first, *second):
        text = read_text(tree, file)
        if isinstance(text, BadInput):
            raise DataError(f"{text.why}.", where=text.where, fix="give plain text in UTF-8.")
        texts.append(text)
    found.notes += remarks_of(texts)
    lines = [_lines(text) for text in texts]
    uneven = next((one for one in range(1, len(lines)) if len(lines[one]) != len(lines[0])), None)
    if uneven is not None:
        counts = " and ".join(f"{texts[one].name} {len(lines[one]):,}" for one in (0, uneven))
        raise DataError(
            f"the files have different numbers of lines: {counts}.", where=tree.origin,
            fix="align them: line i of one file must be the translation of line i of the other.",
        )  # fmt: skip
    short = stem.rpartition("/")[2] or stem.rpartition("/")[0]
    name = display_name(short) if sum(len(one) for one in by_ending.values()) else ""
    where = name or texts[0].name
    for number, (source, *references) in enumerate(zip(*lines, strict=True), start=1):
        _add(rows, found, f"{where} line {number}", source, references, file=where)


def _lines(text: Text) -> list[str]:
    """Divided by newlines alone: other separators of lines are part of a text."""
    lines = text.content.decode().split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines


# --- tables and JSON lines ----------------------------------------------------------------------------------------
def _from_tables(source: Source, settings: DataSettings) -> _Found:
    found = _Found(_chosen(_column_names(source, settings), settings, source.origin, "columns"))
    if source.tree is not None and _json_files(source.tree):
        for split, file in _json_files(source.tree).items():
            _read_json(source.tree, file, settings, found, found.splits.setdefault(split, _Rows()))
        return found
    for split, (name, table) in _tables(source, settings, found.names).items():
        if found.names[1] not in table.frame.columns:
            found.notes.append(f"{name} has no column {found.names[1]}: it can be predicted, not evaluated; left out")
            continue
        found.notes += [note for note in table.notes if "data.ignore" not in note and note not in found.notes]
        _read_table(table, name, settings, found, found.splits.setdefault(split, _Rows()))
    return found


def _read_table(table: Table, name: str, settings: DataSettings, found: _Found, rows: _Rows) -> None:
    for key in ("group", "time"):
        column = getattr(settings, key)
        if column is not None and column not in table.frame.columns:
            raise UsageError(
                f"{key}={display_name(column)} is not a column.", where=table.origin,
                fix=nearest(column, table.frame.columns),
            )  # fmt: skip
    sides = [table.frame[one].cast(pl.String).fill_null("").to_list() for one in found.names]
    nothing = [None] * len(table)
    groups = nothing if settings.group is None else table.frame[settings.group].cast(pl.String).to_list()
    times = nothing if settings.time is None else table.frame[settings.time].to_list()
    for line, text, target, group, time in zip(table.lines.tolist(), *sides, groups, times, strict=True):
        _add(rows, found, f"{name} {table.unit} {line}", text, [target], group=group, time=time)


def _tables(source: Source, settings: DataSettings, names: Sequence[str]) -> dict[str, tuple[str, Table]]:
    """{split: (what to call it, the columns that are needed)}."""
    needed = {*names, settings.group, settings.time}
    kinds = dict.fromkeys(names, TEXT)

    def only(columns: Sequence[str]) -> DataSettings:
        others = tuple(name for name in columns if name not in needed)
        return settings.model_copy(update={"target": None, "ignore": others})

    if source.frame is not None:
        frame = source.frame
        return {"all": ("frame", table_from_frame(frame, only(frame.columns), origin=source.origin, kinds=kinds))}
    if source.table is not None:
        columns = peek_table(source.table, settings).frame.columns
        return {
            "all": (display_name(Path(source.table).name), read_table(source.table, only(columns), kinds=kinds))
        }  # fmt: skip
    assert source.tree is not None
    found = {}
    for split, file in (split_files(source.tree) or {}).items():
        path, content = located(source.tree, file)
        columns = peek_table(path, settings, content=content).frame.columns
        there = {name: kind for name, kind in kinds.items() if name in columns or split != "test"}
        table = read_table(path, only(columns), content=content, kinds=there)
        found[split] = display_name(file.rpartition("/")[2]), table
    return found


def _column_names(source: Source, settings: DataSettings) -> list[str]:
    """Of the first table, or of the objects in JSON lines."""
    plain = settings.model_copy(update={"target": None, "group": None, "time": None})
    if source.frame is not None:
        return source.frame.columns
    if source.table is not None:
        return peek_table(source.table, plain).frame.columns
    assert source.tree is not None
    files = _json_files(source.tree)
    if files:
        first = read_text(source.tree, next(iter(files.values())))
        if isinstance(first, BadInput):
            return []
        return [*_object(first.content[:LOOK].split(b"\n")[0], first.name, 1)] if first.content else []
    path, content = located(source.tree, (split_files(source.tree) or {})["train"])
    return peek_table(path, plain, content=content).frame.columns


def _json_files(tree: Tree) -> dict[str, File]:
    """{split: file} of files of JSON lines: one is "all", several are named as splits."""
    files = [file for file in tree.files if file.name.lower().removesuffix(".gz").endswith(JSON_LINES)]
    if len(files) == 1 and len(tree.files) == 1:
        return {"all": files[0]}
    found: dict[str, File] = {}
    for file in files:
        split = _split_of(file.name.rpartition("/")[2].partition(".")[0])
        if split is not None:
            found.setdefault(split, file)
    return found if "train" in found else {}


def _read_json(tree: Tree, file: File, settings: DataSettings, found: _Found, rows: _Rows) -> None:
    (text,), _ = all_texts(tree, [file])
    for number, line in enumerate(text.content.split(b"\n"), start=1):
        if not line.strip():
            continue
        row, where = _object(line, text.name, number), f"{text.name} line {number}"
        source, target = (row.get(name) for name in found.names)
        references = target if isinstance(target, list) else [target]
        if not isinstance(source, str | None) or not all(isinstance(one, str | None) for one in references):
            raise DataError(
                f"line {number:,}: a side is neither a text nor, of targets, a list of texts.", where=text.name,
                fix=_EXAMPLE,
            )  # fmt: skip
        more = {key: row.get(name) for key in ("group", "time") if (name := getattr(settings, key)) is not None}
        _add(rows, found, where, source or "", [one or "" for one in references], **more)


_EXAMPLE = 'write one object per line: {"source": "a dog", "target": "ein Hund"}.'


def _object(line: bytes, name: str, number: int) -> dict[str, Any]:
    """A line's values; what {"translation": {"en": ..., "de": ...}} holds counts as its own. Raises DataError."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"line {number:,} is not JSON: {error}.", where=name, fix=_EXAMPLE) from None
    if not isinstance(row, dict):
        raise DataError(f"line {number:,} is no object {{...}}.", where=name, fix=_EXAMPLE)
    inside = row.get("translation")
    return {**row, **inside} if isinstance(inside, dict) else row


# --- texts to translate -------------------------------------------------------------------------------------------
def read_to_translate(source: Source, settings: DataSettings, column: str) -> Reading:
    """Texts as they are given, each line of files, or a column of a table, under the key "all".

    `column`: what training called the source: a column, or the ending of files.
    """
    found: list[tuple[str, str]] = []
    bad: list[BadInput] = []
    notes = list(source.notes)
    if source.texts:
        found = [(f"text {number}", text) for number, text in enumerate(source.texts, start=1)]
    elif _is_table(source):
        found, more = _sources_of_table(source, settings, column)
        notes += more
    elif source.tree is not None:
        files = [file for file in source.tree.files if _parts_of(file.name)[1] == column] or source.tree.files
        texts, bad = all_texts(source.tree, files)
        notes += remarks_of(texts)
        found = [
            (f"{text.name} line {number}", line) for text in texts for number, line in enumerate(_lines(text), start=1)
        ]
    else:
        raise DataError("this is an array, not text.", where=source.origin, fix='give texts: predict(["a text"]).')
    bad += [BadInput(name, "an empty line: nothing to translate") for name, text in found if not text.strip()]
    kept = [(name, text) for name, text in found if text.strip()]
    if not kept:
        raise DataError("there is no text to translate.", where=source.origin, fix="give a text.")
    index = index_frame([name for name, _ in kept])
    return Reading({"all": pairs_of([text for _, text in kept], [()] * len(kept), index)}, tuple(notes), tuple(bad))


def _sources_of_table(
    source: Source, settings: DataSettings, column: str
) -> tuple[list[tuple[str, str]], list[str]]:  # fmt: skip
    """Ids and texts of every row; notes. Raises DataError where there is no such column."""
    plain = settings.model_copy(update={"source": None, "target": None, "group": None, "time": None, "ignore": ()})
    names = _column_names(source, plain)
    if column not in names and len(names) != 1:
        raise DataError(
            f"there is no column {display_name(column)}, which the model translates from.", where=source.origin,
            fix=f"rename the column: {nearest(column, names)}",
        )  # fmt: skip
    name = column if column in names else names[0]
    if source.tree is not None and _json_files(source.tree):
        rows = _Rows()
        for file in _json_files(source.tree).values():
            (text,), _ = all_texts(source.tree, [file])
            for number, line in enumerate(text.content.split(b"\n"), start=1):
                if line.strip():
                    rows.ids.append(f"{text.name} line {number}")
                    rows.sources.append(str(_object(line, text.name, number).get(name) or ""))
        return list(zip(rows.ids, rows.sources, strict=True)), []
    tables = _tables(source, plain, (name,)).values()
    found = [
        (f"{where} {table.unit} {line}", text)
        for where, table in tables
        for line, text in zip(
            table.lines.tolist(), table.frame[name].cast(pl.String).fill_null("").to_list(), strict=True
        )
    ]
    about = itertools.chain.from_iterable(table.notes for _, table in tables)
    return found, [note for note in about if "data.ignore" not in note]
