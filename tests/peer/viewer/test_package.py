import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.viewer import package
from tests.peer.viewer.archives import FILES


def test_what_is_needed_of_the_archive() -> None:
    assert {path for name in FILES if (path := package.needed(name))} == {
        "LICENSE",
        "index.html",
        "app.bundle.0123456789abcdef.js",
        "app.bundle.css",
        "0123456789abcdef.wasm",
        "assets/favicon.ico",
    }


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "package/dist/../../etc/passwd",
        "package/dist/a/../b.js",
        "package/dist//a.js",
        "package/dist/",
        "package/dist/.hidden",
        "package/dist/a\\b.js",
        "package/dist/a:b.js",
        "package/dist/a\x00.js",
        "package/dist/grün.js",
        "package/distance/a.js",
        "dist/a.js",
        "",
    ],
)
def test_names_that_lead_elsewhere_are_left_out(name: str) -> None:
    assert package.needed(name) is None


@given(st.text(alphabet="ab./\\:-_@ \n", max_size=30))
def test_whatever_is_taken_stays_below_its_folder(name: str) -> None:
    path = package.needed(f"package/dist/{name}")
    assert path is None or all(
        part and part[0] not in ".@" and not set(part) & set("\\: \n") for part in path.split("/")
    )


def test_which_files_change_their_names_with_their_bytes() -> None:
    assert package.is_hashed("app.bundle.0f6159c501addfe9.js")
    assert package.is_hashed("a/37fa160cc3a47cfd.wasm")
    assert not package.is_hashed("app.bundle.css")
    assert not package.is_hashed("index.html")
    assert not package.is_hashed("assets/0123456789abcdef/favicon.ico")


def test_media_types() -> None:
    assert package.media_type("a/b.js") == "text/javascript; charset=utf-8"
    assert package.media_type("b.wasm") == "application/wasm"
    assert package.media_type("LICENSE") == "application/octet-stream"
