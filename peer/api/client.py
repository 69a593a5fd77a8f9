"""What the commands say to the running peer of this machine: HTTP on loopback (`peer.api.api`)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

import httpx
import trio

from p2pacs.errors import LocalError, P2PacsError, StateError
from p2pacs.limits import MIB, OUTGOING_TOGETHER
from p2pacs.output.json_object import JsonObject
from peer.api.openapi import DICOM
from peer.config import API_ACCESS, load_peer_settings

TIMEOUT: Final = httpx.Timeout(30.0, read=150.0)
"""Seconds. Reading waits longer than the peer itself waits for the broker and the members, and
than its streams are silent (`peer.api.activity.HEARTBEAT`)."""


class PeerClient:
    """The peer whose folder this is. Open it with `connect`."""

    def __init__(self, http: httpx.AsyncClient, folder: Path) -> None:
        self._http = http
        self._folder = folder

    @classmethod
    @asynccontextmanager
    async def connect(cls, folder: Path) -> AsyncIterator[Self]:
        """A client for the peer in ``folder``.

        Raises:
            StateError: there is none, it does not run, or its token may not be read.
        """
        settings = load_peer_settings(folder)
        try:
            token = (await trio.Path(folder / API_ACCESS).read_text(encoding="ascii")).strip()
        except FileNotFoundError as error:
            raise not_running(folder) from error
        except OSError as error:
            raise StateError(
                f"{folder / API_ACCESS} may not be read: use the account that runs the peer"
            ) from error
        except UnicodeDecodeError as error:
            raise StateError(
                f"{folder / API_ACCESS} is damaged: start the peer anew, which writes it"
            ) from error
        async with httpx.AsyncClient(
            base_url=f"http://{settings.api}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            trust_env=False,  # a proxy must never see what is asked on loopback
        ) as http:
            yield cls(http, folder)

    async def status(self) -> JsonObject:
        """See ``GET /status`` in `peer.api.api`."""
        return await self._call("GET", "/status")

    async def reach(self) -> JsonObject:
        """How the broker sees this peer; see ``POST /broker/reach`` in `peer.api.openapi`."""
        return await self._call("POST", "/broker/reach")

    async def find(self, keys: dict[str, str], *, sent: bool = False) -> list[JsonObject]:
        """The studies that match; only those that were sent to this hospital."""
        asked = {**keys, **({"sent": True} if sent else {})}
        found: list[JsonObject] = (await self._call("POST", "/find", asked))["studies"]
        return found

    async def outgoing_studies(self) -> list[JsonObject]:
        """Studies that are sent from here, newest first; see `peer.api.outgoing_studies`."""
        found: list[JsonObject] = (await self._call("GET", "/outgoing/studies"))["studies"]
        return found

    async def change_outgoing(self, number: int, what: str) -> JsonObject:
        """Do something about one of them: ``retry``, ``cancel`` or ``remove``."""
        return await self._call("POST", f"/outgoing/studies/{number}/{what}")

    async def address_outgoing(self, number: int, to: Sequence[str], priority: str) -> JsonObject:
        """Have one of them go to further members."""
        body = {"to": list(to), "priority": priority}
        return await self._call("POST", f"/outgoing/studies/{number}/address", body)

    async def begin(self, study_instance_uid: str, priority: str = "interactive") -> JsonObject:
        """Start fetching, or join whoever does; see ``POST /studies/fetch`` in `peer.api.api`."""
        body = {"study_instance_uid": study_instance_uid, "priority": priority}
        return await self._call("POST", "/studies/fetch", body)

    async def fetch(self, study_instance_uid: str) -> str:
        """Start fetching; the study's id, by which it is named from now on."""
        study: str = (await self.begin(study_instance_uid))["study"]
        return study

    async def instance(self, study: str, number: int) -> bytes:
        """One instance that has become whole, as a DICOM file."""
        with self._translated():
            answer = await self._http.get(f"/studies/{study}/instances/{number}")
            _check(answer)
            return answer.content

    @asynccontextmanager
    async def instance_pieces(
        self, study: str, number: int
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The same in pieces, which are not in memory together."""
        with self._translated():
            path = f"/studies/{study}/instances/{number}"
            async with self._http.stream("GET", path) as answer:
                if answer.is_error:
                    await answer.aread()
                _check(answer)
                yield answer.aiter_bytes(MIB)

    async def preview(self, study: str, number: int, frame: int) -> bytes:
        """What can be shown of a frame before its instance is whole, as a PNG file.

        Raises:
            NotFoundError: There is nothing (yet).
        """
        with self._translated():
            path = f"/studies/{study}/instances/{number}/preview"
            answer = await self._http.get(path, params={"frame": frame})
            _check(answer)
            return answer.content

    async def cancel(self, study: str) -> None:
        """Stop fetching a study, unless somebody else at this peer wants it too."""
        await self._call("POST", f"/transfers/{study}/cancel")

    async def known(self, files: Sequence[JsonObject]) -> list[JsonObject | None]:
        """What became of those that came before; see ``POST /outgoing/known``."""
        answer = await self._call("POST", "/outgoing/known", {"instances": list(files)})
        found: list[JsonObject | None] = answer["instances"]
        return found

    async def send(self, file: AsyncIterable[bytes]) -> JsonObject:
        """Have a DICOM file sent; see ``POST /outgoing/instances``."""
        headers = {"Content-Type": DICOM}
        with self._translated():
            answer = await self._http.post("/outgoing/instances", content=file, headers=headers)
            _check(answer)
            kept: JsonObject = answer.json()
            return kept

    async def address(self, uids: Sequence[str], to: Sequence[str], priority: str) -> None:
        """Have studies go to members; see ``POST /outgoing/address``."""
        body = {"study_instance_uids": list(uids), "to": list(to), "priority": priority}
        await self._call("POST", "/outgoing/address", body)

    async def sent(self, study_instance_uids: Sequence[str]) -> list[JsonObject]:
        """How far studies are that are sent; see ``POST /outgoing/studies``."""
        found: list[JsonObject] = []
        for first in range(0, len(study_instance_uids), OUTGOING_TOGETHER):
            some = list(study_instance_uids[first : first + OUTGOING_TOGETHER])
            answer = await self._call("POST", "/outgoing/studies", {"study_instance_uids": some})
            found += answer["studies"]
        return found

    @asynccontextmanager
    async def instances(self, study: str) -> AsyncIterator[AsyncGenerator[JsonObject, None]]:
        """The instances of a study as they become whole; see ``GET /studies/…/instances``."""
        async with self._lines(f"/studies/{study}/instances") as lines:
            yield lines

    @asynccontextmanager
    async def levels(self, study: str) -> AsyncIterator[AsyncGenerator[JsonObject, None]]:
        """What can be shown of a study, as it comes; see ``GET /studies/…/levels``."""
        async with self._lines(f"/studies/{study}/levels") as lines:
            yield lines

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncGenerator[JsonObject, None]]:
        """The transfers, again whenever something changed."""
        async with self._lines("/transfers/events") as lines:
            yield lines

    @asynccontextmanager
    async def _lines(self, path: str) -> AsyncIterator[AsyncGenerator[JsonObject, None]]:
        with self._translated():
            async with self._http.stream("GET", path) as answer:
                if answer.is_error:
                    await answer.aread()
                _check(answer)
                yield _objects(answer)

    async def _call(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        with self._translated():
            answer = await self._http.request(method, path, json=body)
            _check(answer)
            result: JsonObject = answer.json()
            return result

    def _translated(self) -> _Translated:
        return _Translated(self._folder)


class _Translated:
    """httpx's errors as ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, httpx.ConnectError):
            raise not_running(self._folder) from error
        if isinstance(error, httpx.TransportError):
            raise StateError(
                f"the peer in {self._folder} stopped answering: see its log, start it again with "
                f"p2pacs peer run {self._folder} and run the command again; what is here is kept"
            ) from error


def not_running(folder: Path) -> StateError:
    """The peer of this folder does not run, and what is to be done first."""
    if _read_only(folder):
        return StateError(
            f"the peer in {folder} is not running, and cannot: its disk is mounted read-only. "
            f"Mount it so that it may be written, then start it with p2pacs peer run {folder}"
        )
    return StateError(
        f"the peer in {folder} is not running: start it with p2pacs peer run {folder}"
    )


def _read_only(folder: Path) -> bool:
    if sys.platform == "win32":  # has no statvfs
        return False
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


async def _objects(answer: httpx.Response) -> AsyncGenerator[JsonObject, None]:
    async for line in answer.aiter_lines():
        value: JsonObject = json.loads(line)
        if "error" in value:
            raise error_of(value)
        yield value


def _check(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        raise error_of(answer.json())
    except ValueError as error:
        raise LocalError(f"the peer answered {answer.status_code}: see its log") from error


def error_of(said: JsonObject) -> P2PacsError:
    """The error that `p2pacs.errors.report` described."""
    kind = _kinds(P2PacsError).get(str(said.get("error")), LocalError)
    return kind(str(said.get("message")))


def _kinds(root: type[P2PacsError]) -> dict[str, type[P2PacsError]]:
    kinds = {root.__name__: root}
    for child in root.__subclasses__():
        kinds |= _kinds(child)
    return kinds
