"""Publication: from instances of the PACS to signed, growing manifests in the store."""

from broker.publish.edition import StudyKeys
from broker.publish.publisher import Publisher
from broker.publish.staging import Stage, Staging

__all__ = ["Publisher", "Stage", "Staging", "StudyKeys"]
