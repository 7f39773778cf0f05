"""Types a command in a terminal of its own and closes that once the command has printed a text, as
a window that is closed or a connection that is lost does. Prints what the command printed. Ends as
a shell would: with the command's status, or 128 + the number of the signal that ended it.

usage: closed_terminal.py <text> <program> [<argument> ...]
"""

import os
import pty
import sys

text, *command = sys.argv[1:]
process, terminal = pty.fork()
if process == 0:
    os.execvp(command[0], command)
printed = b""
while text.encode() not in printed:
    try:
        part = os.read(terminal, 4096)
    except OSError:  # Its last process has ended: the text never came.
        break
    printed += part
os.close(terminal)
_, status = os.waitpid(process, 0)
sys.stdout.write(printed.decode(errors="replace"))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
