"""A prover for x86-64 machine code: p-code says what an instruction does, Z3 decides.

| module | idea |
|---|---|
| `elf` | the file: bytes, what is read-only after loading, functions, imports |
| `names` | functions by their path in the source |
| `code` | one instruction as p-code |
| `state` | registers, stack, records and tables at one point of one path |
| `semantics` | what one p-code operation does to a state |
| `loops` | the heads of the loops of a function |
| `prover` | all paths of a function, and what has to hold on them |
| `invariants` | loops |
| `dwarf`, `types` | where the fields of a Rust type lie, and what its bytes mean |

A loop is replaced by an invariant (Floyd, 1967): it holds when the loop is entered, and if it holds at the head of any
iteration, it holds at the head of the next one. Every access to memory must lie in the stack or in a region that the
proof names. So a proof is also one of memory safety.
"""
