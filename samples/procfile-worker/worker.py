"""The worker: counts the words of each text that waits, until it is told to stop."""

import signal
import threading

import tasks

stopping = threading.Event()


def work() -> None:
    """Finishes the text at hand before it stops."""
    print("Waiting for texts", flush=True)
    while not stopping.is_set():
        taken = tasks.take()
        if taken is None:
            stopping.wait(0.5)
            continue
        text = taken.read_text()
        result = {"text": text[:60], "words": len(text.split())}
        tasks.finish(taken, result)
        print(f"{taken.name}: {result['words']} words", flush=True)
    print("Stopped", flush=True)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    work()
