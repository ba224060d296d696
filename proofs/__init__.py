"""Machine-checked claims about what is trusted. `proofs/run` proves all of them; README.md in this folder says how."""
