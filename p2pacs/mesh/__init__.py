"""Links between members: dialling, neighbours held ready, bans."""
