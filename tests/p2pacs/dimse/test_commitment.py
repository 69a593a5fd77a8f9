from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode

from p2pacs.dimse.commitment import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    CommitmentReport,
    CommitmentRequest,
    FailureReason,
    Reference,
    read_report,
    read_request,
    write_report,
    write_request,
)
from p2pacs.dimse.server.identifiers import decode_identifier
from p2pacs.errors import BusyError, P2PacsError, UsageError
from p2pacs.limits import COMMITTED_INSTANCES
from tests.p2pacs.dimse.samples import CT

uids = st.integers(0, 10**20).map(lambda number: f"1.2.{number}")
references = st.builds(Reference, uids, uids)
reasons = st.sampled_from(FailureReason)


def over_the_line(information: Dataset, syntax: UID) -> Dataset:
    """A data set as it comes out of a message."""
    encoded = encode(information, syntax.is_implicit_VR, syntax.is_little_endian)
    assert encoded is not None
    return decode(BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian)


syntaxes = st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian])


@given(uids, st.lists(references, min_size=1, max_size=20, unique=True), syntaxes)
def test_a_request_is_read_as_it_was_written(
    transaction: str, asked: list[Reference], syntax: UID
) -> None:
    request = CommitmentRequest(transaction, tuple(asked))
    assert read_request(over_the_line(write_request(request), syntax)) == request


@given(uids, st.lists(references, max_size=9), st.lists(st.tuples(references, reasons)), syntaxes)
def test_a_report_is_read_as_it_was_written(
    transaction: str,
    committed: list[Reference],
    failed: list[tuple[Reference, FailureReason]],
    syntax: UID,
) -> None:
    report = CommitmentReport(transaction, tuple(committed), tuple(failed))
    written = over_the_line(write_report(report), syntax)
    assert read_report(report.event, written) == report
    assert report.event == (FAILURES_EXIST if failed else ALL_COMMITTED)
    other = FAILURES_EXIST + ALL_COMMITTED - report.event
    with pytest.raises(UsageError, match="event"):
        read_report(other, written)


def test_an_instance_that_is_named_twice_counts_once() -> None:
    one = Reference(CT, "1.2.3")
    information = write_request(CommitmentRequest("1.2", (one, one)))
    assert read_request(information).references == (one,)


def request(**changed: object) -> Dataset:
    """A request that can be read, but for what is changed."""
    information = write_request(CommitmentRequest("1.2", (Reference(CT, "1.2.3"),)))
    for keyword, value in changed.items():
        setattr(information, keyword, value)
    return information


def item(**values: object) -> Sequence:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return Sequence([made])


@pytest.mark.parametrize(
    "information",
    [
        Dataset(),
        request(TransactionUID=None),
        request(TransactionUID=["1.2", "1.3"]),
        request(ReferencedSOPSequence=Sequence()),
        request(ReferencedSOPSequence=item()),
        request(ReferencedSOPSequence=item(ReferencedSOPClassUID=CT)),
        request(ReferencedSOPSequence=item(ReferencedSOPInstanceUID="1.2")),
    ],
)
def test_a_request_that_lacks_something_is_refused(information: Dataset) -> None:
    with pytest.raises(UsageError):
        read_request(information)


def test_a_sequence_that_is_none_is_refused() -> None:
    information = Dataset()
    information.TransactionUID = UID("1.2")
    information.add_new(0x00081199, "OB", b"not a sequence")
    with pytest.raises(UsageError, match="sequence"):
        read_request(information)


def test_more_instances_than_are_taken_are_refused_before_they_are_read() -> None:
    named = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.3")
    many = Sequence(list(named) * (COMMITTED_INSTANCES + 1))
    with pytest.raises(BusyError, match="at most"):
        read_request(request(ReferencedSOPSequence=many))


@given(st.binary(max_size=300), syntaxes)
def test_whatever_comes_is_read_or_refused(data: bytes, syntax: UID) -> None:
    with suppress(P2PacsError):
        read_request(decode_identifier(BytesIO(data), syntax))
