"""What the pages of broker and hospital share: the door, forms, HTTPS, the app around."""
