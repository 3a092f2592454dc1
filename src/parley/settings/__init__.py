"""Every setting; nobody else reads the environment."""

from parley.settings.describe import SettingFact, setting_facts
from parley.settings.load import engine_values, load_settings, tool_values
from parley.settings.model import Settings
from parley.settings.values import (
    IceServer,
    data_folder,
    is_loopback,
    usable_cores,
    visible_gpus,
)

__all__ = [
    "IceServer",
    "SettingFact",
    "Settings",
    "data_folder",
    "engine_values",
    "is_loopback",
    "load_settings",
    "setting_facts",
    "tool_values",
    "usable_cores",
    "visible_gpus",
]
