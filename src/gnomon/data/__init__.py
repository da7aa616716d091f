"""From what the user has to columns of tensors: sources, tables, pictures, splits, leakage, batches."""
