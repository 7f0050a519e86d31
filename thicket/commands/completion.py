"""The command completion: what makes a shell complete commands, and the names of models, stages and experiments."""

from argcomplete.shell_integration import shellcode


def completion(shell: str) -> int:
    """Prints it, for a file that the shell reads at its start."""
    print(shellcode(["thicket"], shell=shell))
    return 0
