"""One node of ASoc's hardened profile, run as a program for Stillwire's tests.

    hardened.py serve --uuid U --community C [--port N]      each whole stream goes back as one
    hardened.py dial  --uuid U --community C [--port N] [--suite 1|2] [--expect U]
                      [--sizes N,N,…] [--announce UNIX_SECONDS]

Without --port standard input and output stand for the one TCP connection; with it, `serve` listens
on that port of 127.0.0.1 (0: any) until standard input ends, and `dial` dials it. Keys come from
ASOC_API_KEY and, installed for a rotation, ASOC_NEXT_KEY. `dial` sends one stream after another
and awaits each back, then announces the next key if it is told to, and awaits the acknowledgement.

What happens goes to standard error, one JSON object a line. Exit code 0: every connection ended
well; 2: one was refused, by us or by the peer.
"""

import argparse
import hashlib
import json
import os
import socket
import sys
import threading
import time
from uuid import UUID

from hardened_profile import KEEP_ALIVE_MS, Refused, Session, Settings, key_id


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), file=sys.stderr, flush=True)


class Ended(Exception):
    """The other end is gone."""


class Link:
    """A session over two files."""

    def __init__(self, settings, server, reading, writing):
        self.reading, self.writing = reading, writing
        self.lock = threading.Lock()
        self.streams = {}
        self.over = threading.Event()
        self.session = Session(settings, server, now(), os.urandom(32), os.urandom(32))
        self.flush()

    def flush(self):
        try:
            self.writing.write(self.session.taken())
            self.writing.flush()
        except OSError as error:
            raise Ended from error

    def run(self, on_event):
        """Reads until `on_event` says true, or the peer ends."""
        threading.Thread(target=self.keep_alive, daemon=True).start()
        try:
            while data := self.reading.read1(1 << 20):
                for event in self.session.feed(data, now()):
                    with self.lock:
                        self.flush()
                    if self.on_event(event, on_event):
                        return
                with self.lock:
                    self.flush()
        except OSError as error:
            raise Ended from error
        finally:
            self.over.set()
        if not self.session.established or self.session.received:
            raise Ended

    def keep_alive(self):
        while not self.over.wait(KEEP_ALIVE_MS / 1000):
            with self.lock:
                if self.session.established:
                    self.session.control()
                    try:
                        self.flush()
                    except Ended:
                        return

    def on_event(self, event, on_event):
        kind = event[0]
        if kind == "established":
            say(kind, peer=str(event[1]), token=event[2].hex())
        elif kind == "data":
            self.streams.setdefault(event[1], []).append(event[2])
            return False
        elif kind == "end":
            data = b"".join(self.streams.pop(event[1], []))
            return on_event("stream", event[1], data)
        elif kind == "announced":
            known = event[3]
            say(kind, key=event[1].hex(), unix_s=event[2], known=known)
            if known:
                with self.lock:
                    self.session.acknowledge(event[1])
                    self.flush()
        elif kind == "acknowledged":
            say(kind, key=event[1].hex())
        return on_event(*event)

    def send(self, data):
        with self.lock:
            stream = self.session.open_stream()
            for at in range(0, len(data), 1 << 20):
                self.session.write(stream, data[at : at + (1 << 20)])
                self.flush()
            self.session.end(stream)
            self.flush()
        return stream


def now():
    return int(time.time())


def serve_one(settings, reading, writing):
    """True when all went well."""

    def on_event(kind, *rest):
        if kind == "stream":
            stream, data = rest
            say(kind, id=stream, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            link.send(data)
        return False

    try:
        link = Link(settings, True, reading, writing)
        link.run(on_event)
    except Refused as refused:
        say("refused", **{"class": refused.kind}, why=str(refused))
        return False
    except Ended:
        say("ended")
        return False
    say("closed")
    return True


def dial_one(settings, reading, writing, sizes, announce):
    left = list(sizes)
    state = {}

    def send_next():
        if left:
            data = hashlib.shake_256(b"stream %d" % len(left)).digest(left.pop(0))
            state["data"] = data
            link.send(data)
            return False
        if announce is not None and "announced" not in state:
            state["announced"] = True
            with link.lock:
                link.session.announce(key_id(settings.keys[1]), announce)
                link.flush()
            return False
        return True

    def on_event(kind, *rest):
        if kind == "established":
            return send_next()
        if kind == "stream":
            stream, data = rest
            say("back", id=stream, bytes=len(data), same=data == state["data"])
            return send_next()
        return kind == "acknowledged"

    try:
        link = Link(settings, False, reading, writing)
        link.run(on_event)
    except Refused as refused:
        say("refused", **{"class": refused.kind}, why=str(refused))
        return False
    except Ended:
        say("ended")
        return False
    say("closed")
    return True


def listen(settings, port):
    well = []

    def one(accepted):
        # A reset on closing would take from the peer what it has not read.
        with accepted, accepted.makefile("rwb") as files:
            well.append(serve_one(settings, files, files))

    def forever(listener):
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(accepted,), daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        say("listening", port=listener.getsockname()[1])
        threading.Thread(target=forever, args=(listener,), daemon=True).start()
        # Until standard input ends: then whoever started us is done, or gone.
        sys.stdin.read()
    return all(well)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["serve", "dial"])
    parser.add_argument("--uuid", type=UUID, required=True)
    parser.add_argument("--community", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--suite", type=int, default=1)
    parser.add_argument("--expect", type=UUID)
    parser.add_argument("--sizes", default="")
    parser.add_argument("--announce", type=int)
    args = parser.parse_args()
    keys = [os.environ["ASOC_API_KEY"], os.environ.get("ASOC_NEXT_KEY")]
    settings = Settings(
        keys=[key for key in keys if key],
        community=args.community,
        uuid=args.uuid,
        suite=args.suite,
        expected=args.expect,
    )
    sizes = [int(size) for size in args.sizes.split(",") if size]
    if args.verb == "serve" and args.port is not None:
        well = listen(settings, args.port)
    elif args.verb == "serve":
        well = serve_one(settings, sys.stdin.buffer, sys.stdout.buffer)
    elif args.port is not None:
        with socket.create_connection(("127.0.0.1", args.port)) as made:
            with made.makefile("rwb") as files:
                well = dial_one(settings, files, files, sizes, args.announce)
    else:
        well = dial_one(settings, sys.stdin.buffer, sys.stdout.buffer, sizes, args.announce)
    sys.exit(0 if well else 2)


main()
