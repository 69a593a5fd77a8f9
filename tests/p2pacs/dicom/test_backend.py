from p2pacs.dicom.backend import Retrieval
from tests.p2pacs.dicom.samples import series


def test_only_what_is_there_must_be_given() -> None:
    retrieval = Retrieval(total=lambda: 2, instances=iter(series(2)))
    assert retrieval.contexts() == ()
    retrieval.close()
    assert list(retrieval.instances) == series(2)
