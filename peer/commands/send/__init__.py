"""``p2pacs send``: DICOM files of this machine into the network, and home."""
