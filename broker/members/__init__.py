"""Who is a member, what a member may read, and the audit trail."""
