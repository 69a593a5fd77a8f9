import pytest

from broker.pacs.address import DimseAddress, WebAddress, parse_pacs
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dimse://PACS@10.0.0.1:104", DimseAddress(DimseRemote("PACS", "10.0.0.1", 104))),
        ("dimse://PACS@[::1]:104", DimseAddress(DimseRemote("PACS", "::1", 104))),
        ("dimse://MY%20PACS@pacs:104", DimseAddress(DimseRemote("MY PACS", "pacs", 104))),
        (
            "dimse://PACS@pacs:104?retrieve=get",
            DimseAddress(DimseRemote("PACS", "pacs", 104), "get"),
        ),
        (
            "dimse://PACS@pacs:104?retrieve=move",
            DimseAddress(DimseRemote("PACS", "pacs", 104), "move"),
        ),
        (
            "dimse://PACS@pacs:104?commitment=no",
            DimseAddress(DimseRemote("PACS", "pacs", 104), commitment="no"),
        ),
        (
            "dimse://PACS@pacs:104?retrieve=get&commitment=yes",
            DimseAddress(DimseRemote("PACS", "pacs", 104), "get", commitment="yes"),
        ),
        (
            "dimse+tls://PACS@pacs:2762",
            DimseAddress(DimseRemote("PACS", "pacs", 2762), None, tls=True),
        ),
        (
            "dimse+tls://PACS@pacs:2762?retrieve=get&name=archive",
            DimseAddress(DimseRemote("PACS", "pacs", 2762), "get", tls=True),
        ),
        ("dicomweb+http://pacs:8042/dicom-web/", WebAddress("http://pacs:8042/dicom-web")),
        ("dicomweb+https://pacs/rs", WebAddress("https://pacs/rs")),
        ("dicomweb+http://[::1]:80/rs", WebAddress("http://[::1]:80/rs")),
        ("dicomweb+http://me:p%40ss@pacs/rs", WebAddress("http://pacs/rs", ("me", "p@ss"))),
    ],
)
def test_addresses(text: str, expected: DimseAddress | WebAddress) -> None:
    assert parse_pacs(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pacs:104",
        "dimse://PACS@pacs",
        "dimse://pacs:104",
        "dimse://PACS:secret@pacs:104",
        "dimse://PACS@pacs:104/path",
        "dimse://PACS@pacs:104?retrieve=fax",
        "dimse://PACS@pacs:104?speed=1",
        "dimse://PACS@pacs:104?commitment=perhaps",
        "dimse://PACS@pacs:104?retrieve=get&commitment=",
        "dimse://PACS@pacs:104?name=archive",
        "dimse+tls://PACS@pacs:104?retrieve=",
        "dimse://PACS@pacs:0",
        "dimse://PACS@pacs:99999",
        "dimse://A-TITLE-THAT-IS-TOO-LONG@pacs:104",
        "http://pacs/rs",
        "dicomweb+ftp://pacs/rs",
        "dicomweb+http:///rs",
        "dicomweb+http://me:secret@pacs/rs?x=1",
        "dicomweb+http://me:secret@[pacs/rs",
    ],
)
def test_what_is_no_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pacs(text)
    assert "secret" not in str(caught.value)


def test_an_address_prints_no_password() -> None:
    address = parse_pacs("dicomweb+http://me:secret@pacs/rs")
    assert "secret" not in repr(address)
    assert str(address) == "dicomweb+http://pacs/rs"
    assert str(parse_pacs("dimse://PACS@pacs:104")) == "dimse://PACS@pacs:104"


def test_the_name_in_the_certificate_of_a_pacs() -> None:
    address = parse_pacs("dimse+tls://PACS@10.0.0.1:2762?name=archive")
    assert isinstance(address, DimseAddress)
    assert address.remote.tls_name == "archive"
    assert str(address) == "dimse+tls://PACS@10.0.0.1:2762"
