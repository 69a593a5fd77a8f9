"""The base of all tables of settings, and the tables that both programs have."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from p2pacs.settings.fields import HoursField, NetworkField, RateField, SizeField, UplinkField


class Settings(BaseModel):
    """Base of all settings models: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LineSettings(Settings):
    """The line to the other members."""

    uplink: UplinkField | None = Field(
        default=None,
        description='How much of the uplink p2pacs may use. "measured": as much as the line '
        "carries while others on it still get through at once. Not set: all that there is, "
        "without regard to others.",
        examples=["800kbit", "measured"],
    )
    hours: tuple[HoursField, ...] = Field(
        default=(),
        description="Hours (local time) in which another rate counts for the uplink; for a "
        "measured uplink it is the most. The first that fits counts; off: no images are sent.",
        examples=[["mon-fri 08:00-18:00 400kbit", "sat,sun 00:00-24:00 off"]],
    )
    downlink: RateField | None = Field(
        default=None,
        description="How much of the downlink p2pacs may use; not set: all that there is.",
        examples=["3mbit"],
    )
    lan: tuple[NetworkField, ...] = Field(
        default=(),
        description="Networks beside this machine: what goes there is not counted as the line's.",
        examples=[["192.168.1.0/24"]],
    )

    @model_validator(mode="after")
    def _hours_need_an_uplink(self) -> Self:
        if self.hours and self.uplink is None:
            raise ValueError("hours need an uplink, which counts in all others")
        return self


class StoreSettings(Settings):
    """The chunks on disk."""

    capacity: SizeField | None = Field(
        default=None,
        description="Bytes that the store may use. Studies not used for longest are dropped when "
        "it is reached, but never the last copy of one. Not set: until the disk is full.",
        examples=["50GB"],
    )


class LogSettings(Settings):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    json_lines: bool = Field(default=False, description="One JSON object a line instead of text.")
