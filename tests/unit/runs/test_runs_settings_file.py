"""settings.toml: reads as TOML anywhere, comes back as the same settings, and is data only."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.core.errors import ArtefactError
from gnomon.core.settings import Settings, flat, from_flat
from gnomon.runs.settings_file import _toml, from_toml, to_toml

any_text = st.text(
    st.characters(blacklist_categories=["Cs"]) | st.sampled_from([chr(0xDC80), chr(0xDCFF), "\x7f", '"', "\\"])
)
some_settings = st.fixed_dictionaries(
    {},
    optional={
        "data.target": st.lists(any_text.filter(bool), min_size=1).map(tuple),
        "data.target_data": any_text,
        "run_name": any_text,
        "optimiser.learning_rate": st.floats(min_value=1e-300, max_value=1e9),
        "stop.epochs": st.integers(1, 10**9),
        "model.hidden": st.lists(st.integers(1, 10**6), min_size=1).map(tuple),
        "regularise.dropout": st.lists(st.floats(0, 0.999)).map(tuple),
        "split.duplicates": st.sampled_from(["report", "drop"]),
        "stop.max_time": st.just("1.5h"),
    },
)


@given(some_settings)
def test_any_settings_come_back_with_those_the_user_set(values):
    settings = from_flat(values)
    text = to_toml(settings, values)
    again, given_keys = from_toml(text.encode(), "settings.toml")
    assert again == settings
    assert given_keys == set(values)
    assert tomllib.loads(text)["given"] == [key for key in flat(settings) if key in values]


def test_each_value_is_listed_with_its_meaning_and_source():
    lines = to_toml(from_flat({"learning_rate": 0.01, "epochs": 7}), ["optimiser.learning_rate"]).splitlines()
    assert lines[lines.index("learning_rate = 0.01") - 1].endswith("(set by you)")
    assert lines[lines.index("epochs = 7") - 1].endswith("(chosen by gnomon)")
    assert lines[lines.index("momentum = 0.9") - 1].endswith("(default)")
    assert lines[lines.index('missing = [""]') - 1].endswith("(default)")
    assert lines.index("[optimiser]") < lines.index("learning_rate = 0.01") < lines.index("[schedule]")
    assert not any(line.startswith("human") for line in lines)  # still open, so left out


def test_the_defaults_come_back():
    assert from_toml(to_toml(Settings(), ()).encode(), "x") == (Settings(), frozenset())


@pytest.mark.parametrize(("text", "match"), [
    (b"[optimiser]\nlearning_rat = 0.1\n", "unknown setting 'optimiser.learning_rat'"),
    (b"__class__ = 'os.system'\n", "unknown setting '__class__'"),
    (b"[optimiser]\nlearning_rate = -1\n", "optimiser.learning_rate=-1"),
    (b"[optimiser]\nlearning_rate = {module = 'os'}\n", "optimiser.learning_rate="),
    (b"[stop]\nepochs = 'many'\n", "stop.epochs=many"),
    (b"optimiser = 3\n", "optimiser"),
    (b"given = ['__class__']\n", "given names '__class__'"),
    (b"given = 3\n", "given names 3"),
    (b"given = [[1]]\n", r"given names \[1\]"),
    (b"seed = = 1\n", "not valid TOML"),
    (b"\xff\n", "not valid TOML"),
    (b"seed = " + b"[" * 100_000, "nested too deeply"),
    (b"seed = 1\nseed = 2\n", "not valid TOML"),
], ids=lambda value: repr(value[:20]))  # fmt: skip
def test_a_file_that_is_not_settings_is_refused_naming_the_key(text, match):
    with pytest.raises(ArtefactError, match=match) as told:
        from_toml(text, "RUN/settings.toml")
    assert told.value.where == "RUN/settings.toml"
    assert told.value.fix


toml_values = st.recursive(
    st.integers() | st.floats() | st.booleans() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "name"]), inner, max_size=2),
    max_leaves=4,
)


def as_toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + "}"
    return f"[{', '.join(map(as_toml, value))}]" if isinstance(value, list) else _toml(value)


@given(st.sampled_from(sorted(flat(Settings()))), toml_values)
def test_any_value_for_any_key_is_settings_or_refused(key, value):
    data = f"{key} = {as_toml(value)}\n".encode()
    try:
        settings, _ = from_toml(data, "x")
    except ArtefactError:
        return
    assert isinstance(settings, Settings)
