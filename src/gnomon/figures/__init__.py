"""A record in, a figure out: nothing is computed or saved here."""
