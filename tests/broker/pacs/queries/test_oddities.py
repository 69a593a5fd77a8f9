from broker.pacs.queries.oddities import LeftOutAnswers
from tests.p2pacs.catalogue.samples import attributes


def test_an_answer_is_new_once() -> None:
    seen = LeftOutAnswers()
    first, second = attributes(PatientID=("LO", "1")), attributes(PatientID=("LO", "2"))
    assert seen.new([first, second]) == 2
    assert seen.new([second, first]) == 0
    assert seen.new([]) == 0
    assert seen.new([first, attributes(PatientID=("LO", "3"))]) == 1
