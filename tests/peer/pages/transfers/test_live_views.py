"""Pages that change by themselves, and their streams, over HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import trio

from p2pacs.output.json_object import JsonObject
from p2pacs.pages.live_updates import LiveTuning
from p2pacs.swarm.scheduling.priority import Priority
from peer.accounts.rights import UserRole
from peer.retrieval.requester import Requester
from tests.p2pacs.pages.browser import Browser
from tests.peer.pages.served import Served, served
from tests.peer.world import instances
from tests.waiting import eventually


class Stream:
    """What came of a stream, topic by topic: the latest."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.latest: dict[str, JsonObject] = {}
        self.over = False

    async def run(self) -> None:
        async for line in self.response.aiter_lines():
            if line.startswith("data: ["):
                topic, value = json.loads(line.removeprefix("data: "))
                self.latest[topic] = value
            self.over |= line == "event: over"


@asynccontextmanager
async def stream(browser: Browser, path: str) -> AsyncIterator[Stream]:
    async with browser.http.stream("GET", path) as response, trio.open_nursery() as nursery:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        opened = Stream(response)
        nursery.start_soon(opened.run)
        yield opened
        nursery.cancel_scope.cancel()


def transfer(pages: Served) -> str:
    return f"transfer-{pages.world.broker.study}"


async def test_a_page_sees_a_transfer_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with (
        served(tmp_path, complete=False) as pages,
        pages.browser() as browser,
        stream(browser, "/live/transfers") as seen,
    ):
        await eventually(lambda: seen.latest.get("transfers") == {"shown": []})
        await browser.send(pages.study, f"{pages.study}/fetch")
        await eventually(lambda: seen.latest.get(transfer(pages), {}).get("state"))
        assert seen.latest[transfer(pages)]["state"] == "fetching"
        await eventually(lambda: "9" in seen.latest[transfer(pages)]["map"])
        assert "Grün" not in json.dumps(seen.latest, ensure_ascii=False)
        await pages.world.broker.publish(instances(2, first=4))
        await eventually(lambda: seen.latest[transfer(pages)]["state"] == "complete")
        assert set(seen.latest[transfer(pages)]["map"]) == {"9"}
        card = await browser.get(f"/transfers/{pages.world.broker.study}/card")
        assert "Grün, Zoë" in card.text
        assert "<html" not in card.text


async def test_the_page_of_a_study_sees_its_images_come(tmp_path: Path) -> None:
    async with served(tmp_path, complete=False) as pages, pages.browser() as browser:
        topic = f"study-{pages.world.broker.study}"
        async with stream(browser, f"/live{pages.study}") as seen:
            await eventually(lambda: topic in seen.latest)
            assert seen.latest[topic]["known"] == 0
            await browser.send(pages.study, f"{pages.study}/fetch")
            await eventually(lambda: seen.latest[topic]["levels"] == "999")
            assert seen.latest[topic]["series"] == {"1": "3 of 3 images here"}
            await pages.world.broker.publish(instances(2, first=4))
            await eventually(lambda: seen.latest[topic]["levels"] == "99999")


async def test_images_are_known_of_what_nobody_waits_for(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        requester = Requester("x", "get", Priority.BACKGROUND)
        fetch = await pages.peer.reads.resume(pages.world.broker.study, requester)
        await fetch.transfer.wait_complete()
        assert not fetch.known
        topic = f"study-{pages.world.broker.study}"
        async with stream(browser, f"/live{pages.study}") as seen:
            await eventually(lambda: seen.latest.get(topic, {}).get("levels") == "999")


async def test_members_are_seen_to_come_and_go(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser(UserRole.ADMINISTRATOR) as browser:
        assert "broker" in (await browser.get("/network")).text
        async with stream(browser, "/live/network") as seen:

            def linked() -> list[str]:
                members = seen.latest.get("network", {}).get("members", [])
                return [one["name"] for one in members if one["state"] == "linked"]

            await eventually(lambda: linked() == ["broker"])
            await pages.world.stop("broker")
            await eventually(lambda: linked() == [])
            assert "The broker is not linked" in (await browser.get("/network")).text


async def test_a_stream_ends_when_its_session_does(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        async with stream(browser, "/live/transfers") as seen:
            await eventually(lambda: len(pages.content.sources.live) == 1)
            await browser.send("/studies", "/logout")
            await eventually(lambda: seen.over)
        await eventually(lambda: not len(pages.content.sources.live))


async def test_signing_out_ends_the_streams_of_the_session_at_once(tmp_path: Path) -> None:
    live = LiveTuning(heartbeat=3600)
    async with (
        served(tmp_path, live=live) as pages,
        pages.browser() as browser,
        pages.browser() as other,
        stream(other, "/live/transfers") as stays,
    ):
        async with stream(browser, "/live/transfers") as seen:
            await eventually(lambda: len(pages.content.sources.live) == 2)
            await browser.send("/studies", "/logout")
            await eventually(lambda: seen.over)
        assert len(pages.content.sources.live) == 1
        assert not stays.over


async def test_open_pages_say_so_when_the_hospital_is_revoked(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        async with stream(browser, "/live/transfers") as seen:
            await eventually(lambda: seen.latest.get("trouble") == {"words": "", "revoked": ""})
            pages.world.revoke("a")
            await eventually(lambda: "revoked" in seen.latest["trouble"]["revoked"])
        assert "the network has revoked it" in (await browser.get("/network")).text


async def test_nobody_who_is_not_signed_in_gets_a_stream(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, httpx.AsyncClient(base_url=pages.url, timeout=60) as http:
        for path in ("/live/transfers", "/live/network", f"/live{pages.study}"):
            assert (await http.get(path)).headers["location"] == "/login"
