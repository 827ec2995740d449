"""The way out: next hops over SMTP, LMTP and Maildir, routes to them, and what is known of their recipients."""
