"""A JSON object as HTTP interfaces, commands and reports give it.

A data set in DICOM's JSON model is something else: `p2pacs.dataset.json_model.Json`.
"""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
"""Its members by name."""
