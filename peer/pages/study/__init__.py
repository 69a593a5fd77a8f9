"""One study: its series and images, what can be done with it, what of it is read for the pages."""
