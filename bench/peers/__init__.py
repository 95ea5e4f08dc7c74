"""Echo servers that others' libraries make, each as fast as its own documentation makes it."""
