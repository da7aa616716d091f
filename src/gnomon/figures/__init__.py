"""A record in, a picture out: computes nothing, saves nothing."""
