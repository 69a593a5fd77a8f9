"""Marks of tests in which something is odd on purpose: its warnings tell nothing new."""

import pytest

ODD_VALUES = pytest.mark.filterwarnings(
    "ignore:(Invalid value for VR|The value length):UserWarning"
)
"""A value that its VR cannot have, or a longer one: as PACS and workstations send them."""

ODD_BYTES = pytest.mark.filterwarnings(
    "ignore:(Expected (explicit|implicit) VR|Found unknown escape sequence):UserWarning"
)
"""Bytes that are no data set, or one in another encoding than was said."""
