"""What pydicom 3 raises on bytes that are no data set, or on values that are none of their VR."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from pydicom.errors import BytesLengthException

UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,  # a sequence that is cut off
    RecursionError,  # sequences nested a thousand deep
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
