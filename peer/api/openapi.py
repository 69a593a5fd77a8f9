"""The local interface as an OpenAPI 3.1 description, at ``/openapi.json``.

Answers in lines (NDJSON) are described by what one line is: ``x-line``, as OpenAPI 3.1 has no word
for it.
"""

from __future__ import annotations

from typing import Final

from p2pacs.limits import OUTGOING_TOGETHER
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.web.openapi import ERROR, JSON, Described, body, error, of, query
from peer.ingest.outgoing_state import BROKER, PACS, OutgoingState

DICOM: Final = "application/dicom"
PNG: Final = "image/png"
NDJSON: Final = "application/x-ndjson"
LEVEL: Final = "X-P2PACS-Level"
"""The header that says how much smaller than the image its preview is: 2 ** level times."""

FIND_KEYS: Final = {
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "study_date": "StudyDate",
    "modality": "ModalitiesInStudy",
    "study_instance_uid": "StudyInstanceUID",
}
"""What ``POST /find`` takes, and the DICOM keyword it is matched with (PS3.4 C.2.2.2)."""

_STUDY: Final = "/studies/{study}"
_INSTANCES: Final = f"{_STUDY}/instances"
_TRANSFER: Final = "/transfers/{study}"
_OUTGOING: Final = "/outgoing/studies"

_TEXT: Final[Described] = {"type": "string"}
_FLAG: Final[Described] = {"type": "boolean"}
_COUNT: Final[Described] = {"type": "integer", "minimum": 0}
_PLACE: Final[Described] = {"type": "integer", "minimum": 1}
_INTEGER: Final[Described] = {"type": "integer"}
_ID: Final[Described] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TIME: Final[Described] = {"type": "string", "format": "date-time"}
_SECONDS: Final[Described] = {"type": "number", "minimum": 0}


def _or_null(schema: Described) -> Described:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Described) -> Described:
    return {"type": "array", "items": schema}


def _object(properties: Described, *, optional: tuple[str, ...] = ()) -> Described:
    """With these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_SENDER: Final[Described] = {
    "sent_by": _or_null(_TEXT),
    "sent_at": _or_null(_TIME),
    "stat": _FLAG,
    "read": _FLAG,
}
"""Who sent a study to this hospital and when, how urgently, and whether it was read here."""

_PRIORITY: Final[Described] = {"enum": [one.name.lower() for one in reversed(Priority)]}
_ROLE: Final = _or_null({"enum": ["broker", "replica", "hospital"]})
_MOVING: Final[Described] = {"transfers": _list(of("Transfer")), "uploads": _list(of("Upload"))}
_FURTHER: Final = "further_transfers"
_SOURCE: Final = _object(
    {"bytes": _COUNT, "rate": _COUNT, "in_flight": _COUNT, "role": _ROLE, "linked": _FLAG}
)
_ENDS: Final = [of("Waiting"), of("Complete"), of("Error")]

_OUTCOME: Final = {"enum": ["kept", "known", "beside", "broken"]}
_FILE: Final = _object(
    {
        "sop_instance_uid": _TEXT,
        "transfer_syntax_uid": _TEXT,
        "sha256": {"description": "Of the data set", "type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
)

SCHEMAS: Final[Described] = {
    "Error": ERROR,
    "Reach": _object(
        {"clock": {"type": "number"}, "reached": _list(_TEXT), "missed": _list(_TEXT)}
    ),
    "Transfer": _object(
        {
            "study": _ID,
            "state": {"enum": ["fetching", "complete", "failed"]},
            "error": _or_null(_TEXT),
            "priority": _PRIORITY,
            "growing": _FLAG,
            "bytes_received": _COUNT,
            "bytes_held": _COUNT,
            "bytes_total": _COUNT,
            "in_flight": _COUNT,
            "rate": _COUNT,
            "expected_seconds": _or_null(_SECONDS),
            "seconds": _SECONDS,
            "sources": {
                "description": "By the name of the member",
                "type": "object",
                "additionalProperties": _SOURCE,
            },
            "further_sources": _COUNT,
            **_SENDER,
        }
    ),
    "Upload": _object(
        {
            "name": _TEXT,
            "role": _ROLE,
            "bytes": _COUNT,
            "waiting": _COUNT,
            "rate": _COUNT,
            "linked": _FLAG,
        }
    ),
    "Moving": _object({**_MOVING, _FURTHER: _COUNT}, optional=(_FURTHER,)),
    "Found": _object(
        {
            "study_instance_uid": _or_null(_TEXT),
            "patient_id": _or_null(_TEXT),
            "patient_name": _or_null(_TEXT),
            "study_date": _or_null(_TEXT),
            "description": _or_null(_TEXT),
            "modalities": _list(_TEXT),
            "instances": _or_null(_COUNT),
            **_SENDER,
        }
    ),
    "OutgoingStudy": _object(
        {
            "number": _PLACE,
            "study": _or_null(_ID),
            "study_instance_uid": _TEXT,
            "patient_id": _TEXT,
            "patient_name": _TEXT,
            "study_date": _TEXT,
            "description": _TEXT,
            "state": {"enum": [str(one) for one in OutgoingState]},
            "why": _TEXT,
            "again": _or_null(_TIME),
            "instances": _COUNT,
            "published": _COUNT,
            "bytes": _COUNT,
            "spooled": _COUNT,
            "beside": _COUNT,
            "callers": _list(_TEXT),
            "began": _TIME,
            "latest": _TIME,
            "copies": _list({"enum": [BROKER, PACS]}),
            "stat": _FLAG,
            "recipients": _list(
                _object({"name": _TEXT, "known": _FLAG, "whole": _FLAG, "share": _COUNT})
            ),
            "replicas": _COUNT,
            "commitments": _list(
                _object(
                    {
                        "caller": _TEXT,
                        "asked": _TIME,
                        "answered": _or_null(_TIME),
                        "safe": _COUNT,
                        "failed": _COUNT,
                        "waiting": _COUNT,
                    }
                )
            ),
        }
    ),
    "Status": _object(
        {
            "name": _TEXT,
            "version": _TEXT,
            "address": _TEXT,
            "role": _TEXT,
            "certificate_expires": _TIME,
            "broker": _object({"linked": _FLAG, "refused": _or_null(_TEXT)}),
            "gateway": _object(
                {"aet": _TEXT, "dicom": _or_null(_TEXT), "dicom_tls": _or_null(_TEXT)}
            ),
            "reached": _object(
                {
                    "how": _or_null(_TEXT),
                    "help": _or_null(_TEXT),
                    "apart": {
                        "description": "Why it could not be met, by the name of the member",
                        "type": "object",
                        "additionalProperties": _TEXT,
                    },
                }
            ),
            "links": _list(
                _object(
                    {
                        "name": _TEXT,
                        "address": _TEXT,
                        "role": _ROLE,
                        "how": _TEXT,
                        "bytes_sent": _COUNT,
                    }
                )
            ),
            "store": _object({"used": _COUNT, "capacity": _or_null(_COUNT), "studies": _COUNT}),
            "catalogue": _object({"studies": _COUNT, "age": _or_null(_SECONDS)}),
            "audit_waiting": _COUNT,
            "sending": _or_null(
                _object(
                    {
                        "under_way": _COUNT,
                        "failing": _COUNT,
                        "refused": _COUNT,
                        "cancelled": _COUNT,
                        "stored": _COUNT,
                        "spooled": _COUNT,
                        "oldest": _or_null(_SECONDS),
                    }
                )
            ),
            **_MOVING,
        }
    ),
    "Waiting": _object({"waiting": {"const": True}}),
    "Complete": _object(
        {"complete": {"const": True}, "instances": _COUNT, "left_out": _COUNT, "why": _TEXT},
        optional=("left_out", "why"),
    ),
    "Whole": _object(
        {
            "number": _PLACE,
            "series": _PLACE,
            "series_number": _INTEGER,
            "place": _INTEGER,
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "size": _COUNT,
            "known": _COUNT,
        }
    ),
    "Reached": _object(
        {
            "number": _PLACE,
            "series": _PLACE,
            "place": _INTEGER,
            "level": _or_null(_COUNT),
            "frames": _COUNT,
            "known": _COUNT,
        }
    ),
    "Previews": _object({"previews": _COUNT}),
    "Sent": _object({"study_instance_uid": _TEXT, "outcome": _OUTCOME}),
}

_ERRORS: Final = {
    "400": "The path, the query or the body cannot be understood",
    "401": "Give the token of this start as bearer token",
    "403": "This peer may not read it, or was revoked",
    "404": "There is no such thing here; a study is asked for first",
    "406": "This kind of instance is not taken",
    "408": "The body did not come whole in time",
    "409": "That cannot be done now; or this peer sends nothing",
    "413": "The body is too long",
    "421": "This server is not known by the name in the address",
    "500": "Something is wrong on this machine: the log says what",
    "502": "What a member or the PACS gave is at fault",
    "503": "Who has it is away, or too much is asked for at once: try again",
    "504": "It did not come in time: try again",
    "507": "The disk is full",
}

_PARAMETERS: Final[Described] = {
    "study": {"description": "The study id that a fetch answers with", "schema": _ID},
    "number": {
        "description": "Of an instance in the study, or of a study that is sent, from 1",
        "schema": {"type": "integer", "minimum": 1, "maximum": 999999999},
    },
}


def describe() -> Described:
    """The description."""
    fetched = _object({"study": _ID, "transfer": of("Transfer")})
    looked = _object({"instances": _COUNT, "known": _COUNT})
    view = {
        "series": _PLACE,
        "series_instance_uid": _TEXT,
        "instances": {"type": "array", "items": _PLACE, "minItems": 2, "maxItems": 2},
    }
    priority = {"priority": _PRIORITY}
    fetch = {"study_instance_uid": _TEXT, **priority}
    find = {**dict.fromkeys(FIND_KEYS, _TEXT), "sent": _FLAG}
    said: dict[tuple[str, str], Described] = {
        ("get", "/status"): _answer("What the peer is, links, store, catalogue", of("Status")),
        ("post", "/broker/reach"): _answer(
            "How the broker sees this peer: the clocks' difference, addresses that it dialled",
            of("Reach"),
        ),
        ("post", "/find"): _answer(
            "Studies that match, newest first",
            _object({"studies": _list(of("Found"))}),
            takes=_object(find, optional=tuple(find)),
        ),
        ("post", "/studies/fetch"): _answer(
            "Fetch a study: how that stood before",
            fetched,
            takes=_object(fetch, optional=("priority",)),
        ),
        ("get", _INSTANCES): _lines("An object for each instance as it becomes whole", "Whole"),
        ("get", f"{_STUDY}/levels"): _lines(
            "An object for each instance as it becomes known, and can be shown finer",
            "Reached",
            "Previews",
        ),
        ("get", f"{_INSTANCES}/{{number}}"): _file("An instance as a file (PS3.10)", DICOM),
        ("get", f"{_INSTANCES}/{{number}}/preview"): _preview(),
        ("get", "/transfers"): _answer("All since the start, newest first", of("Moving")),
        ("get", "/transfers/events"): _lines(
            "The newest, whenever one changed", "Moving", ends=False
        ),
        ("post", f"{_TRANSFER}/cancel"): _answer("Stop; what is here stays", _object({})),
        ("post", f"{_TRANSFER}/priority"): _answer(
            "More, or less, urgent from now on", _object({}), takes=_object(priority)
        ),
        ("post", f"{_TRANSFER}/view"): _answer(
            "It is looked at now, so it comes first; {} ends that",
            looked,
            takes=_object(view, optional=tuple(view)),
        ),
        ("post", "/outgoing/known"): _answer(
            "Which of these files came before",
            _object({"instances": _list(_or_null(of("Sent")))}),
            takes=_object({"instances": _together(_FILE)}),
        ),
        ("post", "/outgoing/instances"): _takes_file(
            "Send an instance into the network; answered when it is on the disk", of("Sent")
        ),
        ("post", "/outgoing/studies"): _answer(
            "How far studies are that are sent; of others nothing",
            _object({"studies": _list(of("OutgoingStudy"))}),
            takes=_object({"study_instance_uids": _together(_TEXT)}),
        ),
        ("post", "/outgoing/address"): _answer(
            "Have studies go to these members, so urgently (to none: to whom they went); of no "
            "study: whether they can",
            _object({}),
            takes=_object(
                {
                    "study_instance_uids": _together(_TEXT),
                    "to": _together(_TEXT),
                    "priority": _PRIORITY,
                },
                optional=("priority",),
            ),
        ),
        ("get", _OUTGOING): _answer(
            "Studies that are sent from here, newest first",
            _object({"studies": _list(of("OutgoingStudy"))}),
        ),
        ("post", f"{_OUTGOING}/{{number}}/retry"): _answer(
            "Send it (again) now", of("OutgoingStudy")
        ),
        ("post", f"{_OUTGOING}/{{number}}/cancel"): _answer(
            "Send nothing more of it; what is in the PACS stays there", of("OutgoingStudy")
        ),
        ("post", f"{_OUTGOING}/{{number}}/address"): _answer(
            "Have it go to these members, too",
            of("OutgoingStudy"),
            takes=_object({"to": _together(_TEXT), "priority": _PRIORITY}, optional=("priority",)),
        ),
        ("post", f"{_OUTGOING}/{{number}}/remove"): _answer(
            "Remove what lies here of it and was not sent", _object({})
        ),
        ("get", "/openapi.json"): _answer("This description", {"type": "object"}),
    }
    paths: dict[str, Described] = {}
    for (method, path), described in said.items():
        own = described.pop("parameters", [])
        named = [
            {"name": name, "in": "path", "required": True, **about}
            for name, about in _PARAMETERS.items()
            if f"{{{name}}}" in path
        ]
        paths.setdefault(path, {})[method] = {**described, "parameters": [*named, *own]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The local interface of a p2pacs peer",
            "description": "HTTP on loopback for commands and pages of this machine.",
            "version": "1",
        },
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _answer(summary: str, schema: Described, *, takes: Described | None = None) -> Described:
    """An answer in JSON, to a body in JSON if it takes one."""
    described = _operation(summary, body(summary, [JSON], schema))
    if takes is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": takes}}}
    return described


def _takes_file(summary: str, schema: Described) -> Described:
    """An answer in JSON to a file (PS3.10)."""
    described = _operation(summary, body(summary, [JSON], schema))
    described["requestBody"] = {"required": True, "content": {DICOM: {"schema": _TEXT}}}
    return described


def _together(schema: Described) -> Described:
    return {**_list(schema), "maxItems": OUTGOING_TOGETHER}


def _lines(summary: str, *kinds: str, ends: bool = True) -> Described:
    line = {"anyOf": [*map(of, kinds), *(_ENDS if ends else [])]}
    return _operation(summary, {"description": summary, "content": {NDJSON: {"x-line": line}}})


def _file(summary: str, kind: str) -> Described:
    return _operation(summary, body(summary, [kind]))


def _preview() -> Described:
    summary = "A frame, not for diagnosis"
    answer = body(summary, [PNG])
    answer["headers"] = {LEVEL: {"description": "It is 2 ** level times smaller", "schema": _COUNT}}
    number = {"type": "integer", "minimum": 0, "maximum": 999999999}
    asked = [
        query("frame", "From 1; else the middle one", number),
        query("level", "How fine at most", number),
    ]
    return {**_operation(summary, answer), "parameters": asked}


def _operation(summary: str, answer: Described) -> Described:
    refused = {status: error(said) for status, said in _ERRORS.items()}
    return {"summary": summary, "responses": {"200": answer, **refused}}
