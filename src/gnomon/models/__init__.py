"""Whole architectures, one file a family; a plain function builds each."""

from gnomon.models.build import CUSTOM, build_image_model, build_table_model

__all__ = ["CUSTOM", "build_image_model", "build_table_model"]
