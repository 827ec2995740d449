"""Sends every message of a directory at the same moment, each over a connection of its own, from several addresses.

flood.py DIRECTORY PORT SENDER RECIPIENT CONNECTIONS SOURCE... prints one line for each message: the
reply's code, the seconds until it came, and the file's name.
"""

from __future__ import annotations

import itertools
import smtplib
import sys
import threading
import time
from pathlib import Path


def main(directory: str, port: str, sender: str, recipient: str, connections: str, *sources: str) -> None:
    """Open so many connections, wait for all of them, then send; the rest follows as each gets its answer."""
    waiting = itertools.cycle(sources)
    left = iter(sorted(Path(directory).iterdir()))
    lock, ready = threading.Lock(), threading.Barrier(int(connections))

    def flood(source: str) -> None:
        first = True
        while True:
            with lock:
                file = next(left, None)
            if file is None:
                return
            octets = file.read_bytes().replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n"
            with smtplib.SMTP("127.0.0.1", int(port), "x.example", timeout=90, source_address=(source, 0)) as client:
                client.ehlo()
                client.mail(sender)
                client.rcpt(recipient)
                client.docmd("DATA")
                if first:
                    ready.wait()
                    first = False
                begun = time.monotonic()
                client.send(octets)
                code, _ = client.getreply()
            with lock:
                sys.stdout.write(f"{code} {time.monotonic() - begun:.2f} {file.name}\n")

    threads = [threading.Thread(target=flood, args=(next(waiting),)) for _ in range(int(connections))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
