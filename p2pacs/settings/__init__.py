"""Settings in a commented TOML file: loaded through a pydantic model, and written from it.

The model is the only description: its fields carry meaning (``description``),
default and example (``examples``), from which `render_settings` writes the file.
"""

from p2pacs.settings.fields import (
    AeTitleField,
    EndpointField,
    HoursField,
    NetworkField,
    OriginField,
    RateField,
    RoomField,
    SizeField,
    UplinkField,
    parse_size,
)
from p2pacs.settings.reading import complaints, load_settings, merged, read_given
from p2pacs.settings.tables import (
    DicomTlsSettings,
    LineSettings,
    LogSettings,
    MetricsSettings,
    Settings,
    StoreSettings,
    WebSettings,
)
from p2pacs.settings.writing import render_settings, toml_value

__all__ = [
    "AeTitleField",
    "DicomTlsSettings",
    "EndpointField",
    "HoursField",
    "LineSettings",
    "LogSettings",
    "MetricsSettings",
    "NetworkField",
    "OriginField",
    "RateField",
    "RoomField",
    "Settings",
    "SizeField",
    "StoreSettings",
    "UplinkField",
    "WebSettings",
    "complaints",
    "load_settings",
    "merged",
    "parse_size",
    "read_given",
    "render_settings",
    "toml_value",
]
