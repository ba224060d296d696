"""Uses each part of the system once."""

# Before the snapshot is taken that the program starts from: later, there are no files to import it from.
import encodings.idna
import json
import os
import random
import socket
import sys
import time
from wit_world import exports


class Run(exports.Run):
    def run(self):
        print("arguments", sys.argv[1:])
        print("variables", sorted(os.environ.items()))
        print(json.dumps({"lines": [line.rstrip("\n") for line in sys.stdin]}))
        with open("/work/in.txt") as file:
            text = file.read()
        os.mkdir("/work/new")
        with open("/work/new/out.txt", "w") as file:
            file.write(text.upper())
        with open("/work/new/out.txt", "a") as file:
            file.write("appended\n")
        os.rename("/work/new/out.txt", "/work/out.txt")
        os.rmdir("/work/new")
        print(sorted(os.listdir("/work")), os.stat("/work/out.txt").st_size)
        for path in "/work/none", "/work/../etc/passwd", "/etc/passwd", "/work/out":
            try:
                open(path)
            except OSError as error:
                print(path, type(error).__name__)
        begun = time.monotonic()
        time.sleep(0.05)
        print("slept", 0.05 <= time.monotonic() - begun < 5, time.time() > 1.7e9)
        print("random", os.urandom(16) != os.urandom(16), random.random() != random.random())
        try:
            with socket.socket() as connection:
                connection.connect(("127.0.0.1", 9))
        except OSError as error:
            print("network", type(error).__name__)
        sys.stdout.flush()
        if len(sys.argv) > 2:
            sys.exit(int(sys.argv[2]))
