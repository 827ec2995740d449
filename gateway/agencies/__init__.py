"""Which agency a mailbox or a certificate belongs to, as an administrator wrote it down."""
