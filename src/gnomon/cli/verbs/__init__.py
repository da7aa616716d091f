"""The commands, a file for each group of `gnomon --help`: (words, settings, as_json) in, exit code out."""
