"""People by pictures of them: enrol, identify, verify.

The docstring of a command is its help.
"""

from __future__ import annotations

from gnomon.cli.answering import imported_quickly, no_settings, report
from gnomon.core.errors import UsageError


def enrol(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Add people by pictures, without training:  gnomon enrol RUN people/ anna.jpg name=anna

    RUN is of verification; people/ is a folder that is made for them. One picture is enough, several are better.
    Without name= a folder with a folder of pictures for each person: gnomon enrol RUN people/ faces/. remove=anna
    takes all of anna's pictures out. What is kept of a picture is its encoding and a hash of its bytes.
    """
    name, remove = values.pop("name", None), values.pop("remove", None)
    no_settings(values, "enrol", "name and remove")
    if len(words) < 2 + (remove is None):
        raise UsageError(
            "enrol needs a run, a folder for the people, and pictures or remove=NAME.",
            fix="gnomon enrol runs/latest people/ anna.jpg name=anna",
        )
    with imported_quickly():
        from gnomon.cli.show_people import print_change
        from gnomon.workflow.people import as_plain
        from gnomon.workflow.people import enrol as run_enrol

    found = run_enrol(words[0], words[1], words[2:] or None, name=name, remove=remove)
    return report(as_json, as_plain, print_change, found)


def identify(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Say who is in a picture, how sure that is, or nobody:  gnomon identify RUN people/ door.jpg [fpir=0.01]

    people/ is what gnomon enrol made with the same run. fpir= is the share of strangers that may be taken for somebody
    (false positive identification rate): the more people are enrolled, the nearer a picture has to be.
    """
    fpir = values.pop("fpir", None)
    no_settings(values, "identify", "fpir")
    if len(words) < 3:
        raise UsageError(
            "identify needs a run, a folder of people and at least one picture.",
            fix="gnomon identify runs/latest people/ door.jpg",
        )
    with imported_quickly():
        from gnomon.cli.show_people import print_identified
        from gnomon.workflow.people import FPIR, as_plain
        from gnomon.workflow.people import identify as run_identify

    found = run_identify(words[0], words[1], words[2:], fpir=FPIR if fpir is None else fpir)
    return report(as_json, as_plain, print_identified, found)


def verify(words: list[str], values: dict[str, str], as_json: bool) -> int:
    """Say whether two pictures are of one identity:  gnomon verify RUN a.jpg b.jpg

    By the threshold that the run chose on dev. Of more pictures, gnomon predict RUN FOLDER answers every pair.
    """
    no_settings(values, "verify", "none")
    if len(words) != 3:
        raise UsageError(
            f"verify needs a run and two pictures, got {len(words)} {'word' if len(words) == 1 else 'words'}.",
            fix="gnomon verify runs/latest a.jpg b.jpg",
        )
    with imported_quickly():
        from gnomon.cli.show_people import print_verified
        from gnomon.workflow.people import as_plain
        from gnomon.workflow.people import verify as run_verify

    return report(as_json, as_plain, print_verified, run_verify(*words))
