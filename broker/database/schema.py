"""Tables of the broker's database; ``migrations`` builds them (a test compares the two)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    false,
)

from p2pacs.accounts.tables import metadata as accounts
from p2pacs.catalogue.schema import metadata as catalogue
from p2pacs.sql.portable import Long

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Times are milliseconds since 1970 (UTC), virtual addresses and study ids raw bytes.

counters: Final = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Long, nullable=False),
)
"""``directory`` grows with every change of the members, ``epoch`` with every revocation,
``rules`` with every change of a read rule."""

members: Final = Table(
    "members",
    metadata,
    Column("address", LargeBinary, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("uplink", Long),
    Column("downlink", Long),
    Column("read", String, nullable=False),
    Column("read_version", Integer, nullable=False),
    Column("registered", Long, nullable=False),
    Column("token_hash", LargeBinary, unique=True),
    Column("token_expires", Long),
    Column("joined", Long),
    Column("key_hash", LargeBinary),
    Column("box_key", LargeBinary),
    Column("endpoints", String, nullable=False),
    Column("certificate_expires", Long),
    Column("last_seen", Long),
    Column("revoked", Long),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("send", String, nullable=False, server_default="none"),
    CheckConstraint("role IN ('broker', 'replica', 'hospital')", name="role"),
)
"""``token_hash`` is null once the token was used; ``endpoints`` are separated by spaces;
``version`` grows with every change that an administrator makes."""

links: Final = Table(
    "links",
    metadata,
    Column("broker", LargeBinary, primary_key=True),
    Column("member", LargeBinary, primary_key=True),
)
"""Which member is linked with which broker; each broker writes its own."""
Index("ix_links_member", links.c.member)

pacs: Final = Table(
    "pacs",
    metadata,
    Column("broker", LargeBinary, primary_key=True),
    Column("state", String, nullable=False),
    Column("since", Integer, nullable=False),
    Column("looked", Integer),
    Column("studies", Integer),
    Column("why", String, nullable=False),
)
"""How the PACS is, as each broker last saw it (`broker.database.pacs_state`)."""

studies: Final = Table(
    "studies",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("uid", String, nullable=False, unique=True),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("published", Long),
)
"""Studies with a key (wrapped to the broker's own box key) and what is published of them."""

sent: Final = Table(
    "sent",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("uid", String, nullable=False),
    Column("member", LargeBinary, nullable=False),
    Column("began", Long, nullable=False),
    Column("sending", Boolean, nullable=False),
    Column("version", Long, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("stored", Long, nullable=False),
    Column("adopted", Boolean, nullable=False, server_default=false()),
    Column("cancelled", Long),
    Column("instances", Long, nullable=False, server_default="0"),
    Column("came", Long),
    Column("priority", Integer, nullable=False, server_default="2"),
)
"""Studies that a member made and sends. While ``sending`` it publishes them, else the broker does,
as it does with all others. ``version`` is the newest that it reported, ``stored`` the newest of
which the PACS has every instance. ``adopted``: the broker finishes it without the member.
``cancelled``: when the member said that it sends no more; it had so many ``instances``, of which
``came`` are in the PACS (null as long as that is not known). ``priority``: how urgently the broker
fetches it (`p2pacs.swarm.scheduling.priority`)."""

recipients: Final = Table(
    "recipients",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("member", LargeBinary, primary_key=True),
    Column("sender", LargeBinary),
    Column("actor", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("addressed", Long, nullable=False),
    Column("ended", Long),
    Column("told", Long, nullable=False),
    Column("stop", Boolean, nullable=False, server_default=false()),
)
"""To which members a study is, or was (``ended``), addressed, and how urgently. ``sender`` is the
member that addressed it, null for an administrator; ``actor`` is the name of either. ``told`` is
the version that the member was last told to fetch: it keeps that order; 0 if it was not yet.
``stop``: it is to be told that it shall not fetch it (any more)."""
Index("ix_recipients_member", recipients.c.member)

grants: Final = Table(
    "grants",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("address", LargeBinary, primary_key=True),
    Column("granted", Long, nullable=False),
)
"""Which member was given which study's key, and when first."""

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Long, primary_key=True),
    Column("time", Long, nullable=False),
    Column("address", LargeBinary),
    Column("actor", String, nullable=False),
    Column("what", String, nullable=False),
    Column("study", LargeBinary),
    Column("uid", String),
    Column("detail", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("about", LargeBinary),
    Column("person", String),
    sqlite_autoincrement=True,
)
"""Append-only: triggers refuse every change of a row. ``actor`` is a member's name, an
administrator's, or ``-``; ``address`` is null for administrators, and ``about`` is the member that
something was done to. ``person`` is the administrator, or whoever read a study: an account of a
hospital's pages, or a workstation's AE title."""
Index("ix_audit_uid", audit.c.uid)
Index("ix_audit_study", audit.c.study)
for _name in ("person", "actor", "address", "about", "what", "outcome"):
    Index(f"ix_audit_{_name}", audit.c[_name], audit.c.time, audit.c.id)
Index("ix_audit_time", audit.c.time, audit.c.id)

traffic: Final = Table(
    "traffic",
    metadata,
    Column("step", String, primary_key=True),
    Column("at", Long, primary_key=True, autoincrement=False),
    Column("receiver", LargeBinary, primary_key=True),
    Column("giver", LargeBinary, primary_key=True),
    Column("study", LargeBinary, primary_key=True),
    Column("bytes", Long, nullable=False),
    CheckConstraint("step IN ('hour', 'day')", name="step"),
)
"""Bytes of studies that a member received from another (no giver: from the PACS) in the hour or day
that begins at ``at``; every byte counts once in an hour and once in a day."""
Index("ix_traffic_study", traffic.c.study, traffic.c.step, traffic.c.at)

traffic_reports: Final = Table(
    "traffic_reports",
    metadata,
    Column("member", LargeBinary, primary_key=True),
    Column("serial", Long, nullable=False),
)
"""The last report of each member that was counted: one that comes twice counts once."""

for _table in (*accounts.sorted_tables, *catalogue.sorted_tables):
    _table.to_metadata(metadata)
