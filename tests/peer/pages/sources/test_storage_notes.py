from pathlib import Path

import trio
from trio.testing import MockClock

from peer.db import open_database
from peer.pages.sources.storage import StoreUse
from peer.pages.sources.storage_notes import StorageNotes, StorageNotesTuning


async def test_it_is_noted_hour_by_hour_and_what_is_old_is_forgotten(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    used = 0
    async with open_database(tmp_path / "peer.db") as database:
        tuning = StorageNotesTuning(every=3600, kept=3 * 3600)
        notes = StorageNotes(
            database, lambda: used, now=lambda: 1e9 + trio.current_time(), tuning=tuning
        )
        start = int(1e9 + trio.current_time())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notes.run)
            for _ in range(6):
                await trio.sleep(3600)
                used += 100
            nursery.cancel_scope.cancel()
        noted = await notes.all()
    assert len(noted) in (3, 4)
    assert noted[-1].used >= 400
    assert all(isinstance(one, StoreUse) and one.time >= start for one in noted)
    assert [one.time for one in noted] == sorted(one.time for one in noted)
