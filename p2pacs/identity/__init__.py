"""Keys, certificates, TLS contexts and the signed member directory."""
