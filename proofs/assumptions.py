"""What proofs take for granted. Each claim names the keys of those it needs; docs/proofs.md prints the texts."""

ASSUMPTIONS = {
    "pcode": "The p-code that SLEIGH gives for an instruction is what the processor does",
    "apart": "Objects lie where the contract says: apart from each other and from the stack, below 2^47, none wrapping around",
    "z3": "Z3 answers `unsat` only if it is so",
}
