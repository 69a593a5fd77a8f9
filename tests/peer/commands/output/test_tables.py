from pathlib import Path

from p2pacs.output.tables import Facts, Table, render
from peer.commands.get.outcome import GetOutcome
from peer.commands.output.tables import joined, outcome_line, ready_line, status_view, studies_table
from tests.peer.fake_peer import transfer_of

TRANSFER = transfer_of(
    5_000_000,
    10_000_000,
    rate=150_000,
    in_flight=262_144,
    expected_seconds=33.3,
    sources={
        "replica-1": {
            "bytes": 3_000_000, "rate": 150_000, "in_flight": 262_144, "linked": True,
            "role": "replica",
        },
        "hospital-b": {
            "bytes": 2_000_000, "rate": 0, "in_flight": 0, "linked": False, "role": None,
        },
    },
)  # fmt: skip
STUDY = {
    "study_instance_uid": "1.2.3",
    "patient_id": "P1",
    "patient_name": "[red]Doe^Jane",
    "study_date": "20240101",
    "description": "CT [head]",
    "modalities": ["CT", "SR"],
    "instances": None,
    "sent_by": None,
    "sent_at": None,
    "stat": False,
    "read": False,
}


def _shown(*parts: Table | Facts, wide: int | None = 160) -> str:
    return "\n".join(render(parts, wide))


def test_studies() -> None:
    shown = _shown(studies_table([STUDY]))
    for text in ("P1", "[red]Doe^Jane", "CT [head]", "CT SR", "1.2.3"):
        assert text in shown


def test_who_sent_a_study_is_told_where_somebody_did() -> None:
    assert "Sent by" not in _shown(studies_table([STUDY]))
    sent = STUDY | {"sent_by": "north", "sent_at": "2026-12-01T03:05:09+00:00", "stat": True}
    titles, first, second = _shown(studies_table([sent, STUDY]), wide=None).splitlines()
    place = titles.split("\t").index("Sent by")
    assert first.split("\t")[place] == "north 2026-12-01 03:05 UTC, STAT, not read yet"
    assert second.split("\t")[place] == ""
    read = sent | {"stat": False, "read": True}
    assert "UTC, " not in _shown(studies_table([read]))


def test_transfers_say_who_sent_them() -> None:
    sender = {"sent_by": "north", "sent_at": "2026-12-01T03:05:09+00:00", "stat": True}
    going, ended = TRANSFER | sender, TRANSFER | sender | {"state": "complete"}
    shown = _shown(*status_view(STATUS | {"transfers": [going, ended]}))
    assert "interactive, sent by north 2026-12-01 03:05 UTC, STAT" in shown
    assert "Sent by" in shown
    assert "Sent by" not in _shown(*status_view(STATUS))


def test_a_uid_is_whole_on_a_terminal_and_in_a_pipe() -> None:
    uid = "1.2.840.113619.2.55.3.2831164355.781." + "1234567890" * 2 + ".1234567"
    study = {**STUDY, "study_instance_uid": uid, "instances": 255, "description": "CT " * 20}
    lines = _shown(studies_table([study]), wide=80).splitlines()
    assert f"Study UID    {uid}" in lines
    assert all(len(line) <= 80 for line in lines if uid in line)
    titles, row = _shown(studies_table([study]), wide=None).splitlines()
    assert dict(zip(titles.split("\t"), row.split("\t"), strict=True)) == {
        "Patient ID": "P1",
        "Name": "[red]Doe^Jane",
        "Date": "20240101",
        "Modality": "CT SR",
        "Description": "CT " * 20,
        "Images": "255",
        "Study UID": uid,
    }


def test_lines() -> None:
    outcome = GetOutcome("ab", 2, 3, TRANSFER, dict.fromkeys(range(5), ""))
    line = outcome_line(outcome, Path("out"))
    assert line == "5 instances in out (3 were there already); 5.0 MB received in 2.5 s."
    line = outcome_line(GetOutcome("ab", 2, 0, TRANSFER, {1: ""}, before=TRANSFER), Path("out"))
    assert line == "1 instances in out; nothing had to come: all was here."
    said = {
        "name": "a", "listen": ["127.0.0.1:1"], "dicom": "127.0.0.1:2", "aet": "P2PACS",
        "api": "127.0.0.1:3", "role": "hospital",
    }  # fmt: skip
    assert "gateway: P2PACS at 127.0.0.1:2" in ready_line(said)
    assert "workstations find nothing here; set dicom" in ready_line({**said, "dicom": None})
    replica = {**said, "dicom": None, "role": "replica"}
    assert "a replica holds no keys" in ready_line(replica)
    line = ready_line({**said, "dicomweb": "127.0.0.1:4", "sends": True})
    assert line.endswith("; DICOMweb: http://127.0.0.1:4/dicom-web; takes studies to send")
    assert "takes" not in ready_line({**said, "dicomweb": None, "sends": False})


STATUS = {
    "name": "hospital-a",
    "role": "hospital",
    "address": "fd00::1",
    "certificate_expires": "2026-12-01",
    "broker": {"linked": False, "refused": None},
    "gateway": {"aet": "P2PACS", "dicom": None},
    "reached": {"how": None, "help": None, "apart": {}},
    "links": [
        {
            "name": "replica-1",
            "address": "fd00::2",
            "role": "replica",
            "how": "over the line, dialled from here",
            "bytes_sent": 1000,
        }
    ],
    "uploads": [{"name": "replica-1", "bytes": 1000, "rate": 25_000, "waiting": 64_000}],
    "store": {"used": 5_000_000, "capacity": 10_000_000, "studies": 2},
    "catalogue": {"studies": 7, "age": 12.0},
    "audit_waiting": 3,
    "sending": None,
    "transfers": [TRANSFER, {**TRANSFER, "state": "failed", "error": "no room"}],
}


def test_how_it_and_others_are_reached() -> None:
    shown = _shown(*status_view(STATUS))
    assert "How it is reached" in shown
    assert "over the line, dialled from here" in shown
    assert "What would help" not in shown
    reached = {"how": "is met", "help": "a port", "apart": {"east": "no study", "west": "far"}}
    shown = _shown(*status_view(STATUS | {"reached": reached}))
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    told = ["Reached is met", "What would help a port"]
    told += ["Cannot be reached east: no study", "Cannot be reached west: far"]
    assert lines[2:6] == told


def test_who_joined_without_a_gateway_is_told() -> None:
    said = joined(Path("f"), "north", "hospital", gateway=True)
    assert said == "Joined as north (hospital). Start it with: p2pacs peer run f"
    said = joined(Path("f"), "north", "hospital", gateway=False)
    assert "set dicom and aet in f/peer.toml" in said


def test_a_replica_is_not_told_to_serve_workstations() -> None:
    said = joined(Path("f"), "r1", "replica", gateway=False)
    assert said == "Joined as r1 (replica). Start it with: p2pacs peer run f"
    assert "no effect" in joined(Path("f"), "r1", "replica", gateway=True)


def test_a_replica_without_a_catalogue_is_no_alarm() -> None:
    catalogue = {"studies": 0, "age": None}
    shown = _shown(*status_view({**STATUS, "role": "replica", "catalogue": catalogue}))
    assert "none: a replica is not told what it holds" in shown
    assert "not current" not in shown
    shown = _shown(*status_view({**STATUS, "catalogue": catalogue}))
    assert "0 studies, not current since the start" in shown


def test_one_is_no_plural() -> None:
    one = {
        "store": {**STATUS["store"], "studies": 1},
        "catalogue": {"studies": 1, "age": 2.0},
        "audit_waiting": 1,
    }
    shown = _shown(*status_view({**STATUS, **one}))
    assert "1 study\n" in shown
    assert "1 study, current 2 s ago" in shown
    assert "1 record waits for the broker" in shown
    assert "2026-12-30 13:41 UTC" in _shown(
        *status_view({**STATUS, "certificate_expires": "2026-12-30T13:41:01+00:00"})
    )


def test_status() -> None:
    shown = _shown(*status_view(STATUS))
    for text in ("hospital-a", "away", "5.0 MB of 10.0 MB", "7 studies", "3 records"):
        assert text in shown
    for text in (
        "200kbit/s",
        "5.0 MB of 10.0 MB",
        "1.2mbit/s",
        "262.1 kB",
        "64.0 kB",
        "33 s left",
        "away",
    ):
        assert text in shown
    assert "replica-1 3.0 MB" in shown
    assert "failed: no room" in shown


def test_a_study_that_was_here_did_not_come_in_no_time() -> None:
    here = {**TRANSFER, "state": "complete", "bytes_received": 0, "seconds": 0.0, "sources": {}}
    shown = _shown(*status_view({**STATUS, "transfers": [here]}), wide=None)
    assert "was here" in shown
    assert "complete" not in shown


def test_a_hospital_without_a_gateway_or_a_broker_is_told_so() -> None:
    shown = _shown(*status_view(STATUS))
    assert "Gateway" in shown
    assert "none: workstations find nothing here; set dicom" in shown
    assert "away: what is held can be read" in shown
    there = {
        **STATUS,
        "broker": {"linked": False, "refused": "hospital-a was revoked"},
        "gateway": {"aet": "NORTH", "dicom": "127.0.0.1:104"},
    }
    shown = _shown(*status_view(there))
    assert "takes no link of this member: hospital-a was revoked" in shown
    assert "NORTH at 127.0.0.1:104" in shown


def test_what_is_sent_stands_in_the_status() -> None:
    assert "p2pacs sent" not in _shown(*status_view(STATUS))
    sending = {
        "under_way": 1,
        "failing": 0,
        "refused": 2,
        "cancelled": 0,
        "stored": 9,
        "spooled": 5_000_000,
        "oldest": 125,
    }
    shown = _shown(*status_view({**STATUS, "sending": sending}))
    assert (
        "1 study under way, 2 refused, 5.0 MB kept here, the oldest for 2:05 min: p2pacs sent DIR"
        in shown
    )
    shown = _shown(*status_view({**STATUS, "sending": {**sending, "oldest": None}}))
    assert "the oldest" not in shown
