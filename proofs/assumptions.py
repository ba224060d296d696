"""What proofs take for granted. Each claim names the keys of those it needs; docs/proofs.md prints the texts."""

ASSUMPTIONS = {
    "pcode": "The p-code that SLEIGH gives for an instruction is what the processor does",
    "policy_text": "The text of a policy means what docs/policies.md says, as proofs/filter/policy.py reads it",
    "kernel_bpf": "The kernel runs a filter as its documentation says (interpreter, JIT compiler and the cache of permitted calls)",
    "kernel_landlock": "The kernel enforces a Landlock ruleset as its documentation says",
    "headers": "The kernel's headers on the machine of the proof are those of the kernel's interface",
    "objects_apart": "Objects lie where the contract says: apart from each other and from the stack, below 2^47, none wrapping around",
    "z3": "Z3 answers `unsat` only if it is so",
    "layout": "Types lie in memory as debug information of the same source says, and are passed as rustc 1.95 does",
    "stack": "The stack lies at one address, apart from all other memory, and is large enough",
    "apart": "Structures, buffers of vectors and slices lie apart in user space, and values are valid for their types",
    "inlined": "Hostcalls inline this decision; proved is its function of the same source in the same binary",
    "parser": "The parsers of paths and link targets answer any value of their type; they have proofs of their own",
    "insert": "`Monitor::insert` does what its own proof says",
    "meanings": "`is_host` and `widest_mask` do what their own proofs say",
    "numbering": "No number from 3 up to `lowest_free` is free, nor is that above the number of slots. Close, "
    "renumber and insert are proved to keep this; that `new` and the grants make it true is not",
    "reserve": "`Vec::reserve` gives room for what it is asked for, apart from other memory, and keeps the content",
    "memset": "`memset` writes its range and nothing else",
    "hostcall-memory": "The stack, the context, linear memory, `Wasi`, its vectors and blocks of the allocator lie apart; "
    "lengths of vectors and variants of enumerations are valid; the stack is large enough",
    "hostcall-layout": "Types lie in memory as the debug information of a development build of the same source says",
    "hostcall-ends": "A panic or an allocator without memory ends the process, and does nothing but say so on standard error",
    "hostcall-calls": "Functions that are hooked write what is said: the C library's for memory, `grow_one`, `__errno_location`",
}
