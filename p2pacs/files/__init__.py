"""Files and folders of one account, and of one process."""
