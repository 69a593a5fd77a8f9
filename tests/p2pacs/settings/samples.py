"""Settings of tests."""

from pathlib import Path

from pydantic import Field

from p2pacs.settings import EndpointField, RateField, Settings, load_settings


class Line(Settings):
    uplink: RateField | None = Field(default=None, description="Uplink.", examples=["800kbit"])
    lan: tuple[str, ...] = Field(default=(), description="Networks.")


class Example(Settings):
    name: str = Field(description="The name.")
    listen: EndpointField = Field(description="Where to listen.", examples=["0.0.0.0:4433"])
    tries: int = Field(default=5, ge=1, description="How often.")
    line: Line = Line()
    destinations: dict[str, EndpointField] = Field(default_factory=dict, description="Who.")


def load(tmp_path: Path, text: str) -> Example:
    path = tmp_path / "example.toml"
    path.write_text(text)
    return load_settings(path, Example)
