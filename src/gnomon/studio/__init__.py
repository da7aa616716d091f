"""A local web page over run folders: see the ladder, tag the errors, compare two runs. Closed by default."""
