from starlette.datastructures import FormData

from p2pacs.pages.forms import secret_of, sentence, text_of


def test_texts_of_a_form() -> None:
    form = FormData([("name", " anna "), ("password", " with spaces "), ("file", "")])
    assert text_of(form, "name") == "anna"
    assert text_of(form, "nothing") == ""
    assert secret_of(form, "password") == " with spaces "
    assert secret_of({"password": b"no text"}, "password") == ""


def test_a_sentence() -> None:
    assert sentence("nothing was changed") == "Nothing was changed."
    assert sentence("") == "."
