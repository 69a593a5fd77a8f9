"""Publication: from instances of the PACS to signed, growing manifests in the store."""

from broker.publish.progress import PublishProgress, PublishStage
from broker.publish.publication import KeySource
from broker.publish.publisher import Publisher

__all__ = ["KeySource", "PublishProgress", "PublishStage", "Publisher"]
