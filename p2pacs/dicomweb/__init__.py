"""DICOMweb (PS3.18) as client; as server in `p2pacs.dicomweb.server`."""
