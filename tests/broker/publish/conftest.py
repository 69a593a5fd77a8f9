from tests.p2pacs.publish.conftest import virtual

__all__ = ["virtual"]
