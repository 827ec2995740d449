"""The SMTP server: sessions become what `ports.Intake` takes, and its replies become octets (RFC 5321, RFC 6409)."""
