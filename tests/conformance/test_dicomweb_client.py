"""Frames, pictures and bulk data as dicomweb-client gets them, of pydicom's files."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pydicom
import trio
from dicomweb_client.api import DICOMwebClient
from PIL import Image

from tests.peer.gateway.web.test_dicomweb import served
from tests.peer.retrieval.test_frame_reads import FILES, expected, file

STORED = (("application/octet-stream", "*"),)


async def test_frames_pictures_and_bulk_data(tmp_path: Path) -> None:
    sent = list(map(file, FILES))
    async with served(tmp_path, sent) as (world, _, root):
        client = DICOMwebClient(root)
        for one in sent:
            dataset = pydicom.dcmread(io.BytesIO(one.part10()))
            frames = expected(one)
            named = (world.broker.uid, dataset.SeriesInstanceUID, one.sop_instance_uid)
            numbers = list(range(1, len(frames) + 1))
            get = partial(client.retrieve_instance_frames, *named, numbers)
            assert await trio.to_thread.run_sync(get) == frames
            get = partial(client.retrieve_instance_frames, *named, numbers, media_types=STORED)
            assert await trio.to_thread.run_sync(get) == frames
            instance = "{}/studies/{}/series/{}/instances/{}".format(root, *named)
            bulk = partial(client.retrieve_bulkdata, f"{instance}/bulkdata/7FE00010")
            assert await trio.to_thread.run_sync(bulk) == frames
            draw = partial(client.retrieve_instance_rendered, *named, media_types=("image/png",))
            picture = Image.open(io.BytesIO(await trio.to_thread.run_sync(draw)))
            assert picture.size == (dataset.Columns, dataset.Rows)
