"""People who sign in: accounts and passwords, sessions, and what guessing costs.

Knows neither broker nor peer: the tables (`tables`) are part of the program's own database, and
`sign_in` is handed that database and told where to write its audit trail.
"""
