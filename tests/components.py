"""Real components that tests start: Orthanc, DCMTK's receivers, PostgreSQL, each on free ports of
loopback.

Everything is synchronous and a context manager: what was started is stopped,
whatever happens. Nothing is written outside the folder that the test gives (but for PostgreSQL,
which root's folders are closed to).
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import frozen

HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60.0
_PLUGINS = (Path("/usr/share/orthanc/plugins"), Path("/usr/local/share/orthanc/plugins"))


def has_orthanc() -> bool:
    """Whether Orthanc and its DICOMweb plugin are installed."""
    return _orthanc_binary() is not None and _dicomweb_plugin() is not None


_DRAWN: Final = random.Random(os.getpid())  # noqa: S311  (ports are no secrets)
_PORTS: Final = itertools.cycle(_DRAWN.sample(range(15_000, 32_000), 17_000))
"""Below those that Linux gives to outgoing connections (from 32768): of these one is taken a moment
after it was free, by any program. In another order in each process: tests run beside each other."""


def free_port(host: str = HOST) -> int:
    """A TCP port of loopback that nobody listens on now."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise AssertionError("a cycle does not end")


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return when something accepts connections on ``port`` of loopback."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)  # real processes need real time
    raise RuntimeError(f"nothing listens on port {port} after {_START_SECONDS:.0f} s")


@frozen
class Orthanc:
    """A running Orthanc with the DICOMweb plugin, and its REST interface."""

    aet: str
    dicom_port: int
    http_port: int
    process: subprocess.Popen[bytes]

    @property
    def dimse(self) -> str:
        """Its address as ``p2pacs broker init --pacs`` takes it, for DIMSE."""
        return f"dimse://{self.aet}@{HOST}:{self.dicom_port}"

    @property
    def dicomweb(self) -> str:
        """Its address as ``p2pacs broker init --pacs`` takes it, for DICOMweb."""
        return f"dicomweb+{self.dicomweb_url}"

    @property
    def dicomweb_url(self) -> str:
        """The root of its DICOMweb services."""
        return f"http://{HOST}:{self.http_port}/dicom-web"

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One call of its REST interface; the body of the answer."""
        url = f"http://{HOST}:{self.http_port}{path}"
        request = urllib.request.Request(url, data=body, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            data: bytes = answer.read()
            return data

    def get(self, path: str) -> Any:
        """The JSON that a GET of its REST interface gives."""
        return json.loads(self.request("GET", path))

    def load(self, files: Iterable[Path | bytes]) -> list[str]:
        """Store DICOM files as they are; their Orthanc ids.

        Raises:
            ValueError: Orthanc refuses one.
        """
        ids = []
        for file in files:
            data = file if isinstance(file, bytes) else file.read_bytes()
            try:
                answer = self.request("POST", "/instances", data)
            except urllib.error.HTTPError as error:
                raise ValueError(f"Orthanc refuses the file: {error.code}") from error
            ids.append(str(json.loads(answer)["ID"]))
        return ids

    def instances(self) -> list[str]:
        """Orthanc ids of all instances held."""
        return [str(name) for name in self.get("/instances")]

    def file(self, instance: str) -> bytes:
        """The Part 10 file that Orthanc stores for one of its ids."""
        return self.request("GET", f"/instances/{instance}/file")

    def clear(self) -> None:
        """Remove all patients."""
        for patient in self.get("/patients"):
            self.request("DELETE", f"/patients/{patient}")


@contextmanager
def orthanc(
    folder: Path,
    *,
    aet: str = "ORTHANC",
    modalities: Mapping[str, int] | None = None,
    ports: tuple[int, int] | None = None,
    **options: object,
) -> Iterator[Orthanc]:
    """A real Orthanc in ``folder``.

    Args:
        folder: an empty or new folder for configuration and storage.
        aet: its AE title.
        modalities: destinations that it knows for C-MOVE: AE title → port of loopback.
        ports: for DICOM and HTTP, as one of before had them; free ones unless given.
        options: further keys of its configuration, for instance ``MaximumPduLength=131072``.
    """
    binary, plugin = _orthanc_binary(), _dicomweb_plugin()
    if binary is None or plugin is None:
        raise RuntimeError("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    folder.mkdir(parents=True, exist_ok=True)
    dicom_port, http_port = ports or (free_port(), free_port())
    settings: dict[str, object] = {
        "Name": aet,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(plugin)],
        "DicomAet": aet,
        "DicomPort": dicom_port,
        "DicomServerEnabled": True,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomCheckCalledAet": False,
        "DicomCheckModalityHost": False,
        "UnknownSopClassAccepted": True,
        "DicomModalities": {
            title: {"AET": title, "Host": HOST, "Port": port}
            for title, port in (modalities or {}).items()
        },
        "HttpPort": http_port,
        "HttpServerEnabled": True,
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": False,
        "SaveJobs": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **options,
    }
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings, indent=1))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([str(binary), str(config)], stdout=log, stderr=log)
        try:
            wait_for_port(http_port, process)
            wait_for_port(dicom_port, process)
            server = Orthanc(aet, dicom_port, http_port, process)
            _wait_for_servers(server, settings["DicomWeb"])
            yield server
        finally:
            process.kill()  # its storage is thrown away, and its orderly end takes three seconds
            process.wait()


def _wait_for_servers(server: Orthanc, settings: Any) -> None:
    """Until Orthanc knows the DICOMweb servers of its configuration: it reads them a moment after
    its ports are open."""
    wanted = set(settings.get("Servers", ()))
    deadline = time.monotonic() + _START_SECONDS
    while wanted and not wanted <= set(server.get("/dicom-web/servers")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"Orthanc does not know its DICOMweb servers: {sorted(wanted)}")
        time.sleep(0.02)


@frozen
class StoreScp:
    """A running DCMTK storescp: a workstation that only receives."""

    aet: str
    port: int
    folder: Path

    def files(self) -> list[Path]:
        """What it received, as bit-preserving Part 10 files."""
        return sorted(path for path in self.folder.iterdir() if path.suffix == ".dcm")


@contextmanager
def storescp(
    folder: Path, *options: str, aet: str = "STORESCP", port: int | None = None
) -> Iterator[StoreScp]:
    """DCMTK's storescp, which keeps data sets as they come (``+B``).

    Args:
        folder: where received files go; made if missing.
        options: further options, for instance ``+xa`` to accept all transfer syntaxes.
        aet: its AE title.
        port: where it listens; a free one unless given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = ["storescp", "+B", "--filename-extension", ".dcm", "-od", str(folder)]
    process = subprocess.Popen(
        [*command, "-aet", aet, *options, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process)
        yield StoreScp(aet, port, folder)
    finally:
        _stop(process)


@frozen
class QrScp:
    """A running DCMTK dcmqrscp: a PACS that counts nothing."""

    aet: str
    port: int


@contextmanager
def dcmqrscp(
    folder: Path, aet: str = "DCMQRSCP", moves_to: Mapping[str, int] | None = None
) -> Iterator[QrScp]:
    """DCMTK's dcmqrscp with an empty storage area.

    Args:
        folder: where it stores; made if missing.
        aet: its AE title.
        moves_to: destinations that it knows for C-MOVE: AE title → port of loopback.
    """
    known = (moves_to or {}).items()
    hosts = "".join(f"{name} = ({name}, {HOST}, {to})\n" for name, to in known)
    (folder / "db").mkdir(parents=True)
    port, config = free_port(), folder / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{aet} {folder / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    process = subprocess.Popen(
        ["dcmqrscp", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port, process)
        yield QrScp(aet, port)
    finally:
        _stop(process)


def postgresql_programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs: Debian has only some of them on PATH."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: int(path.parents[1].name), default=None)
    return newest and newest.parent


@contextmanager
def postgresql() -> Iterator[str]:
    """A real PostgreSQL with an empty database; its address for SQLAlchemy (pg8000).

    It refuses to run as root: then it is run as the package's own user.
    """
    programs = postgresql_programs()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    user = "postgres" if os.geteuid() == 0 else None
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="p2pacs-postgresql-") as name:
        data = Path(name) / "data"
        if user is not None:
            shutil.chown(name, user)
        run = partial(subprocess.run, check=True, capture_output=True, user=user, cwd=name)
        run([programs / "initdb", "-D", data, "-A", "trust", "-U", "broker", "-E", "UTF8"])
        options = f"-F -p {port} -c listen_addresses={HOST} -c unix_socket_directories="
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *options.split()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=name,
        )
        try:
            wait_for_port(port, process)
            yield f"postgresql+pg8000://broker@{HOST}:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # its "fast" end: connections are broken off
            process.wait(30)


def dcmtk(tool: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's tools to its end; output and error text together in ``stdout``."""
    return subprocess.run(
        [tool, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
    )


def miniupnpd_program() -> str | None:
    """Where miniupnpd is; None if it is not installed."""
    return shutil.which("miniupnpd") or shutil.which("miniupnpd", path="/usr/sbin:/usr/local/sbin")


def nginx_program() -> str | None:
    """The real nginx, if it is here."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _orthanc_binary() -> Path | None:
    found = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def _dicomweb_plugin() -> Path | None:
    candidates = (folder / "libOrthancDicomWeb.so" for folder in _PLUGINS)
    return next((path for path in candidates if path.exists()), None)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
