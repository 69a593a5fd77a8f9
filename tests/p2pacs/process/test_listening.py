import errno

from p2pacs.process.listening import ListenError
from p2pacs.units import Endpoint

WHERE = Endpoint("127.0.0.1", 8711)


def test_what_is_said() -> None:
    taken = ListenError(WHERE, OSError(errno.EADDRINUSE, "in use"))
    assert str(taken) == (
        "cannot listen on 127.0.0.1:8711: in use; choose another port, or stop what uses it"
    )
    foreign = ListenError(WHERE, OSError(errno.EADDRNOTAVAIL, "not here"), "web.listen")
    assert str(foreign) == "cannot listen on 127.0.0.1:8711 (setting web.listen): not here"
