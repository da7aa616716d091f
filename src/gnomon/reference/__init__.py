"""The equations in NumPy float64, forward and backward, as a learner reads them; the oracle of the tests.

Shapes are batch-first: B examples, n_in and n_out units, C channels, H and W height and width, K classes. For a value
X that the loss depends on, dX is the gradient of the loss with respect to X, of X's shape. A function `f_backward`
takes the gradient of f's result first, then what f was given. Losses come one per example.

"The notes" are students' notes of the Deep Learning Specialization, which these pages follow; where the notes slip,
the literature is followed and the docstring says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
