"""Which package the viewer is, and what of it is needed. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from p2pacs.limits import MIB

NAME: Final = "@ohif/app"
VERSION: Final = "3.13.2"
LICENSE: Final = "MIT"
INTEGRITY: Final = (
    "sha512-"
    "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
)
"""Of its archive, as npm writes it (W3C SRI). Before another version stands here, the tests have
tried it."""

PACKED_BYTES: Final = 64 * MIB
"""An archive; that of this version has 48 MiB."""
UNPACKED_BYTES: Final = 256 * MIB
"""All files of an archive; those of this version have 195 MiB, of which 58 are needed."""
FILES: Final = 2000
"""Files of an archive; this version has 249."""

LICENSE_FILE: Final = "LICENSE"
INDEX: Final = "index.html"
CONFIGURATION: Final = "app-config.js"
SERVICE_WORKER_TAG: Final = (
    b'<script rel="preload" as="script" type="module" src="/init-service-worker.js"></script>'
)

_CONTENT: Final = "package/dist/"
_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._@-]*")
_UNNEEDED: Final = (
    "ort/",  # onnxruntime, for its AI tools: two thirds of the archive
    "customizations/",
    CONFIGURATION,  # names a public demonstration server
    "sw.js",  # a service worker would keep old versions
    "init-service-worker.js",
    "silent-refresh.html",  # loads from another site
    "google.js",
    "oidc-client.min.js",
    "es6-shim.min.js",
    "polyfill.min.js",
    "serve.json",
    "_headers",
    "_redirects",
)
_HASHED: Final = re.compile(r"(?:^|\.)[0-9a-f]{16}\.[a-z0-9]+$")
_COMPRESSIBLE: Final = frozenset({".js", ".css", ".html", ".json", ".svg", ".wasm", ".ico"})
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}


def needed(member: str) -> str | None:
    """Where a file of the archive goes, below the viewer's own folder; None: it stays out.

    Only names that are plain on every system are taken, whatever an archive says.
    """
    if member == f"package/{LICENSE_FILE}":
        return LICENSE_FILE
    path = member.removeprefix(_CONTENT)
    if path == member or path.startswith(_UNNEEDED) or path.endswith(".map"):
        return None
    if not all(_PART.fullmatch(part) for part in path.split("/")):
        return None
    return path


def is_hashed(path: str) -> bool:
    """Whether a file's name changes with its bytes: then a browser need not ask again."""
    return _HASHED.search(PurePosixPath(path).name) is not None


def is_compressible(path: str) -> bool:
    """Whether gzip makes it smaller."""
    return PurePosixPath(path).suffix in _COMPRESSIBLE


def media_type(path: str) -> str:
    """The Content-Type of a file."""
    return _MEDIA_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")
