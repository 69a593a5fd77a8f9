import pytest

from p2pacs.dataset.json_model import texts
from p2pacs.dataset.vocabulary import tag
from p2pacs.publish.charset_loss import is_lost, together
from tests.p2pacs.catalogue.samples import attributes


@pytest.mark.parametrize(
    ("told", "known", "lost"),
    [
        ("ceyp^", "Люкceйлypж^Иван", True),
        ("ceyp^", "Люкceйлyж^Иван", False),
        ("^", "Люк^Иван", True),
        ("???^????", "Люк^Иван", True),
        ("???^????".replace("?", "\ufffd"), "Люк^Иван", True),
        ("Yamada^Tarou=^=^", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("Yamada^Tarou", "Yamada^Tarou=山田^太郎", True),
        ("Yamada^Hanako", "Yamada^Tarou=山田^太郎", False),
        ("Mller", "Müller", True),
        ("Müller ", "Müller Łódź", False),
        ("Müller ódz", "Müller Łódź", False),
        ("Müller ód", "Müller Łódź", True),
        ("Mueller", "Müller", False),
        ("Iwan", "Иван", False),
        ("", "Schadel", True),
        ("Schadel", "", False),
        ("Schadel", "Schadel", False),
        ("Schade", "Schadel", False),
        ("Голова", "Голова", False),
        ("Голова", "Шея", False),
    ],
)
def test_what_a_character_set_left(told: str, known: str, lost: bool) -> None:
    assert is_lost([told] if told else [], [known] if known else []) is lost


def test_headers_say_what_the_pacs_lost_and_the_pacs_what_it_corrected() -> None:
    known = attributes(
        PatientName=("PN", "Люк^Иван"), StudyDescription=("LO", "Голова"), StudyID=("SH", "1"),
        PatientSex=("CS", ""),
    )  # fmt: skip
    told = attributes(
        PatientName=("PN", "^"), StudyDescription=("LO", "Шея"), StudyID=("SH", ""),
        Modality=("CS", "CT"),
    )  # fmt: skip
    found = together(told, known)
    assert texts(found, "PatientName") == ["Люк^Иван"]
    assert texts(found, "StudyDescription") == ["Шея"]
    assert texts(found, "StudyID") == ["1"]
    assert texts(found, "Modality") == ["CT"]
    assert tag("PatientSex") in found, "known to be empty"
