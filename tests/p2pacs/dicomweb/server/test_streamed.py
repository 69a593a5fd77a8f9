from p2pacs.dicomweb.server.streamed import etag, offered_files, pieces_of, plain


def test_as_it_is_stored() -> None:
    parts, alone = offered_files("1.2", is_one=True)
    assert parts.multipart
    assert alone.content_type == "application/dicom; transfer-syntax=1.2"
    assert offered_files("1.2", is_one=False) == [parts]


def test_what_stands_in_headers_is_plain() -> None:
    assert plain('a "b"\\ü\r\nX: y') == "a ?b?????X: y"
    assert etag("ab") == 'W/"ab"'


def test_pieces() -> None:
    data = bytes(3 * 2**20 + 5)
    assert b"".join(pieces_of(data)) == data
    assert max(map(len, pieces_of(data))) == 2**20
