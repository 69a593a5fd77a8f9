"""A member in a namespace of `nat_world`: python -m tests.p2pacs.punch.nat_member FOLDER NAME …

Prints JSON, a line for each thing that happens.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import structlog
import trio

from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.keys import Secret, SigningKey
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import ChunkId, StudyId
from p2pacs.line.line import Line
from p2pacs.store.store import open_store
from p2pacs.study.manifest import ChunkList, Root, sign_root
from p2pacs.swarm.node import Node, Services
from p2pacs.units import Endpoint

CT = StudyId(bytes(16))
CHUNK = 64 * 1024
CHUNKS = 8
START = time.monotonic()


def say(what: str, **fields: object) -> None:
    now = round(time.monotonic() - START, 3)
    sys.stdout.write(json.dumps({"what": what, "at": now} | fields) + "\n")
    sys.stdout.flush()


async def main(folder: Path, name: str, listen: str, wants: str, seconds: float) -> None:
    identity = NodeIdentity.load(folder)
    book = DirectoryBook(folder / "directory", identity.broker_key)
    addresses = [] if listen == "-" else [Endpoint.parse(listen)]
    enrol = None
    async with open_store(folder / "store", capacity=None) as store:
        node = Node(identity, book, store, Line(), Services(), addresses, enrol)
        if wants == "has":
            study = await store.study(CT)
            signing = SigningKey.from_raw(Secret(bytes.fromhex(os.environ["SIGNING"])))
            listed = ChunkList()
            for number in range(CHUNKS):
                data = bytes([number]) * CHUNK
                await study.put(number, ChunkId.of(data), data)
                listed.append(ChunkId.of(data), CHUNK)
            segments = {ChunkId.of(segment): segment for segment in listed.segments()}
            for chunk, segment in segments.items():
                await study.put_segment(chunk, segment)
            root = Root(CT, 1, True, CHUNK, CHUNKS, listed.total_bytes, tuple(segments), ())
            await study.put_root(sign_root(root, signing), version=1)
        async with trio.open_nursery() as nursery:
            await nursery.start(node.run)
            say("runs")
            with trio.move_on_after(seconds):
                await node.host.until_broker_linked()
                others = [one for one in book.directory.members if one.name == "replica"]
                await node.host.mesh.until_linked(*(one.address for one in others))
                await trio.sleep(0.3)
                position = node.puncher.position
                say("ready", nat=position.nat.name, outer=position.outer)
                if wants not in ("has", "-"):
                    record = next(one for one in book.directory.members if one.name == wants)
                    start = trio.current_time()
                    transfer = node.host.engine.downloads.fetch(CT, holders=[record.address])
                    await node.host.mesh.until_linked(record.address)
                    took = trio.current_time() - start
                    link = node.host.mesh.links[record.address]
                    say(
                        "linked",
                        took=round(took, 3),
                        met=link.met,
                        lan=link.lan,
                        peer=str(link.peer),
                    )
                    await transfer.wait_complete()
                    say("complete", took=round(trio.current_time() - start, 3))
                await trio.sleep_forever()
            why = [
                str(node.puncher.pairs.why(one.address))
                for one in book.directory.members
                if node.puncher.pairs.why(one.address)
            ]
            say("end", why=why)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    trio.run(main, Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]))
