"""What the viewer is told: ``app-config.js``, in place of the one in its package. Pure."""

from __future__ import annotations

import json
from typing import Final

_SOURCE: Final = "hospital"

DECODED: Final = (
    "1.2.840.10008.1.2.5",
    *(
        f"1.2.840.10008.1.2.4.{end}"
        for end in ("50", "51", "57", "70", "80", "81", "90", "91", "201")
    ),
    # What is compressed comes as it is. What is not could come as HTJ2K, too: between a peer and
    # browsers of its own hospital that takes longer to code than it saves.
    "1.2.840.10008.1.2.1",
    *(f"1.2.840.10008.1.2.4.{end}" for end in ("202", "203")),
)
"""Transfer syntaxes of frames that its decoders know. What it asks for by itself is ``*``, and it
would be given JPEG XL, of which it draws nothing; so it names what it knows, and is given the rest
decoded."""

ACCEPT: Final = [
    *(
        f'multipart/related; type="application/octet-stream"; transfer-syntax={uid}'
        for uid in DECODED
    ),
    "*/*;q=0.1",  # pictures and documents, which it asks for with the same header
]

_EXTENSIONS: Final = [
    *(f"@ohif/extension-cornerstone-dicom-{what}" for what in ("sr", "seg", "pmap", "rt")),
    *(f"@ohif/extension-{what}" for what in ("dicom-pdf", "dicom-video", "measurement-tracking")),
]
"""What its mode for studies wants beside its own, in this order: named here they are read with all
others, and not one round later, when the mode begins."""

_OPENED: Final = """\
(() => {
  const opened = new Promise((done) => {
    if (!document.prerendering) done();
    else document.addEventListener("prerenderingchange", () => {
      fetch(location.href, { cache: "no-store" });
      done();
    }, { once: true });
  });
  window.config.extensions.push({ id: "p2pacs.opened", preRegistration: () => opened });
})();
"""
"""A page that the browser loads ahead goes so far: its scripts are read and its own extensions
registered, as this one is the last. It asks for nothing of the study, nor has it begun to come (the
peer is told at the click), before somebody opens it."""


def app_config(*, multiplexed: bool) -> str:
    """The script that tells the viewer where everything is.

    Args:
        multiplexed: whether one connection carries many requests at once (HTTP/2). Else a browser
            opens six, and a request for an image that is on its way holds one of them: two always
            stay free for what is here, or names what comes first.
    """
    requests = {"interaction": 2, "thumbnail": 1, "prefetch": 1}
    if multiplexed:
        requests = {"interaction": 16, "thumbnail": 4, "prefetch": 6}
    config: dict[str, object] = {
        "name": "p2pacs",
        "routerBasename": None,
        "extensions": _EXTENSIONS,
        "modes": [],
        "customizationService": {"ohif.tours": {"$set": []}},
        "showStudyList": True,
        "maxNumberOfWebWorkers": 3,
        "showLoadingIndicator": True,
        "showCPUFallbackMessage": False,
        "showWarningMessageForCrossOrigin": False,
        "strictZSpacingForVolumeViewport": True,
        "investigationalUseDialog": {"option": "configure", "days": 30},
        "maxNumRequests": requests,
        "showErrorDetails": "production",
        "defaultDataSourceName": _SOURCE,
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": _SOURCE,
                "configuration": {
                    "friendlyName": "This hospital",
                    "name": _SOURCE,
                    "qidoRoot": "/dicom-web",
                    "wadoRoot": "/dicom-web",
                    "wadoUriRoot": "/dicom-web",
                    "qidoSupportsIncludeField": True,
                    "supportsFuzzyMatching": False,
                    "supportsWildcard": True,
                    "supportsReject": False,
                    "dicomUploadEnabled": False,
                    "imageRendering": "wadors",
                    "thumbnailRendering": "thumbnail",
                    "thumbnailRequestStrategy": "fetch",
                    "enableStudyLazyLoad": True,
                    "singlepart": "bulkdata,video,pdf",
                    "bulkDataURI": {"enabled": True},
                    "acceptHeader": ACCEPT,
                },
            }
        ],
    }
    return f"window.config = {json.dumps(config, indent=1)};\n{_OPENED}"
