"""The wire between members: messages, channels, links, enrolment."""
