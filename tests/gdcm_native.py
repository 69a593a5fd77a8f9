"""GDCM as a program that writes Explicit VR Little Endian: ``python -m tests.gdcm_native FROM TO``.

In a process of its own, as GDCM ends the process where it meets what it does not expect.
"""

import sys

import gdcm


def main(source: str, target: str) -> int:
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    reader = gdcm.ImageReader()
    reader.SetFileName(source)
    if not reader.Read():
        return 1
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    change.SetInput(reader.GetImage())
    if not change.Change():
        return 1
    writer = gdcm.ImageWriter()
    writer.SetFileName(target)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    return 0 if writer.Write() else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
