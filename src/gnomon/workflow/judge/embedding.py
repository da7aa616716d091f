"""Examples as the model represents them: the inputs of its last layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from gnomon.training.evaluate import encode_whole

if TYPE_CHECKING:
    from gnomon.core.example import Examples
    from gnomon.core.task import Task

BATCH = 256  # examples per forward pass


def embedding_of(task: Task, model: nn.Module, examples: Examples) -> np.ndarray | None:
    """(N, D) float32: the inputs of the last dense layer; None for a model without one row per example there."""
    dense = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not dense or not len(examples):
        return None
    seen: list[torch.Tensor] = []
    handle = dense[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    columns = encode_whole(task, examples)
    try:
        with torch.inference_mode():
            for start in range(0, len(examples), BATCH):
                indices = torch.arange(start, min(start + BATCH, len(examples)))
                task.outputs(model.eval(), task.batch(columns, indices))
    finally:
        handle.remove()
    rows = torch.cat([part.flatten(1) for part in seen if part.ndim >= 2]) if seen else torch.empty(0, 0)
    return rows.float().cpu().numpy() if len(rows) == len(examples) else None
