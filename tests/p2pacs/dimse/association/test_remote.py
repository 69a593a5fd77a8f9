import pytest

from p2pacs.dimse.association.remote import DimseRemote, check_aet
from p2pacs.errors import UsageError


def test_spaces_around_a_title_mean_nothing() -> None:
    assert check_aet(" PACS  ") == "PACS"
    assert str(DimseRemote(" PACS", "pacs.example", 104)) == "PACS@pacs.example:104"


@pytest.mark.parametrize("aet", ["", "   ", "SEVENTEEN-LETTERS", "BACK\\SLASH", "TÄUFER", "A\nB"])
def test_wrong_titles(aet: str) -> None:
    with pytest.raises(UsageError, match="AE title"):
        check_aet(aet)


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_wrong_ports(port: int) -> None:
    with pytest.raises(UsageError, match="port"):
        DimseRemote("PACS", "host", port)
