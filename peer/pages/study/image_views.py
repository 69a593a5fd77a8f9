"""Pictures of images: small ones as they arrive, and whole ones as somebody scrolls through them.

Never for diagnosis: that is what workstations are for.
"""

from __future__ import annotations

from typing import Final

import trio
from attrs import frozen
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from p2pacs.accounts.sessions import Session
from p2pacs.dataset.json_model import number
from p2pacs.errors import ManifestError, NotFoundError, UsageError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.phrases import Phrase
from p2pacs.rendering.options import JPEG, RenderedViewport, RenderOptions, VoiWindow
from p2pacs.rendering.render import FrameInput
from p2pacs.web.numbers import number_of, whole_number
from p2pacs.workers.coding import Workers
from peer.api.png import to_png
from peer.pages.sources.page_reads import PageReads
from peer.pages.study.series_list import images_of
from peer.retrieval.frame_reads import read_header_bytes
from peer.retrieval.instances.fetch_order import in_order
from peer.retrieval.instances.live_index import Known
from peer.retrieval.study_fetch import StudyFetch

SMALL: Final = 2
"""Level of small pictures: a quarter of the image, where there is one so fine."""

SMALL_SIDE: Final = 160
"""Pixels of a small picture that is drawn from the image."""

LARGE_SIDE: Final = 1024
"""Pixels of a large one at most: what a browser shows of it."""

PATIENCE: Final = 30.0
"""Seconds that a picture waits for its image: the page asks again."""

_KEPT: Final = {"Cache-Control": "private, max-age=600"}
"""A picture may stay in the browser for a while: it is scrolled over again and again."""


@frozen
class ImageViews:
    """Pictures for who may look."""

    reads: PageReads
    workers: Workers

    async def preview(self, request: Request, session: Session) -> Response:
        """What can be shown of an instance now: nothing is waited for."""
        fetch = await self.reads.open(study_of(request), session)
        frame = _number(request, "frame", None)
        with fetch.in_use():
            known = fetch.instance(number_of(request))
            try:
                preview = await fetch.preview(known, frame, SMALL)
            except NotFoundError:
                if not fetch.is_here(known):
                    raise
                return await self._drawn(fetch, known, frame, RenderOptions(JPEG, viewport=_SMALL))
            file = await trio.to_thread.run_sync(to_png, preview.picture)
        return Response(file, media_type="image/png", headers=_KEPT)

    async def picture(self, request: Request, session: Session) -> Response:
        """An image as it is, in some window; it comes before all others if it is not here yet."""
        fetch = await self.reads.open(study_of(request), session)
        given = request.query_params.get("window", "")
        window = VoiWindow.parse(given) if given else None
        frame = _number(request, "frame", 1)
        with fetch.in_use(), trio.move_on_after(PATIENCE):
            known = fetch.instance(number_of(request))
            options = RenderOptions(JPEG, window=window, viewport=_viewport(known))
            return await self._drawn(fetch, known, frame, options)
        raise NotFoundError(_("this image has not come yet: try again"))

    async def _drawn(
        self, fetch: StudyFetch, known: Known, frame: int | None, options: RenderOptions
    ) -> Response:
        frames = await self.reads.frames.open(fetch, known)
        shown = (frames.count + 1) // 2 if frame is None else frame
        if not 0 < shown <= frames.count:
            raise NotFoundError(_("there is no such image"))
        header = await read_header_bytes(fetch, known)
        syntax = known.entry.transfer_syntax_uid
        given = FrameInput(await frames.read(shown), header, syntax, shown)
        data = await self.workers.render(given, options)
        return Response(data, media_type=JPEG, headers=_KEPT)

    async def images(self, request: Request, session: Session) -> Response:
        """The images of a series that are known by now."""
        fetch = await self.reads.open(study_of(request), session)
        series = _number(request, "series", 1)
        shown = next((one for one in in_order(fetch.known) if one[0].series == series), [])
        return JSONResponse({"images": await trio.to_thread.run_sync(images_of, shown)})


_SMALL: Final = RenderedViewport(SMALL_SIDE, SMALL_SIDE)
_LARGE: Final = RenderedViewport(LARGE_SIDE, LARGE_SIDE)


def _viewport(known: Known) -> RenderedViewport | None:
    """An image larger than a browser shows is made smaller; no image is made larger."""
    try:
        sides = [number(known.entry.attributes, name) or 0 for name in ("Rows", "Columns")]
    except ManifestError:
        return _LARGE
    return _LARGE if max(sides) > LARGE_SIDE else None


def study_of(request: Request) -> StudyId:
    """The study that a path names.

    Raises:
        UsageError: it is no study id.
    """
    return StudyId.parse(request.path_params["study"])


def _number(request: Request, name: str, default: int | None) -> int | None:
    given = request.query_params.get(name, "")
    if not given:
        return default
    if (found := whole_number(given)) is None:
        raise UsageError(Phrase("%(name)s must be a whole number", name=name))
    return found
