"""listener.py URI any|legacy COUNT: prints so many lifecycle events, a JSON list each.

A program of its own, because libvirt's event loop is one for the whole process.
"""

import json
import sys
import threading
import time
from typing import Any

import libvirt

PATIENCE = 20.0


def main(uri: str, style: str, count: str) -> int:
    heard = threading.Semaphore(0)

    def on_event(_: libvirt.virConnect, domain: libvirt.virDomain, event: int, *rest: Any) -> None:
        print(json.dumps([domain.name(), event]), flush=True)
        heard.release()

    def turn() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=turn, daemon=True).start()
    connection = libvirt.openReadOnly(uri)
    connection.setKeepAlive(1, 3)
    if style == "legacy":
        connection.domainEventRegister(on_event, None)
    else:
        kind = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE
        callback = connection.domainEventRegisterAny(None, kind, on_event, None)
    print("ready", flush=True)
    for _ in range(int(count)):
        if not heard.acquire(timeout=PATIENCE):
            return 1
    if style == "legacy":
        connection.domainEventDeregister(on_event)
    else:
        connection.domainEventDeregisterAny(callback)
    # libvirt frees what the callback used from the loop's own thread.
    time.sleep(0.1)
    connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
