"""Publication: from the instances of one study to signed, growing manifests in a store."""

from p2pacs.publish.context import PublishContext
from p2pacs.publish.progress import PublishProgress, PublishStage
from p2pacs.publish.publication import Publication

__all__ = ["Publication", "PublishContext", "PublishProgress", "PublishStage"]
