"""Hostile peers beside honest ones: what becomes of the honest, and of the server's memory."""
