"""Settings: one file of declarations for each kind, groups.py for the whole; keys.py for text to values and back."""

from gnomon.core.settings.data import DataSettings, SplitSettings
from gnomon.core.settings.groups import GoalSettings, MachineSettings, Settings
from gnomon.core.settings.keys import (
    GROUPS,
    SettingRow,
    declared_knob,
    fill,
    flat,
    from_flat,
    full_key,
    knobs,
    parts,
    read_value,
    refuse_idle,
    refuse_others,
    rows,
    short_key,
    value_of,
    with_values,
)
from gnomon.core.settings.model import InitSettings, ModelSettings, TaskSettings
from gnomon.core.settings.training import OptimiserSettings, RegulariseSettings, ScheduleSettings, StopSettings
from gnomon.core.settings.types import DURATION, RATE_TABLE, Activation, Activations, OwnSettings, Widths, setting

__all__ = [
    "DURATION",
    "GROUPS",
    "RATE_TABLE",
    "Activation",
    "Activations",
    "DataSettings",
    "GoalSettings",
    "InitSettings",
    "MachineSettings",
    "ModelSettings",
    "OptimiserSettings",
    "OwnSettings",
    "RegulariseSettings",
    "ScheduleSettings",
    "SettingRow",
    "Settings",
    "SplitSettings",
    "StopSettings",
    "TaskSettings",
    "Widths",
    "declared_knob",
    "fill",
    "flat",
    "from_flat",
    "full_key",
    "knobs",
    "parts",
    "read_value",
    "refuse_idle",
    "refuse_others",
    "rows",
    "setting",
    "short_key",
    "value_of",
    "with_values",
]
