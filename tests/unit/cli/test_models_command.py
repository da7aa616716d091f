"""`gnomon models`: sizes against other libraries' figures, in a list that stays readable."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from gnomon.cli import main
from gnomon.core import found

NUMBERS = tomllib.loads((Path(__file__).parents[2] / "golden" / "numbers.toml").read_text())
WIDEST = 120  # columns of a terminal


def test_multiply_adds_and_parameters_are_those_of_torchvision_at_the_usual_size(capsys):
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    wanted = NUMBERS["backbone_multiply_adds"]
    for name, thousand_millions in wanted["value"].items():
        assert abs(listed[name]["multiply_adds"] / 1e9 - thousand_millions) <= wanted["tolerance"], name
    for name, parameters in (NUMBERS["resnet_parameters"]["value"] | NUMBERS["backbone_parameters"]["value"]).items():
        assert " " in name or listed[name]["parameters"] == parameters, name
    assert listed["resnet20"]["usual"] == {"side": 32, "outputs": 10}
    assert listed["dense"]["parameters"] is None


def test_every_model_is_listed_once_in_lines_that_fit_a_terminal(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    listed = [line.split()[0] for line in lines if " parameters " in line]
    listed += [name for line in lines if line.startswith("    models  ") for name in line[14:].split(", ")]
    assert sorted(listed) == list(found.family_names())
    assert max(map(len, text.splitlines())) <= WIDEST
    assert "resnet18            11,689,512 parameters   1.81 G multiply-adds  224x224, 1,000 classes" in text


def test_a_task_lists_its_own_models_with_sizes_from_its_sample(capsys):
    assert main(["models", "tabular_classification"]) == 0
    text = capsys.readouterr().out
    assert "resnet18" not in text
    assert "a size that names no pictures is for the sample data of tabular_classification" in text
