"""Texts with a class each: in class folders, in a column of a table or of JSON lines, or in lines after their label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import BadInput, LabelType, Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.folders import SPLITS, above_all, split_folders
from gnomon.data.source import File, Source, Tree, counted, display_name, first_names, listed
from gnomon.data.text import columns
from gnomon.data.text.examples import Each, TextExamples
from gnomon.data.text.files import Text, all_texts, text_files
from gnomon.data.text.reading import refuse_many_bad, remarks_of

UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})  # class folders that hold no class
MOST_LABELS = 100  # that lines begin with, at most
WORDS_FOR = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Part:
    """Texts of one split, before they are examples."""

    ids: list[str]
    texts: list[str]
    labels: list[str]


# --- what a source is ---------------------------------------------------------------------------------------------
def recognise(source: Source, settings: DataSettings) -> tuple[float, str]:
    """How certain it is (0 .. 1), without reading more than the first rows, that texts have a class each; and why."""
    if settings.each is not None:
        return 0.0, "each=... is for text without labels"
    found = columns.recognise(source, settings)
    if found is not None:
        return found
    if source.tree is None:
        return 0.0, "no files of text"
    if sets := label_sets(source.tree):
        return 0.95, f"lines that begin with their label: {first_names([*sets])}"
    placed, _, others = _placed(source.tree)
    classes = {one.class_name for one in placed}
    if len(classes) < 2:
        return 0.0, "no folders of text for two classes"
    share = len(placed) / (len(placed) + len(others))
    return 0.9 * share, f"{len(classes):,} class folders, {counted(len(placed), 'file')} of text"


def read_labelled(source: Source, settings: DataSettings) -> Reading:
    """Every text with its class. Raises DataError, and UsageError where a choice is the user's."""
    if columns.is_table(source):
        return columns.read_labelled_columns(source, settings)
    tree = source.tree
    if tree is None:
        raise DataError(
            "this is an array, not text.", where=source.origin, fix="give texts and their classes: fit(texts, classes)."
        )
    for key in ("text", "target", "group", "time"):
        if getattr(settings, key) is not None:
            raise UsageError(
                f"{key}= names a column, and these are files of text.", where=source.origin, fix=f"leave {key} out."
            )
    if sets := label_sets(tree):
        return _read_lines(source, tree, sets, settings)
    if settings.classes is not None:
        raise UsageError(
            "classes= chooses one of several sets of labels, and this source has one.", where=source.origin,
            fix="leave classes out.",
        )  # fmt: skip
    return _read_folders(source, tree)


# --- class folders ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Placed:
    file: File
    split: str
    class_name: str


def _placed(tree: Tree) -> tuple[list[_Placed], list[str], list[str]]:
    """Files of text with split and class, those in folders without a class, and all others."""
    files = text_files(tree)
    names = {file.name for file in files}
    others = [file.name for file in tree.files if file.name not in names]
    if not files:
        return [], [], others
    top = above_all([file.name for file in files])
    parts = {file.name: file.name[len(top) :].split("/")[:-1] for file in files}
    splits = split_folders({part[0] for part in parts.values() if part}, tree.origin)
    placed, unlabelled = [], list[str]()
    for file in files:
        folders = parts[file.name]
        split = splits.get(folders[0], "all") if folders else "all"
        inner = folders[1:] if split != "all" else folders
        if not inner:
            others.append(file.name)
        elif inner[0].lower() in UNLABELLED:
            unlabelled.append(file.name)
        else:
            placed.append(_Placed(file, split, display_name(inner[0])))
    return placed, unlabelled, others


def _read_folders(source: Source, tree: Tree) -> Reading:
    placed, unlabelled, others = _placed(tree)
    if not placed:
        raise DataError(
            f"there are no class folders of .txt files in {counted(len(tree.files), 'file')}.", where=tree.origin,
            fix="put the texts of each class into a folder named after it: pos/1.txt, neg/2.txt.",
        )  # fmt: skip
    texts, bad = all_texts(tree, [one.file for one in placed])
    content = {text.name: text for text in texts}
    bad += [BadInput(text.name, "empty") for text in texts if not text.content.strip()]
    refuse_many_bad(bad, len(placed), tree)
    parts: dict[str, Part] = {}
    for one in placed:
        name = display_name(one.file.name)
        text = content.get(name)
        if text is None or not text.content.strip():
            continue
        part = parts.setdefault(one.split, Part([], [], []))
        part.ids.append(name)
        part.texts.append(text.content.decode())
        part.labels.append(one.class_name)
    notes = [*source.notes, *tree.notes, *remarks_of(texts)]
    notes += [listed("texts in folders without a class, left out", unlabelled)] * bool(unlabelled)
    notes += [listed("files in no class folder, left out", others)] * bool(others)
    return _reading(parts, notes, bad, tree.origin, "document", "text")


# --- lines that begin with their label ------------------------------------------------------------------------------
def label_sets(tree: Tree) -> dict[str, dict[str, str]]:
    """{set of labels: {split: file}} of files NAME.SET.SPLIT (or NAME.SPLIT: the set "") of `LABEL text` lines."""
    found: dict[str, dict[str, str]] = {}
    for file in tree.files:
        stem, _, ending = file.name.rpartition("/")[2].rpartition(".")
        if stem and ending.lower() in SPLITS:
            found.setdefault(stem.partition(".")[2], {})[SPLITS[ending.lower()]] = file.name
    whole = {name: files for name, files in found.items() if "train" in files and len(files) > 1}
    return whole if whole and all(_has_labels(tree, files["train"]) for files in whole.values()) else {}


def _has_labels(tree: Tree, name: str) -> bool:
    """Whether the first lines of a file begin with few different words, each before a text."""
    head = tree.read(name)[: 1 << 16].decode(errors="replace").splitlines()[:-1]
    pairs = [line.split(maxsplit=1) for line in head if line.strip()]
    if len(pairs) < 2 or any(len(pair) < 2 for pair in pairs):
        return False
    labels = {pair[0] for pair in pairs}
    return 2 <= len(labels) <= max(2, min(MOST_LABELS, len(pairs) // 4))


def _read_lines(source: Source, tree: Tree, sets: Mapping[str, Mapping[str, str]], settings: DataSettings) -> Reading:
    name = _chosen(tree, sets, settings.classes)
    parts, bad, texts = {}, list[BadInput](), list[Text]()
    for split in ("train", "dev", "test"):
        if split in sets[name]:
            (text,), _ = all_texts(tree, [File(sets[name][split], 0)])
            texts.append(text)
            parts[split] = _labelled_lines(text, bad)
    labels = {label for part in parts.values() for label in part.labels}
    is_whole = all(label.isascii() and label.isdigit() for label in labels)
    notes = [*source.notes, *tree.notes, *remarks_of(texts)]
    if len(sets) > 1:
        notes.append(f"the labels are those of {name} (classes=... to choose); the source also has " +
                     first_names([other for other in sets if other != name]))  # fmt: skip
    return _reading(parts, notes, bad, tree.origin, "line", "integer" if is_whole else "text")


def _chosen(tree: Tree, sets: Mapping[str, Mapping[str, str]], wanted: str | None) -> str:
    """The set of labels to learn. Raises UsageError where there are several and none, or another one, is named."""
    if wanted is None and len(sets) == 1:
        return next(iter(sets))
    if wanted in sets:
        return str(wanted)
    counts = {name: _count_labels(tree, files["train"]) for name, files in sets.items()}
    numbers = {str(count): name for name, count in counts.items()}
    numbers |= {WORDS_FOR[count]: name for name, count in counts.items() if count < len(WORDS_FOR)}
    if wanted in numbers:
        return numbers[wanted]
    shown = " and ".join(f"{name} ({count} classes)" for name, count in counts.items())
    what = "there are several sets of labels" if wanted is None else f"classes={wanted} is none of the sets of labels"
    raise UsageError(
        f"{what}: {shown}.", where=tree.origin, fix=" or ".join(f"classes={name}" for name in sets) + "."
    )  # fmt: skip


def _count_labels(tree: Tree, name: str) -> int:
    return len(set(_labelled_lines(all_texts(tree, [File(name, 0)])[0][0], []).labels))


def _labelled_lines(text: Text, bad: list[BadInput]) -> Part:
    """Each line as its label and what follows; to `bad`, lines that have no text."""
    part = Part([], [], [])
    for number, line in enumerate(text.content.decode().split("\n"), start=1):
        if not line.strip():
            continue
        label, *rest = line.split(maxsplit=1)
        if not rest:
            bad.append(BadInput(f"{text.name} line {number}", "a label without a text"))
            continue
        part.ids.append(f"{text.name} line {number}")
        part.labels.append(label)
        part.texts.append(rest[0])
    return part


# --- texts to predict -------------------------------------------------------------------------------------------------
def read_texts(source: Source, settings: DataSettings, each: Each, column: str) -> Reading:
    """Texts as those of the training came, whose classes are not needed, under the key "all".

    Literals; files, each a text or each line one, as it was in training; a column of a table.
    """
    bad: list[BadInput] = []
    notes = list(source.notes)
    if source.texts:
        found = [(f"text {number}", text) for number, text in enumerate(source.texts, start=1)]
    elif columns.is_table(source):
        ids, texts, about, bad = columns.read_texts_of_columns(source, settings, column)
        found, notes = list(zip(ids, texts, strict=True)), [*notes, *about]
    elif source.tree is not None:
        files, bad = all_texts(source.tree, text_files(source.tree) or source.tree.files)
        notes += remarks_of(files)
        has_labels = not column and each == "line" and label_sets(source.tree)
        found = [pair for text in files for pair in _texts_of(text, each, has_labels=bool(has_labels))]
    else:
        raise DataError("this is an array, not text.", where=source.origin, fix='give texts: predict(["a text"]).')
    bad += [BadInput(name, "empty") for name, text in found if not text.strip()]
    kept = [(name, text) for name, text in found if text.strip()]
    if not kept:
        raise DataError("the text is empty.", where=source.origin, fix="give a text.")
    examples = TextExamples.of([text for _, text in kept], index_frame([name for name, _ in kept]), each)
    return Reading({"all": examples}, tuple(notes), tuple(bad))


def _texts_of(text: Text, each: Each, *, has_labels: bool) -> list[tuple[str, str]]:
    """Ids and texts of one file."""
    if has_labels:
        part = _labelled_lines(text, [])
        return list(zip(part.ids, part.texts, strict=True))
    whole = text.content.decode()
    if each == "document":
        return [(text.name, whole)]
    lines = enumerate(whole.split("\n"), start=1)
    return [(f"{text.name} line {number}", line) for number, line in lines if line.strip()] or [(text.name, "")]


def _reading(
    parts: Mapping[str, Part], notes: Sequence[str], bad: Sequence[BadInput], origin: str, each: Each,
    label_type: LabelType,
) -> Reading:  # fmt: skip
    splits = {
        split: TextExamples.of(part.texts, index_frame(part.ids, label=part.labels), each, label_type=label_type)
        for split, part in parts.items()
    }
    return columns.checked(splits, notes, bad, origin)
