"""Chunks on disk: space, use, recycling."""

from p2pacs.store.store import ChunkStore, StudyInfo, open_store
from p2pacs.store.study import StudyStore

__all__ = ["ChunkStore", "StudyInfo", "StudyStore", "open_store"]
