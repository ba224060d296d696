"""What proofs take for granted. Each claim names the keys of those it needs; docs/proofs.md prints the texts."""

ASSUMPTIONS = {
    "pcode": "The p-code that SLEIGH gives for an instruction is what the processor does",
    "policy_text": "The text of a policy means what docs/policy.md says, as proofs/filter/policy.py reads it",
    "kernel_bpf": "The kernel runs a filter as its documentation says (interpreter, JIT compiler and the cache of permitted calls)",
    "kernel_landlock": "The kernel enforces a Landlock ruleset as its documentation says",
    "headers": "The kernel's headers on the machine of the proof are those of the kernel's interface",
    "z3": "Z3 answers `unsat` only if it is so",
}
