"""Whole hostcalls, on the machine code that ships: what they pass to the system, and when.

| module | idea |
|---|---|
| `layout` | where the fields of structures lie, from debug information |
| `find` | the machine code of a hostcall, by its name |
| `machine` | all paths through a hostcall and what it calls |
| `scans` | loops that only look for something |
| `liveness` | which registers matter at an instruction |
| `world` | what a hostcall finds: the context, the table, the objects |
| `close` | the specification of `fd_close` |

A hostcall is followed from its first instruction to each call of the C library. There, the specification says what must
hold of the arguments. A system call or a function of the C library for which a proof has no hook makes it fail.
"""
