"""Both senders are what uploads call: the same methods, with the same parameters."""

import inspect

import pytest

from p2pacs.swarm.upload.direct_sender import DirectSender
from p2pacs.swarm.upload.paced_sender import PacedSender
from p2pacs.swarm.upload.sender import ChunkSender

METHODS = [name for name in vars(ChunkSender) if inspect.isfunction(vars(ChunkSender)[name])]


@pytest.mark.parametrize("kind", [DirectSender, PacedSender])
def test_a_sender_has_what_uploads_call(kind: type) -> None:
    asked = [name for name in METHODS if not name.startswith("_")]
    assert {"run", "ask", "cancel", "drop"} <= set(asked)
    for name in asked:
        wanted = inspect.signature(getattr(ChunkSender, name)).parameters
        assert list(inspect.signature(getattr(kind, name)).parameters) == list(wanted), name
