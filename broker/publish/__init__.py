"""Which studies of the PACS are published, how many at once, and again after errors."""

from broker.publish.publisher import Publisher

__all__ = ["Publisher"]
