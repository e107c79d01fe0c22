"""A name server with one answer, which can be changed: what the container engine has at 127.0.0.11."""

import socket
import struct
import threading
from typing import Self

TYPE_A, CLASS_IN = 1, 1
HEADER = struct.Struct(">HHHHHH")


class NameServer:
    """Answers every question for an address with this one, good for a second."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="names", daemon=True)

    def _serve(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(512)
            if not question:
                return  # the word to stop
            self._socket.sendto(self._answer(question), asker)

    def _answer(self, question: bytes) -> bytes:
        number = HEADER.unpack_from(question)[0]
        end = question.index(b"\0", HEADER.size) + 5  # name, type, class
        asked = question[HEADER.size : end]
        record = struct.pack(">HHHIH", 0xC00C, TYPE_A, CLASS_IN, 1, 4) + socket.inet_aton(self.address)
        return HEADER.pack(number, 0x8180, 1, 1, 0, 0) + asked + record

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()
