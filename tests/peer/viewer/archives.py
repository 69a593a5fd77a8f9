"""Archives as npm makes them, made up."""

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from peer.viewer import package

PAGE = (
    b"<html><script>window.PUBLIC_URL='/'</script>"
    + package.SERVICE_WORKER_TAG
    + b'<script defer src="/app.bundle.0123456789abcdef.js"></script></html>'
)
SCRIPT = b"let x = 1;\n" * 500
FILES = {
    "package/LICENSE": b"MIT",
    "package/package.json": b"{}",
    "package/dist/index.html": PAGE,
    "package/dist/app.bundle.0123456789abcdef.js": SCRIPT,
    "package/dist/app.bundle.css": b"a{}" * 100,
    "package/dist/app-config.js": b"window.config = 'of somebody else';",
    "package/dist/sw.js": b"self.addEventListener('fetch')",
    "package/dist/ort/ort.wasm": b"large",
    "package/dist/app.js.map": b"{}",
    "package/dist/0123456789abcdef.wasm": bytes(range(256)),
    "package/dist/assets/favicon.ico": b"icon",
}


def archive_of(
    path: Path, files: Mapping[str, bytes] = FILES, others: Iterable[tarfile.TarInfo] = ()
) -> Path:
    """An archive of these files, and of entries that are none."""
    with tarfile.open(path, "w:gz") as made:
        for entry in others:
            made.addfile(entry)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return path


def integrity_of(path: Path) -> str:
    """As npm writes it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()}"
