"""Tabular classification: one class a row, from CSV, TSV, Parquet, frames or arrays."""

from gnomon.tasks.tabular_classification.task import TabularClassification

TASK = TabularClassification
