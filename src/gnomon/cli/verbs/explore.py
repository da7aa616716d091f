"""Explore: show, studio, models, settings, gallery.

The docstring of a command is its help.
"""

from __future__ import annotations

from gnomon.cli.answering import no_settings, one, report


def show(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show the layers and settings of a run, or what a craft made and measured:  gnomon show RUN"""
    no_settings(values, "show", "none")
    from gnomon.cli.show_craft import made_as_json, print_made
    from gnomon.cli.show_data import print_shown, shown_as_json
    from gnomon.workflow.made import Made
    from gnomon.workflow.show import show as run_show

    shown = run_show(one(words, "RUN", "show", "runs/latest"))
    if isinstance(shown, Made):
        return report(as_json, made_as_json, print_made, shown)
    return report(as_json, shown_as_json, print_shown, shown)


def studio(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Browse runs, ladders and errors in a local web page:  gnomon studio [RUNS] [port=8765] [browser=yes]

    RUNS are folders of runs (default: runs/). Only this machine can reach the page, by the link that is printed.
    """
    from gnomon.cli.studio import run_studio

    return run_studio(words, values, as_json=as_json)


def models(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """List the models to choose from:  gnomon models [TASK]

    Nets for pictures with parameters and multiply-adds for the pictures they were published for.
    With TASK: the models for its inputs; others than those with their size for its sample data.
    """
    no_settings(values, "models", "none")
    from gnomon.cli.show_data import models_as_json, print_models
    from gnomon.workflow.defaults import models_of

    task = one(words, "TASK", "models", "image_classification") if words else None
    return report(as_json, models_as_json, print_models, models_of(task), task)


def settings(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """List all settings with their values and effects:  gnomon settings [TASK] [model=NAME]

    With TASK: the values that it fills in, and which settings have no effect there. model=NAME adds those of the model.
    """
    model = values.pop("model", None)
    no_settings(values, "settings", "model")
    from gnomon.cli.show_data import print_settings, settings_as_json
    from gnomon.workflow.defaults import settings as settings_of

    task = one(words, "TASK", "settings", "tabular_regression") if words else None
    return report(as_json, settings_as_json, print_settings, settings_of(task, model), task)


def gallery(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Test well-known claims of the field on this machine:  gnomon gallery [NAME | all] [seeds=N] [data=PICTURES]

    Without a NAME it lists the claims. With one it runs the experiment, shows what was measured and whether the
    claim holds here, and writes page, figure and numbers to gallery/NAME/ (an existing folder is kept). Claims about
    convnets take data=: pictures of your own, with a class each.
    """
    from gnomon.cli.gallery import run_gallery

    return run_gallery(words, values, as_json=as_json)
