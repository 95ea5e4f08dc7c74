"""RFC 6455 without I/O: bytes and headers in, events and bytes out.

Nothing in here knows of sockets, Django or eventlet, so each rule of the
protocol can be read, tested and fuzzed by itself.

============  ==========================================================
handshake     the opening handshake: request headers to an answer (§4)
frames        framing: headers, masking, building (§5)
receiver      bytes to messages: fragments, UTF-8, limits (§5.4 to §8.1)
deflate       permessage-deflate: negotiation, compression (RFC 7692)
close         close codes and the payload of a Close frame (§7)
============  ==========================================================
"""
