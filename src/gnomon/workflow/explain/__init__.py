"""explain: what in a picture speaks for an answer, and what the units of a net see."""
