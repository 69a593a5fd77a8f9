"""The languages of the pages: which one somebody gets, texts in it, numbers and dates as it writes
them. How texts are marked and translated is in ``docs/translating.md``.

Where nobody chose a language all is English: on the command line, in logs and in audit trails.
"""

from p2pacs.languages import formats
from p2pacs.languages.choice import LANGUAGES, current, speak, speaking
from p2pacs.languages.texts import N_, _, load, ngettext, said

__all__ = [
    "LANGUAGES",
    "N_",
    "_",
    "current",
    "formats",
    "load",
    "ngettext",
    "said",
    "speak",
    "speaking",
]
