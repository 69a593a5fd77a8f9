from broker.handlers.instances import encode_instances
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.limits import FRAME_BYTES
from p2pacs.publish.source import Description


def _study(count: int, comment: str = "") -> Description:
    instances = tuple(
        {
            tag("SOPInstanceUID"): entry("UI", f"1.2.3.1.{number}"),
            tag("SOPClassUID"): entry("UI", "1.2.840.10008.5.1.4.1.1.2"),
            tag("InstanceNumber"): entry("IS", str(number)),
            tag("ImageComments"): entry("LT", comment),
        }
        for number in range(count)
    )
    series = SeriesRecord("1.2.3.1", {tag("Modality"): entry("CS", "CT")}, instances)
    return Description("1.2.3", {}, (series,))


def test_instances_with_the_attributes_of_their_series() -> None:
    from peer.gateway.search import read_instances  # noqa: PLC0415 - the other end

    datasets, more = encode_instances(_study(3, "Größe"))
    assert not more
    read = read_instances(datasets)
    assert [one[tag("InstanceNumber")]["Value"] for one in read] == [["0"], ["1"], ["2"]]
    assert read[0][tag("Modality")]["Value"] == ["CT"]
    assert read[0][tag("SeriesInstanceUID")]["Value"] == ["1.2.3.1"]
    assert read[0][tag("ImageComments")]["Value"] == ["Größe"]


def test_what_does_not_fit_is_left_out_and_said() -> None:
    datasets, more = encode_instances(_study(500, "x" * 1000))
    assert more
    assert 200 < len(datasets) < 500
    assert sum(map(len, datasets)) < FRAME_BYTES


def test_an_empty_study() -> None:
    assert encode_instances(_study(0)) == ([], False)
