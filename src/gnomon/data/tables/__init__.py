"""Tables: read strictly, typed by an explicit rule, planned for training, iterated lazily."""

from gnomon.data.tables.examples import TableExamples, located, read_split_tables, split_files
from gnomon.data.tables.kinds import Kind
from gnomon.data.tables.one_hot import one_class_each, why_not_one_hot
from gnomon.data.tables.read import peek_table, read_table
from gnomon.data.tables.sample import make_mixed_table
from gnomon.data.tables.table import Table, target_names
from gnomon.data.tables.targets import (
    Target,
    TargetPlan,
    class_targets,
    class_texts,
    plan_targets,
    planned_target,
    usable_features,
    with_number_targets,
)
from gnomon.data.tables.typed import table_from_frame

__all__ = [
    "Kind",
    "Table",
    "TableExamples",
    "Target",
    "TargetPlan",
    "class_targets",
    "class_texts",
    "located",
    "make_mixed_table",
    "one_class_each",
    "peek_table",
    "plan_targets",
    "planned_target",
    "read_split_tables",
    "read_table",
    "split_files",
    "table_from_frame",
    "target_names",
    "usable_features",
    "why_not_one_hot",
    "with_number_targets",
]
