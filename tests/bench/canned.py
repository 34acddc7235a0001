"""A daemon whose long replies are made before they are asked for.

What is measured beside it is who passes them on. It is a process of its own; its arguments are a
path to listen on, a port of loopback for TLS with its certificate and key, and how many bytes a
description has. Its first line of output says that it listens.
"""

import pathlib
import socket
import ssl
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live" / "support"))

import raw  # noqa: E402
import stuck  # noqa: E402

ACCEPTED = b"\1"  # what a libvirtd says over TLS once it takes the client's certificate


def reply_to(call: raw.Frame, canned: dict[int, bytes]) -> bytes:
    body = canned.get(call.procedure)
    if body is None:
        body = stuck.answer(call.procedure, call.body)
    if body is None:
        return raw.frame(
            call.procedure,
            stuck.error("not known here"),
            kind=raw.REPLY,
            serial=call.serial,
            status=raw.ERROR,
        )
    return raw.frame(call.procedure, body, kind=raw.REPLY, serial=call.serial)


def serve(client: socket.socket, canned: dict[int, bytes]) -> None:
    held = bytearray()
    try:
        while data := client.recv(65536):
            held += data
            for call in raw.frames_of(held):
                if call.program == raw.REMOTE:
                    client.sendall(reply_to(call, canned))
                else:
                    client.sendall(raw.frame(2, program=call.program, kind=raw.MESSAGE))
    except OSError:
        pass
    finally:
        client.close()


def serve_tls(client: socket.socket, context: ssl.SSLContext, canned: dict[int, bytes]) -> None:
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = context.wrap_socket(client, server_side=True)
        secure.sendall(ACCEPTED)
    except OSError:
        client.close()
        return
    serve(secure, canned)


def main(path: str, port: int, certificate: str, key: str, size: int) -> None:
    canned = {
        stuck.GET_XML_DESC: raw.string("x" * size),
        stuck.STATISTICS: stuck.answer(stuck.STATISTICS, b"") or b"",
    }
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    local.bind(path)
    local.listen(64)
    tcp = socket.create_server(("127.0.0.1", port))
    print("listening", flush=True)

    def accept_tls() -> None:
        while True:
            client = tcp.accept()[0]
            threading.Thread(target=serve_tls, args=(client, context, canned), daemon=True).start()

    threading.Thread(target=accept_tls, daemon=True).start()
    while True:
        client = local.accept()[0]
        threading.Thread(target=serve, args=(client, canned), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
