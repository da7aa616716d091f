"""Tabular regression: one number a row, or several of which some may be missing."""

from gnomon.tasks.tabular_regression.task import TabularRegression

TASK = TabularRegression
