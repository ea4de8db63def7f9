"""azure/sas-edges.json and azure/sharedkey-edges.json, made by the Azure SDK for Python."""

import base64
import datetime
from importlib.metadata import version
from urllib.parse import parse_qsl

from azure.core.pipeline.transport import HttpTransport
from azure.data.tables import TableSasPermissions, TableServiceClient, generate_table_sas
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from azure.storage.queue import QueueSasPermissions, QueueServiceClient, generate_queue_sas

from peer import File, draw, fails, step

PACKAGES = {"blob": "azure-storage-blob", "queue": "azure-storage-queue", "table": "azure-data-tables"}


def source(service):
    return {"name": PACKAGES[service], "version": version(PACKAGES[service])}


def key(label, size=64):
    return base64.b64encode(draw(label, size)).decode()


def time(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)


def minted(service, account, secret, resource, letters, start, expiry, protocol):
    when = {"start": time(start)} if start is not None else {}
    when.update(expiry=time(expiry), protocol=protocol)
    if service == "blob":
        return generate_container_sas(account, resource, account_key=secret,
                                      permission=ContainerSasPermissions.from_string(letters), **when)
    if service == "queue":
        return generate_queue_sas(account, resource, secret, permission=QueueSasPermissions.from_string(letters), **when)
    return generate_table_sas(AzureNamedKeyCredential(account, secret), resource,
                              permission=TableSasPermissions(**{name: name[0] in letters for name in ("read", "add", "update", "delete")}),
                              **when)


def sas():
    out = File("azure", "sas-edges", ["made by the Azure SDK for Python, whose own service versions they carry", "keys and accounts are made up"])

    def ask(expect, service, secret, resource, letters, start, expiry, protocol, sv, account="stillwire"):
        ask = {"start": start} if start is not None else {}
        return step(expect, op="azure.sas", service=service, account=account, key=secret, resource=resource,
                    permissions=letters, expiry=expiry, protocol=protocol, version=sv, **ask)

    letters = {"blob": ("r", "a", "c", "w", "d", "l", "rl", "acw", "racwl", "racwdl"), "queue": ("r", "a", "u", "p", "rp", "ap", "raup"),
               "table": ("r", "a", "u", "d", "ra", "raud")}
    for service, choices in letters.items():
        for at, granted in enumerate(choices):
            resource = ("ReqTable" if at % 2 else "reqabc0123") if service == "table" else f"req-{at}"
            account = "devstoreaccount1" if at % 2 else "stillwire7"
            secret = key(f"sas {service} {at}", (64, 32, 1, 63, 65, 100)[at % 6])
            start = None if at % 3 == 2 else 1_795_244_100 + at
            expiry = (1_795_330_500, 1_835_395_199, 4_102_444_800, 951_827_696)[at % 4]
            protocol = ("https", "https,http")[at % 2]
            query = minted(service, account, secret, resource, granted, start, expiry, protocol)
            params = dict(parse_qsl(query, keep_blank_values=True))
            if service == "table":  # the SDK signs it lower-cased and writes it as it came
                params["tn"] = params["tn"].lower()
            out.add(f"{service}: {granted} on {resource}, key of {len(base64.b64decode(secret))} bytes",
                    ask({"params": params}, service, secret, resource, granted, start, expiry, protocol, params["sv"], account),
                    source=source(service))
            out.add(f"{service}: the letters of {granted} backwards, doubled",
                    ask({"params": params}, service, secret, resource, (granted * 2)[::-1], start, expiry, protocol, params["sv"], account))
        good = key(f"sas {service}")
        for comment, bad in (("padding missing", good[:-1]), ("cut to one character", "A")):
            try:
                minted(service, "stillwire", bad, "req", "r", None, 1_795_330_500, "https")
            except Exception:  # any refusal will do: the SDKs differ in what they raise
                confirmed = source(service)
            else:
                confirmed = None
            out.add(f"{service}: a key with {comment}",
                    ask({"error": {"class": "encoding"}}, service, bad, "req", "r", None, 1_795_330_500, "https", "2021-12-02"),
                    source=confirmed)
        for comment, bad in (("URL-safe alphabet", "-_" + good[2:]), ("a character that is no base64", "*" + good[1:]),
                             ("a line feed inside", good[:8] + "\n" + good[8:]), ("nothing in it", "")):
            out.add(f"{service}: a key with {comment}",
                    ask({"error": {"class": "encoding"}}, service, bad, "req", "r", None, 1_795_330_500, "https", "2021-12-02"))
        strangers = {"blob": "Z1 R", "queue": "wlcdZR", "table": "wplcZR"}[service]
        for letter in strangers:
            out.add(f"{service}: the letter {letter!r}", ask({"error": {"class": "encoding"}}, service, good, "req", "r" + letter, None,
                    1_795_330_500, "https", "2021-12-02"))
    out.write()


class Caught(Exception):
    """Carries the request out of the SDK's pipeline."""


class Transport(HttpTransport):
    """Sends nothing: keeps the request as the SDK signed it."""

    def open(self):
        pass

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def send(self, request, **_):
        raise Caught(request)


def shared_key():
    out = File("azure", "sharedkey-edges", ["requests as the Azure SDK for Python signed them; dates and request ids are the day's own, so the file changes with every run of its generator",
                                            "the length of the body is given as length and never in the headers"])
    options = {"transport": Transport(), "retry_total": 0}

    def record(service, comment, account, secret, act):
        try:
            act()
        except Caught as caught:
            request = caught.args[0]
        headers = {name: value for name, value in request.headers.items()
                   if name.lower() not in ("authorization", "content-length", "user-agent")}
        body = request.body if request.body is not None else request.data
        length = len(body.encode() if isinstance(body, str) else body or b"")
        assert str(length) == request.headers.get("Content-Length", "0"), comment
        out.add(f"{service}: {comment}", step({"authorization": request.headers["Authorization"]}, op="azure.sharedkey",
                service=service, account=account, key=secret, method=request.method, url=request.url,
                headers=dict(sorted(headers.items())), length=length), source=source(service))

    name = "53123f2b-c048-4e28-8d3c-7bfa2b7e8ee5"
    for account, style in (("stillwire9", "https://stillwire9.{}.core.windows.net"), ("devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1")):
        secret = key(f"sharedkey {account}")
        blobs = BlobServiceClient(style.format("blob"), credential={"account_name": account, "account_key": secret}, **options)
        container = blobs.get_container_client(name)
        blob = container.get_blob_client("req-0")
        for comment, act in (
            ("create a container", container.create_container),
            ("create a container with metadata", lambda: container.create_container(metadata={"b": "2", "a": "1"})),
            ("delete a container", container.delete_container),
            ("create an append blob", blob.create_append_blob),
            ("append at a position", lambda: blob.append_block(b"x" * 17, length=17, appendpos_condition=4_194_304)),
            ("read a range", lambda: blob.download_blob(offset=100, length=50)),
            ("properties", blob.get_blob_properties),
            ("delete a blob", blob.delete_blob),
            ("delete a blob if unchanged", lambda: blob.delete_blob(etag="0x8DC", match_condition=__import__("azure.core").core.MatchConditions.IfNotModified)),
            ("an empty blob with metadata", lambda: container.get_blob_client(name).upload_blob(b"", metadata={"payload": "Zm9v+/=="}, overwrite=True)),
            ("a blob with a body", lambda: container.get_blob_client(name).upload_blob(b"y" * 300, overwrite=True)),
            ("list with metadata and a prefix", lambda: list(container.list_blobs(name_starts_with="a b&c=d/\u00e9", include=["metadata"]))),
            ("a name to escape", container.get_blob_client("a b/c%d+e\u00fc").get_blob_properties),
        ):
            record("blob", comment, account, secret, act)
        queues = QueueServiceClient(style.format("queue").replace("10000", "10001"), credential={"account_name": account, "account_key": secret}, **options)
        queue = queues.get_queue_client(f"req-{name}")
        for comment, act in (
            ("create a queue", queue.create_queue),
            ("put a message", lambda: queue.send_message("QUJD")),
            ("get messages", lambda: next(iter(queue.receive_messages(messages_per_page=32, visibility_timeout=60)))),
            ("peek", lambda: queue.peek_messages(32)),
            ("delete a message", lambda: queue.delete_message("bddb1db9-1037-48b0-841a-6861edc39cc8", "++/97s/ezOjUrqA==")),
            ("delete a queue", queue.delete_queue),
        ):
            record("queue", comment, account, secret, act)
        tables = TableServiceClient(style.format("table").replace("10000", "10002"), credential=AzureNamedKeyCredential(account, secret), **options)
        table = tables.get_table_client("req53123f2bc0484e288d3c7bfa2b7e8ee5")
        for comment, act in (
            ("create a table", table.create_table),
            ("insert an entity", lambda: table.create_entity({"PartitionKey": "data", "RowKey": "000000001", "Data": b"abc"})),
            ("query", lambda: list(table.query_entities("PartitionKey eq 'data' and RowKey ge '000000017'", results_per_page=100))),
            ("delete an entity", lambda: table.delete_entity("data", "000000001")),
            ("delete a table", table.delete_table),
        ):
            record("table", comment, account, secret, act)
    for comment, bad in (("padding missing", key("x")[:-1]), ("URL-safe alphabet", "-_" + key("x")[2:]), ("nothing in it", "")):
        out.add(f"a key with {comment}", fails("encoding", op="azure.sharedkey", service="blob", account="stillwire", key=bad, method="GET",
                url="https://stillwire.blob.core.windows.net/token", headers={"x-ms-date": "Sat, 21 Nov 2026 07:00:00 GMT"}, length=0))
    out.write()
