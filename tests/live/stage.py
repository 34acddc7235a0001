"""A daemon and a gate for a script: says where they are, and ends them when standard input ends.

Prints NAME=VALUE lines and then "ready". The gate is $VIRTGATE, or $BUILD/virtgate.
"""

import contextlib
import sys

import harness

KINDS = ("unix", "tcp")


def main() -> int:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(harness.scratch_folder())
        for name in ("daemon", "gate"):
            (folder / name).mkdir()
        daemon = harness.Daemon(folder / "daemon")
        stack.callback(daemon.stop)
        daemon.start()
        listen = tuple(harness.Listen(f"{kind}.sock", kind) for kind in KINDS)
        targets = {kind: daemon.uri(kind) for kind in KINDS}
        gate = harness.Gate(folder / "gate", targets, listen)
        stack.callback(gate.stop)
        gate.start()
        for kind, one in zip(KINDS, listen):
            print(f"direct_{kind}={daemon.uri(kind)}")
            print(f"gate_{kind}={gate.uri(daemon.file, one.name)}")
        print(f"config={gate.config}")
        print(f"log={folder / 'gate' / 'gate.log'}")
        print("ready", flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
