"""Runs programs that a model wrote, and functions that evaluate a model's text, each in a box of its own.

`launch` makes the command line (bubblewrap, the foreign user), the folder `box` is what runs in the box, `run` watches
it from outside, and `thicket.domains.calls` serves calls of a function, in a box or not.

What is held, with `isolation: bubblewrap`:
- No network, no other process in sight, no file but Python's own and the system's libraries (all read-only) and an
  empty temporary folder of a fixed size; no variable of the environment; a user without rights, who can't get any.
- Limits on time, memory, processes, files, disk and output; all processes of a box end with it. Memory that no limit
  counts, and calls of the kernel that reach beyond a box, are refused (`box.syscalls`).
- Tests never enter the process of the program that they test: they run in another, which the program can neither read
  nor write, and ask it for values. Values come as plain data, so that an `__eq__` that is always true, a changed
  builtin, an early exit, a printed line, a look through frames or memory gain nothing: what passes is a function that
  returned what the tests asked for. Outputs of whole programs are compared outside of the box.

What is not:
- A program that can tell the tests' inputs apart may still answer those that it has seen, as in any unit test.
- Tests see values, not the program's objects: one that changes its argument in place shows nothing, and two objects of
  the program's own classes are never equal.
- Tests that call several functions of a program believe each of them (HumanEval's `poly` within `find_zero`).
- A function that evaluates text (some of reasoning-gym's scorers) does it in its own process: text that is a program
  against that very scorer can make it say anything about itself, though about no other response.
- The kernel: a box is as good as Linux's namespaces. Memory of all processes together is looked at from time to time,
  so for a moment it can be as large as `processes` × `memory_bytes`.

docs/security.md has it threat by threat.
"""
