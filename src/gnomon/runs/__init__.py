"""Run folders: settings, checkpoints, model, predictions, history; and the one writer of files."""
