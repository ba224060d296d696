"""The monitor's decisions, proved on the machine code that ships. `python -m proofs.monitor [NAME…]`.

One file per group of decisions, each with its specification: a table of conditions and outcomes, written from the WASI
documents. `wasi` has the numbers of preview 1, `policy` says which rights a descriptor can have, `frame` joins a
specification with the machine code.
"""
