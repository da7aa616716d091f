"""One object per picture: which one counts, what y says of it, what is right, and what has no gradient."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.parts import View
from gnomon.core.settings import DataSettings, from_flat
from gnomon.data.annotated import read_annotated
from gnomon.data.source import Source
from gnomon.parts.annotated import AnnotatedPictures
from gnomon.parts.one_box import IGNORED, PADDED, LocalisationHead, LocalisationJudge, largest_objects
from tests.samples.annotated import Files, png

WIDTH, HEIGHT = 64, 32
ROWS = """file,class,left,top,right,bottom,crowd
a.png,cell,0,0,10,10,0
a.png,plate,20,0,44,8,0
a.png,cell,30,10,40,20,0
b.png,cell,4,4,8,8,0
b.png,cell,4,4,8,8,0
b.png,plate,0,0,64,32,1
c.png,plate,0,0,64,32,1
d.png,,,,,,
"""


def read(rows=ROWS, names="abcd"):
    tree = Files({"boxes.csv": rows, **{f"{n}.png": png(WIDTH, HEIGHT, seed=i) for i, n in enumerate(names)}})
    reading = read_annotated(Source("memory", "memory", tree=tree), DataSettings(), "boxes", 128)
    return reading.splits["all"]


def head_for(examples, **settings):
    return LocalisationHead.fit(examples, from_flat({"task": "localisation", **settings}))


def batch_of(head, examples):
    columns = {"frame": torch.tensor([[1.0, HEIGHT, WIDTH]] * len(examples), dtype=torch.float64)}
    columns |= head.encode(examples)
    return head.collate(dict(columns), columns, torch.arange(len(examples)))


def judge():
    return LocalisationJudge(("cell", "plate"), (HEIGHT, WIDTH), (0.0,) * 4, (1.0,) * 4)


def test_the_largest_object_counts_the_first_of_equal_ones_and_never_a_crowd():
    rows = largest_objects(read())
    assert rows[0].tolist() == [20, 0, 44, 8, 1, 0]  # 192 square pixels, twice 100
    assert rows[1].tolist() == [4, 4, 8, 8, 0, 0]
    assert rows[2, 4] == IGNORED  # a crowd may hold one object or many
    assert rows[3, 4] == PADDED
    assert largest_objects(read(), only=0)[0].tolist() == [0, 0, 10, 10, 0, 0]


def test_of_names_the_only_class_that_counts():
    examples = read()
    head = head_for(examples, of="cell")
    assert head.class_names == ("cell",)
    encoded = head.encode(examples)["object"]
    assert encoded[:, 4].tolist() == [0, 0, PADDED, PADDED]  # a crowd of plates is no cell
    assert encoded[0, :4].tolist() == [0, 0, 10, 10]
    with pytest.raises(UsageError, match=r"of=dog is not a class of this data\. .*cell"):
        head_for(examples, of="dog")


def test_it_is_said_how_many_pictures_have_several_objects_or_none():
    examples = read()
    assert head_for(examples).notes(examples) == (
        "2 of 4 pictures of train have several objects: the largest of each counts",
        "2 of 4 pictures of train have no object, which is an answer too",
    )
    assert "several cell objects" in head_for(examples, of="cell").notes(examples)[0]


def test_a_training_split_without_objects_is_refused():
    with pytest.raises(DataError, match="no picture of the training split has an object"):
        head_for(read().take(np.array([2, 3])))


def test_y_says_presence_middle_height_width_and_class_and_ignores_the_rest():
    examples = read()
    head = replace(head_for(examples), mean=(0.0,) * 4, std=(1.0, 1.0, 2.0, 4.0))
    y = head.wanted(torch.zeros(4, 7), batch_of(head, examples))
    assert y[0].tolist() == [1, 32, 4, 8 / 2, 24 / 4, 0, 1]
    assert y[3, 0] == 0
    assert y[3, 1:].isnan().all()
    assert y[2].isnan().all()
    assert batch_of(head, examples)["weight"].tolist() == [1, 1, 0, 1]


def test_without_an_object_only_presence_moves_the_network():
    examples = read()
    head = head_for(examples)
    net = torch.nn.Linear(3, 7)
    batch = batch_of(head, examples)
    head.losses(net(torch.ones(4, 3)), batch)[3].backward()
    assert (net.weight.grad[0] != 0).all()
    assert (net.weight.grad[1:] == 0).all()
    assert (net.bias.grad[1:] == 0).all()
    net.zero_grad()
    head.losses(net(torch.ones(4, 3)), batch)[2].backward()  # nobody knows
    assert (net.weight.grad == 0).all()


def test_of_one_class_there_are_five_outputs():
    examples = read()
    head = head_for(examples, of="cell")
    built = []
    head.build(lambda num_outputs: built.append(num_outputs))
    assert built == [5]
    losses = head.losses(torch.zeros(4, 5), batch_of(head, examples))
    assert torch.isfinite(losses).all()


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ([0, 0, 20, 10, 0, 0.9], 0),  # 100 of 200: an IoU of 1/2 is enough
        ([0, 0, 21, 10, 0, 0.9], 1),  # 100 of 210
        ([0, 0, 10, 10, 1, 0.9], 1),  # another class
        ([0, 0, 0, 0, PADDED, 0], 1),  # missed
    ],
)
def test_right_is_the_class_and_half_of_the_box(found, error):
    batch = {"object": torch.tensor([[0.0, 0, 10, 10, 0, 0]], dtype=torch.float64)}
    assert judge().errors(np.array([found]), batch).tolist() == [error]


def test_where_nothing_is_nothing_is_right():
    batch = {"object": torch.tensor([[0.0, 0, 0, 0, PADDED, 0], [0, 0, 0, 0, PADDED, 0]], dtype=torch.float64)}
    found = np.array([[0, 0, 0, 0, PADDED, 0], [1, 1, 9, 9, 0, 0.8]])
    assert judge().errors(found, batch).tolist() == [0, 1]


def test_outputs_become_a_box_in_pixels_of_the_picture_inside_it():
    frame = torch.tensor([[0.5, 64, 128], [0.5, 64, 128]], dtype=torch.float64)  # the picture is twice the frame
    outputs = torch.tensor([[2.0, 60, 16, 8, 20, 3, 1], [-2.0, 10, 10, 4, 4, 0, 0]])
    found = judge().predict(torch.nn.Identity(), outputs, {"frame": frame})
    presence, first = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-2))  # sigmoid(2), and softmax(3, 1)
    np.testing.assert_allclose(found.values[0], [100, 24, 128, 40, 0, presence * first], rtol=1e-6)  # 140 is outside
    assert found.values[1].tolist() == [0, 0, 0, 0, PADDED, 0]
    assert found.confidence[1] == pytest.approx(presence)
    assert found.columns["width"].tolist() == [128, 128]
    text = json.loads(judge().describe(found.values)[0])
    assert text == [[100.0, 24.0, 128.0, 40.0, "cell", round(presence * first, 4)]]


def test_metrics_by_hand():
    boxes = [[[0, 0, 10, 10, "cell", ""]], [[0, 0, 10, 10, "plate", ""]], [], []]
    answers = [[[0, 0, 20, 10, "cell", 0.9]], [[0, 0, 10, 10, "cell", 0.9]], [[0, 0, 5, 5, "cell", 0.6]], []]
    table = pl.DataFrame({
        "target": [json.dumps(one) for one in boxes], "prediction": [json.dumps(one) for one in answers],
        "weight": [1.0] * 4, "error": [0.0, 1.0, 1.0, 0.0], "group": pl.Series([None] * 4, dtype=pl.String),
    })  # fmt: skip
    found = judge().metrics(Evaluation("dev", SHARE, table))
    assert found["mean IoU"].value == pytest.approx((0.5 + 1) / 2)
    assert found["p_c accuracy"].value == pytest.approx(3 / 4)
    assert found["class accuracy"].value == pytest.approx(1 / 2)
    for one in found.values():
        assert 0 <= one.low <= one.value <= one.high <= 1
    assert judge().figures(Evaluation("dev", SHARE, table))


def test_what_references_answer_is_what_they_learned():
    examples = read()
    head = head_for(examples)
    columns = {"frame": torch.tensor([[0.5, HEIGHT, WIDTH]] * 4, dtype=torch.float64), **head.encode(examples)}
    plain = judge().plain_targets(columns)
    assert plain.shape == (4, 7)
    assert plain[0].tolist() == [1, 16, 2, 4, 12, 0, 1]  # in pixels of the frame
    assert np.isnan(plain[2]).all()
    assert np.isnan(plain[3, 1:]).all()
    answers = judge().from_plain(np.nan_to_num(plain), columns)
    assert answers[0, :5].tolist() == [20, 0, 44, 8, 1]
    assert answers[3, 4] == PADDED


def test_two_models_agree_on_the_mean_box_and_the_mean_probability():
    one, two = replace(judge(), mean=(10.0,) * 4), replace(judge(), std=(2.0,) * 4)
    outputs = torch.tensor([[0.0, 0, 0, 0, 0, 1, 1]])  # one says 10, the other 0; both classes alike
    both = one.averaged([(one, outputs), (two, outputs)])
    frame = {"frame": torch.tensor([[1.0, HEIGHT, WIDTH]], dtype=torch.float64)}
    assert one.predict(torch.nn.Identity(), both, frame).values[0, :4].tolist() == [2.5, 2.5, 7.5, 7.5]
    assert both[0, 0] == 0


def test_detection_says_where_one_box_per_picture_would_do():
    reader = AnnotatedPictures("boxes", 128, lambda folder, seed: folder)
    single = ROWS.splitlines()[0] + "\na.png,cell,0,0,10,10,0\nb.png,plate,0,0,9,9,0\nd.png,,,,,,\n"
    for rows, names, says in ((single, "abd", True), (ROWS, "abcd", False)):
        tree = Files({"boxes.csv": rows, **{f"{n}.png": png(WIDTH, HEIGHT, seed=i) for i, n in enumerate(names)}})
        notes = reader.read(Source("memory", "memory", tree=tree), DataSettings()).notes
        assert any("task=localisation" in note for note in notes) == says
    asked = replace(reader, is_asked_for=True)
    assert asked.claim(Source("memory", "memory", tree=tree), DataSettings()) is None


def test_a_box_is_drawn_on_the_pixels_that_are_shown():
    view = View(image=np.zeros((16, 32), np.uint8))  # half of the picture's 64 x 32
    row = {"width": 64, "height": 32, "target": "[]", "prediction": '[[2, 4, 10, 20, "plate", 0.9]]'}
    drawn = judge().on_view(view, row, "prediction")
    assert drawn.boxes.tolist() == [[1, 2, 5, 10]]
    assert (drawn.labels.tolist(), list(drawn.captions)) == ([1], ["plate 0.90"])
    assert judge().on_view(view, row, "target").boxes.shape == (0, 4)
