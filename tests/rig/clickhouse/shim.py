"""ClickHouse's HTTP interface over the engine of chdb-core: the real engine in this process, the server around it
left out. It is deliberately no server of its own: a statement goes to the engine as it came, and what that answers
goes back as it is. Data that come with an INSERT are handed on in a file, which the statement then names. One statement
runs at a time. There are no users, no rights, no limits of time and no replication here.

usage: shim.py PORT FOLDER
"""

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import lz4.block
import lz4.frame
from chdb.session import Session
from clickhouse_cityhash.cityhash import CityHash128

# What the interface itself takes from the address; the rest are settings of the statement.
OWN = {"query", "database", "default_format", "decompress", "compress", "query_id", "user", "password"}
INSERT = re.compile(r"^(.*\))\s*(FORMAT\s+\w+)\s*$", re.IGNORECASE | re.DOTALL)
CODE = re.compile(r"Code: (\d+)")
HEADER_BYTES = 9
CHECKSUM_BYTES = 16
LZ4 = 0x82

one_at_a_time = threading.Lock()


def unpacked(body):
    """Takes apart ClickHouse's own blocks: checksum, method, two sizes, data."""
    blocks = []
    while body:
        checksum, body = body[:CHECKSUM_BYTES], body[CHECKSUM_BYTES:]
        packed = int.from_bytes(body[1:5], "little")
        size = int.from_bytes(body[5:HEADER_BYTES], "little")
        block, body = body[:packed], body[packed:]
        # The number's upper half is CityHash's lower one, and goes first.
        upper, lower = divmod(CityHash128(block), 1 << 64)
        whole = upper.to_bytes(8, "little") + lower.to_bytes(8, "little")
        if len(block) != packed or checksum != whole:
            raise ValueError("Code: 40. DB::Exception: Checksum doesn't match: corrupted data")
        if block[0] != LZ4:
            raise ValueError(f"Code: 432. DB::Exception: unknown codec {block[0]}")
        blocks.append(lz4.block.decompress(block[HEADER_BYTES:], uncompressed_size=size))
    return b"".join(blocks)


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def from_file(session, insert, data):
    """The engine's own streams pass over rows that a constraint refuses without a word, so data come from a file."""
    into, form = INSERT.match(insert).groups()
    with open(session.data, "wb") as file:
        file.write(data)
    return f"{into} FROM INFILE {quoted(session.data)} COMPRESSION 'none' {form}"


def put(session, database, settings):
    """Gives the next statement its database and its settings, as its request names them, and none of an earlier one."""
    if session.database != database:
        session.query("USE `" + database.replace("`", "\\`") + "`")
        session.database = database
    changes = [f"{name} = DEFAULT" for name in session.settings.keys() - settings.keys()]
    changes += [f"{name} = {quoted(value)}" for name, value in settings.items() if session.settings.get(name) != value]
    if not changes:
        return
    before, session.settings = session.settings, settings
    try:
        session.query("SET " + ", ".join(changes))
    except Exception:
        forget(session, before.keys() | settings.keys())
        raise


def forget(session, names):
    """One of them is unknown, or has a value that can't be: the others must not stay."""
    session.settings = {}
    for name in names:
        try:
            session.query(f"SET {name} = DEFAULT")
        except Exception:
            continue


def run(session, given, settings, body):
    """One statement."""
    with one_at_a_time:
        put(session, given.get("database", "default"), settings)
        statement = body.decode() if "query" not in given else from_file(session, given["query"], body)
        answer = session.query(statement, given.get("default_format", "TabSeparated"))
        return answer.bytes() if answer else b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave apart, and the body would wait for the head to be acknowledged.
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(200, b"Ok.\n", {})

    def do_POST(self):
        try:
            body = self.body()
        except (ValueError, OSError):
            # Cut off in the middle: nothing of it may be carried out.
            self.close_connection = True
            return
        pairs = parse_qsl(urlsplit(self.path).query, keep_blank_values=True)
        given = {name: value for name, value in pairs if name in OWN}
        settings = {name: value for name, value in pairs if name not in OWN}
        try:
            if given.get("decompress") == "1":
                body = unpacked(body)
            answer = run(self.server.session, given, settings, body)
        except Exception as error:
            text = str(error)
            code = CODE.search(text)
            text = text[code.start():] if code else text
            self.answer(500, text.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "0"})
            return
        if answer and "lz4" in self.headers.get("Accept-Encoding", ""):
            self.answer(200, lz4.frame.compress(answer), {"Content-Encoding": "lz4"})
        else:
            self.answer(200, answer, {})

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.exactly(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.exactly(size))
            self.exactly(2)
        self.rfile.readline()
        return b"".join(chunks)

    def exactly(self, size):
        data = self.rfile.read(size)
        if len(data) != size:
            raise ValueError("the connection was cut")
        return data

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), sys.argv[2]
    # Bound first: a port that is taken is said before the folder is touched.
    server = Server(("127.0.0.1", port), Handler)
    server.session = Session(folder)
    server.session.data = folder + ".insert"
    server.session.database, server.session.settings = None, {}
    print("ready", flush=True)
    server.serve_forever()
