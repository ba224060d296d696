"""Whole hostcalls, on the machine code that ships: what they pass to the system, and when.

| module | idea |
|---|---|
| `layout` | where the fields of structures lie, from debug information |
| `find` | the machine code of a hostcall, by its name |
| `liveness` | which registers matter at an instruction |
| `machine` | all paths through a hostcall and what it calls |
| `world` | what a hostcall finds: the context, linear memory, the table, the objects |
| `hooks` | functions that are not followed |
| `close` | the specification of `fd_close` |

A hostcall is followed from its first instruction to each system call, whether an instruction makes it or the C library.
There, the specification says what must hold of its arguments. A system call or a function of the C library for which
a proof has no
hook makes it fail.
"""
