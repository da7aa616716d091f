"""Tagged text: columns, JSON lines, schemes; what is repaired is counted, what cannot be read is named."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.opening import open_source
from gnomon.data.text.tagged_reading import looks_tagged, read_tagged, read_to_tag
from gnomon.data.text.words import places_of

WNUT = Path(os.environ.get("GNOMON_DATA", "/nowhere")) / "wnut16"


def read(path: Path, **settings):
    return read_tagged(open_source(str(path)), DataSettings(**settings))


def written(folder: Path, content: str, name: str = "some.conll") -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def spans(reading, split="all"):
    part = reading.splits[split]
    return [[(part.text(i)[s.start : s.end], s.type) for s in part.spans(i)] for i in range(len(part))]


def test_tokens_and_spans_of_columns(tmp_path):
    found = read(written(tmp_path, "Obama\tB-person\nvisits\tO\nNew\tB-geo-loc\nYork\tI-geo-loc\n\nno\tO\n"))
    assert spans(found) == [[("Obama", "person"), ("New York", "geo-loc")], []]
    assert found.splits["all"].index["id"].to_list() == ["some.conll line 1", "some.conll line 6"]
    assert found.splits["all"].text(0) == "Obama visits New York"
    assert found.notes == (
        "spans tagged in BIO (detected); they are scored whole, by their ends and types",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("BIO", "B-a I-a B-a O B-b"), ("IOB1", "I-a I-a B-a O I-b"), ("IOBES", "B-a E-a S-a O S-b"),
        ("BILOU", "B-a L-a U-a O U-b"),
    ],
)  # fmt: skip
def test_every_scheme_is_detected_converted_and_stated(tmp_path, scheme, tags):
    path = written(tmp_path, "".join(f"w{n} {tag}\n" for n, tag in enumerate(tags.split())))
    found = read(path)
    assert spans(found) == [[("w0 w1", "a"), ("w2", "a"), ("w4", "b")]]
    assert f"spans tagged in {scheme} (detected" in found.notes[0]
    assert found.splits["all"].tags(0) == ["B-a", "I-a", "B-a", "O", "B-b"]
    assert f"spans tagged in {scheme} (as set" in read(path, scheme=scheme).notes[0]


def test_tags_that_break_their_scheme_are_repaired_counted_and_listed(tmp_path):
    found = read(written(tmp_path, "x\tB-a\ny\tI-a\n\nx\tO\ny\tI-a\nz\tB-b\n\nx\tB-a\nv\tB-a\n"))
    assert spans(found) == [[("x y", "a")], [("y", "a"), ("z", "b")], [("x", "a"), ("v", "a")]]
    assert found.notes[1].startswith("tags that break BIO: 1 (some.conll line 5 I-a)")


def test_labels_that_are_no_tags_are_named(tmp_path):
    rows = ["w\tB-a", *["w\tI-a"] * 20, "p\tPAD", "w\tB-"]
    found = read(written(tmp_path, "\n".join(rows)))
    assert "labels that are no tags of spans are read as O: 2 (B- 1, PAD 1)" in found.notes
    assert len(spans(found)[0]) == 1


def test_comments_document_lines_and_blank_lines_with_spaces_are_no_tokens(tmp_path):
    before = "-DOCSTART- -X- O O\n"
    content = before + "\nEU NNP I-NP I-ORG\n# NN I-NP O\n \t \n# newdoc id = 3\n" + before + "UN NNP I-NP I-ORG\n"
    part = read(written(tmp_path, content, "eng.train")).splits["train"]
    assert [part.words(i) for i in range(2)] == [["EU", "#"], ["UN"]]
    assert part.index["group"].to_list() == ["eng.train document 1", "eng.train document 2"]


def test_a_topic_that_begins_with_a_hash_is_a_token(tmp_path):
    found = read(written(tmp_path, "#win\tO\nParis\tB-loc\n"))
    assert found.splits["all"].words(0) == ["#win", "Paris"]


def test_another_column_can_hold_the_tags(tmp_path):
    path = written(tmp_path, "EU NNP I-ORG\nrejects VBZ O\n")
    found = read(path, tag_column=2, scheme="none")
    assert found.splits["all"].kind == "tags"
    assert spans(found) == [[("EU", "NNP"), ("rejects", "VBZ")]]
    assert spans(read(path, tag_column=-1)) == [[("EU", "ORG")]]
    with pytest.raises(DataError, match=r"tag_column=4, and its lines have 3 columns.*from 1 to 3"):
        read(path, tag_column=4)


def test_universal_dependencies_give_parts_of_speech(tmp_path):
    rows = [
        "# text = Don't go", "1-2\tDon't" + "\t_" * 8, "1\tDo\tdo\tAUX" + "\t_" * 6,
        "2\tn't\tnot\tPART" + "\t_" * 6, "3\tgo\tgo\tVERB" + "\t_" * 5 + "\tSpaceAfter=No", "3.1\tx" + "\t_" * 8,
        "4\t!\t!\tPUNCT" + "\t_" * 6,
    ]  # fmt: skip
    found = read(written(tmp_path, "\n".join(rows), "en-ud-train.conllu"))
    assert found.splits["train"].text(0) == "Do n't go!"
    assert [kind for _, kind in spans(found, "train")[0]] == ["AUX", "PART", "VERB", "PUNCT"]
    assert "4 tags, each for itself (they have no B- and I-)" in found.notes


def test_lines_divided_by_spaces_among_tabs_are_repaired_and_counted(tmp_path):
    found = read(written(tmp_path, "a\tO\nb O\nc\tB-x\n\nd\tO\n"))
    assert found.splits["all"].words(0) == ["a", "b", "c"]
    assert "lines of some.conll that are divided by spaces, the others by tabs: 1" in found.notes


def test_a_sentence_with_a_line_of_too_many_columns_is_listed_not_read(tmp_path):
    good = "a\tO\nb\tB-x\n\n" * 40
    found = read(written(tmp_path, good + "New York\tB-x\tO\n\n" + "c d e\n"))
    assert len(found.splits["all"]) == 40
    assert [one.why for one in found.bad] == [
        "line 121 has 3 of 2 columns (tabs divide them)", "line 123 has 3 of 2 columns (tabs divide them)",
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"2 of 3 sentences cannot be read: some\.conll, line 1 has 1 of 2 columns"):
        read(written(tmp_path, "a\n\nb\tO\nc\tO\nd\tB-x\n\nf\n", "some.conll"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nb\n", "its lines have one column"), ("a\tO\nb\tO\n", "every token has the tag 'O'"),
        ("", r"0 of 0|cannot be read"), ("\tO\nb\tB-x\nc\tO", "a tag without a token"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_one_clear_error(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, content))


def test_a_very_long_sentence_is_divided_between_spans_and_kept_whole(tmp_path):
    tags = ["B-x", "I-x", "O", "B-x", "I-x"] * 20_000
    found = read(written(tmp_path, "\n".join(f"w{n}\t{tag}" for n, tag in enumerate(tags))))
    part = found.splits["all"]
    assert sum(len(part.places(i)) for i in range(len(part))) == 100_000
    assert max(len(part.places(i)) for i in range(len(part))) <= 512
    assert sum(len(part.spans(i)) for i in range(len(part))) == 40_000
    assert part.words(1)[0] == f"w{len(part.places(0))}"
    assert len(set(part.index["group"])) == 1
    assert any("sentences of over 512 tokens, divided: 1 (some.conll line 1)" in note for note in found.notes)


def test_files_named_after_splits_are_splits(tmp_path):
    for name in ("a-test.txt", "a-dev.txt", "a-train.txt"):
        written(tmp_path, f"{name}\tB-x\nw\tO\n\nw\tO\n", name)
    found = read(tmp_path)
    assert list(found.splits) == ["train", "dev", "test"]
    assert found.splits["dev"].words(0) == ["a-dev.txt", "w"]
    assert looks_tagged(open_source(str(tmp_path)))[0] > 0.8


def test_compressed_files_are_read_as_they_are_named(tmp_path):
    (tmp_path / "some.conll.gz").write_bytes(gzip.compress(b"a\tB-x\nb\tO\n"))
    assert looks_tagged(open_source(str(tmp_path / "some.conll.gz")))[0] > 0.9
    assert spans(read(tmp_path / "some.conll.gz")) == [[("a", "x")]]


def test_plain_text_and_tables_are_not_claimed(tmp_path):
    running = written(tmp_path, "To be or not\nto be\n\nthat is the\nquestion O B\n", "play.txt")
    table = written(tmp_path, "a,b\n1,2\n3,4\n", "rows.csv")
    reviews = written(tmp_path, json.dumps({"text": "a dull film", "label": "bad"}) + "\n", "reviews.jsonl")
    assert [looks_tagged(open_source(str(path)))[0] for path in (running, table, reviews)] == [0, 0, 0]


# --- JSON lines -----------------------------------------------------------------------------------------------------
def lines(folder: Path, *values) -> Path:
    return written(folder, "\n".join(one if isinstance(one, str) else json.dumps(one) for one in values), "some.jsonl")


def test_spans_in_characters_become_tags_of_tokens(tmp_path):
    found = read(
        lines(
            tmp_path,
            {
                "text": "Né à Paris, I met Ada Lovelace!",
                "spans": [[5, 10, "loc"], {"start": 18, "end": 30, "label": "per"}],
            },
            {"text": "nothing here", "entities": []},
            {"tokens": ["in", "Rome"], "tags": ["O", "B-loc"]},
        )
    )
    assert spans(found) == [[("Paris", "loc"), ("Ada Lovelace", "per")], [], [("Rome", "loc")]]
    assert found.splits["all"].words(0) == ["Né", "à", "Paris", ",", "I", "met", "Ada", "Lovelace", "!"]


def test_repairs_of_spans_are_counted_and_named(tmp_path):
    found = read(
        lines(
            tmp_path,
            {"text": "pre-Paris and New York City", "spans": [[4, 9, "loc"], [13, 22, "loc"], [14, 27, "loc"]]},
            *[{"text": "b c", "spans": [[0, 1, "loc"]]}] * 3,
        )
    )
    assert spans(found)[0] == [("Paris", "loc"), ("New York City", "loc")]
    assert found.notes[:3] == (
        "spans without the spaces at their ends: 1 (some.jsonl line 1)",
        "spans left out because a longer one overlaps them: 1 (some.jsonl line 1)",
        "words divided where a span begins or ends inside them: 1 (some.jsonl line 1)",
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"text": "ab", "spans": [[0, 9, "x"]]}', "the span 0 to 9 is not inside the text, which has 2 characters"),
        ('{"text": "ab", "spans": [[0, 1]]}', "is not a span"), ('{"text": "ab"', "not JSON"), ("[1]", "not an object"),
        ('{"text": "ab"}', "no spans"), ('{"tokens": ["a"], "tags": [1]}', "give their names"),
        ('{"tokens": ["a"], "tags": ["O", "O"]}', "not as many tags"), ('{"text": "  ", "spans": []}', "without words"),
        ('{"text": "a\\ud800", "spans": []}', "half of a character"),
        ('{"text": "ab", "spans": [{"start": 0, "end": 1, "label": "x", "text": "b"}]}', "is 'a', not 'b'"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_the_reason(tmp_path, line, why):
    good = [{"text": "in Rome", "spans": [[3, 7, "loc"]]}] * 30
    found = read(lines(tmp_path, *good, line))
    assert [one.where for one in found.bad] == ["some.jsonl line 31"]
    assert why in found.bad[0].why


# --- to tag ---------------------------------------------------------------------------------------------------------
def test_texts_to_tag_are_divided_into_tokens_with_their_places():
    found = read_to_tag(
        open_source("@ada won't visit http://x.org/a?b ... U.S. New-York!!", may_be_text=True), "spans", None
    )
    words = found.splits["all"].words(0)
    assert words == ["@ada", "won't", "visit", "http://x.org/a?b", "...", "U.S", ".", "New-York", "!!"]
    assert found.splits["all"].tags(0) == []


def test_columns_and_lines_of_text_are_read_to_be_tagged(tmp_path):
    columns = read_to_tag(open_source(str(written(tmp_path, "a\tO\nb\tB-x\n\nc\tO\n"))), "spans", None)
    plain = read_to_tag(open_source(str(written(tmp_path, "a b\n\nc\n", "x.txt"))), "spans", None)
    assert [columns.splits["all"].words(i) for i in range(2)] == [["a", "b"], ["c"]]
    assert plain.splits["all"].index["id"].to_list() == ["x.txt line 1", "x.txt line 3"]


def test_tokens_cover_all_but_space_and_are_cut_where_asked():
    text = "co-operate_x  «ﬁn» 日本"
    places = places_of(text, cuts={3})
    assert "".join(text[start:end] for start, end in places) == "".join(text.split())
    assert places[:2] == [(0, 3), (3, 12)]


@pytest.mark.skipif(not WNUT.is_dir(), reason="needs wnut16")
def test_wnut16_is_read_whole():
    # counted with awk: blank lines end sentences, B- tags begin spans
    found = read(WNUT)
    assert {name: len(part) for name, part in found.splits.items()} == {"train": 2394, "dev": 1000, "test": 3850}
    num_spans = {name: sum(len(part.spans(i)) for i in range(len(part))) for name, part in found.splits.items()}
    assert num_spans == {"train": 1496, "dev": 661, "test": 3473}
    assert not found.bad


def test_examples_are_taken_and_joined_with_other_tags(tmp_path):
    one = read(written(tmp_path, "a\tB-x\nb\tO\n\nc\tO\n")).splits["all"]
    other = read(written(tmp_path, "d\tB-a\ne\tI-a\nf\tO\n")).splits["all"]
    both = one.take(np.array([1, 0])).join(other)
    assert [both.tags(i) for i in range(3)] == [["O"], ["B-x", "O"], ["B-a", "I-a", "O"]]
    assert both[2].target == [(0, 3, "a")]
