"""Every cap on what a stranger may send, each with its reason.

A member is authenticated before anything here applies, and still trusted with
nothing: lengths are believed only up to these caps, and before memory is taken.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# ---------------------------------------------------------------- formats (docs/formats.md)

CHUNK_BYTES: Final = 64 * KIB
"""A chunk's ciphertext: the unit of request, verification and forwarding."""

SEAL_BYTES: Final = 16
"""What AES-256-GCM-SIV adds to a chunk (RFC 8452: a 128-bit tag)."""

PLAIN_BYTES: Final = CHUNK_BYTES - SEAL_BYTES
"""A chunk's plaintext at most."""

SEGMENT_CHUNKS: Final = 1024
"""Chunks that one segment lists at most: 36 bytes each, so a segment fits in one chunk."""

STUDY_CHUNKS: Final = 1024 * 1024
"""Chunks of one study: 64 GiB, above the largest study known in practice (whole-slide, 30 GB)."""

ROOT_BYTES: Final = 256 * KIB
"""A manifest root: 1,026 segments and 4,096 index parts need 200 KiB."""

INDEX_PART_BYTES: Final = 64 * MIB
"""One index part, decompressed: 100,000 instances of one frame each need 30 MiB."""

INDEX_PARTS: Final = 4096
"""Index parts of one study: one a version that added instances."""

INSTANCE_BLOBS: Final = 512 * 1024
"""Blobs of one instance: 65,536 frames in up to seven parts each, and what is around them."""

UID_BYTES: Final = 128
"""A UID in an index: PS3.5 9.1 allows 64, and some devices exceed it."""

INSTANCE_BYTES: Final = 4 * 1024 * MIB
"""One data set: PS3.5 lengths are 32 bits."""

BLOB_BYTES: Final = 1024 * MIB
"""One coded blob (a header or a frame), decoded: bounded before memory is taken."""

DICTIONARY_BYTES: Final = MIB
"""A header that others are coded with: each reader of one of them decodes it too."""

PREVIEW_BYTES: Final = MIB
"""A preview, coded or decoded: 128 x 128 pixels of three colours need 48 KiB."""

DELEGATION_BYTES: Final = 149
"""A delegation: always as long (docs/formats.md)."""

# ---------------------------------------------------------------- transcoding (docs/dicom.md)

TRANSCODED_BYTES: Final = 1024 * MIB
"""One data set that is converted: it is in memory whole, as it came and as it is sent."""

DECODED_FRAME_BYTES: Final = 256 * MIB
"""One frame of it, decoded: mammography and radiography stay below 50 MB."""

SEQUENCE_DEPTH: Final = 64
"""Sequences in sequences: the deepest of the standard (structured reports) have about 20."""

# ---------------------------------------------------------------- wire (docs/wire.md)

FRAME_BYTES: Final = 320 * KIB
"""One message: a manifest root (256 KiB) is the largest that is not split."""

HANDSHAKE_FRAME_BYTES: Final = 16 * KIB
"""A message before `Hello`, or of an enrolment: a certificate request needs 2 KiB."""

BLOCK_BYTES: Final = CHUNK_BYTES
"""The data of one `Block`: at most the whole chunk."""

BLOCK_LEAST: Final = KIB
"""... and, unless it ends its chunk, at least this: the slowest line sends blocks of 1 to 2 KiB.
Who sends less keeps a request alive for nothing, and is struck."""

REQUESTED_CHUNKS: Final = 4096
"""Chunks that one member may have requested from us and not yet got: 256 MiB, more than a
gigabit line moves in two seconds; beyond it the request is refused, never queued."""

REQUEST_NUMBERS: Final = 256
"""Chunk numbers in one `Request`, `Cancel` or `Refuse`."""

NUMBERED_STUDIES: Final = 64
"""Studies of one side of a link that have a number: what runs at the same time, mostly. A number
of one byte is enough for them (msgpack: up to 127)."""

NONCE_BYTES: Final = 32
"""Random bytes of a challenge, and a hash that answers it: nobody finds the same twice."""

AE_TITLE: Final = 16
"""Characters of an AE title (PS3.5 6.2)."""

CALLERS: Final = 64
"""AE titles that the instances of one study came from: scanner, workstations, a few."""

RECIPIENTS: Final = 64
"""Members that one study is addressed to: whoever wants more wants a read rule."""

COPIES: Final = 256
"""Members of which is told how far they are with a study: recipients, and replicas."""

OFFERED_CHUNKS: Final = 256
"""Chunks in one `Offer`: what a line of 100 Mbit/s sends in half a second."""

HAVE_RANGES: Final = 4096
"""Ranges in one `Have`; more are split over several messages."""

OPEN_QUERIES: Final = 64
"""Queries of one member that wait for our answer: people and programs ask one at a time."""

REFUSED_QUERIES: Final = 64
"""Queries above that limit on one link until it is closed: our own programs never exceed it."""

QUERY_BURST: Final = 256
"""Queries of one link that are answered as fast as they come ..."""

QUERY_RATE: Final = 50
"""... and so many a second for ever: answers go ahead of blocks, and would fill a slow uplink."""

REFUSED_REQUESTS: Final = 16
"""Requests on one link for what was not offered, or is not held, until it is closed."""

JOINED_STUDIES: Final = 1024
"""Studies that one member may have joined on one link."""

AUDIT_RECORDS: Final = 100
"""Audit records in one report: what our own programs send at once."""

CATALOGUE_PAGE: Final = 200
"""Entries in one page of the catalogue feed (about 1 KiB each)."""

HOLDERS: Final = 1024
"""Members named as holders of a study."""

TEXT: Final = 1024
"""Characters of a text in a message (error texts, names)."""

MEMBERS: Final = 1024
"""Members of one network: a directory of them is pushed to all, 140 KiB at most usually."""

BROKERS: Final = 16
"""Brokers of one network: each verifies a signature by trying their keys."""

ENDPOINTS: Final = 16
"""Endpoints of one member: its LAN's and its lines'."""

DIRECTORY_BYTES: Final = 256 * KIB
"""The signed member directory: fits in one message."""

NAME: Final = 64
"""Characters of a member's name: what a certificate's common name may have (RFC 5280)."""

PARTNER_BYTES: Final = 4 * MIB
"""What the studies that one member joined cost here: 1,024 of 2 KiB of bit field each (up to 1 GiB
of data), or 31 of the largest. 1,024 of the largest would be 130 MB, kept as long as its link."""

ANSWER_QUEUE_BYTES: Final = 4 * MIB
"""Messages that wait for one link besides blocks, above which a query is answered as busy: on a
line of 800 kbit/s more would take 40 s, longer than anybody waits for an answer ..."""

CONTROL_QUEUE_BYTES: Final = 8 * MIB
"""... and above which the link is closed, as its other side does not read: a second of news of the
largest study (5 MB of `Have`) has room beside the answers."""

PROMISED_BYTES: Final = 16 * MIB
"""Chunks that one member was promised on the paced line and that are read already: what a gigabit
line sends in a round trip of 0.1 s. A member that takes nothing must not hold more."""

CANDIDATES: Final = 8
"""Addresses at which one member offers to be found: its interfaces', what is seen of it, what its
router maps. Whoever dials them sends a few packets of 60 bytes to each."""

OFFER_BYTES: Final = 1 * KIB
"""An offer with so many addresses, key and signature: 700 bytes at most."""

MEETINGS: Final = 16
"""Meetings that one host prepares for at once: each holds sockets for some seconds ..."""

MEETINGS_A_MINUTE: Final = 6
"""... and so many within a minute at one member's wish: our own programs ask ever less often ..."""

INTRODUCTIONS_A_MINUTE: Final = 120
"""... and so many introductions that one member may ask of us: of one that has just come back, to
all that fetch some studies."""

EARLY_CONNECTIONS: Final = 32
"""Connections that came to the held port and have not said for which meeting they are."""

STRIKES: Final = 3
"""Wrong chunks or protocol errors after which a member is quarantined."""

# ---------------------------------------------------------------- connections

LINKS: Final = 512
"""Open connections of one host."""

LINKS_A_MINUTE: Final = 60
"""Links that one member may open to us within a minute: a line that comes and goes needs ten."""

STRANGERS: Final = 96
"""Connections in all from where no member came before, until they are a member's link or closed:
handshakes, enrolments, refusals. With those of members and with `LINKS` they stay below the 1,024
descriptors that a process usually has."""

STRANGERS_OF_ONE: Final = 16
"""... and from one source (IPv4 address or IPv6 /64): several newcomers behind one address
enrol at once."""

KNOWN_CALLERS: Final = 128
"""The same from where members came before, or have their endpoints: these places are theirs."""

KNOWN_CALLERS_OF_ONE: Final = 32
"""... and from one source: all members of a site behind one address dial at once."""

# ---------------------------------------------------------------- DICOM

DICOM_ASSOCIATIONS: Final = 32
"""Associations that the gateway serves at once: pynetdicom uses two threads each."""

DICOM_KEPT_ASSOCIATIONS: Final = 8
"""... of which so many are kept for hosts that the settings name: nobody else is authenticated."""

DICOM_CONNECTIONS: Final = 64
"""DICOM connections at once, with those that have not asked for an association yet: each takes
two threads and three descriptors."""

DICOM_KEPT_CONNECTIONS: Final = 16
"""... of which so many are kept for hosts that the settings name."""

DICOM_CONNECTIONS_PER_ADDRESS: Final = 16
"""... and so many that one other address may have: workstations open a handful."""

DICOM_LEAVING_CONNECTIONS: Final = 16
"""... and so many more whose threads are ending, as they gave way to others."""

DICOM_SLOWEST: Final = 16 * KIB
"""Bytes a second at which a PDU must come, after its first seconds: 128 kbit/s, a line that no
hospital reads images over."""

DICOM_PDU_BYTES: Final = 1 * MIB
"""Maximum length of a P-DATA PDU that we offer: large PDUs avoid a stall of delayed ACKs."""

DICOM_MESSAGE_BYTES: Final = 1 * MIB
"""A command set, or the identifier of a query: UIDs of 10,000 instances at most."""

COMMITTED_INSTANCES: Final = 20_000
"""Instances that one request for Storage Commitment may name: four times the largest studies of
a scanner; each takes a pydicom data set while it is read."""

COMMITMENT_BYTES: Final = 4 * MIB
"""Of its data set, and of its report: so many instances with the longest UIDs."""

COMMITMENTS: Final = 2_000
"""Requests for Storage Commitment that wait at once: a scanner's, of a study each, in weeks ..."""

COMMITMENTS_OF_ONE: Final = 500
"""... and so many of one AE title, so that none keeps the others out."""

DICOM_ANSWERS: Final = 100_000
"""Answers of a PACS to one C-FIND: they are held in memory, about 2 KiB each."""

FIND_RESULTS: Final = 10_000
"""Answers to one C-FIND: a wider query gets the first ones and a warning."""

# ---------------------------------------------------------------- DICOMweb

ACCEPT_BYTES: Final = 8 * KIB
"""What a request accepts: browsers and viewers need a few hundred characters."""

ACCEPT_RANGES: Final = 64
"""Media types in it: twice as many as there are transfer syntaxes with images."""

FRAME_LIST: Final = 1024
"""Frames in one request: they stand in its path."""

RANGED_BYTES: Final = 32 * MIB
"""Of several frames in one body, of which a range is asked for: it is made in memory."""

METADATA_TEXT_BYTES: Final = 16 * MIB
"""Of metadata that were told lately: of a thousand images of a CT."""

CODED_FRAMES_BYTES: Final = 32 * MIB
"""Of frames that were coded for viewers lately: a series of a CT, as HTJ2K."""

FRAMES: Final = 1024 * 1024
"""Frames of an instance that is given by frames: whole slides have up to 500,000 tiles."""

HEADER_READ_BYTES: Final = 64 * MIB
"""The header of an instance that is given by frames: it is in memory as a whole."""

INFLATED_BYTES: Final = 512 * MIB
"""A deflated instance, inflated: its frames are taken out of the whole."""

FRAGMENTS: Final = 1024 * 1024
"""Fragments that its frames may lie in, where none of the offset tables says so: 24 MiB."""

FRAME_READ_BYTES: Final = 256 * MIB
"""A frame that is given alone: it is in memory as a whole."""

CONVERTED_BYTES: Final = 256 * MIB
"""An instance that is converted for a receiver: it is in memory as a whole, several times."""

PICTURE_SIDE: Final = 8192
"""Pixels of a picture's side: as many as the largest screens have."""

RENDERED_SAMPLES: Final = 64 * MIB
"""Samples of a frame that is drawn: mammography has 14 million, several copies are in memory."""

BYTE_RANGES: Final = 16
"""Ranges in one request: viewers ask for one, and who asks for many has other things in mind."""

# ---------------------------------------------------------------- pages

SIGN_INS: Final = 32
"""Passwords of strangers that wait to be checked: each check takes a tenth of a second."""

SIGN_INS_PER_SOURCE: Final = 3
"""... of one network address or browser: a colleague or two, and whoever retries."""

WEB_STRANGERS: Final = 96
"""Connections of browsers at once: each takes a descriptor of the 1,024 that a process has."""

WEB_STRANGERS_OF_ONE: Final = 24
"""... from one network address: a browser opens six to a server that speaks HTTP/1.1."""

WEB_KNOWN: Final = 128
"""... and from this machine, and from addresses where somebody is signed in."""

WEB_STREAMS: Final = 32
"""Requests at once on one connection that speaks HTTP/2: browsers ask for a page's parts."""

# ---------------------------------------------------------------- DICOMweb

OUTGOING_TOGETHER: Final = 100
"""Files, or studies, that ``p2pacs send`` asks about at once: 30 KiB."""

STORE_REQUESTS: Final = 8
"""Requests to store that are read at once: each writes to one disk, as fast as that is."""

STORE_BODY_BYTES: Final = 64 * 1024 * MIB
"""Body of one of them: the largest study (`STUDY_CHUNKS`)."""

STORE_PARTS: Final = 100_000
"""Instances in it: the answer names each, in 250 bytes."""

SEARCH_PARAMETERS: Final = 128
"""Parameters of a search: the vocabulary has 81 attributes, and viewers name a dozen."""

WEB_READ_BYTES: Final = 256 * MIB
"""Of instances that are on their way to DICOMweb clients; a larger one goes alone."""

SEARCH_DEPTH: Final = 4
"""Sequences in sequences of a key: a request has two."""

SEARCH_NAME: Final = 64
"""Characters of a parameter's name that an answer repeats: the longest keyword has 61."""
