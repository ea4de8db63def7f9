"""Writes the vector files that are ours. Usage: generate.py [NAME]..."""

import sys

import handshakes
import signatures
import wires
from peer import Peer

if __name__ == "__main__":
    peer = Peer()
    makers = {
        "handshakes": lambda: handshakes.handshakes(peer),
        "tokens": lambda: handshakes.tokens(peer),
        "chunks": lambda: wires.chunks(peer),
        "frames": lambda: wires.frames(peer),
        "ids": lambda: wires.ids(peer),
        "queue": lambda: wires.queue(peer),
        "table": lambda: wires.table(peer),
        "urls": lambda: wires.urls(peer),
        "sas": signatures.sas,
        "sharedkey": signatures.shared_key,
    }
    for name in sys.argv[1:] or makers:
        makers[name]()
    peer.close()
