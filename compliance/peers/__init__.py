"""Echo servers that others' libraries make. Only what a message of 16 MiB needs is set."""
