"""The system-call filters and Landlock rulesets of `wave`, proved equal to what their policies say.

Nothing here is taken from the Rust code: the expected answers come from the text of a policy file, the argument names
and constants of policies/syscalls.toml, and the kernel's headers. Run it by `python -m proofs.filter`.
"""
