"""The verifier's rules, proved against a description of the processor that we did not write.

`proofs/rules` prints what the rules answer for single instructions; here each answer is proved. README.md in `proofs`
says how to run it.
"""
