"""A TCP client: says hello to the port of its argument, at 127.0.0.1 and at 127.0.0.2, and prints what comes back."""

# Before the snapshot is taken that the program starts from: later, there are no files to import it from.
import encodings.idna
import socket
import sys
from wit_world import exports


class Run(exports.Run):
    def run(self):
        for host in "127.0.0.1", "127.0.0.2":
            try:
                with socket.socket() as connection:
                    connection.connect((host, int(sys.argv[1])))
                    print(connection.getpeername()[0], connection.getsockname()[1] > 0)
                    connection.sendall(b"hello " * 20000)
                    connection.shutdown(socket.SHUT_WR)
                    answer = b""
                    while part := connection.recv(65536):
                        answer += part
                    print(len(answer), answer == b"HELLO " * 20000)
            except OSError as error:
                print(host, type(error).__name__)
        sys.stdout.flush()
