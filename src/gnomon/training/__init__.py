"""The one loop, its optimisers and schedules, evaluation, checkpoints of tensors."""
