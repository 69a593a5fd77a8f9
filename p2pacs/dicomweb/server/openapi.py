"""The DICOMweb services as an OpenAPI 3.1 description, at ``openapi.json`` below their root.

It says which paths there are, what they take and what they answer with. What a study holds is
DICOM's matter: bodies are described as far as HTTP goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from p2pacs.dicomweb.accept import RELATED
from p2pacs.dicomweb.media_types import MEDIA_TYPES, OCTETS
from p2pacs.dicomweb.ranges import BYTERANGES
from p2pacs.dicomweb.server.file_heads import DICOM
from p2pacs.dicomweb.server.requests import ROOT
from p2pacs.dicomweb.server.search import DICOM_JSON
from p2pacs.rendering.options import JPEG, PNG
from p2pacs.web.openapi import ERROR, JSON, Described, body, error, of, query

_STUDY: Final = "/studies/{study}"
_SERIES: Final = _STUDY + "/series/{series}"
_INSTANCE: Final = _SERIES + "/instances/{instance}"
_FRAMES: Final = _INSTANCE + "/frames/{frames}"

SEARCHES: Final = {
    "/studies": "studies",
    "/series": "series of all studies",
    "/instances": "instances of all studies",
    f"{_STUDY}/series": "series of a study",
    f"{_STUDY}/instances": "instances of a study",
    f"{_SERIES}/instances": "instances of a series",
}
RETRIEVALS: Final = {_STUDY: "a study", _SERIES: "a series", _INSTANCE: "an instance"}
PICTURES: Final = (
    f"{_INSTANCE}/rendered",
    f"{_INSTANCE}/thumbnail",
    f"{_FRAMES}/rendered",
    f"{_FRAMES}/thumbnail",
)
BULK_DATA: Final = f"{_INSTANCE}/bulkdata/{{path}}"

_UID: Final = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64}
_NAMED: Final[Mapping[str, Described]] = {
    "study": {"description": "Study Instance UID", "schema": _UID},
    "series": {"description": "Series Instance UID", "schema": _UID},
    "instance": {"description": "SOP Instance UID", "schema": _UID},
    "frames": {
        "description": "Frames from 1, with commas between them",
        "schema": {"type": "string", "pattern": r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
    },
    "path": {
        "description": "A tag; in sequences TAG/ITEM/TAG, its slashes as they are",
        "schema": {"type": "string", "pattern": r"^[0-9A-Fa-f]{8}(/[1-9][0-9]*/[0-9A-Fa-f]{8})*$"},
    },
}

_ELEMENT: Final = {
    "type": "object",
    "properties": {
        "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "Value": {"type": "array"},
        "BulkDataURI": {"type": "string"},
        "InlineBinary": {"type": "string"},
    },
    "required": ["vr"],
}
_DATA_SET: Final = {
    "description": "A data set in the DICOM JSON model (PS3.18 F)",
    "type": "object",
    "propertyNames": {"pattern": "^[0-9A-F]{8}$"},
    "additionalProperties": _ELEMENT,
}
_SCHEMAS: Final = {
    "DataSet": _DATA_SET,
    "DataSets": {"type": "array", "items": _DATA_SET},
    "Error": ERROR,
}

_ERRORS: Final = {
    "400": "The path or the query cannot be understood",
    "403": "This address, or this hospital, may not read it",
    "404": "There is no such thing here",
    "406": "It is not there in what the client accepts",
    "421": "This server is not known by the name in the address",
    "502": "The PACS, or what it gave, is at fault",
    "503": "Who has it is away, or too much is asked for at once: try again",
    "504": "It did not come in time: try again",
}
_STORE_ERRORS: Final = {
    "400": "The body, or the path, cannot be understood; nothing was stored",
    "403": "This address may not store, or nothing is stored here",
    "406": "The answer is not there in what the client accepts",
    "408": "The body comes too slowly",
    "413": "The body is too long",
    "415": "The body is of another kind",
    "421": "This server is not known by the name in the address",
    "500": "Something is wrong on this machine: the log says what",
    "503": "Too many store at once: try again",
}


def describe() -> Described:
    """The description."""
    paths: dict[str, Described] = {}
    for path, what in SEARCHES.items():
        paths[path] = {"get": _search(path, what)}
    for path, what in RETRIEVALS.items():
        paths[path] = {"get": _retrieve(path, what)}
        paths[f"{path}/metadata"] = {"get": _metadata(f"{path}/metadata", what)}
    own = sorted({OCTETS, *MEDIA_TYPES.values()})
    paths[_FRAMES] = {"get": _read(_FRAMES, "Frames, as stored, decoded, or coded as HTJ2K", own)}
    paths[BULK_DATA] = {"get": _read(BULK_DATA, "A value; of pixel data all frames", own)}
    for path in PICTURES:
        described = _read(path, "Pictures of frames", [JPEG, PNG])
        described["parameters"] += [
            query("window", "Centre, width and function: 40,400,linear"),
            query("viewport", "Width and height, and a region: 512,512"),
            query("quality", "Of JPEG, 1 to 100"),
        ]
        paths[path] = {"get": described}
    for path in ("/studies", _STUDY):
        paths[path]["post"] = _store(path)
    answer = {"description": "The description", "content": {JSON: {"schema": {"type": "object"}}}}
    paths["/openapi.json"] = {
        "get": {
            "summary": "This description",
            "responses": {"200": answer, **_errors("403", "421")},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DICOMweb services of a p2pacs peer",
            "description": "QIDO-RS, WADO-RS and STOW-RS (PS3.18).",
            "version": "1",
        },
        "servers": [{"url": ROOT}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }


def _store(path: str) -> Described:
    stored = {
        "200": "All is on the disk",
        "202": "A part of it is on the disk; the rest is among the failures",
        "403": "Nothing was stored: this hospital may not send it",
        "409": "Nothing was stored: the failures say why",
        "503": "Nothing was stored: there is no room, or too many store at once",
    }
    answers = {code: body(said, [DICOM_JSON], of("DataSet")) for code, said in stored.items()}
    for code, said in _STORE_ERRORS.items():
        told = answers.setdefault(code, {"description": said, "content": {}})
        told["content"][JSON] = {"schema": of("Error")}
    return {
        "summary": f"Store instances: files ({DICOM}, PS3.10), one in each part",
        "parameters": _path_parameters(path),
        "requestBody": {"required": True, "content": {RELATED: {"schema": {"type": "string"}}}},
        "responses": answers,
    }


async def answer_description(_request: Request) -> Response:
    """Answers with the description."""
    return JSONResponse(describe())


def _search(path: str, what: str) -> Described:
    parameters = [
        query("limit", "Answers at most", {"type": "integer", "minimum": 0, "maximum": 999999999}),
        query("offset", "Left out before", {"type": "integer", "minimum": 0, "maximum": 9999}),
        query("fuzzymatching", "Names that sound alike, too", {"enum": ["true", "false"]}),
        query("includefield", "Attributes told besides, or all", {"enum": ["all", "00081030"]}),
        query("PatientName", "As any attribute, by keyword or tag"),
        query("StudyDate", "A date or range", {"type": "string", "pattern": "^[0-9]{8}-?$"}),
    ]
    return {
        "summary": f"Search for {what}; newest studies first",
        "parameters": [*_path_parameters(path), *parameters],
        "responses": _responses({"200": body("What matches", [DICOM_JSON], _DATA_SETS)}),
    }


_DATA_SETS: Final = of("DataSets")


def _retrieve(path: str, what: str) -> Described:
    kinds = [RELATED, DICOM] if path == _INSTANCE else [RELATED]
    return {
        "summary": f"The instances of {what} as they are stored",
        "parameters": [*_path_parameters(path), *_CONDITIONS[:1]],
        "responses": _responses(
            {
                "200": body("All of it", kinds),
                "206": body("All that the PACS gave; Warning says what is missing", kinds),
                "304": {"description": "The client has this version"},
            }
        ),
    }


def _metadata(path: str, what: str) -> Described:
    kinds = [DICOM_JSON, JSON]
    return {
        "summary": f"The headers of the instances of {what}",
        "parameters": [*_path_parameters(path), *_CONDITIONS[:1]],
        "responses": _responses(
            {
                "200": body("All of them", kinds, _DATA_SETS),
                "206": body("Of all that the PACS gave", kinds, _DATA_SETS),
                "304": {"description": "The client has this version"},
            }
        ),
    }


def _read(path: str, summary: str, kinds: Sequence[str]) -> Described:
    """What can be had in ranges."""
    return {
        "summary": summary,
        "parameters": [*_path_parameters(path), *_CONDITIONS],
        "responses": _responses(
            {
                "200": body("All of it", [RELATED, *kinds]),
                "206": body("The ranges", [BYTERANGES, RELATED, *kinds]),
                "304": {"description": "The client has this version"},
                "416": {"description": "There are no such ranges"},
            }
        ),
    }


_CONDITIONS: Final[Sequence[Described]] = (
    {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}},
    {"name": "Range", "in": "header", "schema": {"type": "string", "pattern": "^bytes=[0-9]+-$"}},
)


def _path_parameters(path: str) -> list[Described]:
    return [
        {"name": name, "in": "path", "required": True, **_NAMED[name]}
        for name in _NAMED
        if f"{{{name}}}" in path
    ]


def _responses(good: Mapping[str, Described]) -> dict[str, Described]:
    return {**good, **_errors(*_ERRORS)}


def _errors(*codes: str) -> dict[str, Described]:
    return {code: error(_ERRORS[code]) for code in codes}
