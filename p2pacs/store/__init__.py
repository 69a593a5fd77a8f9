"""Chunks on disk: space, use, recycling."""

from p2pacs.store.recycle import Candidate, choose
from p2pacs.store.store import ChunkStore, StudyInfo, open_store
from p2pacs.store.study import StudyStore

__all__ = ["Candidate", "ChunkStore", "StudyInfo", "StudyStore", "choose", "open_store"]
