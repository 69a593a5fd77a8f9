"""pydicom without the libraries that it takes along where they are installed."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

_TAKEN_ALONG: Final = ("numpy", "PIL", "requests")
_MODULES: Final = ("pydicom", "pydicom.dataset", "pydicom.filereader", "pydicom.filewriter")


def load_pydicom() -> None:
    """Import pydicom as if neither NumPy nor Pillow nor requests were there; to be called before
    anything else imports it.

    They are for pixels and for downloading test files, which only workers and tests do; a program
    that never does carried 16 MB of them, and took a fifth longer to start. Whoever imports them
    afterwards gets them.
    """
    hidden = [name for name in _TAKEN_ALONG if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(hidden))  # with None there, an import fails
    try:
        for name in _MODULES:
            importlib.import_module(name)
    finally:
        for name in hidden:
            del sys.modules[name]
