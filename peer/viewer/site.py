"""The viewer's files over HTTP: out of the folder where they are installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import trio
from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from p2pacs.dicomweb import ranges
from p2pacs.dicomweb.server.requests import caller_of
from peer.viewer import package
from peer.viewer.configuration import app_config
from peer.viewer.installed import FILES, STAMP, Installed, ViewerFile, read_installed

STUDY: Final = "StudyInstanceUIDs"
"""In the query of its page: what it shows."""

BeginStudy = Callable[[str, str], object]
"""Told the UID of a study, as it was given, and who asks; at once back."""

FOREVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
"""Kept, but asked for each time: the answer is 304 as long as it is the same."""

_POLICY: Final = (
    "default-src 'none'",
    # Its codecs are WebAssembly, and its libraries make functions of texts (`new Function`).
    "script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval' {scripts}",
    "worker-src 'self' blob:",
    # It sets styles from its scripts.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self' data: blob:",
    "media-src 'self' blob:",
    "object-src blob:",  # PDF documents
    "frame-src blob:",
    "manifest-src 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
)

_ISOLATED: Final[Mapping[str, str]] = {"Cross-Origin-Embedder-Policy": "require-corp"}
"""With the opener policy that all our pages have: it may share memory between its workers."""

_AHEAD: Final[Mapping[str, str]] = {"Supports-Loading-Mode": "credentialed-prerender"}
"""The pages of the hospital, an origin of the same site, may have it loaded before the click
(Prerendering Revamped, 4.3)."""

NOT_INSTALLED: Final = (
    "The viewer is not installed here. The administrator of this machine can do it: "
    "p2pacs viewer install DIR, where DIR is the folder of the peer."
)


def policy(scripts: tuple[str, ...]) -> str:
    """The Content Security Policy of the viewer's origin.

    Args:
        scripts: hashes of the scripts inside its page.
    """
    quoted = " ".join(f"'{one}'" for one in scripts)
    return "; ".join(_POLICY).format(scripts=quoted).replace(" ;", ";")


@frozen
class _Known:
    stamp: tuple[int, int]
    installed: Installed


class ViewerSite:
    """Answers requests for the viewer's pages and files."""

    def __init__(self, folder: Path, begin: BeginStudy) -> None:
        """A site.

        Args:
            begin: told which study is opened and by whom: it can begin to come while the browser
                reads scripts.
            folder: where the viewer is, or will be: what is installed, replaced or removed while
                this runs is seen with the next page.
        """
        self._folder = folder
        self._begin = begin
        self._known: _Known | None = None

    async def __call__(self, request: Request) -> Response:
        """Answer one.

        Raises:
            HTTPException: there is no such file, or no viewer.
            StateError: the folder holds something else.
        """
        path = request.path_params["path"]
        installed = await trio.to_thread.run_sync(self._installed)
        if installed is None:
            return PlainTextResponse(NOT_INSTALLED, 503)
        if path == package.CONFIGURATION:
            return _configuration(request, installed)
        if path not in installed.files and "." not in path.rpartition("/")[2]:
            path = package.INDEX  # its pages are made in the browser, at paths of its own
            if not _is_ahead(request):
                for study in request.query_params.getlist(STUDY)[:1]:
                    self._begin(study, caller_of(request))
        if (file := installed.files.get(path)) is None:
            raise HTTPException(404, "The viewer has no such file.")
        return self._file(request, path, file, installed)

    def _installed(self) -> Installed | None:
        """What is there now (in a worker thread: it looks at the disk)."""
        try:
            found = (self._folder / STAMP).stat()
        except OSError:
            self._known = None
            return None
        stamp = (found.st_ino, found.st_mtime_ns)
        if self._known is None or self._known.stamp != stamp:
            installed = read_installed(self._folder)
            self._known = None if installed is None else _Known(stamp, installed)
        return None if self._known is None else self._known.installed

    def _file(
        self, request: Request, path: str, file: ViewerFile, installed: Installed
    ) -> Response:
        packed = file.packed is not None and takes_gzip(request.headers.getlist("accept-encoding"))
        etag = f'"{file.digest[:32]}{"-gzip" if packed else ""}"'
        headers = _headers(installed) | {
            "Cache-Control": FOREVER if package.is_hashed(path) else ASK_AGAIN,
            "Content-Type": package.media_type(path),
            "ETag": etag,
        }
        if file.packed is not None:
            headers["Vary"] = "Accept-Encoding"
        if ranges.is_same(request.headers.getlist("if-none-match"), etag):
            del headers["Content-Type"]
            return Response(status_code=304, headers=headers)
        if packed:
            headers["Content-Encoding"] = "gzip"
        name = f"{path}.gz" if packed else path
        return FileResponse(self._folder / FILES / name, headers=headers)


def _is_ahead(request: Request) -> bool:
    """Whether a browser asks before somebody has clicked (Fetch, ``Sec-Purpose``)."""
    return "prefetch" in request.headers.get("sec-purpose", "")


def _configuration(request: Request, installed: Installed) -> Response:
    multiplexed = request.scope.get("http_version", "").startswith("2")
    headers = _headers(installed) | {
        "Cache-Control": "no-store",
        "Content-Type": package.media_type(package.CONFIGURATION),
    }
    return Response(app_config(multiplexed=multiplexed), headers=headers)


def _headers(installed: Installed) -> dict[str, str]:
    return {**_ISOLATED, **_AHEAD, "Content-Security-Policy": policy(installed.scripts)}


def takes_gzip(fields: list[str]) -> bool:
    """Whether an Accept-Encoding takes gzip (RFC 9110 12.5.3)."""
    said = dict[str, str]()
    for entry in ",".join(fields).lower().replace(" ", "").split(","):
        coding, _, weight = entry.partition(";")
        said.setdefault(coding, weight)
    weight = said.get("gzip", said.get("*", "q=0"))
    return weight.rstrip("0") not in ("q=", "q=0.")
