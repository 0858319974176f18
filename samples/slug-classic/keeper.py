"""The other processes: ``release`` checks the config before a release goes live, ``worker`` keeps the light turning."""

import os
import signal
import sys
import time


def release() -> int:
    """0 when the app can go live with its config; what is missing is said."""
    if not os.environ.get("LIGHT"):
        print("LIGHT is not set: which light is this? Set the config variable LIGHT.", file=sys.stderr)
        return 1
    print(f"{os.environ['LIGHT']} may be lit.", flush=True)
    return 0


def worker() -> int:
    """Turns the light until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    while True:
        print(f"The light turns: {os.environ.get('SIGNAL', '-')}", flush=True)
        time.sleep(float(os.environ.get("TURN_SECONDS", "5")))


if __name__ == "__main__":
    sys.exit({"release": release, "worker": worker}[sys.argv[1]]())
