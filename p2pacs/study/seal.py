"""Sealing of chunks: AES-256-GCM-SIV (RFC 8452) under the study's key with a fixed nonce.

The nonce is fixed on purpose: equal plaintexts of one study give equal chunks, so that
a later version moves only what is new. GCM-SIV keeps its promises when a nonce repeats;
what leaks is that two chunks of one study are equal, and nothing else.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from p2pacs.errors import CodingError
from p2pacs.identity.keys import StudyKey
from p2pacs.limits import CHUNK_BYTES, PLAIN_BYTES, SEAL_BYTES

_NONCE: Final = bytes(12)


def seal(key: StudyKey, plain: bytes) -> bytes:
    """The chunk of this plaintext: ciphertext, then a tag of 16 bytes.

    Raises:
        CodingError: more plaintext than one chunk may have.
    """
    if len(plain) > PLAIN_BYTES:
        raise CodingError(f"a chunk has at most {PLAIN_BYTES} bytes of plaintext, not {len(plain)}")
    return AESGCMSIV(key.reveal()).encrypt(_NONCE, plain, None)


def open_chunk(key: StudyKey, cipher: bytes) -> bytes:
    """The plaintext of a chunk that `seal` made with this key.

    Raises:
        CodingError: sealed with another key, or changed since.
    """
    if not SEAL_BYTES <= len(cipher) <= CHUNK_BYTES:
        raise CodingError(f"a chunk has {SEAL_BYTES} to {CHUNK_BYTES} bytes, not {len(cipher)}")
    try:
        return AESGCMSIV(key.reveal()).decrypt(_NONCE, cipher, None)
    except InvalidTag as error:
        raise CodingError("a chunk does not open with the key of its study") from error
