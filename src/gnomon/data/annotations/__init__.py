"""Boxes, outlines, points and masks of pictures: one file per format, all in the one form of `model.py`."""
