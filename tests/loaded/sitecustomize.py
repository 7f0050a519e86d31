"""Python runs this when it starts where a test wants it (thicket_loaded.py): a command is run by a fork elsewhere.

This process hands its streams to the one that has the libraries loaded, and ends with the fork's status.
"""

import os
import sys

if os.environ.get("THICKET_LOADED_FOR", "\0") in (given := " ".join(sys.orig_argv[1:])):
    import json
    import socket

    request = {"command": sys.orig_argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
    passed = [0, 1, 2]
    if "thicket.warm" in given:
        passed.append(int(sys.orig_argv[5]))  # the socket that it is to listen at
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.connect(f"\0{os.environ['THICKET_LOADED']}")
        socket.send_fds(asked, [json.dumps(request).encode()], passed)
        for stream in passed:
            os.close(stream)  # Who reads waits for the fork alone.
        status = asked.recv(1)
    os._exit(status[0] if status else 1)
