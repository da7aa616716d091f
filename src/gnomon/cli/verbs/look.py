"""Look before you train: peek, check, lr, plan, convert, filter.

The docstring of a command is its help.
"""

from __future__ import annotations

from gnomon.cli.answering import no_settings, one, print_json, report


def peek(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Show how DATA is read and split, and draw examples, augmented ones too:  gnomon peek DATA [augment=auto]

    Of annotated pictures, boxes, masks or points are drawn; of boxes sizes and shapes are listed, and those that look
    like mistakes: tiny, huge, oddly shaped, or annotated twice.
    """
    source = one(words, "DATA", "peek", "digits")
    from gnomon.cli.show_data import peek_as_json, print_peek
    from gnomon.workflow.peek import peek as run_peek

    found = run_peek(source, **values)
    return report(as_json, peek_as_json, print_peek, found)


def check(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Test in seconds whether anything can be learned from DATA:  gnomon check DATA"""
    source = one(words, "DATA", "check", "digits")
    from gnomon.cli.show_data import print_checked
    from gnomon.workflow.check import check as run_check

    checked = run_check(source, **values)
    if as_json:
        findings = [{"name": each.name, "passed": each.passed, "text": each.text} for each in checked.findings]
        print_json({"passed": checked.passed, "findings": findings})
    else:
        print_checked(checked)
    return 0 if checked.passed else 1


def lr(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Find a learning rate by a range test:  gnomon lr DATA [key=value ...]"""
    source = one(words, "DATA", "lr", "digits")
    from gnomon.cli.rate import found_as_json, print_found
    from gnomon.workflow.rate import lr as run_lr

    found = run_lr(source, **values)
    return report(as_json, found_as_json, print_found, found)


def plan(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """How many dev and test examples you need:  gnomon plan error=0.1 [other=0.09 | within=0.01 | below=0.12]

    other= compares two errors, within= measures one that precisely, below= shows it to be under a bound, examples=
    says what that many can detect. alpha=0.05 is the false alarm rate, power=0.8 the chance of detecting a difference,
    disagree= how often exactly one of two models errs.
    """
    from gnomon.cli.plan import plan_as_json, print_plan, run_plan

    found = run_plan(words, values)
    return report(as_json, plan_as_json, print_plan, found)


def convert(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Write weights or annotated pictures in another format:  gnomon convert IN OUT [to=coco]

    gnomon convert resnet18.pth resnet18.safetensors: weights, read as tensors only, so no code in a file runs.
    gnomon convert DATA out/ to=coco (or voc, yolo, masks): pictures with boxes, outlines, points or masks, with a list
    of what the format cannot hold. max_bad=0.05 is the share of unusable pictures or objects that may be left out.
    """
    from gnomon.cli.convert import converted_as_json, print_converted, run_convert

    return report(as_json, converted_as_json, print_converted, run_convert(words, values))


def filter_(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Slide an edge filter over a picture:  gnomon filter photo.jpg [kind=sobel] [out=edges.png]

    kind=sobel, scharr, vertical, horizontal, laplace, canny, or the angle of the edges in degrees: 0 is horizontal, 90
    vertical. padding=valid leaves out the border; low=0.1 and high=0.2 are the strengths that canny keeps. Shows the
    numbers of the filter and writes the result to the current directory; nothing is overwritten.
    """
    from gnomon.cli.filter import KNOWN, filtered_as_json, print_filtered
    from gnomon.workflow.filter import filter as run_filter

    no_settings({key: value for key, value in values.items() if key not in KNOWN}, "filter", ", ".join(KNOWN))
    found = run_filter(one(words, "PICTURE", "filter", "photo.jpg kind=sobel"), **values)
    return report(as_json, filtered_as_json, print_filtered, found)
