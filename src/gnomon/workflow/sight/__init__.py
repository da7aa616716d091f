"""What in a picture speaks for its answer, and what the units of a net see."""
