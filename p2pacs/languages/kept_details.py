"""Sentences that trails keep in English, said in the reader's language.

What is kept is never a translated text. So the sentence that was written is taken apart again by
the text that it was made of, and that is translated with the values that stood in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from p2pacs.languages.texts import N_, said
from p2pacs.phrases import Phrase

SIGN_IN: Final = (
    N_("right password, wrong code"),
    N_("wrong name or password"),
    N_("%(what)s (%(count)s times of late)"),
    N_("from further addresses: %(what)s"),
    N_("from %(source)s: %(what)s"),
    N_("from %(source)s"),
)
"""Of sign-ins (`p2pacs.accounts.sign_in`)."""

FROM_THE_BROKER: Final = (
    N_(
        "study %(study)s may not be sent by %(name)s (%(callers)s is not among %(titles)s): "
        "ask the administrator"
    ),
    N_("study %(study)s may not be sent by %(name)s (its rule is none): ask the administrator"),
    N_(
        "study %(study)s was sent by another hospital, or its UID is used twice: look it up before "
        "you send it"
    ),
    N_(
        "study %(study)s is in the central PACS already: look it up, and send what is missing of "
        "it there"
    ),
    N_(
        "study %(study)s is finished without this member: send what is missing of it to the "
        "central PACS"
    ),
    N_("study %(study)s was cancelled by the hospital that sends it: send it again there"),
    # As brokers said it before; spools keep it.
    N_("study %(study)s may not be sent by %(name)s: ask the administrator"),
    N_("study %(study)s belongs to another hospital: its UID is used twice; ask the administrator"),
    N_("study %(study)s is in the central PACS already: send what is missing of it there"),
    N_("%(name)s may not read study %(study)s: ask the administrator"),
    N_("%(name)s was revoked"),
    N_("study %(study)s is not in the catalogue: deleted, or too new"),
    N_("the broker did not answer within %(seconds)s s"),
    N_("ask one thing at a time: too many questions wait for answers"),
    N_("too much at once: again in %(seconds)s s"),
)
"""What came over the wire, in English: why the broker refused a study."""

FROM_A_PACS: Final = (
    N_("%(pacs)s cannot be reached: does it run at this address?"),
    N_(
        "%(pacs)s takes the connection and does not answer: check its port, and whether it lets"
        " this machine in"
    ),
    N_("%(pacs)s does not know such services: check its port"),
    N_("%(pacs)s does not know our AE title: register it there"),
    N_("%(pacs)s has another AE title: check it in its address"),
    N_("%(pacs)s rejects our association: check the AE titles"),
    N_("%(pacs)s is busy: try again later"),
    N_("the host of %(pacs)s has no address: check its name"),
    N_("%(pacs)s does not answer: is it hung?"),
    N_("the certificate of %(pacs)s is not trusted here"),
    N_("there is no TLS with %(pacs)s: is it https?"),
    N_("the connection to %(pacs)s broke (%(what)s)"),
)
"""Why a PACS or a workstation cannot be asked (`p2pacs.dimse`, `p2pacs.dicomweb.client`)."""

_PLACE: Final = re.compile(r"%\((\w+)\)s")

_PARTS: Final = ("what", "more")
"""Values that are sentences again."""

_WORDS: Final = ("old", "new", "role")
"""Values that may be kept words."""

_DEEP: Final = 5
"""Sentences within sentences."""


def refusal_words(text: str) -> str:
    """Why something was refused, in the reader's language: a phrase, a text that was marked, or
    what came over the wire from the broker."""
    return said(text) if isinstance(text, Phrase) else detail_words(said(text), FROM_THE_BROKER)


def detail_words(text: str, forms: Sequence[str], deep: int = _DEEP) -> str:
    """A kept sentence in the reader's language; one of no form comes as it is.

    Args:
        text: as it is kept.
        forms: the English texts that it may be made of, the more special first; ``%(what)s`` and
            ``%(more)s`` stand for sentences of these forms, ``%(role)s``, ``%(old)s`` and
            ``%(new)s`` for words of `p2pacs.languages.kept_words`, others for values.
        deep: so many sentences may lie in each other.
    """
    for form in forms:
        found = _pattern(form).fullmatch(text)
        if found is not None:
            values = found.groupdict()
            for name in _PARTS:
                if name in values and deep:
                    values[name] = detail_words(values[name], forms, deep - 1)
            values |= {name: said(values[name]) for name in _WORDS if name in values}
            return said(form) % values
    return text


def kept_phrase(text: str, forms: Sequence[str]) -> str:
    """A kept sentence as the phrase that it was, with its values; one of no form as it is."""
    for form in forms:
        if (found := _pattern(form).fullmatch(text)) is not None:
            return Phrase(form, **found.groupdict())
    return text


@cache
def _pattern(form: str) -> re.Pattern[str]:
    pieces = _PLACE.split(form)
    # Texts and names of places stand by turns.
    written = [
        f"(?P<{piece}>.+?)" if number % 2 else re.escape(piece)
        for number, piece in enumerate(pieces)
    ]
    return re.compile("".join(written), re.DOTALL)
