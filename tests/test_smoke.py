from websockets.sync.client import connect


def test_a_message_comes_back(server):
    with connect(server.ws("/echo/")) as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
