"""A long run with all that clients do: nothing may be left of them in the server."""
