"""How fast the real Python node sends to another one: the pair that Stillwire is measured beside.

    rate.py [--bytes N] [--rounds N]

Two processes over loopback, discovery off; one dials and sends N bytes in chunks of 1 MiB. Prints
one JSON object per round, of two kinds:

    Python pair           the package as it is: `stream_tensor` to a node that runs its own loop;
                          the clock stops when `stream_tensor` returns
    Python, bare frames   its frames alone, in loops of ours: the other end keeps nothing, and
                          answers END with END, which stops the clock
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time

from asoc import NodeReady

DATA, END = 1, 2
CHUNK = 1 << 20


def say(**fields):
    print(json.dumps(fields), flush=True)


class Sink(NodeReady):
    """Reads streams over, and answers each END."""

    async def _recv_loop(self, conn, peer):
        while True:
            try:
                frame = await conn.recv_frame()
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.TimeoutError, OSError):
                return
            if not frame:
                return
            kind, stream, _, _ = frame[-4:]
            if kind == END:
                await conn.send_frame(END, stream, 0)


class Source(NodeReady):
    """Sends streams of bare frames on the first connection that it has."""

    work = (0, 0)
    done = None

    async def _recv_loop_temp(self, conn, host, port):
        if self.done.done():
            return
        total, rounds = self.work
        chunk = bytes([7]) * CHUNK
        for number in range(rounds):
            stream = 2 * number + 1
            start = time.perf_counter()
            for sequence in range(total // CHUNK):
                await conn.send_frame(DATA, stream, sequence, chunk)
            await conn.send_frame(END, stream, total // CHUNK)
            while (await conn.recv_frame())[-4] != END:
                pass
            told("Python, bare frames", number, total, start)
        if not self.done.done():
            self.done.set_result(None)


def told(kind, number, total, start):
    seconds = time.perf_counter() - start
    say(kind=kind, round=number, mib_per_second=total / CHUNK / seconds)


def node(kind, port, peers):
    return kind(
        community="stillwire",
        api_key="a key of the cluster, 32 bytes..",
        static_peers=peers,
        enable_discovery=False,
        host="127.0.0.1",
        port=port,
    )


async def other_end(kind, port, peers):
    served = node(kind, port, peers)
    await served.start()
    say(event="ready")
    # Until standard input ends: then whoever started us is done, or gone.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await served.shutdown()


async def frames(port, work):
    dialing = node(Source, 0, [f"127.0.0.1:{port}"])
    dialing.work = work
    dialing.done = asyncio.get_running_loop().create_future()
    await dialing.start()
    await asyncio.wait_for(dialing.done, 120)
    await dialing.shutdown()


async def tensors(port, work):
    total, rounds = work
    # Who dials does not learn whom it has reached: so the end that listens sends.
    sending = node(NodeReady, port, [])
    await sending.start()
    for _ in range(200):
        if sending.get_peer_ids():
            break
        await asyncio.sleep(0.1)
    peer = list(sending.get_peer_ids())[0]
    data = bytes([7]) * total
    for number in range(rounds):
        start = time.perf_counter()
        await sending.stream_tensor(peer, data)
        told("Python pair", number, total, start)
    await sending.shutdown()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def against(end, work_of, work):
    """Runs one end here, and the other in a process of its own."""
    port = free_port()
    command = [sys.executable, os.path.abspath(__file__), "--end", end, "--port", str(port)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        while b'"ready"' not in (line := other.stdout.readline()):
            if not line:
                sys.exit("the other end did not start")
        # What it says from then on must not fill the pipe.
        threading.Thread(target=other.stdout.read, daemon=True).start()
        asyncio.run(work_of(port, work))
    finally:
        other.stdin.close()
        try:
            other.wait(10)
        except subprocess.TimeoutExpired:
            other.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--end", choices=["dials", "reads"])
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    if args.end == "dials":
        asyncio.run(other_end(NodeReady, 0, [f"127.0.0.1:{args.port}"]))
    elif args.end == "reads":
        asyncio.run(other_end(Sink, args.port, []))
    else:
        against("dials", tensors, (args.bytes, args.rounds))
        against("reads", frames, (args.bytes, args.rounds))


main()
