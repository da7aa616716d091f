"""Signals and volumes: values at regular steps of time, or at the places of a regular grid in space."""

from __future__ import annotations

from gnomon.data.grids.examples import GridExamples
from gnomon.data.grids.looks import line_picture, slices_picture
from gnomon.data.grids.reading import read_labelled, read_unlabelled

__all__ = ["GridExamples", "line_picture", "read_labelled", "read_unlabelled", "slices_picture"]
