"""A fixed piece of work, for what a processor is worth at this moment: prints the seconds of processor time it took.

Half of it are RSA-2048 signatures, half is plain Python of the kind a mail gateway does. A process of its own, so that
nothing that looks at the one who asks (a debugger, coverage) is in the figure.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SIGNATURES: Final = 300
LINES: Final = 80_000
_LINE: Final = b"Subject: =?UTF-8?B?QsOhbyBjw6Fv?=\r\n"


def work(key: rsa.RSAPrivateKey) -> int:
    """Do it; the result only keeps it from being left out."""
    octets = sum(len(key.sign(_LINE, padding.PKCS1v15(), hashes.SHA256())) for _ in range(SIGNATURES))
    fields: dict[str, int] = {}
    for number in range(LINES):
        name, _, value = _LINE.partition(b":")
        text = f"{name.decode('ascii').lower()}-{number % 50}"
        fields[text] = fields.get(text, 0) + len(value.strip().split(b"?"))
    return octets + len(fields)


def main() -> None:
    """Print the lesser of two runs."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    times = []
    for _ in range(2):
        began = time.process_time()
        work(key)
        times.append(time.process_time() - began)
    sys.stdout.write(f"{min(times)}\n")


if __name__ == "__main__":
    main()
