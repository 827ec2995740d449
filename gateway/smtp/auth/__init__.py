"""Who may log in: the file of logins, and the check of passwords in bounded time (RFC 4954, RFC 9106)."""
