"""A claim of the gallery, tried small."""

from typing import Any

import numpy as np

from gnomon.figures.encode import png
from gnomon.gallery._claim import Claim


def run_to_the_end(claim: Claim[Any]) -> None:
    """Measured with two seeds, judged, tabulated and drawn: each step gives what the next one and a page need."""
    shares: list[float] = []
    measured = claim.measure(range(2), lambda share, _doing: shares.append(share))
    assert all(part.measured is None or np.isfinite(part.measured.value) for part in claim.judge(measured))
    table = claim.table(measured)
    assert all(len(row) == len(table.head) for row in table.rows)
    assert png(claim.draw(measured)).startswith(b"\x89PNG")
    assert shares == sorted(shares)
