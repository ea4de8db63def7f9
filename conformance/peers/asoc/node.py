"""The real Python node, run as a program for Stillwire's tests.

    node.py listen --port N [--plain]         serves; each whole stream goes back as one
    node.py dial --port N --bytes N [--plain] dials 127.0.0.1, sends one stream, awaits it back

The key comes from ASOC_API_KEY. Prints one JSON object a line. `--plain` leaves the node as
it is: it only receives, and reports whether it still has its peer when standard input ends.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys

from asoc import NodeReady

DATA, END, CONTROL = 1, 2, 3
CHUNK = 1 << 20


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


async def send_stream(conn, stream, data):
    view = memoryview(data)
    sequence = 0
    for at in range(0, len(data), CHUNK):
        await conn.send_frame(DATA, stream, sequence, bytes(view[at : at + CHUNK]))
        sequence += 1
    await conn.send_frame(END, stream, sequence)


async def streams(conn):
    """The peer's whole streams, until the connection ends."""
    parts = {}
    while True:
        try:
            frame = await conn.recv_frame()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.TimeoutError, OSError):
            return
        if not frame:
            return
        kind, stream, sequence, payload = frame[-4:]
        if kind == DATA:
            parts.setdefault(stream, []).append(payload)
        elif kind == END:
            yield stream, b"".join(parts.pop(stream, []))


class Node(NodeReady):
    """The node with our own use of what it receives."""

    work = None

    async def _recv_loop(self, conn, peer):
        async for stream, data in streams(conn):
            say("stream", id=stream, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            await send_stream(conn, stream, data)
        say("closed")

    async def _recv_loop_temp(self, conn, host, port):
        data = os.urandom(self.work)
        digest = hashlib.sha256(data).hexdigest()
        say("dialed", bytes=len(data), sha256=digest)
        sending = asyncio.ensure_future(send_stream(conn, 1, data))
        async for _, back in streams(conn):
            await sending
            same = hashlib.sha256(back).hexdigest() == digest
            say("back", bytes=len(back), same=same)
            return


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["listen", "dial"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bytes", type=int, default=0)
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    peers = [f"127.0.0.1:{args.port}"] if args.verb == "dial" else []
    node = (NodeReady if args.plain else Node)(
        community="stillwire",
        api_key=os.environ["ASOC_API_KEY"],
        static_peers=peers,
        enable_discovery=False,
        host="127.0.0.1",
        port=args.port if args.verb == "listen" else 0,
    )
    node.work = args.bytes
    await node.start()
    say("ready", node=str(node.node_uuid))
    # Until standard input ends: then whoever started us is done, or gone.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    say("peers", count=len(node.get_peer_ids()))
    await node.shutdown()


asyncio.run(main())
