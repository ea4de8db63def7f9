"""Seeds for the fuzz targets in conformance/fuzz, taken from the vectors: one file each."""

import json
import shutil
import struct

import handshakes
from peer import ROOT, VECTORS

SEEDS = ROOT / "conformance" / "fuzz" / "seeds"
MOST, LONGEST = 40, 2_000
PROFILES = {"nn": b"\0", "nnpsk0": b"\1", "nk": b"\2"}


def steps(*files):
    for file in files:
        for test in json.loads((VECTORS / f"{file}.json").read_text())["tests"]:
            yield from (step["do"] for step in test["steps"])


def write(target, seeds):
    folder = SEEDS / target
    folder.mkdir(parents=True)
    chosen = sorted({seed for seed in seeds if len(seed) <= LONGEST}, key=lambda seed: (len(seed), seed))
    step = max(1, len(chosen) // MOST)
    for at, seed in enumerate(chosen[::step][:MOST]):
        (folder / f"{at:02}").write_bytes(seed)
    print(f"{target}: {len(list(folder.iterdir()))} seeds")


def frames(data):
    """ASoc frames as the target reads them; what does not fit is left out."""
    told = b""
    while len(data) >= 14:
        kind, stream, sequence, length = struct.unpack(">xBIII", data[:14])
        payload, data = data[14 : 14 + length], data[14 + length :]
        if max(stream, sequence, len(payload)) < 256:
            told += bytes([kind, stream, sequence, len(payload)]) + payload
    return told


if __name__ == "__main__":
    shutil.rmtree(SEEDS, ignore_errors=True)
    write("chunk", (bytes.fromhex(ask["wire"]) for ask in steps("aznet/chunk", "aznet/chunk-edges") if "wire" in ask))
    write("frame", (bytes.fromhex(ask["bytes"]) for ask in steps("aznet/frames", "aznet/frames-edges") if "bytes" in ask))
    write("url", (ask["url"].encode() for ask in steps("aznet/url", "aznet/url-edges") if "url" in ask))
    texts = [text.encode() for _, text, _, _ in handshakes.GOOD_TOKENS]
    texts += [text for _, text in handshakes.BAD_TOKENS if text is not None]
    write("tokens", texts)
    accepts = [ask for ask in steps("aznet/handshake", "aznet/handshake-edges") if ask["op"] == "aznet.accept"]
    write("message1", (PROFILES[ask["profile"]] + bytes.fromhex(ask["msg1"]) for ask in accepts))
    # The target dials as the session `tokens` does, so these open and reach what reads the tokens.
    session = handshakes.Session("tokens", "nn")
    print("message2 dials with", session.id, session.e.hex())
    write("message2", (session.both(text)[1] for text in texts))
    lines = [json.dumps(ask, separators=(",", ":")).encode() for ask in steps(
        "aznet/chunk", "aznet/frames", "aznet/handshake", "aznet/id", "aznet/queue", "aznet/table", "aznet/url",
        "azure/sas", "azure/sharedkey", "noise/flynn")]
    write("iut_line", lines)
    listens = [ask for ask in steps("commonware/handshake", "commonware/handshake-edges") if ask["op"] == "commonware.listen"]
    eras = {"a": 0, "b": 1, "v0": 2, "v1": 3}
    write("commonware", (bytes([eras[ask["profile"]], 0, 255]) + bytes.fromhex(ask["bytes"]) for ask in listens))
    asked = list(steps("asoc/header", "asoc/hello", "asoc/accept", "asoc/discovery"))
    write("asoc_header", (bytes.fromhex(ask["bytes"]) for ask in asked if ask["op"] == "asoc.header.decode"))
    write("asoc_message", (bytes.fromhex(ask["bytes"]) for ask in asked if ask["op"].endswith(".verify")))
    # Role, profile and stage, then the size of the pieces: a server and a client, before and after the handshake.
    said = [bytes.fromhex(ask["bytes"]) for ask in steps("asoc/session") if ask["op"] == "asoc.input"]
    write("asoc_connection", (bytes([how, 7]) + data for how in (0, 2, 4, 6) for data in said))
    # Which end and cipher, the size of pieces, then the frames, whose numbers are a byte each.
    write("asoc_sealed", (bytes([how, 9]) + told for how in (0, 1, 2, 3) for told in map(frames, said) if told))
    parts = [bytes.fromhex(ask["bytes"]) for ask in steps("ziti/multipart") if "bytes" in ask]
    opened = [bytes.fromhex(ask["header"]) for ask in steps("ziti/secretstream") if "header" in ask]
    sealed = [bytes.fromhex(ask["wire"]) for ask in steps("ziti/secretstream") if "wire" in ask]
    write("ziti", (bytes([how, 7]) + data for how in (0, 1, 2) for data in [*parts, *opened, *sealed]))
    asked = steps("packetfs/preface", "packetfs/record", "packetfs/rebuild")
    made = [bytes.fromhex(ask[name]) for ask in asked for name in ("bytes", "wire") if name in ask]
    write("packetfs", (bytes([step]) + data for step in (5, 255) for data in made))
