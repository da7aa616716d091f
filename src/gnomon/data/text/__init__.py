"""Text: files, lines and windows of one long text as examples; characters and words as numbers."""
