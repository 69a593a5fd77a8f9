"""What the commands show: tables, closing lines, and what moves."""
