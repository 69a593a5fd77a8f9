"""What the two web sides share: serving, security headers, limits, pages and error answers."""
