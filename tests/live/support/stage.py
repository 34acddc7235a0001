"""A daemon and a gate for a script: says where they are, and ends them when standard input ends.

Prints NAME=VALUE lines and then "ready". The gate is $VIRTGATE, or $BUILD/virtgate.
"""

import contextlib
import sys

import harness
import scene


def main() -> int:
    signals = scene.Signals()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(harness.scratch_folder())
        one = stack.enter_context(scene.playing(folder))
        (folder / "gate").mkdir()
        listen = tuple(harness.Listen(f"{kind}.sock", kind) for kind in scene.KINDS)
        targets = {kind: one.uri(kind) for kind in scene.KINDS}
        gate = harness.Gate(folder / "gate", targets, listen)
        stack.callback(gate.stop)
        gate.start()
        for kind in scene.KINDS:
            print(f"direct_{kind}={one.direct(kind)}")
            print(f"gate_{kind}={gate.uri(one.daemon.file, f'{kind}.sock')}")
        print(f"config={gate.config}")
        print(f"log={folder / 'gate' / 'gate.log'}")
        print("ready", flush=True)
        with signals.let_through():
            sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
