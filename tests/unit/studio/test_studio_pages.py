"""What pages say and what they lead to; whatever is asked of them, the answer is a page or a plain refusal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import studio_samples as samples

from gnomon.studio import curves, pages


def body(client, path, **how):
    status, _, found = client.ask(path, **how)
    assert status == 200, found[:300]
    return found.decode()


def posted(client, path, value, method="POST"):
    status, _, found = client.ask(path, method, json.dumps(value).encode())
    return status, json.loads(found)


def test_the_list_has_each_run_with_its_error_and_largest_gap(client, place):
    page = body(client, "/")
    assert f'href="{place}"' in page
    assert "10.0\u00a0%" in page
    assert "epochs=3" in page


def test_a_search_is_not_a_run(planted, tmp_path):
    from gnomon.studio.library import Library

    assert len(Library([tmp_path / "runs"]).cards()[0]) == 1
    (next((tmp_path / "runs").rglob("manifest.json")).parent / "search.json").write_text("{}")
    assert Library([tmp_path / "runs"]).cards()[0] == []


def test_the_list_is_filtered_sorted_and_grouped(client, tmp_path):
    samples.plant(
        tmp_path / "runs", samples.predictions(300, 60), name="worse", settings={"optimiser.learning_rate": 0.1}
    )
    names = lambda page: re.findall(r'href="/runs/[0-9a-f]+">([^<]+)<', page)  # noqa: E731
    assert names(body(client, "/?sort=error&part=list")) == ["planted", "worse"]
    assert names(body(client, "/?q=learning_rate%3D0.1&part=list")) == ["worse"]
    assert ">learning_rate=0.1<" in body(client, "/")  # what is read there finds it, as does the whole name
    assert names(body(client, "/?q=optimiser.learning_rate%3D0.1&part=list")) == ["worse"]
    assert "No run matches" in body(client, "/?q=nothing+like+it&part=list")
    assert "learning_rate = 0.1" in body(client, "/?group=optimiser.learning_rate&part=list")


def test_a_run_shows_its_ladder_matrix_settings_and_curves(client, place):
    page = body(client, place)
    for words in ("Where the error comes from", "Confusion matrix", "Training curves", "stop.epochs", "<svg"):
        assert words in page
    assert f"{place}/errors/dev?target=cat&amp;prediction=dog" in page


def test_an_unfinished_run_shows_its_curves_and_refreshes(client, tmp_path):
    run = samples.plant(tmp_path / "runs", samples.predictions(30, 3), name="going", finished=False)
    here = f"/runs/{samples.run_id(run.path)}"
    with run.lock():  # a fit holds it
        page = body(client, here)
        assert 'hx-trigger="every 2s"' in page
        assert "epoch 3" in page
        samples.add_epoch(run, 4)
        assert "epoch 4" in body(client, f"{here}/live?was=running")


def test_the_sheet_shows_errors_with_label_and_prediction(client, place):
    page = body(client, f"{place}/errors/dev")
    assert page.count("<article") == 30
    assert "30 of 300 are wrong" in page


def test_a_sheet_whose_data_is_gone_says_so_and_shows_the_rest(client, place):
    name = place.rpartition("/")[2]
    assert not client.library.run(name).examples("dev").wait(60)
    page = body(client, f"{place}/errors/dev")
    assert "The examples cannot be shown" in page
    assert page.count("<article") == 30


def test_test_examples_are_not_shown(client, place):
    assert client.ask(f"{place}/errors/test")[0] == 404


def test_a_tag_is_created_set_counted_undone_and_kept(client, place, planted, tmp_path):
    where = f"{place}/errors/dev"
    assert posted(client, f"{where}/tags", {"name": "dog"})[0] == 200
    first = int(re.search(r'data-position="(\d+)"', body(client, where))[1])
    status, answer = posted(
        client, f"{where}/record", {"events": [{"position": first, "kind": "tag", "tag": "dog", "value": "1"}]}
    )
    assert status == 200
    assert "dog" in answer["cards"][str(first)]
    assert "1<small" in answer["counts"]
    assert "dog" in body(samples.Client(tmp_path / "runs"), f"{where}?tag=dog")  # another start of the studio
    status, answer = posted(client, f"{where}/undo", {})
    assert answer["undone"] == 1
    assert '"chip on"' not in answer["cards"][str(first)]


NONSENSE = [
    {},
    {"events": []},
    {"events": [{"position": -1, "kind": "look"}]},
    {"events": [{"position": 10**9, "kind": "look"}]},
    {"events": [{"position": "1", "kind": "look"}]},
    {"events": [{"position": 1, "kind": "new", "tag": "x"}]},
    {"events": [{"position": 1, "kind": "tag", "tag": "nobody made it", "value": "1"}]},
    {"events": [{"position": 1, "kind": "comment", "value": "x" * 3000}]},
    {"events": [{"position": 1, "kind": "look", "who": "me"}]},
    [],
    "x",
    None,
]


@pytest.mark.parametrize("wrong", NONSENSE)
def test_invalid_requests_are_refused_and_not_written(client, place, planted, wrong):
    status, _, _ = client.ask(f"{place}/errors/dev/record", "POST", json.dumps(wrong).encode())
    assert status in (404, 422)
    assert not (planted.path / "tags.sqlite").exists()


def test_a_tag_of_a_name_that_is_taken_is_refused(client, place):
    assert posted(client, f"{place}/errors/dev/tags", {"name": "label wrong"})[0] == 422
    assert posted(client, f"{place}/errors/dev/tags", {"name": "  "})[0] == 422


def test_an_example_shows_its_whole_tag_history(client, place):
    say = f"{place}/errors/dev/record"
    posted(client, say, {"events": [{"position": 3, "kind": "comment", "value": "is a fox"}]})
    posted(client, f"{place}/errors/dev/undo", {})
    page = body(client, f"{place}/examples/dev/3")
    assert "is a fox" in page
    assert "(undone)" in page


def test_every_tag_except_the_total_links_to_its_examples(client, place):
    for name in ("dog", "blurred"):
        posted(client, f"{place}/errors/dev/tags", {"name": name})
    events = [{"position": 3, "kind": "tag", "tag": name, "value": "1"} for name in ("dog", "blurred", "label wrong")]
    assert posted(client, f"{place}/errors/dev/record", {"events": events})[0] == 200
    page = body(client, f"{place}/errors/dev?show=all")
    assert page.count("all of your tags") == 0  # example 3 is right: no error was looked at yet
    wrong = int(re.search(r'data-position="(\d+)"', body(client, f"{place}/errors/dev"))[1])
    events = [{**one, "position": wrong} for one in events]
    answer = posted(client, f"{place}/errors/dev/record", {"events": events})[1]
    assert "all of your tags" in answer["counts"]
    links = [one.replace("&amp;", "&") for one in re.findall(r'href="([^"]*tag=[^"]*)"', answer["counts"])]
    assert len(links) == 3
    assert all(body(client, link).count("<article") == 1 for link in links)


def test_two_runs_show_what_was_fixed_and_broken(client, planted, place, tmp_path):
    other = samples.plant(tmp_path / "runs", samples.predictions(300, 20, seed=5), name="other")
    page = body(client, f"/compare?run={samples.run_id(planted.path)}&run={samples.run_id(other.path)}")
    assert "on the same 300 examples" in page
    before = samples.predictions(300, 30)["error"].to_numpy() > 0
    after = samples.predictions(300, 20, seed=5)["error"].to_numpy() > 0
    shown = dict(
        zip(("broken", "fixed", "still"), re.findall(r'<h3>\w[^<]*<span class="soft">(\d+)<', page), strict=True)
    )
    assert shown == {
        "broken": str((~before & after).sum()),
        "fixed": str((before & ~after).sum()),
        "still": str((before & after).sum()),
    }
    link = re.search(r'href="([^"]*change=broken[^"]*)"', page)[1].replace("&amp;", "&")
    assert body(client, link).count("<article") == int(shown["broken"])


def test_runs_on_other_data_are_marked_as_not_comparable(client, planted, tmp_path):
    other = samples.plant(tmp_path / "runs", samples.predictions(50, 5, ids=[f"z{i}" for i in range(50)]), name="other")
    page = body(client, f"/compare?run={samples.run_id(planted.path)}&run={samples.run_id(other.path)}")
    assert "they have no examples in common" in page


def test_csv_has_one_row_per_error_and_one_column_per_tag(client, place):
    posted(client, f"{place}/errors/dev/tags", {"name": "=dog"})
    lines = body(client, f"{place}/sheet-dev.csv").splitlines()
    assert len(lines) == 31
    assert ',"\'=dog",' in lines[0]


def test_a_damaged_run_is_listed_as_damaged(client, planted):
    (planted.path / "settings.toml").write_text("damaged")
    assert "damaged" in body(client, "/")


# --- curves -----------------------------------------------------------------------------------------------------------
def test_names_of_curves_that_end_together_at_the_bottom_do_not_overlap_each_other_or_the_axis():
    many = [curves.Curve(f"layer{i}", "train", [1, 2], [1.0, 0.001 * i]) for i in range(5)]
    drawn = curves.draw(many, title="losses", write=str)
    heights = sorted(float(at) for at in re.findall(r'class="name train" x="[^"]+" y="([^"]+)"', drawn))
    axis = float(re.search(r'y="([^"]+)" text-anchor="start">epoch', drawn)[1])
    assert len(heights) == 5
    assert all(later - earlier >= 12 for earlier, later in pairwise([*heights, axis]))  # 11 px letters


def test_smoothing_is_the_bias_corrected_average():
    # v = 0.5 v + 0.5 x, divided by 1 - 0.5^t: 1, (0.25 + 1) / 0.75 ...  by hand for 1, 2, 3
    found = curves.smoothed(curves.Curve("a", "a", [1, 2, 3], [1.0, 2.0, 3.0]), 0.5)
    assert found.y == pytest.approx([1.0, 1.25 / 0.75, 2.125 / 0.875])


def test_a_plot_of_nothing_is_empty_and_odd_numbers_can_be_plotted():
    def draw(values, **how):
        curve = curves.Curve("<b>", "a", range(len(values)), values)
        return curves.draw([curve], title="t", write=str, **how)

    assert draw([None, None]) == ""
    for values in ([1.0], [0.0, 0.0], [1e-300, 1e300], [-1.0, 2.0], [None, 1.0, None, 2.0]):
        for log in (False, True):
            assert "nan" not in draw(values, log=log)
    assert "<b>" not in draw([1.0, 2.0])


def test_a_smoothed_curve_keeps_its_zeros_until_the_logarithm():
    # of 1, 0, 1 the bias-corrected average with 0.5 is 1, 1/3, 5/7: nothing of it is 0, so the line has no gap
    found = curves.draw([curves.Curve("a", "a", [1, 2, 3], [1.0, 0.0, 1.0])], title="t", write=str, log=True, beta=0.5)
    (smooth,) = re.findall(r'class="line a " d="([^"]+)"', found)
    assert (smooth.count("M"), smooth.count("L")) == (1, 2)


def test_a_missing_run_gets_a_friendly_page_the_same_for_all(client, place, planted):
    page = {"accept": "text/html"}
    assert client.ask(place, headers=page)[0] == 200
    planted.path.rename(planted.path.with_name("elsewhere"))
    status, _, gone = client.ask(place, headers=page)
    assert status == 404
    assert b"moved or deleted" in gone
    assert client.ask("/runs/never", headers=page)[2] == gone
    assert client.ask(f"{place}/errors/dev", headers=page)[2] == gone
    assert client.ask(f"{place}/errors/dev/record", "POST", b'{"events": [{"position": 1, "kind": "look"}]}')[0] == 404


def test_a_re_evaluated_run_is_shown_anew(client, place, planted):
    assert "30 of 300 are wrong" in body(client, f"{place}/errors/dev")
    with planted.lock():
        planted.save_predictions("dev", samples.predictions(300, 45))
    assert "45 of 300 are wrong" in body(client, f"{place}/errors/dev")


def test_a_filter_is_in_the_address_so_that_a_reload_keeps_it(client, place):
    _, headers, _ = client.ask(f"{place}/errors/dev?part=grid&target=cat&low=50&look=list")
    assert headers["hx-replace-url"] == f"{place}/errors/dev?target=cat&low=50&look=list"
    _, headers, _ = client.ask("/?q=digits&sort=error&part=list")
    assert headers["hx-replace-url"] == "/?q=digits&sort=error"


def test_of_many_runs_the_newest_are_read_first_and_the_rest_later(tmp_path):
    from gnomon.studio.library import Library

    for day in (20, 21, 22):
        samples.plant(tmp_path, samples.predictions(30, 3), name=f"day{day}", now=datetime(2026, 11, day, tzinfo=UTC))
    library = Library([tmp_path])
    assert library.cards(seconds=-1) == ([], 3)
    cards, unread = library.cards()
    assert ([card.name for card in cards], unread) == (["day22", "day21", "day20"], 0)
    assert len(library.cards(seconds=-1)[0]) == 3  # what was read once is known
    page = pages.runs(cards[:1], 2, query="", sort="newest", group="", part=True)
    assert "reading 2 more" in page
    assert 'hx-trigger="every 200ms"' in page


def test_damaged_predictions_are_reported_by_name_and_the_rest_of_the_run_is_shown(client, place, planted):
    (path,) = planted.path.glob("predictions/dev.parquet")
    path.write_bytes(path.read_bytes()[:-9] + b"x" * 9)
    page = {"accept": "text/html"}
    assert client.ask(place, headers=page)[0] == 200
    status, _, told = client.ask(f"{place}/errors/dev", headers=page)
    assert status == 424
    assert f"{planted.path.name}/predictions/dev.parquet: is damaged".encode() in told
    assert client.ask("/", headers=page)[0] == 200


def test_an_unchanged_list_is_not_redrawn(client, tmp_path):
    again = re.search(r'hx-get="([^"]*part=list[^"]*)"', body(client, "/"))[1].replace("&amp;", "&")
    assert client.ask(again)[0] == 204
    samples.plant(tmp_path / "runs", samples.predictions(300, 60), name="another")
    assert "another" in body(client, again)


def test_a_studio_without_runs_shows_the_first_one_by_itself(tmp_path):
    empty = samples.Client(tmp_path)
    page = body(empty, "/")
    assert "gnomon fit DATA" in page
    assert 'hx-trigger="every 3s"' in page
    samples.plant(tmp_path, samples.predictions(300, 60), name="first")
    assert "first" in body(empty, "/")


def test_the_list_waits_for_neither_matplotlib_nor_torch():
    heavy = {"matplotlib", "torch", "scipy", "sklearn"}
    loaded = f"import sys, gnomon.studio.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_cost_moves_a_tag_down(client, place):
    where = f"{place}/errors/dev"
    for name in ("dog", "blurred"):
        posted(client, f"{where}/tags", {"name": name})
    wrong = re.findall(r'data-position="(\d+)"', body(client, where))
    events = [{"position": int(one), "kind": "tag", "tag": "dog", "value": "1"} for one in dict.fromkeys(wrong)][:4]
    events += [{**events[0], "tag": "blurred"}]
    posted(client, f"{where}/record", {"events": events})
    status, answer = posted(client, f"{where}/costs", {"name": "dog", "cost": 100})
    assert status == 200
    assert "cost 100" in answer["counts"]
    table = answer["counts"][: answer["counts"].index("dock")]
    assert table.index('data-tag="blurred"') < table.index('data-tag="dog"')  # one of four errors for a hundredth
    assert posted(client, f"{where}/costs", {"name": "no such tag", "cost": 2})[0] == 422
    assert posted(client, f"{where}/costs", {"name": "dog", "cost": 0})[0] == 422
