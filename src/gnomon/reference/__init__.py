"""The equations in NumPy float64, forward and backward, as a learner reads them; the oracle of the tests.

Shapes are batch-first: B examples, n_in and n_out units, C channels, H and W height and width, K classes. For a value
X that the loss depends on, dX is the gradient of the loss with respect to X, with the shape of X. A function
`f_backward` takes the gradient of f's result first, then the arguments of f. There is one loss per example.

"The notes" are students' notes of the Deep Learning Specialization, which these pages follow; where the notes have a
mistake, the literature is followed and the docstring says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
